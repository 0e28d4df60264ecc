"""Features of a clause: TF-IDF of its words and characters, and where its neighbours stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer

from clausemark.clauses import Clause
from clausemark.context import KINDS, SENTENCE, Surroundings, surroundings
from clausemark.model import SHORTEST, TOKEN

#: Columns of a clause frame that name a neighbour by its distance in rows; 0 is none.
NEIGHBOURS: Final = ("previous", "next", "heading", "lead_in", "first", "last")
#: All columns of a clause frame.
COLUMNS: Final = ("text", "kind", "position", "index", *NEIGHBOURS)
#: Blocks of features, and what each weighs by default.
WEIGHTS: Final[dict[str, float]] = {"words": 1.0, "chars": 1.0}


def clause_frame(clauses: Sequence[Clause]) -> pd.DataFrame:
    """Lay the clauses of one document out, a row a clause.

    Parameters
    ----------
    clauses : sequence of Clause
        All clauses of the document, in order.

    Returns
    -------
    pandas.DataFrame of shape (n_clauses, 10)
        `text`, `kind`; `position` in the document from 0 to 1 (float64), -1 where that is unknown;
        `index` in the document (int64); and the distance in rows to each of `NEIGHBOURS` (int64, 0
        where there is none): heading, lead-in, previous and next clause, first and last of the
        paragraph. Frames of several documents can be put below each other.
    """
    around = surroundings(clauses)
    rows = np.arange(len(clauses))
    near = {name: getattr(around, name) for name in NEIGHBOURS}
    return pd.DataFrame(
        {
            "text": [clause.text for clause in clauses],
            "kind": [clause.kind for clause in clauses],
            "position": around.position,
            "index": rows,
            **{name: np.where(found >= 0, found - rows, 0) for name, found in near.items()},
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
    pandas.DataFrame of shape (n_clauses, 10)

    Raises
    ------
    ValueError
        If `X` is a single string, empty, not one-dimensional, or holds no text.
    """
    if isinstance(X, pd.DataFrame):
        if "text" not in X.columns:
            raise ValueError(f"a frame of clauses needs a column 'text'; it has {list(X.columns)}")
        given = X.reset_index(drop=True)
        frame = pd.DataFrame({"text": given["text"].astype(str)})
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
        given = frame = pd.DataFrame({"text": values})
    if frame.empty:
        raise ValueError("found 0 clauses (shape=(0,)) while a minimum of 1 is required")
    defaults: dict[str, Any] = {"kind": "sentence", "position": -1.0} | dict.fromkeys(COLUMNS[3:], 0)
    for name, value in defaults.items():
        frame[name] = given[name].fillna(value) if name in given.columns else value
    return frame


def surroundings_of(frame: pd.DataFrame) -> Surroundings:
    """Read who is whose neighbour from a clause frame.

    Parameters
    ----------
    frame : pandas.DataFrame
        As `as_frame` returns it. Rows may have been left out since `clause_frame` made it: a
        neighbour that is no longer where it was counts as none.

    Returns
    -------
    Surroundings
    """
    rows, index = np.arange(len(frame)), frame["index"].to_numpy(dtype=np.int64)
    found = {}
    for name in NEIGHBOURS:
        step = frame[name].to_numpy(dtype=np.int64)
        there = np.clip(rows + step, 0, len(frame) - 1)
        # The distance in the document must be the distance in the frame.
        valid = (step != 0) & (there == rows + step) & (index[there] == index + step)
        found[name] = np.where(valid, there, rows if name in ("first", "last") else -1)
    kind = np.array([KINDS.get(name, SENTENCE) for name in frame["kind"]], dtype=np.int64)
    return Surroundings(**found, kind=kind, position=frame["position"].to_numpy(dtype=np.float64))


class FieldTfidf(TfidfVectorizer):
    """TF-IDF of a text field, of one empty column where no n-gram occurs often enough.

    Parameters are those of `sklearn.feature_extraction.text.TfidfVectorizer`, which refuses such
    fields.
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


def make_features(
    weights: Mapping[str, float] | None, word_ngrams: int, char_ngrams: int, min_df: int
) -> ColumnTransformer:
    """Build untrained features of a clause's own text.

    Parameters
    ----------
    weights : mapping of str to float or None
        Weight of each block; those not named keep their default in `WEIGHTS`, 0 leaves a block out.
    word_ngrams, char_ngrams : int
        Longest n-grams; those of characters are of 3 or more, within words between spaces.
    min_df : int
        Smallest number of clauses that an n-gram occurs in.

    Returns
    -------
    sklearn.compose.ColumnTransformer
        Blocks named and ordered as in `WEIGHTS`: sublinear term frequencies, L2 norm.

    Raises
    ------
    ValueError
        If a block is unknown or all have weight 0.
    """
    chosen = {**WEIGHTS, **(weights or {})}
    unknown = set(chosen) - set(WEIGHTS)
    if unknown:
        raise ValueError(f"unknown block of features {sorted(unknown)}; known are {list(WEIGHTS)}")
    common: dict[str, Any] = {"sublinear_tf": True, "min_df": min_df, "dtype": np.float32}
    blocks = {
        "words": FieldTfidf(token_pattern=TOKEN, ngram_range=(1, word_ngrams), **common),
        "chars": FieldTfidf(analyzer="char_wb", ngram_range=(SHORTEST, char_ngrams), **common),
    }
    kept = {name: weight for name, weight in chosen.items() if weight}
    if not kept:
        raise ValueError("all blocks of features have weight 0")
    return ColumnTransformer(
        [(name, blocks[name], "text") for name in kept], transformer_weights=kept, sparse_threshold=1.0
    )
