"""Spark: the rows that a batch writes, from pages that lie in a DataFrame."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clausemark.batch import label_crawl
from clausemark.dataset import DOCUMENTS, ERRORS
from clausemark.errors import InputError, MissingExtraError, ModelError
from clausemark.spark import LabeledFrame, label_frame
from clausemark.workers import Settings
from test_batch import GERMAN, page, query, shares

JAVA = shutil.which("java") or os.environ.get("JAVA_HOME")
needs_spark = pytest.mark.skipif(
    not (JAVA and importlib.util.find_spec("pyspark")), reason="needs pyspark and Java"
)
pytestmark = pytest.mark.slow

SOURCE = str(Path(__file__).parents[1] / "src")
#: Found by Python wherever it starts, so by the workers of Spark too.
WATCH = """
import os
import clausemark.documents as documents, clausemark.predict as predict
make, parse = predict.Labeler.__init__, documents.parse_document
def init(self, model):
    with open(os.environ["LOADS"], "a") as log: print(os.getpid(), file=log)
    make(self, model)
def parse_document(data, **options):
    if "RAISE" in str(data): raise RuntimeError("a fault of ours")
    return parse(data, **options)
predict.Labeler.__init__, documents.parse_document = init, parse_document
"""
PAGES = [
    *({"source": f"p{i:02}", "url": f"https://{i}.example", "html": page(f"page-{i}")} for i in range(40)),
    {"source": "empty", "url": None, "html": ""},
    {"source": "none", "url": None, "html": None},
    {"source": "fault", "url": None, "html": "<p>RAISE</p>"},
    {"source": "german", "url": "", "html": GERMAN},
]


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Spark in this machine, two tasks at a time; its workers see `WATCH`."""
    from pyspark.sql import SparkSession

    place = tmp_path_factory.mktemp("spark")
    (place / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(place), SOURCE]))
        patch.setenv("LOADS", str(place / "loads"))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.memory", "1g")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.warehouse.dir", str(place / "warehouse"))
            .getOrCreate()
        )
        yield session
        session.stop()


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages, as a Parquet file."""
    path = tmp_path_factory.mktemp("crawl") / "crawl.parquet"
    schema = pa.schema([(name, pa.string()) for name in PAGES[0]])
    pq.write_table(pa.Table.from_pylist(PAGES, schema=schema), path)
    return path


@pytest.fixture(scope="module")
def batch(crawl: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a batch writes of the pages that do not meet a fault of ours."""
    rows = pq.read_table(crawl).filter(pa.compute.field("source") != "fault")
    folder = tmp_path_factory.mktemp("batch")
    pq.write_table(rows, folder / "crawl.parquet")
    settings = Settings(model=str(tiny_model))
    label_crawl(
        [str(folder / "crawl.parquet")], folder / "out", settings=settings, workers=1, source_column="source"
    )
    return folder / "out"


@pytest.fixture(scope="module")
def labeled(spark: Any, crawl: Path, tiny_model: Path) -> Iterator[LabeledFrame]:
    """The same by Spark, in four partitions."""
    frame = label_frame(spark.read.parquet(str(crawl)).repartition(4), settings=Settings(str(tiny_model)))
    frame.pages.persist()
    yield frame
    frame.pages.unpersist()


def rows(frame: Any, *order: str) -> list[dict[str, Any]]:
    return [row.asDict() for row in frame.orderBy(*order).collect()]


@needs_spark
def test_the_clauses_are_those_of_a_batch(spark: Any, labeled: LabeledFrame, batch: Path) -> None:
    written = spark.read.parquet(str(batch / "clauses"))
    assert labeled.clauses.schema == written.schema
    found = rows(labeled.clauses, "doc", "index")
    assert len(found) > 300
    assert found == rows(written, "doc", "index")


@needs_spark
def test_the_documented_query_tells_the_share_of_policies_with_each_category(spark: Any, batch: Path) -> None:
    found = query("pyspark", batch, spark=spark)["share"].collect()
    assert {row["label"]: row["share"] for row in found} == shares(batch)


@needs_spark
def test_the_documents_are_those_of_a_batch(spark: Any, labeled: LabeledFrame, batch: Path) -> None:
    written = spark.read.parquet(str(batch / "documents")).drop("duplicate_of")
    assert labeled.documents.schema == written.schema
    assert labeled.documents.columns == [name for name in DOCUMENTS.names if name != "duplicate_of"]
    assert rows(labeled.documents, "source") == rows(written, "source")


@needs_spark
def test_a_page_that_fails_is_an_error_and_harms_no_other(labeled: LabeledFrame, batch: Path) -> None:
    assert labeled.errors.columns == ERRORS.names
    found = rows(labeled.errors, "source")
    fault = {"source": "fault", "stage": "extract", "message": "RuntimeError: a fault of ours"}
    assert fault in found
    found.remove(fault)
    assert found == sorted(pq.read_table(batch / "errors").to_pylist(), key=lambda row: row["source"])
    assert labeled.documents.count() + labeled.errors.count() == len(PAGES)


