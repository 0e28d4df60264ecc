"""Measure the fast scorer against the scikit-learn path, and the start of the command.

    python benchmarks/scoring.py [--model DIR] [--policies N] [--pages FOLDER] [--rounds N]

All in one run, one thread, processor time, the ways taking turns; figures are medians of the rounds,
so ratios hold on a busy machine too. By default the clauses of the corpus.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

from clausemark.clauses import Clause, segment
from clausemark.context import combine, surroundings
from clausemark.corpus import read_corpus
from clausemark.documents import read_document
from clausemark.features import clause_frame
from clausemark.model import load_model, restore
from clausemark.scorer import Scorer
from clausemark.taxonomy import CATEGORIES

ROOT = Path(__file__).resolve().parents[1]
PAGE = "<h1>Privacy</h1><p>We sell your data to advertisers.</p><p>You can opt out at any time.</p>"


def processor_time(work: Callable[[], object]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def start_time(program: str, **environment: str) -> tuple[float, float]:
    """Seconds by the clock and of processor time that a fresh interpreter takes."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-c", program]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_scoring(model_folder: Path, documents: list[tuple[Clause, ...]], rounds: int) -> None:
    """Print MB/s of each way, and how many times scikit-learn's that is."""
    model = load_model(model_folder)
    classifier, scorer = restore(model), Scorer(model)
    frame = pd.concat([clause_frame(clauses) for clauses in documents], ignore_index=True)
    around = [surroundings(clauses) for clauses in documents]
    texts = [[clause.text for clause in clauses] for clauses in documents]
    together = [text for part in texts for text in part]
    size = sum(map(len, together)) / 1e6
    said = len(model.intercepts) - len(CATEGORIES)

    def prepared() -> list[np.ndarray]:
        found = []
        for part, near in zip(texts, around, strict=True):
            scores = scorer.say(part)
            found.append(combine(scores[:, :said], scores[:, said:], near, model.alone, model.context))
        return found

    fresh = [Scorer(model) for _ in range(rounds)]
    ways: dict[str, Callable[[], object]] = {
        "scikit-learn, in context, frames prepared": lambda: classifier.decision_function(frame),
        "scorer, in context, neighbours prepared": prepared,
        "scorer, in context": lambda: [scorer.score(clauses) for clauses in documents],
        "scorer, stage 1": lambda: scorer.say(together),
        "scorer, stage 1, no word known": lambda: fresh.pop().say(together),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    scorer.say(together)
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(processor_time(way))
    slow = next(iter(taken.values()))
    print(f"{len(together):,} clauses of {len(documents)} documents, {size:.2f} MB of text, {rounds} rounds")
    print("| way | MB/s | times scikit-learn |\n|---|---|---|")
    for name, times in taken.items():
        ratio = median(s / t for s, t in zip(slow, times, strict=True))
        print(f"| {name} | {size / median(times):.2f} | {ratio:.1f} |")


def measure_start(model: Path, rounds: int) -> None:
    """Print what `clausemark label` on one page takes, beside bare imports."""
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(PAGE, encoding="utf-8")
        label = f"from clausemark.cli import main; main(['label', {str(page)!r}, '--model', {str(model)!r}])"
        first = start_time(label, NUMBA_CACHE_DIR=str(Path(folder) / "cache"))
        programs = {
            "clausemark label, one page": label,
            "import sklearn.svm": "import sklearn.svm",
            "import numba": "import numba",
            "import numpy": "import numpy",
        }
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
        for _ in range(rounds):
            for name, program in programs.items():
                taken[name].append(start_time(program))
    print("\n| start | s by the clock | s of processor time |\n|---|---|---|")
    for name, times in taken.items():
        print(f"| {name} | {median(t for t, _ in times):.2f} | {median(t for _, t in times):.2f} |")
    print(f"| clausemark label, first of all (compiles) | {first[0]:.2f} | {first[1]:.2f} |")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "models" / "clausemark")
    parser.add_argument("--policies", type=int, default=100, help="of the corpus to score")
    parser.add_argument("--pages", type=Path, help="folder of HTML pages to score instead")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if given.pages:
        documents = [tuple(segment(read_document(page))) for page in sorted(given.pages.glob("*.html"))]
    else:
        corpus = read_corpus(ROOT / "data" / "corpus")[: given.policies]
        documents = [policy.clauses_for_context() for policy in corpus]
    measure_scoring(given.model, [clauses for clauses in documents if clauses], given.rounds)
    measure_start(given.model, given.rounds)


if __name__ == "__main__":
    main()
