"""Evaluation: how well a model's labels agree with an annotated corpus, and how sure that is.

``policies -> predictions -> figures with intervals | comparison of two models | what to read``

Intervals are of a percentile bootstrap that draws whole policies (Efron and Tibshirani 1993, "An
Introduction to the Bootstrap"): clauses of one policy resemble each other, so drawing clauses would
make the intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from clausemark.classifier import ClauseClassifier, give
from clausemark.corpus import Policy
from clausemark.errors import InputError
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES
from clausemark.training import TrainingSet, passage, training_set

__all__ = [
    "HEADLINES",
    "Comparison",
    "Confusion",
    "CoverageCurve",
    "Evaluation",
    "Predictions",
    "compare",
    "confusions",
    "coverage_curve",
    "evaluate",
    "out_of_fold_predictions",
    "predictions",
    "render",
]

#: The figures that every evaluation gives, each with an interval.
HEADLINES: Final = (
    "top1_accuracy",
    "precision_at_1",
    "micro_f1",
    "macro_f1",
    "exact_match",
    "expected_calibration_error",
    "expected_calibration_error_pooled",
)
#: Those of them that two models are compared by; more is better.
COMPARED: Final = ("top1_accuracy", "micro_f1", "macro_f1")
#: Bins of equal width of the calibration errors (Guo et al. 2017 use 15).
BINS: Final = 15

_COUNT: Final = len(CATEGORIES)
#: Columns of `_sums` before those of the categories.
_COUNTS: Final = 4
#: Resamples drawn at a time, which bounds the memory.
_CHUNK: Final = 100

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What was annotated and what a model says of it; a row a clause (or segment).

    Attributes
    ----------
    targets : ndarray of shape (n, 12), int64
        1 where an annotator gave the category.
    primary : ndarray of shape (n,), int64
        Column of the annotated primary category.
    probabilities : ndarray of shape (n, 12), float64
    given : ndarray of shape (n, 12), int64
        1 where the model gives the category; at least one a row.
    groups : ndarray of shape (n,), int64
        Number of the policy. A segment of an unknown policy is a group of its own.
    texts, ids : list of str of length n
        An id is the policy's, a colon, and the number of the clause in it.
    """

    targets: Ints
    primary: Ints
    probabilities: Floats
    given: Ints
    groups: Ints
    texts: list[str]
    ids: list[str]

    def of(self, groups: Sequence[int]) -> Predictions:
        """Return the rows of some policies, by their numbers."""
        rows = np.isin(self.groups, groups)
        texts, ids = (
            [value for value, kept in zip(values, rows, strict=True) if kept]
            for values in (self.texts, self.ids)
        )
        return Predictions(
            self.targets[rows],
            self.primary[rows],
            self.probabilities[rows],
            self.given[rows],
            self.groups[rows],
            texts,
            ids,
        )

    @property
    def predicted(self) -> Ints:
        """Column of the primary category that the model gives: shape (n,), int64."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def confidence(self) -> Floats:
        """Probability of that category: shape (n,), float64."""
        return np.asarray(self.probabilities.max(axis=1))

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the primary category is the annotated one: shape (n,), bool."""
        return np.asarray(self.predicted == self.primary)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one corpus.

    Attributes
    ----------
    n, policies : int
        Clauses scored, and policies (or segments of unknown policies) that they come from.
    figures : dict of str to float
        `HEADLINES`: share of clauses whose primary category is the annotated primary; share of those where
        it is among the annotated ones (annotators who rank none have no other); F1 over all
        clause-category pairs, and its mean over the categories that occur in the annotation; share of
        clauses with exactly the annotated categories; expected calibration error of the primary
        category (its probability against whether it is right, Guo et al. 2017, "On Calibration of
        Modern Neural Networks"), and of all twelve probabilities of all clauses taken together.
    per_label : dict of str to dict
        Category -> precision, recall, f1 (0.0 where undefined) and support (int).
    intervals : dict of str to (float, float)
        95 % interval of each figure; NaN where there is but one policy to draw from.
    label_intervals : dict of str to (float, float)
        The same for the F1 of each category; NaN also for one that does not occur.
    """

    n: int
    policies: int
    figures: dict[str, float]
    per_label: dict[str, dict[str, float]]
    intervals: dict[str, tuple[float, float]]
    label_intervals: dict[str, tuple[float, float]]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as they are printed by ``clausemark evaluate --json``.

        Returns
        -------
        dict
            Plain types, figures rounded to 6 digits, None for NaN: n, policies, the headline figures,
            per_label, intervals (figure -> [low, high]).
        """
        return {
            "n": self.n,
            "policies": self.policies,
            **_plain(self.figures),
            "per_label": {name: _plain(row) for name, row in self.per_label.items()},
            "intervals": _plain(self.intervals),
        }


@dataclass(frozen=True)
class Comparison:
    """How much better one model is than another on the same clauses.

    Attributes
    ----------
    n, policies : int
    differences : dict of str to float
        top1_accuracy, micro_f1 and macro_f1 of the second model minus those of the first.
    intervals : dict of str to (float, float)
        95 % interval of each difference; NaN where there is but one policy.
    better : dict of str to float
        Share of the resamples in which the second model is strictly better.
    """

    n: int
    policies: int
    differences: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    better: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain types, rounded to 6 digits, None for NaN; keys as the attributes."""
        return {
            "n": self.n,
            "policies": self.policies,
            "differences": _plain(self.differences),
            "intervals": _plain(self.intervals),
            "better": _plain(self.better),
        }


@dataclass(frozen=True)
class Confusion:
    """One kind of mistake.

    Attributes
    ----------
    annotated, predicted : str
        The two primary categories.
    count : int
        Clauses.
    share : float
        Of the clauses with that annotated primary category.
    examples : tuple of (str, str)
        Id and text of those that the model is most sure of.
    """

    annotated: str
    predicted: str
    count: int
    share: float
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Accuracy when only the most certain clauses are kept.

    Attributes
    ----------
    coverage, accuracy, confidence : ndarray of shape (n_points,), float64
        Share of clauses kept, share of these whose primary category is right, and the least
        probability among them. Coverage increases to 1.
    """

    coverage: Floats
    accuracy: Floats
    confidence: Floats


# Predictions -------------------------------------------------------------------------------------


def predictions(labeler: Labeler, policies: Sequence[Policy]) -> Predictions:
    """Let a model label an annotated corpus.

    Clauses and sentences are read in the context of their policy. A segment is a paragraph that the
    model was not trained on: it is split into clauses, these are read in the context of the segment
    alone, and its probability of a category is their mean, weighted by their length in characters:
    the share of its text that the category is expected to hold. A model that has learnt segments reads
    it as it has learnt to (`clausemark.training.passage`).

    Parameters
    ----------
    labeler : Labeler
    policies : sequence of Policy
        Of any unit. Clauses without a label count as context only.

    Returns
    -------
    Predictions
        In the order of the policies and their clauses.

    Raises
    ------
    CorpusError
        If no clause has a label.

    Notes
    -----
    How to put a segment together was chosen on the training part of the split of Mousavi Nejad et al.
    (2020), never on its validation part: the mean was right about as often as any rule tried, and
    simpler than most. The maximum and the noisy-or of the clauses, natural as they look, gave too many
    labels (micro-F1 lower by 0.02 to 0.04); rules that discount headings glued to a segment gave
    nothing.
    """
    data = training_set(policies)
    read = _whole if "segment" in labeler.model.info.get("corpus", {}).get("units", ()) else _mean
    rows: list[Floats] = []
    for policy in policies:
        labeled = [i for i, clause in enumerate(policy.clauses) if clause.labels]
        if policy.metadata.get("unit") == "segment":
            rows += [read(labeler, policy.clauses[i].text) for i in labeled]
        elif labeled:
            rows += list(labeler.probabilities(policy.clauses_for_context())[labeled])
    return _predictions(data, policies, np.array(rows, dtype=np.float64), labeler.model.thresholds)


def out_of_fold_predictions(classifier: ClauseClassifier, policies: Sequence[Policy]) -> Predictions:
    """Take what a classifier said of its training clauses while it had not seen their policies.

    Parameters
    ----------
    classifier : ClauseClassifier
        Trained on `policies` by `clausemark.training.train` and not read back from a folder.
    policies : sequence of Policy
        In the same order.

    Returns
    -------
    Predictions
        Scores are out of fold; the sigmoids and thresholds, some numbers a category, were fitted to
        these very scores, which makes calibration and F1 look better by a little.

    Raises
    ------
    InputError
        If the classifier has no out-of-fold scores, or was not trained on these policies.
    """
    scores = getattr(classifier, "out_of_fold_", None)
    if scores is None:
        raise InputError("a model read from a folder has no out-of-fold scores: train it anew")
    data = training_set(policies)
    if scores.shape != data.targets.shape:
        raise InputError(f"the model learnt from {len(scores)} clauses, the corpus has {len(data.targets)}")
    probabilities = expit(scores[data.labeled].astype(np.float64))
    return _predictions(data, policies, probabilities, classifier.thresholds_)


def _predictions(
    data: TrainingSet, policies: Sequence[Policy], probabilities: Floats, thresholds: ArrayLike
) -> Predictions:
    """Put the probabilities of the labeled clauses beside what was annotated."""
    rows = data.labeled
    labeled = [(p, i, clause) for p in policies for i, clause in enumerate(p.clauses) if clause.labels]
    return Predictions(
        targets=data.targets[rows],
        primary=np.array([CATEGORIES.index(clause.labels[0]) for _, _, clause in labeled], dtype=np.int64),
        probabilities=probabilities,
        given=give(probabilities, thresholds),
        groups=data.groups[rows],
        texts=[clause.text for _, _, clause in labeled],
        ids=[f"{policy.id}:{i}" for policy, i, _ in labeled],
    )


def _whole(labeler: Labeler, text: str) -> Floats:
    return np.asarray(labeler.probabilities(passage(text))[0])


def _mean(labeler: Labeler, text: str) -> Floats:
    """Probabilities of a segment that comes alone: the mean of its clauses, weighted by length."""
    whole, *parts = passage(text)
    clauses = parts or [whole]
    lengths = [len(clause.text) for clause in clauses]
    return np.asarray(np.average(labeler.probabilities(clauses), axis=0, weights=lengths))


# Figures -----------------------------------------------------------------------------------------


def evaluate(predictions: Predictions, *, resamples: int = 1000, seed: int = 0) -> Evaluation:
    """Measure predictions.

    Parameters
    ----------
    predictions : Predictions
    resamples : int
        Bootstrap samples of policies.
    seed : int

    Returns
    -------
    Evaluation
    """
    sums = _sums(predictions)
    total = sums.sum(axis=0, keepdims=True)
    drawn = _resample(sums, resamples, seed)
    tp, fp, fn = (part[0] for part in _confusion_counts(total))
    drawn_figures, drawn_f1 = _figures(drawn), _label_f1(drawn)
    return Evaluation(
        n=len(predictions.primary),
        policies=len(sums),
        figures={name: float(value[0]) for name, value in _figures(total).items()},
        per_label={
            name: {
                "precision": float(_ratio(tp[k], tp[k] + fp[k])),
                "recall": float(_ratio(tp[k], tp[k] + fn[k])),
                "f1": float(_ratio(2 * tp[k], 2 * tp[k] + fp[k] + fn[k])),
                "support": int(tp[k] + fn[k]),
            }
            for k, name in enumerate(CATEGORIES)
        },
        intervals={name: _interval(drawn_figures[name], len(sums)) for name in HEADLINES},
        label_intervals={name: _interval(drawn_f1[:, k], len(sums)) for k, name in enumerate(CATEGORIES)},
    )


def compare(a: Predictions, b: Predictions, *, resamples: int = 1000, seed: int = 0) -> Comparison:
    """Compare two models on the same clauses by a paired bootstrap of policies.

    Parameters
    ----------
    a, b : Predictions
        Of the model to beat, and of the other one.
    resamples : int
        Bootstrap samples; in each, both models are measured on the same policies.
    seed : int

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If the two are not of the same clauses with the same annotation.
    """
    same = a.ids == b.ids and a.texts == b.texts
    if not (same and np.array_equal(a.targets, b.targets) and np.array_equal(a.groups, b.groups)):
        raise InputError("the two models were not measured on the same clauses: label one corpus with both")
    sums = np.hstack([_sums(a), _sums(b)])

    def differences(rows: Floats) -> dict[str, Floats]:
        first, second = map(_figures, np.hsplit(rows, 2))
        return {name: second[name] - first[name] for name in COMPARED}

    drawn = differences(_resample(sums, resamples, seed))
    total = differences(sums.sum(axis=0, keepdims=True))
    return Comparison(
        n=len(a.primary),
        policies=len(sums),
        differences={name: float(value[0]) for name, value in total.items()},
        intervals={name: _interval(value, len(sums)) for name, value in drawn.items()},
        better={name: float((value > 0).mean()) for name, value in drawn.items()},
    )


def _sums(predictions: Predictions) -> Floats:
    """Everything that the figures are made of, added up by policy.

    Returns
    -------
    ndarray of shape (n_policies, 4 + 3 * 12 + 2 * 15), float64
        Clauses, primaries that are right, exact matches, primaries among the annotated; true
        positives, false positives and false negatives of every category; probability less truth in
        every bin, of the primary category and
        of all twelve. Figures are functions of these sums, so a resample is one weighted sum of rows.
    """
    targets, given = predictions.targets, predictions.given
    count = len(targets)
    right = predictions.right
    confidence = predictions.confidence
    gaps = np.zeros((count, BINS))
    gaps[np.arange(count), _bin(confidence)] = confidence - right
    pooled = np.zeros((count, BINS))
    rows = np.repeat(np.arange(count), _COUNT)
    np.add.at(
        pooled,
        (rows, _bin(predictions.probabilities).ravel()),
        (predictions.probabilities - targets).ravel(),
    )
    columns = np.column_stack(
        [
            np.ones(count),
            right,
            (given == targets).all(axis=1),
            targets[np.arange(count), predictions.predicted],
            given & targets,
            given & (1 - targets),
            (1 - given) & targets,
            gaps,
            pooled,
        ]
    )
    names, groups = np.unique(predictions.groups, return_inverse=True)
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, groups, columns)
    return sums


