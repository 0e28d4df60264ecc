"""Seconds and peak memory of training and of labeling, each in a process of its own.

    python benchmarks/cost.py [--corpus data/corpus] [--model models/clausemark] [FILE ...]

Times differ from machine to machine; the last column sets each step against the bare start of the
interpreter with scikit-learn, measured in the same run.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_CHILD = """
import resource, runpy, sys
sys.argv = sys.argv[1:]
try:
    runpy.run_module("clausemark", run_name="__main__")
except SystemExit as stop:
    code = stop.code
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def measure(*arguments: str) -> tuple[float, float]:
    """Run a clausemark command; return its seconds and its peak memory in MB."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, "clausemark", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"clausemark {' '.join(arguments)} failed:\n{done.stderr}")
    peak = next(line for line in done.stderr.splitlines() if line.startswith("peak"))
    return seconds, int(peak.split()[1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default=str(ROOT / "data" / "corpus"))
    parser.add_argument("--model", default=str(ROOT / "models" / "clausemark"))
    parser.add_argument("files", nargs="*", default=[str(ROOT / "examples" / "harbour-lane-telecom.html")])
    given = parser.parse_args()
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import sklearn.svm"], check=True)
    bare = time.perf_counter() - start
    print(f"{'step':34} {'seconds':>8} {'MB peak':>8} {'x start':>8}")
    print(f"{'python -c import sklearn.svm':34} {bare:8.2f} {'':>8} {1:8.1f}")
    with tempfile.TemporaryDirectory() as folder:
        steps = {
            f"label {len(given.files)} document(s)": (
                "label", "--model", given.model, "--format", "jsonl", "--out", f"{folder}/l.jsonl",
                *given.files,
            ),
            "evaluate on the test policies": (
                "evaluate", "--model", given.model, "--corpus", given.corpus, "--split", "test", "--json",
            ),
            "train on the corpus": (
                "train", "--no-track", "--corpus", given.corpus, "--model", f"{folder}/model",
            ),
        }  # fmt: skip
        for name, arguments in steps.items():
            seconds, peak = measure(*arguments)
            print(f"{name:34} {seconds:8.2f} {peak:8.0f} {seconds / bare:8.1f}", flush=True)


if __name__ == "__main__":
    main()
