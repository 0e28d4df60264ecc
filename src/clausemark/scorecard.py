"""The scorecard: how good a model is, as a page to read and as Markdown.

``predictions -> figures, curves, mistakes | model -> its strongest words | -> page``
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from clausemark import __version__
from clausemark.corpus import Policy, digest
from clausemark.errors import InputError
from clausemark.evaluation import (
    BINS,
    HEADLINES,
    Evaluation,
    Predictions,
    confusions,
    coverage_curve,
    evaluate,
    predictions,
)
from clausemark.model import Model
from clausemark.page import environment, render_template
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES, CODE_OF

__all__ = ["acquaintance", "render_scorecard", "top_terms", "write_scorecard"]

#: Kinds of mistake, and clauses shown of each.
_MISTAKES: Final = 10
_EXAMPLES: Final = 3
#: Strongest n-grams shown of each category.
_TERMS: Final = 12
#: Points of the curve of accuracy against coverage.
_POINTS: Final = 60
#: Test set of `clausemark.reference.measure` -> how the scorecard calls it.
_TESTS: Final = {
    "sentences": "sentences of OPP-115 in context",
    "headings": "sentences and headings of OPP-115",
    "segments": "segments of OPP-115 alone",
}
_CURVES: Final = {"top1_accuracy": "top-1 accuracy", "micro_f1": "micro F1", "macro_f1": "macro F1"}


def write_scorecard(
    labeler: Labeler,
    policies: Sequence[Policy],
    folder: str | Path,
    *,
    how: str = "",
    plots: str | Path | None = None,
    measured: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Measure a model on annotated policies and write what comes of it.

    Parameters
    ----------
    labeler : Labeler
    policies : sequence of Policy
        To measure it on.
    folder : str or pathlib.Path
        Gets README.md and index.html.
    how : str
        What to say of these policies (`acquaintance`).
    plots : str or pathlib.Path, optional
        Folder of the pictures that ``clausemark evaluate --plots`` drew; README.md refers to them where
        they are. index.html draws its own.
    measured : mapping, optional
        What `clausemark.reference.read_measured` gives: the learning curve.

    Returns
    -------
    list of pathlib.Path
        The files. The same input gives the same bytes.

    Raises
    ------
    InputError
        If the files cannot be written.
    CorpusError
        If no clause of the policies has a label.
    """
    found = predictions(labeler, policies)
    view = _view(labeler.model, found, evaluate(found), how, measured)
    folder = Path(folder)
    pictures = [
        (path.stem, Path(os.path.relpath(path, folder)).as_posix())
        for path in (sorted(Path(plots).glob("*.png")) if plots else [])
    ]
    written = [folder / "README.md", folder / "index.html"]
    text = environment().get_template("scorecard.md").render(pictures=pictures, **view) + "\n"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in zip(written, (text, _page(view)), strict=True):
            path.write_text(content, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=folder) from None
    return written


def render_scorecard(
    model: Model,
    found: Predictions,
    evaluation: Evaluation,
    *,
    how: str = "",
    measured: Mapping[str, Any] | None = None,
) -> str:
    """Render the evaluation of a model as a self-contained page.

    Parameters
    ----------
    model : Model
    found : Predictions
    evaluation : Evaluation
        Of these predictions.
    how : str
        What to say of the policies that they are of.
    measured : mapping, optional
        As for `write_scorecard`.

    Returns
    -------
    str
        HTML without script that loads nothing.
    """
    return _page(_view(model, found, evaluation, how, measured))


def acquaintance(info: Mapping[str, Any], corpus: Sequence[Policy], policies: Sequence[Policy]) -> str:
    """Say whether a model has seen the policies that it is measured on.

    Parameters
    ----------
    info : mapping
        Content of its model.json.
    corpus, policies : sequence of Policy
        All there are, and those of them that it is measured on.

    Returns
    -------
    str
        In words, for ``how``: it learnt from the others only, or from these too, or from something
        else; models know the digest of what they learnt from.
    """
    learnt = info.get("corpus", {}).get("digest")
    chosen = {policy.id for policy in policies}
    if learnt == digest([policy for policy in corpus if policy.id not in chosen]):
        return "which it has not seen"
    if learnt in (digest(corpus), digest(policies)):
        return "which it has learnt from, so that the figures flatter it"
    return "some of which it may have learnt from"


