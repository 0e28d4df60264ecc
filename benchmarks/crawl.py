"""Speed and memory of a batch: each step apart, all of them with one and two workers, and other tools.

    python benchmarks/crawl.py [--count 2000] [--memory 1000 --memory 9000] [--others 40]
                               [--plot docs/speed.png] [--model DIR] PAGE...

The pages are repeated, each time with a sentence of its own, until there are `count` of them. All figures
are of one run; the last column sets them against the bare parse of the same HTML by resiliparse.

With --others, the same is done with what one would otherwise assemble, on one core in the same process:
trafilatura (which favours recall: faster, and it keeps more of the lists), pysbd or nltk on each line of
its text, and the same model in scikit-learn (TfidfVectorizer of words and of characters, linear), which
gets the sentences of all pages at once and without their context. nltk's Punkt is untrained, because its
data is a download; trained, it does the same work. Needs ``clausemark[bench]``, and the plot matplotlib
of ``clausemark[train]``.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Of a dataset that is only written to see how long that takes.
MANIFEST: dict[str, Any] = {"model": "", "version": "", "parameters": {"text": True}, "inputs": []}
#: Pages that are scored at once, some 60,000 characters as in a batch.
TOGETHER = 4
#: Pages that a way gets before it is the next one's turn.
TURN = 12
#: Runs with one and with two workers, in turns.
TURNS = 3


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


def together(crawl: Path, model: str, workers: int, cores: int) -> dict[str, float]:
    """Run a batch in a process group of its own, on some cores; return seconds and peak memory."""
    code = (
        "import json, os, sys\n"
        "from clausemark.batch import label_crawl\n"
        "from clausemark.workers import Settings\n"
        "if __name__ == '__main__':\n"
        "    crawl, out, model, workers, cores = sys.argv[1:]\n"
        "    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])\n"
        "    last = []\n"
        "    label_crawl([crawl], out, settings=Settings(model=model), workers=int(workers),\n"
        "        progress=lambda now: last.__setitem__(slice(0, None), [now]))\n"
        "    print(json.dumps(last[0].seconds))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(crawl), f"{folder}/out", model, str(workers), str(cores)],
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(1)  # looking takes time from the workers
        assert process.stdout
        if process.returncode:
            sys.exit("the batch failed")
        return {"seconds": float(json.loads(process.stdout.read())), "peak": peak}


def machine(crawl: Path) -> float:
    """Tell how much more two processes do on this machine than one, if they only parse."""
    code = (
        "import sys, time\n"
        "sys.path.insert(0, sys.argv.pop())\n"
        "from clausemark.crawl import Crawl\n"
        "from crawl import parse\n"
        "pages = [page.content for page in Crawl(sys.argv[1:])]\n"
        "start = time.perf_counter()\n"
        "parse(5 * pages)\n"
        "print(time.perf_counter() - start)\n"
    )

    def run(count: int) -> list[float]:
        command = [sys.executable, "-c", code, str(crawl), str(ROOT / "benchmarks")]
        processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        return [float(process.communicate()[0]) for process in processes]

    one, two = 0.0, 0.0
    for _ in range(TURNS):
        one += sum(run(1))
        two += sum(run(2)) / 2
    return 2 * one / two


def parse(pages: Sequence[bytes]) -> None:
    """Parse HTML and do nothing with it."""
    from resiliparse.parse.encoding import detect_encoding
    from resiliparse.parse.html import HTMLTree

    for page in pages:
        HTMLTree.parse_from_bytes(page, detect_encoding(page))


def apart(crawl: Path, model: str, folder: Path) -> dict[str, float]:
    """Time each step alone, in this process; return processor seconds.

    The steps take turns, some pages each, so that a clock that changes its speed changes that of all.
    """
    from clausemark.crawl import Crawl, Page
    from clausemark.dataset import Dataset, clause_batch
    from clausemark.documents import parse_document
    from clausemark.errors import LanguageError
    from clausemark.predict import Labeler
    from clausemark.screening import policy_score

    labeler = Labeler.load(model)
    policy_score(labeler.label("We keep what is compiled."))
    stream = iter(Crawl([str(crawl)]))
    watch = Watch()

    def segment(documents: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for document in documents:
            with contextlib.suppress(LanguageError):
                yield document, labeler.segment(document)

    def score(parts: Sequence[tuple[Any, Any]]) -> Iterator[Any]:
        for start in range(0, len(parts), TOGETHER):
            yield from labeler.label_clauses(parts[start : start + TOGETHER])

    row = dict.fromkeys(("url", "title", "digest", "duplicate_of", "is_policy", "policy_score"))
    row |= {"source": "s", "language": "en", "bytes": 0, "clauses": 0, "words": 0}
    with Dataset(folder, MANIFEST) as dataset:
        watch.resume()
        while pages := [page for page in islice(stream, 4 * TOGETHER) if isinstance(page, Page)]:
            watch("read")
            parse([page.content for page in pages])
            watch("bare HTML parse")
            documents = [parse_document(page.content, name=page.source) for page in pages]
            watch("extract")
            parts = list(segment(documents))
            watch("segment")
            labels = list(score(parts))
            watch("score")
            for each in labels:
                policy_score(each)
            watch("screen")
            dataset.write([clause_batch(labels)], [row] * len(pages))
            watch("write")
        dataset.commit()
        watch("write")
    return watch.steps


def others(pages: Sequence[bytes], model: str, folder: Path) -> dict[str, dict[str, float]]:
    """Time ways from HTML to labels in Parquet on one core; return processor seconds of their steps.

    They take turns too, `TURN` pages each.
    """
    import pandas as pd
    import pysbd
    import trafilatura
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    from clausemark.crawl import Page
    from clausemark.dataset import Dataset
    from clausemark.model import load_model, restore
    from clausemark.predict import Labeler
    from clausemark.taxonomy import CATEGORIES
    from clausemark.workers import Settings, label_pages

    labeler, classifier = Labeler.load(model), restore(load_model(model))
    splitters = {
        "nltk": PunktSentenceTokenizer().tokenize,
        "pysbd": pysbd.Segmenter(language="en", clean=False).segment,
    }

    def bare(pages: Sequence[bytes], watch: Watch) -> None:
        parse(pages)
        watch("parse")

    def ours(pages: Sequence[bytes], watch: Watch) -> None:
        named = [Page(str(number), None, page) for number, page in enumerate(pages)]
        found = label_pages(labeler, named, Settings())
        watch("read to label")
        digests = (hashlib.sha256(page).hexdigest() for page in pages)
        rows = [
            {**row, "digest": digest, "duplicate_of": None}
            for row, digest in zip(found.outcomes, digests, strict=True)
        ]
        dataset.write([found.clauses], rows)
        watch("write")

    def theirs(pages: Sequence[bytes], watch: Watch, split: Callable[[str], list[str]]) -> None:
        texts = [trafilatura.extract(page, favor_recall=True) or "" for page in pages]
        watch("extract")
        rows = [
            (number, sentence)
            for number, text in enumerate(texts)
            for line in text.splitlines()
            for sentence in split(line)
            if sentence.strip()
        ]
        watch("segment")
        scores = classifier.predict_proba([sentence for _, sentence in rows])
        watch("score")
        frame = pd.DataFrame(rows, columns=["doc", "text"])
        frame[list(CATEGORIES)] = scores.astype("float32")
        frame.to_parquet(folder / "sentences.parquet", compression="zstd")
        watch("write")

    ways: dict[str, Callable[[Sequence[bytes], Watch], None]] = {"bare HTML parse": bare, "clausemark": ours}
    for name, split in splitters.items():
        ways[f"trafilatura + {name} + scikit-learn"] = partial(theirs, split=split)
    watches = {name: Watch() for name in ways}
    with Dataset(folder / "others", MANIFEST) as dataset:
        ours(pages, Watch())  # what is compiled or loaded at the first use is ready
        dataset.commit()
        theirs(pages[:TURN], Watch(), lambda line: [line])
        gc.freeze()  # as workers do; it serves all ways
        for start in range(0, len(pages), TURN):
            for name, way in ways.items():
                watches[name].resume()
                way(pages[start : start + TURN], watches[name])
        watches["clausemark"].resume()
        dataset.commit()
        watches["clausemark"]("write")
    return {name: watch.steps for name, watch in watches.items()}


class Watch:
    """Adds up the processor time of named steps."""

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.resume()

    def resume(self) -> None:
        """Begin a step."""
        self.last = time.process_time()

    def __call__(self, step: str) -> None:
        """End a step, and begin the next."""
        now = time.process_time()
        self.steps[step] = self.steps.get(step, 0.0) + now - self.last
        self.last = now


def plot(ways: dict[str, dict[str, float]], path: Path) -> None:
    """Draw the time of each way, by steps, as multiples of clausemark's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colors = {
        "parse": "#9e9e9e", "read to label": "#0b6e4f", "extract": "#c8553d", "segment": "#f28f3b",
        "score": "#588b8b", "write": "#d9c6a5",
    }  # fmt: skip
    unit = sum(ways["clausemark"].values())
    figure, axes = plt.subplots(figsize=(8, 2.4), layout="constrained")
    labeled = set()
    for name, steps in ways.items():
        left = 0.0
        for step, seconds in steps.items():
            label = None if step in labeled or step == "parse" else step
            labeled.add(step)
            axes.barh(name, seconds / unit, left=left, color=colors[step], label=label)
            left += seconds / unit
        axes.text(left, name, f" {left:.2g}" if left < 1 else f" {left:.1f}", va="center")
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("processor time from HTML to labels in Parquet, clausemark = 1")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right", fontsize="small")
    # No date or version of the library: the same figures give the same file.
    figure.savefig(path, dpi=160, metadata={"Software": None})


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="pages for the speed")
    parser.add_argument("--apart", type=int, default=300, help="pages for the steps apart")
    parser.add_argument(
        "--memory", type=int, action="append", default=[], help="pages for the memory; repeat"
    )
    parser.add_argument("--others", type=int, default=0, help="pages for the comparison with other tools")
    parser.add_argument("--plot", type=Path, help="PNG of that comparison")
    parser.add_argument("--model", default=str(ROOT / "models" / "clausemark"))
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    given = parser.parse_args()
    if given.plot and not given.others:
        parser.error("--plot shows a comparison: say of how many pages with --others")
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
        if given.others:
            compared = list(repeat(pages, given.others))
            ways = others(compared, given.model, Path(name))
            length = sum(map(len, compared))
            unit = sum(ways["clausemark"].values())
            alone = sum(ways["bare HTML parse"].values()) / length
            print(f"\nHTML to labels in Parquet, one core, {given.others} pages")
            print(f"{'':38} {'pages/s':>9} {'MB/s':>8} {'x bare parse':>13} {'x clausemark':>13}")
            for way, steps in ways.items():
                for step, spent in {
                    way: sum(steps.values()),
                    **{f"  {n}": s for n, s in steps.items()},
                }.items():
                    show(step, given.others, length, spent, alone, unit)
            print(flush=True)
            if given.plot:
                plot(ways, given.plot)
        # What feeds the workers and writes works beside them, so one worker alone uses more than a core.
        kinds = {"1 worker, 1 core": (1, 1), "1 worker, 2 cores": (1, 2), "2 workers, 2 cores": (2, 2)}
        turns = [
            {name: together(crawl, given.model, *kind) for name, kind in kinds.items()} for _ in range(TURNS)
        ]
        spent = {name: sum(turn[name]["seconds"] for turn in turns) for name in kinds}
        for name, total in spent.items():
            show(f"together, {name}", TURNS * given.count, TURNS * size, total, bare)
        *alone, both = spent.values()
        print("two workers against one:", ", ".join(f"{each / both:.2f}" for each in alone))
        print(f"two processes against one that do nothing but parse: {machine(few):.2f}")
        print(f"\n{'pages':>8} {'MB peak, 2 workers':>20}")
        print(f"{given.count:8} {max(turn['2 workers, 2 cores']['peak'] for turn in turns):20.0f}")
        for count in given.memory:
            write_crawl(crawl, pages, count)
            print(f"{count:8} {together(crawl, given.model, 2, 2)['peak']:20.0f}", flush=True)


def show(step: str, pages: int, size: int, seconds: float, bare: float, unit: float | None = None) -> None:
    """Print a row."""
    rate = f"{pages / seconds:9.1f} {size / 1e6 / seconds:8.1f} {seconds / size / bare:13.2f}"
    ratio = "" if unit is None else f" {seconds / unit:13.2f}"
    print(f"{step:{28 if unit is None else 38}} {rate}{ratio}", flush=True)


if __name__ == "__main__":
    main()