def _bin(probabilities: Floats) -> NDArray[np.intp]:
    return np.minimum((probabilities * BINS).astype(np.intp), BINS - 1)


def _resample(sums: Floats, resamples: int, seed: int) -> Floats:
    """Draw policies with replacement and add their sums up: shape (resamples, n_sums)."""
    random = np.random.default_rng(seed)
    count = len(sums)
    chances = np.full(count, 1 / count)
    chunks = [min(_CHUNK, resamples - start) for start in range(0, resamples, _CHUNK)]
    return np.vstack([random.multinomial(count, chances, size=size) @ sums for size in chunks])


def _figures(sums: Floats) -> dict[str, Floats]:
    """Headline figures of sums of shape (m, n_sums): each of shape (m,)."""
    n, right, exact, among = sums[:, :_COUNTS].T
    tp, fp, fn = (part.sum(axis=1) for part in _confusion_counts(sums))
    gaps, pooled = np.split(sums[:, _COUNTS + 3 * _COUNT :], 2, axis=1)
    f1 = _label_f1(sums)
    occur = ~np.isnan(f1)
    return {
        "top1_accuracy": right / n,
        "precision_at_1": among / n,
        "micro_f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "macro_f1": _ratio(np.where(occur, f1, 0.0).sum(axis=1), occur.sum(axis=1)),
        "exact_match": exact / n,
        "expected_calibration_error": np.abs(gaps).sum(axis=1) / n,
        "expected_calibration_error_pooled": np.abs(pooled).sum(axis=1) / (n * _COUNT),
    }


