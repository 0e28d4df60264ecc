"""Labels for policies: three lines from a page to categories, scores and offsets.

>>> from clausemark import Labeler
>>> labeler = Labeler.load()
>>> policy = labeler.label("We sell your data to advertisers. Write to privacy@example.com.")
>>> [clause.primary for clause in policy.clauses]
['Third Party Sharing/Collection', 'Privacy contact information']
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from clausemark.clauses import Clause, ClauseKind, segment
from clausemark.context import Surroundings, join, surroundings
from clausemark.documents import Document, read_document
from clausemark.documents.lines import unruled
from clausemark.errors import LanguageError, MissingExtraError, ModelError
from clausemark.model import Model, load_model
from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from clausemark.scorer import Scorer

#: Where the model that ships lies: in the installed package, or in a checkout.
_SHIPPED: Final = (
    Path(__file__).parent / "_model",
    Path(__file__).parents[2] / "models" / "clausemark",
)
_REGISTRY: Final = ("models:/", "runs:/", "mlflow-artifacts:/")


@dataclass(frozen=True, slots=True)
class LabeledClause:
    """A clause with its categories.

    Attributes
    ----------
    index : int
        Position in the policy, from 0.
    kind : {"heading", "sentence", "item"}
    start, end : int
        Character offsets into the document's text: ``document.text[start:end] == text``.
    heading : str
        The heading that the clause stands under, ``""`` before the first.
    text : str
    primary : str
        The most probable category.
    labels : tuple of str
        All categories given, the primary one first; never empty.
    scores : dict of str to float
        Calibrated probability of every category.
    needs_review : bool
        The model is not sure of the primary category.
    """

    index: int
    kind: ClauseKind
    start: int
    end: int
    heading: str
    text: str
    primary: str
    labels: tuple[str, ...]
    scores: dict[str, float]
    needs_review: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the clause as a record of plain types, as in the JSONL output."""
        return {
            "index": self.index,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "heading": self.heading,
            "text": self.text,
            "primary": self.primary,
            "labels": list(self.labels),
            "scores": {name: round(score, 6) for name, score in self.scores.items()},
            "needs_review": self.needs_review,
        }


