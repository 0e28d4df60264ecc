"""Linear support vector machines, one an output, fitted all at once.

What `sklearn.svm.LinearSVC` fits output by output (squared hinge loss, L2 penalty, the intercept
penalised like a weight), fitted for all outputs in one pass over the clauses: each clause is read once
for dozens of outputs, which takes a tenth of the time. And weights can have a prior: what an n-gram
tells about a category by itself says how far its weight may go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassifierMixin

#: A pass that moves no margin by more than this is the last one.
TOLERANCE: Final = 0.05
#: Most passes over the clauses.
PASSES: Final = 100
#: How much less or more room than usual the prior may give a weight.
_ROOM: Final = 10.0

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class LinearScores(ClassifierMixin, BaseEstimator):
    """One linear support vector machine an output, kept as one weight matrix.

    Parameters
    ----------
    C : float
        Inverse regularisation.
    prior : float
        How much the prior counts: the variance of a weight is proportional to `log_ratios` to this
        power. At 0 all weights are alike, as in `sklearn.svm.LinearSVC`.
    seed : int
        Order of the clauses.

    Attributes
    ----------
    coef_ : ndarray of shape (n_outputs, n_features), float32
        Rounded to what a float16 holds, so that a saved model need not be larger.
    intercept_ : ndarray of shape (n_outputs,), float32
        An output that no clause has (or all have) gets zero weights and intercept -1 (or 1).
    """

    def __init__(self, C: float = 0.3, prior: float = 1.0, seed: int = 0) -> None:
        self.C = C
        self.prior = prior
        self.seed = seed

    def fit(self, X: csr_matrix, y: Ints, sample_weight: NDArray[np.float64] | None = None) -> LinearScores:
        """Train.

        Parameters
        ----------
        X : scipy.sparse.csr_matrix of shape (n_clauses, n_features), float32
        y : ndarray of shape (n_clauses, n_outputs), int64
            Indicators.
        sample_weight : ndarray of shape (n_clauses,), float64, optional
            Clauses of weight 0 do not count.

        Returns
        -------
        LinearScores
            This estimator.

        Raises
        ------
        ValueError
            If `C` is not above 0, or `prior` below it.
        """
        if not self.C > 0:
            raise ValueError(f"C is above 0, not {self.C!r}")
        if not self.prior >= 0:
            raise ValueError(f"prior is 0 or more, not {self.prior!r}")
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        counts = np.flatnonzero(weight)
        X, y, weight = X[counts], y[counts], weight[counts]
        self.coef_ = np.zeros((y.shape[1], X.shape[1]), dtype=np.float32)
        self.intercept_ = np.full(y.shape[1], -1, dtype=np.float32)
        if not len(y):
            return self
        self.intercept_[y.all(axis=0)] = 1
        mixed = np.flatnonzero(y.any(axis=0) & ~y.all(axis=0))
        if len(mixed):
            found = fit_svm(X, y[:, mixed], self.C, weight, prior=self.prior, seed=self.seed)
            self.coef_[mixed], self.intercept_[mixed] = found[:-1].T.astype(np.float16), found[-1]
        return self

    def decision_function(self, X: csr_matrix) -> Floats:
        """Score features; shape (n_clauses, n_outputs), float32."""
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float32)


def side_by_side(models: Sequence[LinearScores]) -> LinearScores:
    """Make one model of several of the same features: the outputs of the first, then of the next."""
    whole = LinearScores(models[0].C, models[0].prior, models[0].seed)
    whole.coef_ = np.vstack([model.coef_ for model in models])
    whole.intercept_ = np.concatenate([model.intercept_ for model in models])
    return whole


def fit_svm(
    X: csr_matrix,
    y: Ints,
    C: float,
    weight: NDArray[np.float64],
    *,
    prior: float = 0.0,
    seed: int = 0,
    tolerance: float = TOLERANCE,
) -> Floats:
    """Fit a linear support vector machine for each output.

    Dual coordinate descent (Hsieh et al. 2008, "A dual coordinate descent method for large-scale
    linear SVM", algorithm 1 for the L2 loss), without shrinking.

    Parameters
    ----------
    X : scipy.sparse.csr_matrix of shape (n_clauses, n_features), float32
    y : ndarray of shape (n_clauses, n_outputs), int64
        Indicators.
    C : float
        Inverse regularisation.
    weight : ndarray of shape (n_clauses,), float64
        Above 0.
    prior : float
        See `LinearScores`.
    seed : int
    tolerance : float
        Largest change of a margin in the last pass.

    Returns
    -------
    ndarray of shape (n_features + 1, n_outputs), float32
        Weights, then the intercept.
    """
    # The weights of a feature stand beside their variances: they are read together.
    table = np.zeros((X.shape[1] + 1, 2, y.shape[1]), np.float32)
    table[:, 1] = 1
    if prior:
        variance = np.clip(log_ratios(X, y, weight) ** np.float32(prior), 1 / _ROOM, _ROOM)
        table[:-1, 1] = variance / variance.mean(axis=0)
    lengths = X.multiply(X).tocsr() @ table[:-1, 1] + 1
    _descend(
        X.indptr,
        X.indices,
        X.data.astype(np.float32),
        np.where(y, 1, -1).astype(np.float32),
        (0.5 / (C * weight)).astype(np.float32),
        lengths.astype(np.float32),
        table,
        seed,
        tolerance,
    )
    return table[:, 0].copy()


def log_ratios(X: csr_matrix, y: Ints, weight: NDArray[np.float64]) -> Floats:
    """Tell how much each feature says about each output by itself.

    The log-count ratios of naive Bayes (Wang and Manning 2012, "Baselines and bigrams: simple, good
    sentiment and topic classification"), as absolute values of mean square one.

    Parameters
    ----------
    X : scipy.sparse.csr_matrix of shape (n_clauses, n_features)
        Of which counts what is not zero.
    y : ndarray of shape (n_clauses, n_outputs), int64
        Indicators.
    weight : ndarray of shape (n_clauses,), float64

    Returns
    -------
    ndarray of shape (n_features, n_outputs), float32
    """
    there = csr_matrix((np.ones(len(X.data), np.float32), X.indices, X.indptr), X.shape).T.tocsr()
    given = (y * weight[:, None]).astype(np.float32)
    yes = there @ given + 1
    no = there @ (weight[:, None].astype(np.float32) - given) + 1
    ratios = np.abs(np.log(yes / yes.sum(axis=0)) - np.log(no / no.sum(axis=0)))
    return np.asarray(ratios / np.sqrt(np.mean(ratios**2, axis=0)).clip(1e-6), dtype=np.float32)


@njit(nogil=True, cache=True)
def _descend(  # type: ignore[no-untyped-def]
    indptr, indices, values, sides, slack, lengths, table, seed, tolerance
):  # fmt: skip
    """Descend along one clause after the other; loops over outputs are innermost, and side by side."""
    clauses, outputs = sides.shape
    features = len(table) - 1  # the row after them is the intercept
    np.random.seed(seed)
    order = np.arange(clauses)
    dual = np.zeros((clauses, outputs), np.float32)
    score, step = np.empty(outputs, np.float32), np.empty(outputs, np.float32)
    one, none = np.float32(1), np.float32(0)
    for number in range(PASSES):
        np.random.shuffle(order)
        largest = none
        for i in order:
            for k in range(outputs):
                score[k] = table[features, 0, k]
            for p in range(indptr[i], indptr[i + 1]):
                feature, value = indices[p], values[p]
                for k in range(outputs):
                    score[k] += value * table[feature, 0, k]
            moved = none
            for k in range(outputs):
                curvature = lengths[i, k] + slack[i]
                gradient = sides[i, k] * score[k] - one + slack[i] * dual[i, k]
                before = dual[i, k]
                dual[i, k] = max(before - gradient / curvature, none)
                change = dual[i, k] - before
                step[k] = change * sides[i, k]
                moved = max(moved, abs(change) * curvature)
            largest = max(largest, moved)
            if moved == none:
                continue
            for k in range(outputs):
                table[features, 0, k] += step[k]
            for p in range(indptr[i], indptr[i + 1]):
                feature, value = indices[p], values[p]
                for k in range(outputs):
                    table[feature, 0, k] += value * step[k] * table[feature, 1, k]
        if largest < tolerance:
            return number + 1
    return PASSES
