"""The clause classifier: a scikit-learn estimator of two linear stages.

``TF-IDF of a clause's own text -> scores of what it says and announces (stage 1)
-> these scores of the clause and of those around it -> logit a category (stage 2) -> threshold``

Stage 1 reads every clause alone. Stage 2 learns from stage-1 scores that are out of fold how the
clauses of a policy bear on one another (stacked generalisation, Wolpert 1992, along the structure of
the document: Cohen and Carvalho 2005, "Stacked sequential learning"). Both are linear, so a logit is a
sum over the n-grams of the clause and of its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from clausemark.context import HEADING, INTRODUCTIONS, Surroundings, affine, combine, neighbourhood
from clausemark.features import as_frame, make_features, surroundings_of
from clausemark.svm import LinearScores, side_by_side
from clausemark.taxonomy import CATEGORIES

#: Share of the clauses under a heading or lead-in from which on it announces their category.
ANNOUNCED: Final = 1 / 3
#: How often the most probable category shall be right where no review is asked for.
SURE: Final = 0.98

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class ClauseClassifier(ClassifierMixin, BaseEstimator):
    """Mark clauses with their data-practice categories.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Weight of each block of features (`clausemark.features.WEIGHTS`); those not named keep their
        default, 0 leaves a block out.
    word_ngrams, char_ngrams : int
        Longest n-gram of words, and of characters within words (from 3 on).
    min_df : int
        Smallest number of clauses that an n-gram occurs in.
    C : float
        Inverse regularisation of the linear support vector machines of stage 1.
    prior : float
        How much counts what an n-gram tells by itself (`clausemark.svm.LinearScores`).
    context_C : float
        Inverse regularisation of the logistic regression of stage 2 for clauses in context; 0 reads
        every clause alone.
    thresholds : {"tuned", "half"}
        Cut every category where its out-of-fold F1 is best, or at probability 0.5.
    folds : int
        Folds for the out-of-fold scores that stage 2, calibration and thresholds learn from; by group
        where groups are given.
    n_jobs : int, optional
        Fits in parallel (joblib).
    seed : int
        Seed of the solvers and of the folds.

    Attributes
    ----------
    classes_ : ndarray of str of shape (n_classes,)
    features_ : sklearn.compose.ColumnTransformer
        TF-IDF of the text.
    says_, announces_ : LinearScores
        Stage 1: what a clause says (for each class whether it is given and, where a primary class is
        known, whether it is primary; once more by the clauses that are apart), and what those say that a
        heading or lead-in introduces.
    alone_, context_ : ndarray of shape (n_inputs + 1, n_classes), float32
        Stage 2 for clauses that come alone (input: what the clause says) and in context (input:
        `clausemark.context.neighbourhood`); the last row is the intercept. Calibration (Platt 1999,
        "Probabilistic outputs for support vector machines") is folded in: the logistic function of
        a score is the probability.
    thresholds_ : ndarray of shape (n_classes,), float64
        Probability from which on a category is given.
    review_ : float
        Probability of the most probable category below which a clause needs a review: those above are
        right, out of fold, as often as `SURE`.
    out_of_fold_, out_of_fold_alone_ : ndarray of shape (n_clauses, n_classes), float32
        Scores of the training clauses by models that have not seen their group, in context and alone.

    Notes
    -----
    ``y`` may be a vector of labels, for one category a clause, or an indicator matrix. With twelve
    columns these are `clausemark.taxonomy.CATEGORIES`. `predict` returns what it was trained with.
    """

    def __init__(
        self,
        *,
        weights: Mapping[str, float] | None = None,
        word_ngrams: int = 2,
        char_ngrams: int = 5,
        min_df: int = 3,
        C: float = 0.3,
        prior: float = 1.0,
        context_C: float = 0.01,
        thresholds: str = "tuned",
        folds: int = 5,
        n_jobs: int | None = None,
        seed: int = 0,
    ) -> None:
        self.weights = weights
        self.word_ngrams = word_ngrams
        self.char_ngrams = char_ngrams
        self.min_df = min_df
        self.C = C
        self.prior = prior
        self.context_C = context_C
        self.thresholds = thresholds
        self.folds = folds
        self.n_jobs = n_jobs
        self.seed = seed

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        primary: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        context_weight: ArrayLike | None = None,
        apart: ArrayLike | None = None,
    ) -> ClauseClassifier:
        """Train on annotated clauses.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of str of shape (n_clauses,)
            Clauses with context (`clausemark.features.clause_frame`) or alone.
        y : array-like of shape (n_clauses,) or (n_clauses, n_classes)
            Labels, or an indicator matrix of 0 and 1.
        primary : array-like of int of shape (n_clauses,), optional
            Column of the primary category, -1 where it is not known: each that is given may be it.
        groups : array-like of shape (n_clauses,), optional
            Policy of each clause. Folds never part a group.
        sample_weight : array-like of shape (n_clauses,), optional
            How much each clause counts; one of 0 is context for its neighbours only.
        context_weight : array-like of shape (n_clauses,), optional
            The same for stage 2, calibration and thresholds, which learn the habits of annotators;
            by default `sample_weight`.
        apart : array-like of bool of shape (n_clauses,), optional
            Clauses annotated by other habits, which have scores of their own in stage 1, beside those of
            the others; stage 2 learns what each are worth.

        Returns
        -------
        ClauseClassifier
            This estimator.

        Raises
        ------
        ValueError
            If shapes do not fit, a parameter is out of range, or there is only one class.
        """
        frame = as_frame(X)
        targets = self._targets(y, len(frame))
        if self.thresholds not in ("tuned", "half"):
            raise ValueError(f"thresholds is 'tuned' or 'half', not {self.thresholds!r}")
        own_weight = _weights("sample_weight", sample_weight, len(frame))
        weight = own_weight
        if context_weight is not None:
            weight = _weights("context_weight", context_weight, len(frame))
        splits = self._splits(len(frame), groups)
        around = surroundings_of(frame)
        self.n_features_in_ = 1
        self.features_ = make_features(self.weights, self.word_ngrams, self.char_ngrams, self.min_df)
        # Vocabulary and idf know no labels: they are learnt once, the folds share them.
        features = csr_matrix(self.features_.fit_transform(frame))
        aims = targets if primary is None else np.hstack([targets, _indicators(primary, targets)])
        announced, introduces = announcements(targets, own_weight, around)
        other = np.zeros(len(frame), bool) if apart is None else np.asarray(apart, dtype=bool)
        parts = [w for w in (own_weight * ~other, own_weight * other) if w.any()]
        goals = [*((aims, part) for part in parts), (announced, introduces)]
        (self.says_, self.announces_), *held = self._in_threads(
            delayed(self._first)(features, goals, rows)
            for rows in (np.arange(len(frame)), *(train for train, _ in splits))
        )
        said = np.zeros((len(frame), len(parts) * aims.shape[1]), dtype=np.float32)
        told = np.zeros(targets.shape, dtype=np.float32)
        for (_, test), (says, announces) in zip(splits, held, strict=True):
            said[test] = says.decision_function(features[test])
            told[test] = announces.decision_function(features[test])
        # A map for clauses alone has few inputs and needs no restraint.
        self.alone_, self.out_of_fold_alone_ = self._second(said, aims, targets, weight, splits, C=1.0)
        near = neighbourhood(said, told, around)
        if self.context_C == 0 or around.alone.all():
            self.context_ = np.zeros((near.shape[1] + 1, targets.shape[1]), dtype=np.float32)
            self.context_[: said.shape[1]], self.context_[-1] = self.alone_[:-1], self.alone_[-1]
            self.out_of_fold_ = self.out_of_fold_alone_
        else:
            in_context = weight * ~around.alone
            self.context_, scores = self._second(near, aims, targets, in_context, splits, self.context_C)
            self.out_of_fold_ = np.where(around.alone[:, None], self.out_of_fold_alone_, scores)
        self.thresholds_ = np.full(len(self.classes_), 0.5)
        counts = weight > 0
        chances = expit(self.out_of_fold_[counts].astype(np.float64))
        if self.thresholds == "tuned":
            self.thresholds_ = tune_thresholds(chances, targets[counts], weight[counts])
        best = chances.argmax(axis=1)
        goal = aims[counts][:, -targets.shape[1] :]  # the primary category, if that is known
        right = goal[np.arange(len(best)), best].astype(bool)
        self.review_ = find_review(chances.max(axis=1), right, weight[counts])
        return self

    def decision_function(self, X: Any) -> Floats:
        """Score clauses.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_clauses, n_classes), float32
            Logits of the probabilities; with two classes in a label vector of shape (n_clauses,).
        """
        check_is_fitted(self)
        scores = self._scores(X)
        return scores[:, 1] if not self.multilabel_ and scores.shape[1] == 2 else scores

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Give calibrated probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_clauses, n_classes), float64
            Of each category on its own, for indicator targets; they need not add up to one. For
            label vectors normalised to one.
        """
        check_is_fitted(self)
        chances = expit(self._scores(X).astype(np.float64))
        if self.multilabel_:
            return np.asarray(chances)
        return np.asarray(chances / np.maximum(chances.sum(axis=1, keepdims=True), 1e-12))

    def predict(self, X: Any) -> NDArray[Any]:
        """Give categories.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray
            Of shape (n_clauses,) with the most probable class, or of shape (n_clauses, n_classes)
            and dtype int64 with 1 where a category reaches its threshold or is the primary one.
        """
        check_is_fitted(self)
        scores = self._scores(X)
        if not self.multilabel_:
            return np.asarray(self.classes_[scores.argmax(axis=1)])
        return give(expit(scores), self.thresholds_)

    def _scores(self, X: Any) -> Floats:
        frame = as_frame(X)
        features = csr_matrix(self.features_.transform(frame))
        said, told = (part.decision_function(features) for part in (self.says_, self.announces_))
        return combine(said, told, surroundings_of(frame), self.alone_, self.context_)

    def _targets(self, y: ArrayLike, count: int) -> Ints:
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        given = np.asarray(y)
        if len(given) != count:
            raise ValueError(f"X has {count} clauses, y has {len(given)} rows")
        self.multilabel_ = given.ndim == 2 and given.shape[1] > 1
        if self.multilabel_:
            if not np.isin(given, (0, 1)).all():
                raise ValueError("an indicator matrix holds 0 and 1 only")
            names = CATEGORIES if given.shape[1] == len(CATEGORIES) else range(given.shape[1])
            self.classes_ = np.array(list(names))
            return given.astype(np.int64)
        given = given.ravel()
        self.classes_ = np.unique(given)
        if len(self.classes_) < 2:
            raise ValueError(f"needs clauses of at least two classes; got only {self.classes_[0]!r}")
        return np.asarray(given[:, None] == self.classes_, dtype=np.int64)

    def _splits(self, count: int, groups: ArrayLike | None) -> list[tuple[Ints, Ints]]:
        distinct = count if groups is None else len(np.unique(np.asarray(groups)))
        number = min(self.folds, distinct)
        if number < 2:
            raise ValueError("out-of-fold scores need at least two folds and two groups")
        folds = KFold if groups is None else GroupKFold
        splitter = folds(number, shuffle=True, random_state=self.seed)
        return list(splitter.split(np.empty(count), groups=groups))

    def _in_threads(self, calls: Iterable[Any]) -> list[Any]:
        # With the number said outright: joblib forgets that of its configuration where threads are preferred.
        return list(Parallel(n_jobs=effective_n_jobs(self.n_jobs), prefer="threads")(calls))

    def _first(
        self, features: csr_matrix, goals: Sequence[tuple[Ints, NDArray[np.float64]]], rows: Ints
    ) -> tuple[LinearScores, LinearScores]:
        """Fit stage 1 on some of the rows; all but the last of the goals are what clauses say."""
        features = features[rows]
        *says, announces = (
            LinearScores(self.C, self.prior, self.seed).fit(features, y[rows], weight[rows])
            for y, weight in goals
        )
        return side_by_side(says), announces

    def _second(
        self,
        X: Floats,
        aims: Ints,
        targets: Ints,
        weight: NDArray[np.float64],
        splits: list[tuple[Ints, Ints]],
        C: float,
    ) -> tuple[Floats, Floats]:
        """Fit a map of stage 2; return it calibrated, and the out-of-fold scores that it gives."""
        with threadpool_limits(1):  # for all of them: one that ends would free the others' threads
            maps = self._in_threads(
                delayed(fit_logistic)(X[rows], aims[rows], C, weight[rows])
                for rows in (np.arange(len(X)), *(train for train, _ in splits))
            )
        # Being given and being primary make one score.
        whole, *held = (m.reshape(len(m), -1, targets.shape[1]).sum(axis=1) for m in maps)
        scores = np.empty(targets.shape, dtype=np.float32)
        for (_, test), part in zip(splits, held, strict=True):
            scores[test] = affine(X[test], part)
        counts = weight > 0
        slope, intercept = fit_calibration(scores[counts], targets[counts], weight[counts]).T
        calibrated = whole * slope
        calibrated[-1] += intercept
        return calibrated.astype(np.float32), (scores * slope + intercept).astype(np.float32)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.classifier_tags.multi_label = True
        return tags


