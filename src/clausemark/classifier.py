"""The clause classifier: a scikit-learn estimator over TF-IDF fields with linear scores.

``TF-IDF of every field -> one linear score a category -> calibrated probability -> threshold``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from clausemark.features import TOKEN, FieldTfidf, ShapeFeatures, as_frame
from clausemark.taxonomy import CATEGORIES

#: How much each block of features weighs against the words of the clause itself.
WEIGHTS: Final[dict[str, float]] = {
    "words": 1.0,
    "chars": 1.0,
    "heading": 0.6,
    "section": 0.3,
    "lead_in": 0.6,
    "previous": 0.4,
    "next": 0.4,
    "paragraph": 0.8,
    "shape": 0.3,
}


class ClauseClassifier(ClassifierMixin, BaseEstimator):
    """Mark clauses with their data-practice categories.

    Parameters
    ----------
    weights : mapping of str to float, optional
        Weight of each block of features (`WEIGHTS`); those not named keep their default, 0 leaves
        a block out.
    word_ngrams, char_ngrams : int
        Longest n-gram of words in the clause and its nearest fields, and of characters within
        words (from 3 on).
    min_df : int
        Smallest number of clauses that an n-gram occurs in.
    C : float
        Inverse regularisation of the linear support vector machines.
    class_weight : {"balanced"} or None
        Weight of the positive clauses of a category.
    thresholds : {"tuned", "half"}
        Cut every category where its out-of-fold F1 is best, or at probability 0.5.
    folds : int
        Folds for the out-of-fold scores that calibrate and cut; by group where groups are given.
    n_jobs : int, optional
        Folds in parallel (joblib).
    seed : int
        Seed of the solvers and of the folds.

    Attributes
    ----------
    classes_ : ndarray of str of shape (n_classes,)
    pipeline_ : sklearn.pipeline.Pipeline
        Features and one-vs-rest linear model.
    calibration_ : ndarray of shape (n_classes, 2), float64
        Slope and intercept of the sigmoid over the score of each category (Platt 1999,
        "Probabilistic outputs for support vector machines").
    thresholds_ : ndarray of shape (n_classes,), float64
        Probability from which on a category is given.
    out_of_fold_ : ndarray of shape (n_clauses, n_classes), float64
        Scores of the training clauses by models that have not seen their group.

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
        min_df: int = 2,
        C: float = 0.3,
        class_weight: str | None = None,
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
        self.class_weight = class_weight
        self.thresholds = thresholds
        self.folds = folds
        self.n_jobs = n_jobs
        self.seed = seed

    def fit(self, X: Any, y: ArrayLike, *, groups: ArrayLike | None = None) -> ClauseClassifier:
        """Train on annotated clauses.

        Parameters
        ----------
        X : pandas.DataFrame or array-like of str of shape (n_clauses,)
            Clauses with context (`clausemark.features.clause_frame`) or alone.
        y : array-like of shape (n_clauses,) or (n_clauses, n_classes)
            Labels, or an indicator matrix of 0 and 1.
        groups : array-like of shape (n_clauses,), optional
            Policy of each clause. Folds never part a group.

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
        self.n_features_in_ = 1
        self.pipeline_ = self._pipeline()
        # Vocabulary and idf know no labels: they are learnt once, the folds share them.
        features = csr_matrix(self.pipeline_["features"].fit_transform(frame))
        self.out_of_fold_ = self._out_of_fold(features, targets, groups)
        scored = ~np.isnan(self.out_of_fold_).any(axis=1)
        self.calibration_ = fit_calibration(self.out_of_fold_[scored], targets[scored])
        self.thresholds_ = np.full(len(self.classes_), 0.5)
        if self.thresholds == "tuned":
            chances = calibrate(self.out_of_fold_[scored], self.calibration_)
            self.thresholds_ = tune_thresholds(chances, targets[scored])
        elif self.thresholds != "half":
            raise ValueError(f"thresholds is 'tuned' or 'half', not {self.thresholds!r}")
        self.pipeline_["linear"].fit(features, targets)
        return self

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Score clauses.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        ndarray of shape (n_clauses, n_classes), float64
            Signed distances; with two classes in a label vector of shape (n_clauses,).
        """
        check_is_fitted(self)
        return self._squeeze(self._scores(X))

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
        chances = calibrate(self._scores(X), self.calibration_)
        if self.multilabel_:
            return chances
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
        chances = calibrate(self._scores(X), self.calibration_)
        if not self.multilabel_:
            return np.asarray(self.classes_[chances.argmax(axis=1)])
        return give(chances, self.thresholds_)

    def _targets(self, y: ArrayLike, count: int) -> NDArray[np.int64]:
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

    def _pipeline(self) -> Pipeline:
        linear = LinearScores(self.C, self.class_weight, self.seed)
        return Pipeline([("features", make_features(self)), ("linear", linear)])

    def _out_of_fold(
        self, features: csr_matrix, targets: NDArray[np.int64], groups: ArrayLike | None
    ) -> NDArray[np.float64]:
        distinct = len(targets) if groups is None else len(np.unique(np.asarray(groups)))
        count = min(self.folds, distinct)
        if count < 2:
            raise ValueError("out-of-fold scores need at least two folds and two groups")
        folds = (
            KFold(count, shuffle=True, random_state=self.seed)
            if groups is None
            else GroupKFold(count, shuffle=True, random_state=self.seed)
        )
        splits = list(folds.split(targets, groups=groups))
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_fold)(self.pipeline_["linear"], features, targets, train, test) for train, test in splits
        )
        scores = np.full(targets.shape, np.nan)
        for (_, test), part in zip(splits, parts, strict=True):
            scores[test] = part
        return scores

    def _scores(self, X: Any) -> NDArray[np.float64]:
        features = self.pipeline_["features"].transform(as_frame(X))
        return np.asarray(self.pipeline_["linear"].decision_function(features))

    def _squeeze(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return scores[:, 1] if not self.multilabel_ and scores.shape[1] == 2 else scores

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.classifier_tags.multi_label = True
        return tags


def make_features(classifier: ClauseClassifier) -> ColumnTransformer:
    """Build the untrained features of a classifier.

    Parameters
    ----------
    classifier : ClauseClassifier
        Whose parameters to use.

    Returns
    -------
    sklearn.compose.ColumnTransformer
        Blocks named as in `WEIGHTS`, in that order, without those of weight 0.
    """
    weights = {**WEIGHTS, **(classifier.weights or {})}
    unknown = set(weights) - set(WEIGHTS)
    if unknown:
        raise ValueError(f"unknown block of features {sorted(unknown)}; known are {list(WEIGHTS)}")
    blocks: list[tuple[str, Any, Any]] = []
    for name, weight in weights.items():
        if not weight:
            continue
        if name == "shape":
            blocks.append((name, ShapeFeatures(), ["text", "kind", "position"]))
        else:
            blocks.append(
                (name, make_vectorizer(name, classifier), "text" if name in ("words", "chars") else name)
            )
    if not blocks:
        raise ValueError("all blocks of features have weight 0")
    return ColumnTransformer(
        blocks, transformer_weights={n: w for n, w in weights.items() if w}, sparse_threshold=1.0
    )


def make_vectorizer(block: str, classifier: ClauseClassifier) -> FieldTfidf:
    """Build the untrained TF-IDF vectoriser of a block of features.

    Parameters
    ----------
    block : str
        Name in `WEIGHTS`.
    classifier : ClauseClassifier
        Whose parameters to use.

    Returns
    -------
    FieldTfidf
        Sublinear term frequencies, L2 norm.
    """
    common = {"sublinear_tf": True, "min_df": classifier.min_df, "dtype": np.float32}
    if block == "chars":
        return FieldTfidf(analyzer="char_wb", ngram_range=(3, classifier.char_ngrams), **common)
    longest = 1 if block in ("section", "paragraph") else classifier.word_ngrams
    return FieldTfidf(token_pattern=TOKEN, ngram_range=(1, longest), **common)


class LinearScores(ClassifierMixin, BaseEstimator):
    """One linear support vector machine a category, kept as one weight matrix.

    Parameters
    ----------
    C : float
        Inverse regularisation.
    class_weight : {"balanced"} or None
    seed : int

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features), float32
    intercept_ : ndarray of shape (n_classes,), float32
        A category that no clause has (or all have) gets zero weights and intercept -1 (or 1).
    """

    def __init__(self, C: float = 0.3, class_weight: str | None = None, seed: int = 0) -> None:
        self.C = C
        self.class_weight = class_weight
        self.seed = seed

    def fit(self, X: csr_matrix, y: NDArray[np.int64]) -> LinearScores:
        """Train on features of shape (n_clauses, n_features), indicators (n_clauses, n_classes)."""
        self.coef_ = np.zeros((y.shape[1], X.shape[1]), dtype=np.float32)
        self.intercept_ = np.where(y.all(axis=0), 1, -1).astype(np.float32)
        for k in range(y.shape[1]):
            if y[:, k].min() == y[:, k].max():
                continue
            svm = LinearSVC(C=self.C, class_weight=self.class_weight, random_state=self.seed)
            svm.fit(X, y[:, k])
            self.coef_[k], self.intercept_[k] = svm.coef_[0], svm.intercept_[0]
        return self

    def decision_function(self, X: csr_matrix) -> NDArray[np.float64]:
        """Score features; shape (n_clauses, n_classes)."""
        return np.asarray(X @ self.coef_.T + self.intercept_, dtype=np.float64)


def _fold(
    model: LinearScores,
    features: csr_matrix,
    targets: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> NDArray[np.float64]:
    fitted: LinearScores = clone(model).fit(features[train], targets[train])
    return fitted.decision_function(features[test])


def calibrate(scores: NDArray[np.float64], calibration: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn scores of shape (n_clauses, n_classes) into probabilities, as `fit_calibration` fitted."""
    return np.asarray(expit(scores * calibration[:, 0] + calibration[:, 1]))


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


def fit_calibration(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Fit a sigmoid to the out-of-fold scores of every category (Platt 1999).

    Parameters
    ----------
    scores : ndarray of shape (n_clauses, n_classes)
    targets : ndarray of shape (n_clauses, n_classes)
        Indicators.

    Returns
    -------
    ndarray of shape (n_classes, 2), float64
        Slope and intercept.
    """
    found = np.empty((targets.shape[1], 2))
    for k in range(targets.shape[1]):
        if targets[:, k].min() == targets[:, k].max():
            found[k] = 1.0, (4.0 if targets[0, k] else -4.0)
            continue
        sigmoid = LogisticRegression(C=1e3, solver="newton-cholesky").fit(scores[:, [k]], targets[:, k])
        found[k] = sigmoid.coef_[0, 0], sigmoid.intercept_[0]
    return found


def tune_thresholds(chances: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cut each category where its F1 is best, given that the primary category always counts.

    Parameters
    ----------
    chances : ndarray of shape (n_clauses, n_classes)
        Out-of-fold probabilities.
    targets : ndarray of shape (n_clauses, n_classes)
        Indicators.

    Returns
    -------
    ndarray of shape (n_classes,), float64
        Between 0.05 and 0.95; 0.5 for a category that no clause has.
    """
    primary = chances.argmax(axis=1)
    found = np.full(targets.shape[1], 0.5)
    for k in np.flatnonzero(targets.any(axis=0)):
        free = primary != k  # the others have the category whatever the threshold
        sure_hits, sure = targets[~free, k].sum(), int((~free).sum())
        order = np.argsort(-chances[free, k], kind="stable")
        ranked = chances[free, k][order]
        hits = sure_hits + np.concatenate([[0], np.cumsum(targets[free, k][order])])
        f1 = 2 * hits / (sure + np.arange(len(hits)) + targets[:, k].sum())
        best = int(f1.argmax())
        above = ranked[best - 1] if best else 1.0
        below = ranked[best] if best < len(ranked) else 0.0
        found[k] = np.clip((above + below) / 2, 0.05, 0.95)
    return found
