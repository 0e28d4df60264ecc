"""Spark: the pages of a DataFrame labeled where they lie.

Python goes over the pages once and makes a row of each, with its clauses inside; the tables that
``clausemark batch`` writes are views of that.

>>> from clausemark.spark import label_frame
>>> labeled = label_frame(spark.read.parquet("crawl"))  # doctest: +SKIP
>>> labeled.clauses.groupBy("primary").count().show()  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from clausemark.batch import TASK_PAGES
from clausemark.crawl import CONTENT, URL, Failure, Page
from clausemark.dataset import DOCUMENTS, ERRORS, clauses_schema
from clausemark.errors import InputError, MissingExtraError
from clausemark.predict import Labeler
from clausemark.workers import Labeled, Settings, label_pages

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

#: Columns that name a page, where none is given; "path" is that of Spark's format "binaryFile".
SOURCE: Final = ("source", "path", *URL)
#: What of the row of documents a page has: Spark counts the clauses, and finds no duplicates.
_OWN: Final = [name for name in DOCUMENTS.names if name not in ("clauses", "duplicate_of")]


@dataclass(frozen=True, slots=True)
class LabeledFrame:
    """Pages that Spark labels, as the tables of a batch.

    Attributes
    ----------
    pages : pyspark.sql.DataFrame
        A row a page: columns of `documents` and of `errors`, and its clauses as an array of structs.
        Computed anew for every action on it or on the tables: persist it, or write it, to use more
        than one.
    """

    pages: DataFrame

    @property
    def clauses(self) -> DataFrame:
        """A row a clause; columns and types as in the table ``clauses`` of a batch."""
        from pyspark.sql import functions as F

        return self.pages.select(F.col("source").alias("doc"), F.inline("clauses"))

    @property
    def documents(self) -> DataFrame:
        """A row a page that could be read: as in the table of a batch, without ``duplicate_of``."""
        from pyspark.sql import functions as F

        columns = {name: F.col(name) for name in _OWN} | {"clauses": F.size("clauses").alias("clauses")}
        read = self.pages.where(F.col("stage").isNull())
        return read.select(*(columns[name] for name in DOCUMENTS.names if name in columns))

    @property
    def errors(self) -> DataFrame:
        """A row a page that could not; columns and types as in the table ``errors`` of a batch."""
        return self.pages.where("stage is not null").select(*ERRORS.names)


def label_frame(
    pages: DataFrame,
    *,
    settings: Settings | None = None,
    column: str | None = None,
    url_column: str | None = None,
    source_column: str | None = None,
) -> LabeledFrame:
    """Label the pages of a DataFrame.

    Parameters
    ----------
    pages : pyspark.sql.DataFrame
        A row a page, in columns of binary or string.
    settings : Settings, optional
        Limits do not count: Spark's own do. The model is read here, not by the executors.
    column, url_column, source_column : str, optional
        Which columns hold the page (HTML, text, Markdown; as binary also PDF), its address and its
        name. By default the first of ``html``, ``text``, ``content``, ``body`` that is not null, of
        ``url``, ``uri``, and of ``source``, ``path``, ``url``, ``uri``. A page that no column names
        is named by the SHA-256 of its content.

    Returns
    -------
    LabeledFrame
        A page that fails is a row of its `errors`.

    Raises
    ------
    InputError
        If a column is missing or of another type.
    ModelError
        If the model cannot be loaded.
    MissingExtraError
        If PySpark is not installed.
    """
    try:
        from pyspark.sql import functions as F
    except ImportError:
        raise MissingExtraError("labeling on Spark", "spark") from None
    settings = settings or Settings()
    content = F.coalesce(*_columns(pages, column, CONTENT, "binary", needed=True))
    chosen = pages.select(
        F.coalesce(
            *_columns(pages, source_column, SOURCE, "string"), F.sha2(F.coalesce(content, F.lit(b"")), 256)
        ).alias("source"),
        F.coalesce(*_columns(pages, url_column, URL, "string"), F.lit(None).cast("string")).alias("url"),
        content.alias("content"),
    )
    # Spark makes a broadcast of a function as big as this, which each executor fetches once.
    model = pickle.dumps(Labeler.load(settings.model).model)
    spark = pages.sparkSession
    schema = spark.createDataFrame(_schema(settings.text).empty_table()).schema
    return LabeledFrame(chosen.mapInArrow(_work(model, settings), schema))


def _columns(
    pages: DataFrame, given: str | None, usual: Sequence[str], kind: str, *, needed: bool = False
) -> list[Column]:
    """Choose columns, cast to a type; no name or address is empty."""
    from pyspark.sql import functions as F

    found = [name for name in ([given] if given else usual) if name in pages.columns]
    if not found and (given or needed):
        names = given or ", ".join(usual)
        raise InputError(f"has none of the columns {names}: it has {', '.join(pages.columns)}", where="pages")
    for name in found if kind == "binary" else ():
        actual = pages.schema[name].dataType.simpleString()
        if actual not in ("binary", "string"):
            raise InputError(f"is a column of {actual}, and pages are binary or string", where=name)
    columns = [F.col(f"`{name.replace('`', '``')}`").cast(kind) for name in found]
    return columns if kind == "binary" else [F.nullif(each, F.lit("")) for each in columns]


# The executors' side ------------------------------------------------------------------------------


def _work(model: bytes, settings: Settings) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Make the function that the executors run."""

    def label(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        labeler = _labeler(model)
        for batch in batches:
            for start in range(0, batch.num_rows, TASK_PAGES):
                yield _label(labeler, settings, batch.slice(start, TASK_PAGES))

    return label


@lru_cache(maxsize=1)
def _labeler(model: bytes) -> Labeler:
    """Make the labeler of this process: Spark keeps the process for many tasks."""
    return Labeler(pickle.loads(model))


def _label(labeler: Labeler, settings: Settings, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Label the pages of a batch."""
    given = batch.to_pylist()
    pages = [Page(**row) for row in given if row["content"] is not None]
    labeled = label_pages(labeler, pages, settings)
    outcomes = iter(labeled.outcomes)
    rows: list[dict[str, Any]] = []
    for row in given:
        outcome = Failure(row["source"], "read", "is empty") if row["content"] is None else next(outcomes)
        if isinstance(outcome, Failure):
            rows.append({"source": outcome.source, "stage": outcome.stage, "message": outcome.message})
        else:
            rows.append(outcome | {"digest": hashlib.sha256(row["content"]).hexdigest()})
    schema = _schema(settings.text)
    table = pa.Table.from_pylist(rows, schema=schema.remove(schema.get_field_index("clauses")))
    table = table.append_column("clauses", _nest(labeled, [row.get("clauses", 0) for row in rows]))
    (found,) = table.select(schema.names).cast(schema).combine_chunks().to_batches()
    return found


def _nest(labeled: Labeled, counts: Sequence[int]) -> pa.ListArray:
    """Give every page its clauses; the pages stand in the order of the clauses."""
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    flat = labeled.clauses.drop_columns(["doc"])
    flat = flat.cast(_plain(flat.schema))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat.to_struct_array())


@lru_cache
def _schema(text: bool) -> pa.Schema:
    """Give the columns of a labeled page."""
    clauses = _plain(clauses_schema(text))
    clause = pa.struct([field for field in clauses if field.name != "doc"])
    return _plain(
        pa.schema(
            [
                *(DOCUMENTS.field(name) for name in _OWN),
                pa.field("clauses", pa.list_(clause)),
                *(field for field in ERRORS if field.name != "source"),
            ]
        )
    )


def _plain(schema: pa.Schema) -> pa.Schema:
    """Name the values of dictionaries, which Spark does not know."""

    def plain(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return kind.value_type
        return pa.list_(plain(kind.value_type)) if pa.types.is_list(kind) else kind

    return pa.schema([field.with_type(plain(field.type)) for field in schema])
