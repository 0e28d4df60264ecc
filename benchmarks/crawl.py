"""Speed and memory of a batch: each step apart, and all of them with one and two workers.

    python benchmarks/crawl.py [--count 2000] [--memory 1000 --memory 9000] [--model DIR] PAGE...

The pages are repeated, each time with a sentence of its own, until there are `count` of them. All figures
are of one run; the last column sets them against the bare parse of the same HTML by resiliparse.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def repeat(pages: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Give pages again and again, each with a sentence of its own."""
    for number in range(count):
        yield pages[number % len(pages)] + b"\n<p>This is copy %d of the page.</p>\n" % number


def write_crawl(path: Path, pages: Sequence[bytes], count: int) -> int:
    """Write a crawl as Parquet; return its bytes of HTML."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = 0
    schema = pa.schema([("html", pa.binary())])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=False) as writer:
        stream = repeat(pages, count)
        while chunk := list(islice(stream, 200)):
            size += sum(map(len, chunk))
            writer.write_table(pa.table({"html": chunk}, schema=schema))
    return size


def memory(group: int) -> float:
    """Add up the memory of a process group in MB; what processes share counts once (Linux)."""
    total = 0
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and os.getpgid(int(folder.name)) == group:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # has ended meanwhile
    return total / 1024


def together(crawl: Path, model: str, workers: int) -> dict[str, float]:
    """Run a batch in a process group of its own; return seconds and peak memory."""
    code = (
        "import json, sys\n"
        "from clausemark.batch import label_crawl\n"
        "from clausemark.workers import Settings\n"
        "if __name__ == '__main__':\n"
        "    last = []\n"
        "    label_crawl([sys.argv[1]], sys.argv[2], settings=Settings(model=sys.argv[3]),\n"
        "        workers=int(sys.argv[4]), progress=lambda now: last.__setitem__(slice(0, None), [now]))\n"
        "    print(json.dumps(last[0].seconds))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(crawl), f"{folder}/out", model, str(workers)],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.3)
        assert process.stdout
        if process.returncode:
            sys.exit("the batch failed")
        return {"seconds": float(json.loads(process.stdout.read())), "peak": peak}


def apart(crawl: Path, model: str, folder: Path) -> dict[str, float]:
    """Time each step alone, in this process; return seconds."""
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    from clausemark.clauses import segment
    from clausemark.crawl import Crawl, Page
    from clausemark.dataset import Dataset, clause_batch
    from clausemark.documents import parse_document
    from clausemark.errors import LanguageError
    from clausemark.predict import Labeler
    from clausemark.screening import policy_score

    labeler = Labeler.load(model)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()  # each step is one thread; others may use the machine
        found = work()
        seconds[name] = time.process_time() - start
        return found

    def label(document: Any) -> list[Any]:
        try:
            return [labeler.label_document(document)]
        except LanguageError:
            return []

    pages = timed("read", lambda: [p for p in Crawl([str(crawl)]) if isinstance(p, Page)])
    timed(
        "bare HTML parse",
        lambda: [HTMLTree.parse_from_bytes(p.content, detect_encoding(p.content)) and None for p in pages],
    )
    documents = timed("extract", lambda: [parse_document(p.content, name=p.source) for p in pages])
    timed("segment", lambda: [segment(d) for d in documents])
    policies = [p for found in timed("score", lambda: [label(d) for d in documents]) for p in found]
    seconds["score"] -= seconds["segment"]  # label_document segments too
    timed("screen", lambda: [policy_score(p) for p in policies])

    def write() -> None:
        manifest = {"model": "", "version": "", "parameters": {"text": True}, "inputs": []}
        with Dataset(folder, manifest) as dataset:
            for start in range(0, len(policies), 16):
                dataset.write([clause_batch(policies[start : start + 16])], [])
            row = dict.fromkeys(("url", "title", "digest", "duplicate_of", "is_policy", "policy_score"))
            row |= {"source": "s", "language": "en", "bytes": 0, "clauses": 0, "words": 0}
            dataset.write([], [row] * len(pages))
            dataset.commit()

    timed("write", write)
    return seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="pages for the speed")
    parser.add_argument("--apart", type=int, default=300, help="pages for the steps apart")
    parser.add_argument(
        "--memory", type=int, action="append", default=[], help="pages for the memory; repeat"
    )
    parser.add_argument("--model", default=str(ROOT / "models" / "clausemark"))
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    given = parser.parse_args()
    pages = [path.read_bytes() for path in given.pages]
    with tempfile.TemporaryDirectory() as name:
        crawl = Path(name) / "crawl.parquet"
        few = Path(name) / "few.parquet"
        few_size, size = write_crawl(few, pages, given.apart), write_crawl(crawl, pages, given.count)
        seconds = apart(few, given.model, Path(name) / "apart")
        bare = seconds.pop("bare HTML parse") / few_size
        seconds = {"bare HTML parse": bare * few_size, **seconds, "sum of the steps": sum(seconds.values())}
        print(f"{'step':28} {'pages/s':>9} {'MB/s':>8} {'x bare parse':>13}")
        for step, spent in seconds.items():
            show(step, given.apart, few_size, spent, bare)
        runs = {workers: together(crawl, given.model, workers) for workers in (1, 2)}
        for workers, run in runs.items():
            show(f"together, {workers} worker(s)", given.count, size, run["seconds"], bare)
        print(f"two workers against one: {runs[1]['seconds'] / runs[2]['seconds']:.2f}")
        print(f"\n{'pages':>8} {'MB peak, 2 workers':>20}")
        print(f"{given.count:8} {runs[2]['peak']:20.0f}")
        for count in given.memory:
            write_crawl(crawl, pages, count)
            print(f"{count:8} {together(crawl, given.model, 2)['peak']:20.0f}", flush=True)


def show(step: str, pages: int, size: int, seconds: float, bare: float) -> None:
    """Print a row."""
    print(
        f"{step:28} {pages / seconds:9.1f} {size / 1e6 / seconds:8.1f} {seconds / size / bare:13.2f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