def _weights(name: str, given: ArrayLike | None, count: int) -> NDArray[np.float64]:
    weight = np.ones(count) if given is None else np.asarray(given, dtype=float)
    if weight.shape != (count,) or not weight.any() or weight.min() < 0:
        raise ValueError(f"{name} needs {count} weights of 0 or more, not all of them 0")
    return weight


def _indicators(primary: ArrayLike, targets: Ints) -> Ints:
    """Mark the primary category of each clause: all that it has, where that is not known."""
    column = np.asarray(primary)[:, None]
    return np.where(column < 0, targets, column == np.arange(targets.shape[1])).astype(np.int64)


def announcements(
    targets: Ints, weight: NDArray[np.float64], around: Surroundings
) -> tuple[Ints, NDArray[np.float64]]:
    """Tell which categories each heading and lead-in announces.

    Parameters
    ----------
    targets : ndarray of shape (n_clauses, n_classes), int64
    weight : ndarray of shape (n_clauses,), float64
        How much each clause counts; 0 where its targets are not known.
    around : Surroundings

    Returns
    -------
    announced : ndarray of shape (n_clauses, n_classes), int64
        1 where at least `ANNOUNCED` of the clauses introduced, other than headings, have the category.
    introduces : ndarray of shape (n_clauses,), float64
        Mean weight of the clauses that count among those introduced; 0 if there are none.
    """
    total, count, weights = np.zeros(targets.shape), np.zeros(len(targets)), np.zeros(len(targets))
    for name in INTRODUCTIONS:
        by = getattr(around, name)
        rows = np.flatnonzero((by >= 0) & (weight > 0) & (around.kind != HEADING))
        np.add.at(total, by[rows], targets[rows])
        np.add.at(count, by[rows], 1)
        np.add.at(weights, by[rows], weight[rows])
    count = np.maximum(count, 1)
    return (total / count[:, None] >= ANNOUNCED).astype(np.int64), weights / count


