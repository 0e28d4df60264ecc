"""Train, cross-validate and measure the screening of pages that are no privacy policies.

    python benchmarks/screening.py [--model DIR] [--pages FOLDER] [--write]

Learns from the first half of data/screening.jsonl and of the corpus, measures on the second halves.
Policies of the corpus are labeled by models trained on the other half, as a policy of the world is
labeled by a model that has not seen it. Takes some three minutes.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from clausemark import Labeler
from clausemark.corpus import AnnotatedClause, Policy, read_corpus
from clausemark.errors import InputError
from clausemark.screening import POLICY_SCORE, policy_figures

ROOT = Path(__file__).resolve().parents[1]
MODULE = ROOT / "src" / "clausemark" / "screening.py"
DOCS = ROOT / "docs" / "screening.md"
#: Inverse strength of the penalty; small, for there are a hundred pages and a dozen figures.
C = 0.1
#: A policy cut short: so many clauses of its start, so many from a third of its length on.
START, MIDDLE = 3, 12
TAGS = {"heading": "<h2>{}</h2>", "item": "<ul><li>{}</li></ul>", "sentence": "<p>{}</p>"}


@dataclass
class Page:
    """A page, its half, and its figures (None: it holds no text, and so is no policy)."""

    id: str
    kind: str
    is_policy: bool
    half: str
    figures: dict[str, float] | None


def read_figures(labeler: Labeler, source: str | Path) -> dict[str, float] | None:
    """Label a page and give its figures."""
    try:
        policy = labeler.label(source, any_language=True)
    except InputError:
        return None
    return policy_figures(policy) if policy.clauses else None


def render(policy: Policy, clauses: tuple[AnnotatedClause, ...]) -> str:
    """Make a page of clauses; its title is the name of the organisation, as often in the world."""
    body = "".join(TAGS[clause.kind].format(html.escape(clause.text)) for clause in clauses)
    return (
        f"<html><head><title>{html.escape(policy.metadata['name'])}</title></head><body>{body}</body></html>"
    )


def read_pages(labeler: Labeler) -> list[Page]:
    """Read and label the written pages."""
    lines = (ROOT / "data" / "screening.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Page(r["id"], r["kind"], r["is_policy"], r["split"], read_figures(labeler, r["html"]))
        for r in map(json.loads, lines)
    ]


def read_policies(policies: list[Policy], half: str, labeler: Labeler) -> list[Page]:
    """Label policies of the corpus, whole and cut short."""
    pages = []
    for policy in policies:
        third = len(policy.clauses) // 3
        short = policy.clauses[:START] + policy.clauses[third : third + MIDDLE]
        for kind, clauses in (("corpus, whole", policy.clauses), ("corpus, 15 clauses", short)):
            pages.append(Page(policy.id, kind, True, half, read_figures(labeler, render(policy, clauses))))
    return pages


def train_labeler(policies: list[Policy], folder: Path) -> Labeler:
    """Train a model on some policies, as the command does."""
    chosen = [f"--corpus={ROOT / 'data' / 'corpus' / policy.id}.jsonl" for policy in policies]
    command = ["-m", "clausemark", "train", "--no-track", *chosen, "--model", str(folder)]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Labeler.load(folder)


def scores(pages: list[Page], weights: dict[str, float], bias: float) -> np.ndarray:
    """Score pages, as `clausemark.screening.score_figures` does."""
    sums = [
        bias + sum(weights[name] * page.figures[name] for name in weights) if page.figures else -np.inf
        for page in pages
    ]
    return 1 / (1 + np.exp(-np.array(sums)))


def fit(pages: list[Page]) -> tuple[dict[str, float], float, dict[str, float], np.ndarray]:
    """Fit the regression; return weights and bias for plain figures, weights of standardised ones, and
    the scores of a ten-fold cross-validation."""
    names = list(pages[0].figures or {})
    table = np.array([[page.figures[name] for name in names] for page in pages if page.figures])
    truth = np.array([page.is_policy for page in pages])
    model: Pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight="balanced"))
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    crossed = cross_val_predict(model, table, truth, cv=folds, method="predict_proba")[:, 1]
    model.fit(table, truth)
    scale, regression = model[0], model[-1]
    plain = regression.coef_[0] / scale.scale_
    bias = float(regression.intercept_[0] - plain @ scale.mean_)
    weights = {name: round(float(w), 4) for name, w in zip(names, plain, strict=True)}
    strength = {name: float(w) for name, w in zip(names, regression.coef_[0], strict=True)}
    return weights, round(bias, 4), strength, crossed


def share(hits: int, n: int) -> str:
    """Write a share with its interval."""
    low, high = binomtest(hits, n).proportion_ci(method="wilson")
    return f"{hits / n:.3f} [{low:.3f}, {high:.3f}] ({hits}/{n})"


def area(truth: np.ndarray, found: np.ndarray) -> str:
    """Write the area under the ROC curve with a bootstrap interval."""
    random = np.random.default_rng(0)
    yes, no = found[truth], found[~truth]
    drawn = []
    for _ in range(2000):
        y, n = random.choice(yes, len(yes)), random.choice(no, len(no))
        drawn.append(roc_auc_score([1] * len(y) + [0] * len(n), np.concatenate([y, n])))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{roc_auc_score(truth, found):.3f} [{low:.3f}, {high:.3f}]"


def measure(name: str, truth: np.ndarray, found: np.ndarray) -> str:
    """Write a row of the table of figures."""
    said = found >= POLICY_SCORE
    hits = int((said & truth).sum())
    return (
        f"| {name} | {truth.sum()} + {(~truth).sum()} | {area(truth, found)} "
        f"| {share(hits, int(said.sum()))} | {share(hits, int(truth.sum()))} |"
    )


def by_kind(pages: list[Page], found: np.ndarray) -> list[str]:
    """Write a table with a row a kind of page."""
    rows = ["| kind | policy | pages | right | median score | wrong |", "|---|---|---|---|---|---|"]
    kinds: dict[tuple[bool, str], list[tuple[Page, float]]] = defaultdict(list)
    for page, score in zip(pages, found, strict=True):
        kinds[page.is_policy, page.kind].append((page, float(score)))
    for (is_policy, kind), members in sorted(kinds.items()):
        wrong = [f"{p.id} {s:.2f}" for p, s in members if (s >= POLICY_SCORE) != is_policy]
        rows.append(
            f"| {kind} | {'yes' if is_policy else 'no'} | {len(members)} | {len(members) - len(wrong)} "
            f"| {np.median([s for _, s in members]):.2f} "
            f"| {', '.join(wrong[:6])}{' ...' * (len(wrong) > 6)} |"
        )
    return rows


def replace(path: Path, pattern: str, text: str) -> None:
    """Put text in place of what the pattern finds."""
    old = path.read_text(encoding="utf-8")
    new, count = re.subn(pattern, lambda _: text, old, flags=re.S)
    if count != 1:
        sys.exit(f"{path}: the place to write to is missing")
    path.write_text(new, encoding="utf-8")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="that labels the written pages; by default the one that ships")
    parser.add_argument("--pages", type=Path, help="folder of crawled policies to measure the recall on")
    parser.add_argument("--write", action="store_true", help="weights into the module, tables into the docs")
    given = parser.parse_args()
    corpus = sorted(read_corpus(ROOT / "data" / "corpus"), key=lambda policy: policy.id)
    first, second = corpus[: len(corpus) // 2], corpus[len(corpus) // 2 :]
    with tempfile.TemporaryDirectory() as folder:
        by_first = train_labeler(first, Path(folder) / "first")
        by_second = train_labeler(second, Path(folder) / "second")
    labeler = Labeler.load(given.model)

    written = read_pages(labeler)
    learnt = [p for p in written if p.half == "train"] + read_policies(first, "train", by_second)
    held = [p for p in written if p.half == "test"]
    policies = read_policies(second, "test", by_first)
    weights, bias, strength, crossed = fit([p for p in learnt if p.figures])

    def truth(pages: list[Page]) -> np.ndarray:
        return np.array([page.is_policy for page in pages])

    learnt = [p for p in learnt if p.figures]
    short = [p for p in learnt if not p.kind.startswith("corpus")]
    rows = [
        "| measured on | policies + others | ROC AUC | precision | recall |",
        "|---|---|---|---|---|",
        measure("first half, pages, ten-fold cross-validation", truth(short), crossed[: len(short)]),
        measure("**second half, pages**", truth(held), scores(held, weights, bias)),
        measure(
            "second half, pages and corpus", truth(held + policies), scores(held + policies, weights, bias)
        ),
    ]
    for name, other in (("first", by_first), ("second", by_second)):
        again = [p for p in read_pages(other) if p.half == "test"]
        rows.append(
            measure(
                f"second half, pages, model of the {name} half of the corpus",
                truth(again),
                scores(again, weights, bias),
            )
        )
    tables = [
        *rows,
        "",
        "By kind, second half:",
        "",
        *by_kind(held + policies, scores(held + policies, weights, bias)),
    ]
    if given.pages:
        crawled = [
            Page(path.name, "crawled", True, "test", read_figures(labeler, path))
            for path in sorted(given.pages.iterdir())
            if path.is_file()
        ]
        found = scores(crawled, weights, bias)
        recall = share(int((found >= POLICY_SCORE).sum()), len(crawled))
        tables += ["", f"Recall on {len(crawled)} crawled policies (not in this repository): {recall}."]
        print(
            "lowest of the crawled:",
            [(crawled[i].id, round(float(found[i]), 2)) for i in np.argsort(found)[:6]],
        )
    legend = ["| figure | weight | weight of the standardised figure |", "|---|---|---|"]
    legend += [f"| `{name}` | {weights[name]:.4f} | {strength[name]:+.2f} |" for name in weights]
    print("\n".join([*legend, "", f"bias {bias:.4f}", "", *tables]))
    if given.write:
        entries = "".join(f'    "{name}": {weight},\n' for name, weight in weights.items())
        replace(
            MODULE, r"WEIGHTS: Final\[dict\[str, float\]\] = \{.*?\}\n",
            f"WEIGHTS: Final[dict[str, float]] = {{\n{entries}}}\n",
        )  # fmt: skip
        replace(MODULE, r"\nBIAS: Final = [^\n]*", f"\nBIAS: Final = {bias}")
        for name, lines in (("weights", legend), ("figures", tables)):
            text = "\n".join(lines)
            replace(DOCS, rf"<!-- {name} -->.*<!-- /{name} -->", f"<!-- {name} -->\n{text}\n<!-- /{name} -->")


if __name__ == "__main__":
    main()