@needs_spark
def test_a_process_loads_the_model_once(spark: Any, crawl: Path, tiny_model: Path) -> None:
    log = Path(os.environ["LOADS"])
    settings = Settings(str(tiny_model), text=False)  # no other test has these
    before = Counter(log.read_text().split()) if log.exists() else Counter()
    frame = label_frame(spark.read.parquet(str(crawl)).repartition(8), settings=settings)
    tasks = frame.pages.rdd.getNumPartitions()
    assert frame.clauses.count() > 300
    assert "text" not in frame.clauses.columns
    loads = Counter(log.read_text().split()) - before
    assert tasks == 8
    assert sum(loads.values()) <= 2  # as many as processes; none where they have it already


@needs_spark
def test_the_model_that_ships_is_the_default(spark: Any) -> None:
    frame = spark.createDataFrame([("We sell your data to advertisers.",)], "text string")
    (clause,) = label_frame(frame).clauses.collect()
    assert clause["primary"] == "Third Party Sharing/Collection"


@needs_spark
def test_columns_are_found_or_named(spark: Any, tiny_model: Path) -> None:
    settings = Settings(str(tiny_model))
    html = page("one").encode()
    frame = spark.createDataFrame([(html, None, 7)], "`the page` binary, text string, id int")
    named = label_frame(frame, settings=settings, column="the page", source_column="id").documents.collect()
    assert [row["source"] for row in named] == ["7"]
    frame = spark.createDataFrame(
        [(html, None, "https://a.example"), (None, html.decode(), None)],
        "html binary, text string, uri string",
    )
    first, second = label_frame(frame, settings=settings).documents.collect()
    assert (first["source"], first["url"]) == ("https://a.example", "https://a.example")
    assert (second["source"], second["url"]) == (second["digest"], None)
    assert first["digest"] == second["digest"]


@needs_spark
def test_files_that_spark_reads_are_pages(spark: Any, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(page("one"), encoding="utf-8")
    files = spark.read.format("binaryFile").load(str(tmp_path))
    (row,) = label_frame(files, settings=Settings(str(tiny_model))).documents.collect()
    assert row["source"].endswith("/one.html")
    assert row["clauses"] == 10


@needs_spark
def test_what_is_wrong_is_said_before_any_work(spark: Any, tmp_path: Path) -> None:
    frame = spark.createDataFrame([(1, "x")], "html int, other string")
    with pytest.raises(InputError, match="html: is a column of int"):
        label_frame(frame)
    with pytest.raises(InputError, match="has none of the columns body: it has html, other"):
        label_frame(frame, column="body")
    with pytest.raises(InputError, match="has none of the columns html, text, content, body: it has other"):
        label_frame(frame.select("other"))
    with pytest.raises(ModelError, match="no model here"):
        label_frame(frame, column="other", settings=Settings(str(tmp_path)))


def test_without_pyspark_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.sql", None)
    with pytest.raises(MissingExtraError, match=r"clausemark\[spark\]"):
        label_frame(None)  # type: ignore[arg-type]


@needs_spark
def test_the_registered_model_is_a_udf(
    spark: Any, tiny_model: Path, batch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    from clausemark.tracking import _log_model

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    with mlflow.start_run() as run:
        _log_model(mlflow, tiny_model)
    label = mlflow.pyfunc.spark_udf(
        spark,
        f"runs:/{run.info.run_id}/clausemark",
        result_type="struct<clauses: array<struct<index: int, text: string, primary: string,"
        " labels: array<string>, scores: map<string, double>>>, error: string>",
        env_manager="local",
        params={"by_document": True},
    )
    given = [row for row in PAGES if row["source"] in ("p00", "p01", "empty", "fault")]
    frame = spark.createDataFrame(given, "source string, url string, html string").repartition(1)
    found = frame.select("source", label("html").alias("answer")).orderBy("source").collect()
    empty, fault, *answered = [(row["source"], row["answer"]) for row in found]
    assert (empty[0], empty[1]["clauses"], empty[1]["error"]) == ("empty", [], "is empty")
    assert (fault[0], fault[1]["error"]) == ("fault", "RuntimeError: a fault of ours")
    written = pq.read_table(batch / "clauses").to_pylist()
    for source, answer in answered:
        expected = [row for row in written if row["doc"] == source]
        assert answer["error"] == ""
        assert [row["text"] for row in answer["clauses"]] == [row["text"] for row in expected]
        assert [row["labels"] for row in answer["clauses"]] == [row["labels"] for row in expected]
        for row, other in zip(answer["clauses"], expected, strict=True):
            assert row["scores"] == pytest.approx({name: other[name] for name in row["scores"]}, abs=1e-5)