def _confusion_counts(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """True positives, false positives, false negatives: each of shape (m, 12)."""
    tp, fp, fn = np.split(sums[:, _COUNTS : _COUNTS + 3 * _COUNT], 3, axis=1)
    return tp, fp, fn


def _label_f1(sums: Floats) -> Floats:
    """F1 of every category, NaN where the annotation does not have it: shape (m, 12)."""
    tp, fp, fn = _confusion_counts(sums)
    return np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan)


def _ratio(part: ArrayLike, whole: ArrayLike) -> Floats:
    """Divide; 0 by 0 is 0."""
    part, whole = np.asarray(part, dtype=float), np.asarray(whole, dtype=float)
    return np.asarray(np.divide(part, whole, out=np.zeros_like(part), where=whole > 0))


def _interval(drawn: Floats, policies: int) -> tuple[float, float]:
    """95 % percentile interval; NaN where resamples of one policy could only repeat it."""
    known = drawn[~np.isnan(drawn)]
    if policies < 2 or not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Types that JSON has."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(v) for v in value]
        if isinstance(value, int):
            return value
        return None if np.isnan(value) else round(float(value), 6) + 0.0  # + 0.0: no minus zero

    return {name: plain(value) for name, value in values.items()}


# For reading -------------------------------------------------------------------------------------


