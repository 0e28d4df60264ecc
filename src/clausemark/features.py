"""Features of a clause: TF-IDF of its own words and characters and of the fields around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.validation import check_is_fitted

from clausemark.clauses import Clause, contexts

#: Text fields of a clause, in the order of the feature matrix.
FIELDS: Final = ("text", "heading", "section", "lead_in", "previous", "next", "paragraph")
#: All columns of a clause frame.
COLUMNS: Final = (*FIELDS, "kind", "position")
#: A text of fewer clauses is taken for an excerpt, whose clauses have no position.
SHORTEST_POLICY: Final = 8
#: Words: letters and digits with inner apostrophes; single letters count ("a", "i").
TOKEN: Final = r"(?u)\b\w+(?:['’]\w+)*\b"


def clause_frame(clauses: Sequence[Clause]) -> pd.DataFrame:
    """Lay the clauses of one document out with their context, a row a clause.

    Parameters
    ----------
    clauses : sequence of Clause
        All clauses of the document, in order.

    Returns
    -------
    pandas.DataFrame of shape (n_clauses, 9)
        The text fields of `FIELDS` (``""`` where there is nothing), `kind`, and `position` in the
        document from 0 to 1 (float64), -1 where that is unknown: in a text of under
        `SHORTEST_POLICY` clauses.
    """
    texts = [clause.text for clause in clauses] + [""]  # position -1 is nothing
    around = contexts(clauses)
    paragraphs = {c.first: " \n ".join(texts[c.first : c.last + 1]) for c in around}
    # A handful of clauses is an excerpt: the first of it is not the title of a policy.
    scale = len(clauses) - 1 if len(clauses) >= SHORTEST_POLICY else 0
    return pd.DataFrame(
        {
            "text": texts[:-1],
            "heading": [texts[c.heading] for c in around],
            "section": [texts[c.section] for c in around],
            "lead_in": [texts[c.lead_in] for c in around],
            "previous": [texts[c.previous] for c in around],
            "next": [texts[c.next] for c in around],
            "paragraph": [paragraphs[c.first] if c.last > c.first else "" for c in around],
            "kind": [clause.kind for clause in clauses],
            "position": [i / scale if scale else -1.0 for i in range(len(clauses))],
        },
        columns=list(COLUMNS),
    )


def as_frame(X: Any) -> pd.DataFrame:
    """Bring what users pass as clauses into the form of `clause_frame`.

    Parameters
    ----------
    X : pandas.DataFrame, or array-like of str of shape (n_clauses,) or (n_clauses, 1)
        A frame needs the column ``text``; other columns of `COLUMNS` may be missing (no context)
        and further ones are ignored. Strings are clauses that come alone.

    Returns
    -------
    pandas.DataFrame of shape (n_clauses, 9)

    Raises
    ------
    ValueError
        If `X` is a single string, empty, not one-dimensional, or holds no text.
    """
    if isinstance(X, pd.DataFrame):
        if "text" not in X.columns:
            raise ValueError(f"a frame of clauses needs a column 'text'; it has {list(X.columns)}")
        frame = pd.DataFrame({"text": X["text"].astype(str).to_numpy(dtype=object)})
        for field in FIELDS[1:]:
            given = X[field].fillna("").astype(str) if field in X.columns else ""
            frame[field] = given if isinstance(given, str) else given.to_numpy(dtype=object)
        frame["kind"] = X["kind"].to_numpy(dtype=object) if "kind" in X.columns else ""
        frame["position"] = X["position"].to_numpy(dtype=float) if "position" in X.columns else -1.0
    else:
        if isinstance(X, str):
            raise ValueError("expected a list of clauses, got one string: put it in a list")
        values = np.asarray(X, dtype=object)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.ndim != 1:
            raise ValueError(f"expected clauses of shape (n_clauses,), got {values.shape}")
        wrong = next((v for v in values if not isinstance(v, str)), None)
        if wrong is not None:
            raise ValueError(f"expected clauses as str, got {type(wrong).__name__}: {wrong!r}")
        frame = pd.DataFrame({"text": values})
        for field in FIELDS[1:]:
            frame[field] = ""
        frame["kind"], frame["position"] = "", -1.0
    if frame.empty:
        raise ValueError("found 0 clauses (shape=(0,)) while a minimum of 1 is required")
    return frame


class FieldTfidf(TfidfVectorizer):
    """TF-IDF of a text field, of one empty column where no n-gram occurs often enough.

    Parameters are those of `sklearn.feature_extraction.text.TfidfVectorizer`, which refuses such
    fields; clauses without context have nothing else.
    """

    def fit(self, raw_documents: Sequence[str], y: object = None) -> FieldTfidf:
        """Learn vocabulary and inverse document frequencies."""
        self.fit_transform(raw_documents)
        return self

    def fit_transform(self, raw_documents: Sequence[str], y: object = None) -> csr_matrix:
        """Learn, and transform the same clauses; shape (n_clauses, n_terms)."""
        try:
            return super().fit_transform(raw_documents)
        except ValueError:  # the input is text, so an empty vocabulary is all that can be wrong
            self.vocabulary = {"": 0}
            return super().fit_transform(raw_documents)


class ShapeFeatures(TransformerMixin, BaseEstimator):
    """What a clause looks like: its kind, where it stands, how long it is.

    Each property is one indicator. A sentence in the middle of a policy has none of kind and
    position, and so has a clause that comes alone.
    """

    #: Indicators in the order of the columns.
    NAMES: Final = (
        "kind=heading", "kind=item",
        "position=first", "position=early", "position=late", "position=last",
        "words<=3", "words<=8", "words<=20", "words<=40", "words>40",
        "question", "colon",
    )  # fmt: skip

    def fit(self, X: pd.DataFrame, y: object = None) -> ShapeFeatures:
        """Do nothing: the features are fixed."""
        self.n_features_in_ = 3
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Compute the indicators.

        Parameters
        ----------
        X : pandas.DataFrame
            Columns text, kind, position.

        Returns
        -------
        ndarray of shape (n_clauses, 13), float32
        """
        out = np.zeros((len(X), len(self.NAMES)), dtype=np.float32)
        kind, position = X["kind"].to_numpy(), X["position"].to_numpy(dtype=float)
        words = np.array([text.count(" ") + 1 for text in X["text"]])
        texts = [text.rstrip() for text in X["text"]]
        properties = (
            kind == "heading",
            kind == "item",
            position == 0,
            (position > 0) & (position <= 0.1),
            (position > 0.9) & (position < 1),
            position == 1,
            words <= 3,
            (words > 3) & (words <= 8),
            (words > 8) & (words <= 20),
            (words > 20) & (words <= 40),
            words > 40,
            [text.endswith("?") for text in texts],
            [text.endswith(":") for text in texts],
        )
        for column, has in enumerate(properties):
            out[:, column] = has
        return out

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return the names of the indicators."""
        check_is_fitted(self)
        return np.array(self.NAMES, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True
