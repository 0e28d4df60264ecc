"""The served model: what MLflow loads from its registry, as code and not as a pickle.

A request holds documents (text or HTML), the answer the rows that ``clausemark label --format jsonl``
writes for them. MLflow keeps this file beside the model folder and runs it to load the model.
"""

from __future__ import annotations

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from pydantic import BaseModel

from clausemark import Labeler
from clausemark.documents import parse_document
from clausemark.errors import ClausemarkError


class Row(BaseModel):
    """A labeled clause as the signature of the model describes it: a line of the JSONL output."""

    doc: str
    index: int
    kind: str
    start: int
    end: int
    heading: str
    text: str
    primary: str
    labels: list[str]
    scores: dict[str, float]
    needs_review: bool


class ServedLabeler(PythonModel):
    """Label the documents of a request with the model folder logged as artifact ``model``."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model folder.

        Parameters
        ----------
        context : mlflow.pyfunc.PythonModelContext
            Knows where MLflow put the artifacts.
        """
        self.labeler = Labeler.load(context.artifacts["model"])

    def predict(
        self, context: PythonModelContext, model_input: list[str], params: dict[str, Any] | None = None
    ) -> list[Row]:
        """Label documents.

        Parameters
        ----------
        context : mlflow.pyfunc.PythonModelContext
        model_input : list of str
            Documents: plain text, Markdown or HTML. Never taken for paths: a client of a server has no
            business with the server's files.
        params : dict, optional
            ``any_language``: label text that is not English all the same. ``by_document``: answer
            with one dict a document, as `mlflow.pyfunc.spark_udf` needs it: ``clauses``, a list of
            rows, and ``error``, ``""`` where there is none.

        Returns
        -------
        list of dict
            One a clause with the keys of `Row`; ``doc`` is the position of the document, from "0".

        Raises
        ------
        mlflow.exceptions.MlflowException
            If a document cannot be labeled; all of the request is refused (HTTP status 400). Not with
            ``by_document``.
        """
        given = params or {}
        any_language, by_document = (bool(given.get(key)) for key in ("any_language", "by_document"))
        answers: list[dict[str, Any]] = []
        for number, text in enumerate(model_input):
            rows: list[dict[str, Any]] = []
            failure = ""
            try:
                document = parse_document(text, name=str(number))
                rows = self.labeler.label_document(document, any_language=any_language).to_records()
            except ClausemarkError as error:
                if not by_document:
                    raise MlflowException.invalid_parameter_value(f"document {error}") from None
                failure = error.message
            except Exception as error:  # a fault of ours, and no reason to lose the other documents
                if not by_document:
                    raise
                failure = f"{type(error).__name__}: {error}"
            answers.append({"clauses": rows, "error": failure})
        found: list[Any] = answers if by_document else [row for each in answers for row in each["clauses"]]
        return found


set_model(ServedLabeler())