def confusions(predictions: Predictions, most: int = 10, *, examples: int = 3) -> list[Confusion]:
    """List the commonest mistakes of the primary category.

    Parameters
    ----------
    predictions : Predictions
    most : int
        How many kinds of mistake to list.
    examples : int
        How many clauses to show of each.

    Returns
    -------
    list of Confusion
        The commonest first; ties in the order of the categories.
    """
    support = np.bincount(predictions.primary, minlength=_COUNT)
    counts = np.zeros((_COUNT, _COUNT), dtype=np.int64)
    np.add.at(counts, (predictions.primary, predictions.predicted), 1)
    np.fill_diagonal(counts, 0)
    found = []
    for cell in np.argsort(-counts, axis=None, kind="stable")[:most]:
        truth, guess = divmod(int(cell), _COUNT)
        if not counts[truth, guess]:
            break
        rows = np.flatnonzero((predictions.primary == truth) & (predictions.predicted == guess))
        rows = rows[np.argsort(-predictions.confidence[rows], kind="stable")][:examples]
        found.append(
            Confusion(
                annotated=CATEGORIES[truth],
                predicted=CATEGORIES[guess],
                count=int(counts[truth, guess]),
                share=float(counts[truth, guess] / support[truth]),
                examples=tuple((predictions.ids[i], predictions.texts[i]) for i in rows),
            )
        )
    return found


