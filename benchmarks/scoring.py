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

import pandas as pd

from clausemark.clauses import Clause, segment
from clausemark.context import join, surroundings
from clausemark.corpus import read_corpus
from clausemark.documents import read_document
from clausemark.features import clause_frame
from clausemark.model import load_model, restore
from clausemark.scorer import Scorer

ROOT = Path(__file__).resolve().parents[1]
#: Documents that are scored at once, some 60,000 characters as in a batch.
TOGETHER = 8
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
    clauses, everything = [clause for part in documents for clause in part], join(around)
    texts = [clause.text for clause in clauses]
    size = sum(map(len, texts)) / 1e6

    def first_stage() -> None:
        features = classifier.features_.transform(frame)
        for part in (classifier.says_, classifier.announces_):
            part.decision_function(features)

    def together() -> None:
        for start in range(0, len(documents), TOGETHER):
            group = documents[start : start + TOGETHER]
            near = join(surroundings(part) for part in group)
            scorer.score([clause for part in group for clause in part], near)

    fresh = [Scorer(model) for _ in range(rounds)]
    ways: dict[str, dict[str, Callable[[], object]]] = {
        "stage 1": {
            "scikit-learn": first_stage,
            "scorer": lambda: scorer.say(texts),
            "scorer, no word known": lambda: fresh.pop().say(texts),
        },
        "in context": {
            "scikit-learn, neighbours prepared": lambda: classifier.decision_function(frame),
            "scorer, neighbours prepared": lambda: scorer.score(clauses, everything),
            f"scorer, {TOGETHER} documents at once": together,
            "scorer, each document apart": lambda: [scorer.score(part) for part in documents],
        },
    }
    scorer.score(clauses, everything)
    taken: dict[tuple[str, str], list[float]] = {(s, name): [] for s, of in ways.items() for name in of}
    for _ in range(rounds):
        for (stage, name), times in taken.items():
            times.append(processor_time(ways[stage][name]))
    print(f"{len(clauses):,} clauses of {len(documents)} documents, {size:.2f} MB of text, {rounds} rounds")
    print("| stage | way | MB/s | times scikit-learn |\n|---|---|---|---|")
    for (stage, name), times in taken.items():
        slow = taken[stage, next(iter(ways[stage]))]
        ratio = median(s / t for s, t in zip(slow, times, strict=True))
        print(f"| {stage} | {name} | {size / median(times):.2f} | {ratio:.1f} |")


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
