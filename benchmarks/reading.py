"""Time from HTML to clauses, stage by stage, against the bare HTML parse in the same run.

    python benchmarks/reading.py [--pages FOLDER] [--rounds 9]

The pages are those of ../shared/opp115 where that stands beside the repository, else the examples.
Stages take turns, and the fastest round of each counts, in processor time: what else the machine does
is left out as far as that goes. `walk, text` is `parse_html` without the parse.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from clausemark.clauses import segment
from clausemark.context import surroundings
from clausemark.documents import decode, detect_language, parse_document
from clausemark.documents.html import parse_html

ROOT = Path(__file__).resolve().parents[1]
CRAWLED = ROOT.parent / "shared" / "opp115" / "original_policies"


def seconds(stage: Callable[[Any], object], inputs: Iterable[Any]) -> float:
    """Processor time of one stage over all its inputs."""
    start = time.thread_time()
    for each in inputs:
        stage(each)
    return time.thread_time() - start


def read(page: bytes) -> None:
    """Everything from the bytes of a page to clauses in context."""
    surroundings(segment(parse_document(page, media="html")))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, default=CRAWLED if CRAWLED.is_dir() else ROOT / "examples")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    pages = [path.read_bytes() for path in sorted(given.pages.glob("*.html"))]
    if not pages:
        sys.exit(f"{given.pages}: holds no *.html; name a folder of pages with --pages")
    sources = [decode(page) for page in pages]
    documents = [parse_document(page, media="html") for page in pages]
    clauses = [segment(document) for document in documents]
    utf8 = [source.encode() for source in sources]
    stages: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        "bare HTML parse": (LexborHTMLParser, sources),
        "bare HTML parse, of UTF-8": (LexborHTMLParser, utf8),
        "decode": (decode, pages),
        "parse, walk, text": (parse_html, utf8),
        "language": (detect_language, [document.text for document in documents]),
        "parse_document": (lambda page: parse_document(page, media="html"), pages),
        "segment": (segment, documents),
        "surroundings": (surroundings, clauses),
        "HTML to clauses": (read, pages),
    }
    best = dict.fromkeys(stages, float("inf"))
    for number in range(given.rounds + 1):
        for name, (stage, inputs) in stages.items():
            spent = seconds(stage, inputs)
            if number:  # the first round loads what is compiled
                best[name] = min(best[name], spent)
    best["walk, text"] = best["parse, walk, text"] - best["bare HTML parse, of UTF-8"]

    html, text = sum(map(len, pages)) / 1e6, sum(len(document.text) for document in documents) / 1e6
    print(f"{len(pages)} pages, {html:.1f} MB of HTML, {text:.1f} M characters of text,")
    print(f"{sum(map(len, clauses))} clauses; fastest of {given.rounds} rounds\n")
    print(f"{'stage':26} {'ms/page':>8} {'x bare':>7} {'MB/s HTML':>10} {'MB/s text':>10} {'pages/s':>8}")
    for name, spent in best.items():
        print(
            f"{name:26} {1000 * spent / len(pages):8.3f} {spent / best['bare HTML parse']:7.2f}"
            f" {html / spent:10.1f} {text / spent:10.1f} {len(pages) / spent:8.0f}"
        )


if __name__ == "__main__":
    main()