def top_terms(model: Model, most: int = _TERMS) -> dict[str, list[tuple[str, float]]]:
    """Name the words that speak most for each category.

    Parameters
    ----------
    model : Model
    most : int

    Returns
    -------
    dict of str to list of (str, float)
        Category -> n-grams of words in the clause itself and their weights, the largest first; empty
        where the model does not look at words. A weight is what one unit of the TF-IDF of the n-gram
        adds to the score of a clause in context.
    """
    if "words" not in model.blocks:
        return {}
    block = model.blocks["words"]
    said = len(model.alone) - 1
    # What a clause says is what the map in context reads first.
    weights = (block.weights[:, :said] @ model.context[:said]).T
    order = np.argsort(-weights, axis=1, kind="stable")[:, :most]
    return {
        category: [(block.terms[i], float(row[i])) for i in best if row[i] > 0]
        for category, row, best in zip(CATEGORIES, weights, order, strict=True)
    }


# What the templates are given ---------------------------------------------------------------------


def _page(view: Mapping[str, Any]) -> str:
    styles = ("base.css", "report.css")
    return render_template("scorecard.html", styles=styles, script=None, **view)


def _view(
    model: Model,
    found: Predictions,
    evaluation: Evaluation,
    how: str,
    measured: Mapping[str, Any] | None,
) -> dict[str, Any]:
    thresholds = dict(zip(CATEGORIES, map(float, model.thresholds), strict=True))
    coverage = _coverage(found)
    lows = [_known(interval)[0] for interval in evaluation.label_intervals.values()]
    return {
        "title": "How good the model is",
        "model": model.digest[:12],
        "learnt": model.info.get("corpus", {}).get("policies"),
        "how": how,
        "n": evaluation.n,
        "policies": evaluation.policies,
        "headlines": [
            (_title(name), evaluation.figures[name], *_known(evaluation.intervals[name]))
            for name in HEADLINES
        ],
        "categories": [
            {"name": name, "threshold": thresholds[name], **evaluation.per_label[name]}
            | dict(zip(("low", "high"), _known(evaluation.label_intervals[name]), strict=True))
            for name in CATEGORIES
        ],
        "calibration": _calibration(found),
        "coverage": coverage,
        "coverage_bottom": _below(min(accuracy for _, accuracy, _ in coverage)),
        "bottom": _below(min((low for low in lows if low is not None), default=0.0)),
        "mistakes": confusions(found, _MISTAKES, examples=_EXAMPLES),
        "terms": top_terms(model),
        "curves": _curves(measured) if measured else [],
        "code_of": CODE_OF,
        "version": __version__,
    }


def _title(figure: str) -> str:
    return figure.replace("_", " ").replace("top1", "top-1").replace("f1", "F1")


def _below(value: float) -> float:
    """Take the next tenth below a share, where an axis may begin."""
    return max(float(np.ceil(10 * value)) - 1, 0.0) / 10


def _known(interval: tuple[float, float]) -> tuple[float | None, float | None]:
    low, high = interval
    return (None, None) if np.isnan(low) else (low, high)


def _calibration(found: Predictions) -> list[tuple[float, float, int]]:
    """Mean probability of the primary category, share that is right, and clauses of each bin."""
    bins = np.minimum((found.confidence * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    said = np.bincount(bins, found.confidence, minlength=BINS)
    right = np.bincount(bins, found.right, minlength=BINS)
    return [
        (float(said[k] / counts[k]), float(right[k] / counts[k]), int(counts[k]))
        for k in np.flatnonzero(counts)
    ]


def _coverage(found: Predictions) -> list[tuple[float, float, float]]:
    """Share of the clauses kept, accuracy of these, and the probability that they all reach."""
    curve = coverage_curve(found)
    # The first few are right or wrong by chance: the curve begins where 20 and 1 % are kept.
    start = min(max(20 / len(found.primary), 0.01), 1.0)
    wanted = np.linspace(start, 1.0, _POINTS)
    at = np.unique(np.minimum(np.searchsorted(curve.coverage, wanted), len(curve.coverage) - 1))
    return [
        (float(c), float(a), float(p))
        for c, a, p in zip(curve.coverage[at], curve.accuracy[at], curve.confidence[at], strict=True)
    ]


def _curves(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Learning curve on each test set, as rows of a table and as lines."""
    found = []
    for test, title in _TESTS.items():
        points = [(point["policies"], point[test]) for point in measured["curve"] if test in point]
        if not points:
            continue
        rows = [(size, [figures[key] for key in _CURVES]) for size, figures in points]
        series = [(name, [(size, figures[key]) for size, figures in points]) for key, name in _CURVES.items()]
        values = [figure for _, figures in rows for figure in figures]
        ends = {"bottom": _below(min(values)), "top": 1 - _below(1 - max(values))}
        right = int(np.ceil(points[-1][0] / 50)) * 50
        found.append({"test": title, "rows": rows, "series": series, "right": right, **ends})
    return found