def fit_logistic(X: Floats, y: Ints, C: float, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit one logistic regression an output, all at once.

    They share the inputs, so one product of matrices serves all of them; fitted one by one, as
    `sklearn.linear_model.LogisticRegression` does, they take several times as long.

    Parameters
    ----------
    X : ndarray of shape (n, n_inputs), float32
    y : ndarray of shape (n, n_outputs), int64
        Indicators.
    C : float
        Inverse regularisation (L2) of the weights of inputs that are scaled to unit variance.
    weight : ndarray of shape (n,), float64

    Returns
    -------
    ndarray of shape (n_inputs + 1, n_outputs), float64
        Weights of the inputs as given, then the intercept.
    """
    counts = weight > 0
    X, goal, weight = X[counts], y[counts].astype(np.float32), weight[counts, None].astype(np.float32)
    spread = X.std(axis=0, dtype=np.float64)
    # What never varies tells nothing, and must not grow beyond what the solver can handle.
    scale = np.append(1 / np.where(spread > 1e-6, spread, 1), 1)
    inputs = (np.column_stack([X, np.ones(len(X), np.float32)]) * scale).astype(np.float32)
    shape = (inputs.shape[1], goal.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        logits = inputs @ weights.astype(np.float32)
        value = C * float((weight * (np.logaddexp(0, logits) - goal * logits)).sum(dtype=np.float64))
        gradient = C * (inputs.T @ (weight * (expit(logits) - goal))).astype(np.float64)
        gradient[:-1] += weights[:-1]  # the intercept goes free
        return value + 0.5 * float((weights[:-1] ** 2).sum()), gradient.ravel()

    with threadpool_limits(1):  # the order of summation, so the result, must not depend on the machine
        found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return np.asarray(found.x.reshape(shape) * scale[:, None])


def give(chances: NDArray[np.float64], thresholds: ArrayLike) -> NDArray[np.int64]:
    """Decide which categories count: those that reach their threshold, and always the most probable.

    Parameters
    ----------
    chances : ndarray of shape (n_clauses, n_classes)
    thresholds : array-like of shape (n_classes,)

    Returns
    -------
    ndarray of shape (n_clauses, n_classes), int64
        0 and 1.
    """
    given: NDArray[np.int64] = (chances >= np.asarray(thresholds)).astype(np.int64)
    given[np.arange(len(given)), chances.argmax(axis=1)] = 1
    return given


def fit_calibration(scores: Floats, targets: Ints, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a sigmoid to the out-of-fold scores of every category (Platt 1999).

    Parameters
    ----------
    scores : ndarray of shape (n_clauses, n_classes)
    targets : ndarray of shape (n_clauses, n_classes)
        Indicators.
    weight : ndarray of shape (n_clauses,)

    Returns
    -------
    ndarray of shape (n_classes, 2), float64
        Slope and intercept.
    """
    found = np.empty((targets.shape[1], 2))
    for k in range(targets.shape[1]):
        if targets[:, k].min() == targets[:, k].max():
            found[k] = 0.0, (4.0 if targets[0, k] else -4.0)
            continue
        sigmoid = LogisticRegression(C=1e3, max_iter=1000)
        sigmoid.fit(scores[:, [k]], targets[:, k], sample_weight=weight)
        found[k] = sigmoid.coef_[0, 0], sigmoid.intercept_[0]
        if found[k, 0] <= 0:  # no better than chance out of fold: the order of scores is kept all the same
            share = np.average(targets[:, k], weights=weight)
            found[k] = 0.01, np.log(share / (1 - share))
    return found


def tune_thresholds(
    chances: NDArray[np.float64], targets: Ints, weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Cut each category where its F1 is best, given that the primary category always counts.

    Parameters
    ----------
    chances : ndarray of shape (n_clauses, n_classes)
        Out-of-fold probabilities.
    targets : ndarray of shape (n_clauses, n_classes)
        Indicators.
    weight : ndarray of shape (n_clauses,), optional
        How much each clause counts; all the same by default.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        Between 0.05 and 0.95; 0.5 for a category that no clause has.
    """
    weight = np.ones(len(chances)) if weight is None else weight
    primary = chances.argmax(axis=1)
    found = np.full(targets.shape[1], 0.5)
    for k in np.flatnonzero(targets.any(axis=0)):
        free = primary != k  # the others have the category whatever the threshold
        has = weight * targets[:, k]
        order = np.argsort(-chances[free, k], kind="stable")
        ranked = chances[free, k][order]
        hits = has[~free].sum() + np.concatenate([[0], np.cumsum(has[free][order])])
        given = weight[~free].sum() + np.concatenate([[0], np.cumsum(weight[free][order])])
        f1 = 2 * hits / (given + has.sum())
        best = int(f1.argmax())
        above = ranked[best - 1] if best else 1.0
        below = ranked[best] if best < len(ranked) else 0.0
        found[k] = np.clip((above + below) / 2, 0.05, 0.95)
    return found


def find_review(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.float64]
) -> float:
    """Find how sure a model must be to be right as often as `SURE`.

    Parameters
    ----------
    confidence : ndarray of shape (n_clauses,), float64
        Out-of-fold probability of the most probable category.
    right : ndarray of shape (n_clauses,), bool
    weight : ndarray of shape (n_clauses,), float64

    Returns
    -------
    float
        The least confidence down to which that holds; 1 if it never does.
    """
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum((weight * right)[order]) / np.cumsum(weight[order])
    enough = np.flatnonzero(accuracy >= SURE)
    return float(confidence[order][enough[-1]]) if len(enough) else 1.0