@dataclass(frozen=True, slots=True)
class LabeledPolicy:
    """A document whose clauses have been labeled.

    Attributes
    ----------
    document : Document
        What was read; ``document.text`` is the text that offsets refer to.
    clauses : tuple of LabeledClause
        In document order.
    """

    document: Document
    clauses: tuple[LabeledClause, ...]

    @property
    def chances(self) -> NDArray[np.float64]:
        """Calibrated probability of every category: shape (n_clauses, 12), float64."""
        rows = [[clause.scores[name] for name in CATEGORIES] for clause in self.clauses]
        return np.array(rows, dtype=np.float64).reshape(-1, len(CATEGORIES))

    def to_records(self) -> list[dict[str, Any]]:
        """Return one dict a clause, in the order of the keys of the JSONL output."""
        return [{"doc": self.document.source, **clause.to_dict()} for clause in self.clauses]

    def to_frame(self) -> pd.DataFrame:
        """Return the clauses as a table.

        Returns
        -------
        pandas.DataFrame of shape (n_clauses, 9 + 12 + 1)
            A row a clause: doc, index, kind, start, end, heading, text, primary, labels (list of
            str), a float64 column of calibrated probability for each category, needs_review.
        """
        import pandas as pd

        columns = ["doc", "index", "kind", "start", "end", "heading", "text", "primary", "labels"]
        rows = [{**record, **record["scores"]} for record in self.to_records()]
        return pd.DataFrame(rows, columns=[*columns, *CATEGORIES, "needs_review"])

    def _repr_html_(self) -> str:
        """Show the policy in a notebook, every clause marked with its categories."""
        from clausemark.page import render_fragment

        return render_fragment(self)


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What the model says of the clauses of a document, in columns; `policy` has it in rows.

    Attributes
    ----------
    document : Document
    clauses : sequence of Clause
    heading : ndarray of shape (n_clauses,), int64
        The clause that each stands under, -1 before the first heading.
    chances : ndarray of shape (n_clauses, 12), float64
        Calibrated probability of every category.
    order : ndarray of shape (n_clauses, 12), int64
        Categories, the likeliest first.
    given : ndarray of shape (n_clauses, 12), bool
        Which of these are given; the first always is.
    needs_review : ndarray of shape (n_clauses,), bool
    """

    document: Document
    clauses: Sequence[Clause]
    heading: NDArray[np.int64]
    chances: NDArray[np.float64]
    order: NDArray[np.int64]
    given: NDArray[np.bool_]
    needs_review: NDArray[np.bool_]

    @property
    def headings(self) -> list[str]:
        """The heading that each clause stands under, ``""`` before the first."""
        rows = self.heading.tolist()
        found = {row: " ".join(unruled(self.clauses[row].text).split()) for row in {*rows} - {-1}}
        return [found.get(row, "") for row in rows]

    def policy(self) -> LabeledPolicy:
        """Return the same in rows."""
        names = map(CATEGORIES.__getitem__, self.order[self.given].tolist())
        table = zip(
            self.clauses, self.headings, self.given.sum(axis=1).tolist(), self.chances.tolist(),
            self.needs_review.tolist(), strict=True,
        )  # fmt: skip
        rows = []
        for index, (clause, heading, count, chances, needs_review) in enumerate(table):
            labels = tuple(islice(names, count))
            scores = dict(zip(CATEGORIES, chances, strict=True))
            rows.append(
                LabeledClause(
                    index, clause.kind, clause.start, clause.end, heading, clause.text, labels[0], labels,
                    scores, needs_review,
                )
            )  # fmt: skip
        return LabeledPolicy(self.document, tuple(rows))


class Labeler:
    """Labels documents with a trained model.

    Parameters
    ----------
    model : Model
        As `clausemark.model.load_model` returns it; `Labeler.load` finds one by name.
    """

    def __init__(self, model: Model) -> None:
        self.model = model

    @classmethod
    def load(cls, source: str | Path | None = None) -> Labeler:
        """Load a model.

        Parameters
        ----------
        source : str or pathlib.Path, optional
            A model folder, or the URI of a model registered in MLflow
            (``"models:/clausemark@champion"``; needs the extra ``train``). By default the model
            that ships with clausemark.

        Returns
        -------
        Labeler

        Raises
        ------
        ModelError
            If there is no such model, or it is truncated, altered or of another format.
        MissingExtraError
            If MLflow is needed and not installed.
        """
        if source is None:
            found = next((folder for folder in _SHIPPED if folder.is_dir()), None)
            if found is None:
                raise ModelError("the model that ships is missing: reinstall, or name a model folder")
            return cls(load_model(found))
        if str(source).startswith(_REGISTRY):
            return cls(load_model(_download(str(source))))
        return cls(load_model(source))

    @property
    def thresholds(self) -> dict[str, float]:
        """Probability from which on each category is given."""
        return dict(zip(CATEGORIES, map(float, self.model.thresholds), strict=True))

    def label(
        self, source: str | Path | bytes, *, name: str | None = None, any_language: bool = False
    ) -> LabeledPolicy:
        """Label one document.

        Parameters
        ----------
        source : str, pathlib.Path or bytes
            Text, HTML, or the path of an HTML, text, Markdown or PDF file.
        name : str, optional
            What to call the document; its path by default.
        any_language : bool
            Label text that is not English all the same.

        Returns
        -------
        LabeledPolicy

        Raises
        ------
        InputError
            If it cannot be read.
        LanguageError
            If it is not in English.
        """
        return self.label_document(read_document(source, name=name), any_language=any_language)

    def label_document(self, document: Document, *, any_language: bool = False) -> LabeledPolicy:
        """Label a document that has been read.

        Parameters
        ----------
        document : Document
        any_language : bool
            As for `label`.

        Returns
        -------
        LabeledPolicy

        Raises
        ------
        LanguageError
            If it is not in English.
        """
        clauses = self.segment(document, any_language=any_language)
        (labels,) = self.label_clauses([(document, clauses)])
        return labels.policy()

    def segment(self, document: Document, *, any_language: bool = False) -> list[Clause]:
        """Split a document into clauses, if the model can read it.

        Parameters
        ----------
        document : Document
        any_language : bool
            As for `label`.

        Returns
        -------
        list of Clause

        Raises
        ------
        LanguageError
            If it is not in English.
        """
        if document.language not in ("", "en") and not any_language:
            raise LanguageError(
                f"is not in English but, it seems, {document.language!r}, which the model has not"
                " learnt; pass --any-language (any_language=True) to label it all the same",
                where=document.source,
            )
        return segment(document)

    def label_clauses(self, documents: Sequence[tuple[Document, Sequence[Clause]]]) -> list[Labels]:
        """Label documents that have been split into clauses; many small ones at once are faster.

        Parameters
        ----------
        documents : sequence of (Document, sequence of Clause)
            Each with all its clauses, in order.

        Returns
        -------
        list of Labels
        """
        around = [surroundings(clauses) for _, clauses in documents]
        chances = self._chances([clause for _, clauses in documents for clause in clauses], join(around))
        order = np.argsort(-chances, axis=1, kind="stable")
        given = np.take_along_axis(chances >= self.model.thresholds, order, axis=1)
        given[:, 0] = True
        review = chances.max(axis=1, initial=0.0) < self.model.review
        ends = accumulate(map(len, around))
        parts = (slice(end - len(near), end) for near, end in zip(around, ends, strict=True))
        return [
            Labels(*document, near.heading, chances[at], order[at], given[at], review[at])
            for document, near, at in zip(documents, around, parts, strict=True)
        ]

    def probabilities(self, clauses: Sequence[Clause]) -> NDArray[np.float64]:
        """Give the calibrated probability of every category.

        Parameters
        ----------
        clauses : sequence of Clause
            All clauses of one document, in order.

        Returns
        -------
        ndarray of shape (n_clauses, 12), float64
        """
        return self._chances(clauses, surroundings(clauses))

    def _chances(self, clauses: Sequence[Clause], around: Surroundings) -> NDArray[np.float64]:
        scores = self.scorer.score(clauses, around).astype(np.float64)
        with np.errstate(over="ignore"):  # where it does, the chance is 0
            return np.asarray(1 / (1 + np.exp(-scores)))

    @cached_property
    def scorer(self) -> Scorer:
        """What scores the clauses, made when it is first asked for."""
        from clausemark.scorer import Scorer

        return Scorer(self.model)


def _download(uri: str) -> Path:
    """Fetch the model folder of an MLflow model."""
    try:
        from clausemark.tracking import download_model
    except ImportError:
        raise MissingExtraError(f"loading {uri}", "train") from None
    return download_model(uri)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``clausemark label --format jsonl``: the command ``python -m clausemark.predict``."""
    from clausemark.cli import main as command

    given = list(sys.argv[1:] if arguments is None else arguments)
    command(["label", "--format", "jsonl", *given])


if __name__ == "__main__":
    main()