def coverage_curve(predictions: Predictions) -> CoverageCurve:
    """Trace accuracy against the share of clauses kept, the most certain first.

    Parameters
    ----------
    predictions : Predictions

    Returns
    -------
    CoverageCurve
        A point for each distinct probability: clauses that are equally certain are kept together.
    """
    order = np.argsort(-predictions.confidence, kind="stable")
    confidence = predictions.confidence[order]
    kept = np.arange(1, len(order) + 1)
    right = np.cumsum(predictions.right[order])
    last = np.append(confidence[1:] < confidence[:-1], True)
    return CoverageCurve(
        coverage=kept[last] / len(order), accuracy=right[last] / kept[last], confidence=confidence[last]
    )


def render(report: Mapping[str, Any], mistakes: Sequence[Confusion] = ()) -> str:
    """Lay an evaluation out for the terminal.

    Parameters
    ----------
    report : mapping
        `Evaluation.to_dict`, with `Comparison.to_dict` under "comparison" if there was a baseline.
    mistakes : sequence of Confusion
        Listed below the figures.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    lines = [f"{report['n']:,} clauses of {report['policies']:,} policies; in brackets 95 % intervals", ""]
    lines += [
        f"{name:36}{report[name]:7.3f}  {_brackets(report['intervals'][name])}".rstrip() for name in HEADLINES
    ]
    lines += ["", f"{'':36}precision  recall      F1  clauses"]
    lines += [
        f"{name:36}{row['precision']:9.3f}{row['recall']:8.3f}{row['f1']:8.3f}{row['support']:9,}"
        for name, row in report["per_label"].items()
    ]
    if "comparison" in report:
        against = report["comparison"]
        lines += ["", "against the baseline (paired by policy)"]
        lines += [
            f"{name:36}{value:+7.3f}  {_brackets(against['intervals'][name], '+.3f')}"
            f"  better in {against['better'][name]:.0%} of resamples"
            for name, value in against["differences"].items()
        ]
    if mistakes:
        lines += ["", "commonest mistakes of the primary category"]
    for mistake in mistakes:
        kind = f"{mistake.annotated} taken for {mistake.predicted}"
        lines.append(f"{mistake.count:6,}  {kind} ({mistake.share:.0%})")
        lines += [f"{'':8}{name}  {_shorten(text)}" for name, text in mistake.examples]
    return "\n".join(lines)


def _brackets(interval: Sequence[float | None], form: str = ".3f") -> str:
    low, high = interval
    return "" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"


def _shorten(text: str, width: int = 90) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
