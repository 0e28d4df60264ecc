"""Batches: one dataset whatever the workers, and whatever happens to them, the disk or the power."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clausemark import workers
from clausemark.batch import Summary, label_crawl
from clausemark.clauses import Clause
from clausemark.cli import main
from clausemark.context import Surroundings
from clausemark.crawl import Failure, Page
from clausemark.dataset import DOCUMENTS, ERRORS, Dataset, clauses_schema
from clausemark.documents import read_document
from clausemark.errors import ClausemarkError, InputError, ModelError
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES
from clausemark.workers import Settings, count_words, label_pages
from tiny import SENTENCES, THINGS

TABLES = ("clauses", "documents", "errors")
SOURCE = str(Path(__file__).parents[1] / "src")
GERMAN = (
    "<p>" + "Wir erheben Ihren Namen und Ihre Anschrift, wenn Sie bei uns ein Konto eröffnen. " * 6 + "</p>"
)
MANIFEST = {"model": "m", "version": "1", "parameters": {"text": True}, "inputs": ["crawl"]}
#: Found by Python wherever it starts, so in workers too: pages that do what bad pages do.
FAULTS = """
import ctypes, os, re, signal, time
import clausemark.documents as documents
parse = documents.parse_document
def parse_document(data, **options):
    if b"SLOW" in data: time.sleep(0.05)
    if b"HANG" in data: re.match(r"(a+)+$", "a" * 64 + "b")
    if b"CRASH" in data: ctypes.string_at(0)
    if b"KILLED" in data: os.kill(os.getpid(), signal.SIGKILL)
    if b"ONCE" in data:
        try: os.mkdir(os.environ["ONCE"])
        except FileExistsError: pass
        else: os._exit(3)
    if b"GREEDY" in data: bytearray(4_000_000_000)
    if b"RAISE" in data: raise RuntimeError("a fault of ours")
    return parse(data, **options)
documents.parse_document = parse_document
"""


def page(name: str, more: str = "") -> str:
    random = Random(name)
    sentences = [s.format(random.choice(THINGS)) for pair in SENTENCES.values() for s in pair]
    body = "".join(f"<p>{sentence}</p>" for sentence in random.sample(sentences, 8))
    return f"<html><title>{name}</title><h1>Privacy</h1>{body}<p>We call it {name}.</p><!-- {more} --></html>"


def write_crawl(folder: Path, count: int = 40, more: str = "") -> Path:
    """Write pages as files and lines, with duplicates, other languages and what cannot be read."""
    folder.mkdir()
    for i in range(count):
        (folder / f"p{i:03}.html").write_text(page(f"page-{i}", more), encoding="utf-8")
    (folder / "p005-copy.html").write_text(page("page-5", more), encoding="utf-8")
    (folder / "p010.empty.html").write_bytes(b"")
    (folder / "p011.empty.html").write_bytes(b"")
    (folder / "p012.german.html").write_text(GERMAN, encoding="utf-8")
    lines = [
        json.dumps({"html": page(f"line-{i}", more), "url": f"https://{i}.example"})
        for i in range(count // 2)
    ]
    lines[3] = "{broken"
    lines[4] = json.dumps({"html": page("page-7", more), "url": "https://copy.example"})
    (folder / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def read(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Read a dataset, rows in order; every file that can be seen must be whole."""
    return {
        name: [row for part in sorted((out / name).glob("*")) for row in pq.read_table(part).to_pylist()]
        for name in TABLES
    }


def check(out: Path) -> dict[str, list[dict[str, Any]]]:
    """Check what holds of every finished dataset."""
    tables = read(out)
    names = [row["source"] for row in tables["documents"] + tables["errors"]]
    assert len(names) == len(set(names))
    counted = pd.Series([row["doc"] for row in tables["clauses"]]).value_counts()
    originals = [row for row in tables["documents"] if row["duplicate_of"] is None and row["clauses"]]
    assert {row["source"]: row["clauses"] for row in originals} == counted.to_dict()
    keys = [(row["doc"], row["index"]) for row in tables["clauses"]]
    assert len(keys) == len(set(keys))
    assert {p.name for p in out.iterdir()} == {"manifest.json", *TABLES}
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["complete"] is True
    return tables


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_crawl(tmp_path_factory.mktemp("crawl") / "pages")


@pytest.fixture(scope="module")
def run(tiny_model: Path):  # type: ignore[no-untyped-def]
    """Label a crawl in this process."""

    def label(*inputs: Path, out: Path, workers: int = 2, shard_pages: int = 10, **options: Any) -> Summary:
        names = {"text", "any_language", "skip_non_policies", "time_limit", "memory_limit"} & set(options)
        settings = Settings(model=str(tiny_model), **{name: options.pop(name) for name in names})
        return label_crawl(
            [str(i) for i in inputs],
            out,
            settings=settings,
            workers=workers,
            shard_pages=shard_pages,
            **options,
        )

    return label


@pytest.fixture(scope="module")
def undisturbed(crawl: Path, run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # type: ignore[no-untyped-def]
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    run(crawl, out=out)
    return out


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages that take `Command` long enough to be interrupted."""
    return write_crawl(tmp_path_factory.mktemp("slow") / "pages", more="SLOW")


@pytest.fixture(scope="module")
def slow_undisturbed(slow: Path, run, tmp_path_factory: pytest.TempPathFactory) -> Path:  # type: ignore[no-untyped-def]
    out = tmp_path_factory.mktemp("slow-undisturbed") / "out"
    run(slow, out=out)
    return out


class Command:
    """The command in a process group of its own, with pages that do what FAULTS says."""

    def __init__(self, folder: Path, model: Path, *arguments: str | Path, **popen: Any) -> None:
        (folder / "site").mkdir(exist_ok=True)
        (folder / "site" / "sitecustomize.py").write_text(FAULTS, encoding="utf-8")
        path = os.pathsep.join([str(folder / "site"), SOURCE])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "clausemark", "batch", "--model", str(model), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path, "ONCE": str(folder / "once")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **popen,
        )  # fmt: skip

    def finish(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=200)
        return self.process.returncode, out, err

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def wait_for_parts(self, out: Path, count: int) -> None:
        """Wait until some parts are there and more are to come."""
        while len(list(out.glob("documents/*"))) < count:
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.01)


# What is written ----------------------------------------------------------------------------------


def test_the_tables_have_the_types_that_are_documented(undisturbed: Path) -> None:
    for name, schema in (("clauses", clauses_schema()), ("documents", DOCUMENTS), ("errors", ERRORS)):
        for part in (undisturbed / name).iterdir():
            assert pq.read_schema(part).remove_metadata().equals(schema)
            assert part.name.startswith("part-")
    part = pq.ParquetFile(next((undisturbed / "clauses").iterdir())).metadata.row_group(0)
    columns = {part.column(i).path_in_schema: part.column(i) for i in range(part.num_columns)}
    assert {column.compression for column in columns.values()} == {"ZSTD"}
    assert all(columns[name].has_dictionary_page for name in ("doc", "kind", "heading", "primary"))


def test_clauses_are_those_that_the_labeler_gives(undisturbed: Path, crawl: Path, tiny_model: Path) -> None:
    path = crawl / "p003.html"
    labeler = Labeler.load(tiny_model)
    expected = labeler.label(path).to_records()
    paragraphs = [clause.paragraph for clause in labeler.segment(read_document(path))]
    assert len(set(paragraphs)) > 5
    found = [row for row in read(undisturbed)["clauses"] if row["doc"] == str(path)]
    assert [row["paragraph"] for row in found] == paragraphs
    assert len(found) == len(expected)
    for row, record in zip(found, expected, strict=True):
        scores = record.pop("scores")
        assert {name: row[name] for name in record} == record
        assert [row[name] for name in CATEGORIES] == pytest.approx(list(scores.values()), abs=1e-6)


def test_documents_say_what_a_page_is(undisturbed: Path, crawl: Path) -> None:
    documents = {row["source"]: row for row in read(undisturbed)["documents"]}
    first = documents[str(crawl / "p003.html")]
    assert first["title"] == "page-3"
    assert first["bytes"] == (crawl / "p003.html").stat().st_size
    assert first["is_policy"] is True
    assert first["url"] is None
    assert documents[f"{crawl / 'q.jsonl'}#2"]["url"] == "https://2.example"
    german = documents[str(crawl / "p012.german.html")]
    assert german["language"] not in ("", "en")
    assert (german["is_policy"], german["clauses"]) == (False, 0)


def test_pages_stand_in_the_order_of_the_crawl(undisturbed: Path) -> None:
    tables = read(undisturbed)
    files = [row["source"] for row in tables["documents"] if row["source"].endswith(".html")]
    assert files == sorted(files)
    assert list(dict.fromkeys(row["doc"] for row in tables["clauses"])) == [
        row["source"] for row in tables["documents"] if row["clauses"] and row["duplicate_of"] is None
    ]


def test_equal_content_is_labeled_once(undisturbed: Path, crawl: Path) -> None:
    tables = check(undisturbed)
    copies = {row["source"]: row for row in tables["documents"] if row["duplicate_of"]}
    assert {name: row["duplicate_of"] for name, row in copies.items()} == {
        str(crawl / "p005.html"): str(crawl / "p005-copy.html"),
        f"{crawl / 'q.jsonl'}#4": str(crawl / "p007.html"),
    }
    assert copies[str(crawl / "p005.html")]["title"] == "page-5"
    assert copies[f"{crawl / 'q.jsonl'}#4"]["url"] == "https://copy.example"


def test_what_cannot_be_read_is_in_the_errors(undisturbed: Path, crawl: Path) -> None:
    assert [(row["source"], row["stage"]) for row in read(undisturbed)["errors"]] == [
        (str(crawl / "p010.empty.html"), "extract"),
        (str(crawl / "p011.empty.html"), "extract"),
        (f"{crawl / 'q.jsonl'}#3", "read"),
    ]


def test_the_dataset_does_not_depend_on_the_workers(
    undisturbed: Path, crawl: Path, run, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    run(crawl, out=tmp_path / "out", workers=1)
    for name in TABLES:
        parts = sorted((undisturbed / name).iterdir())
        assert len(parts) > 3
        for part in parts:
            assert part.read_bytes() == (tmp_path / "out" / name / part.name).read_bytes()


def test_text_and_pages_that_are_no_policies_can_be_left_out(crawl: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run(crawl / "p001.html", crawl / "p012.german.html", out=tmp_path / "out", text=False, any_language=True)
    tables = check(tmp_path / "out")
    assert "text" not in tables["clauses"][0]
    assert tables["documents"][1]["clauses"] > 0


def test_the_manifest_names_model_version_parameters_and_inputs(
    undisturbed: Path, crawl: Path, tiny_model: Path
) -> None:
    manifest = json.loads((undisturbed / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["model"] == Labeler.load(tiny_model).model.digest
    assert manifest["inputs"] == [str(crawl)]
    assert manifest["parameters"]["text"] is True
    assert manifest["totals"]["pages"] == len(read(undisturbed)["documents"]) + 3


def test_pages_that_cannot_be_scored_cost_themselves(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labeler = Labeler.load(tiny_model)
    score = labeler.scorer.score

    def fail(clauses: Sequence[Clause], around: Surroundings | None = None) -> Any:
        if any("page-2" in clause.text for clause in clauses):
            raise MemoryError
        return score(clauses, around)

    pages = [Page(str(i), None, page(f"page-{i}").encode()) for i in range(5)]
    expected = label_pages(labeler, pages, Settings())
    monkeypatch.setattr(labeler.scorer, "score", fail)
    found = label_pages(labeler, pages, Settings())
    assert found.outcomes.pop(2) == Failure("2", "label", "needs more than 512 MB of memory")
    expected.outcomes.pop(2)
    assert [row["source"] for row in found.outcomes] == [row["source"] for row in expected.outcomes]
    others = [row for row in expected.clauses.to_pylist() if row["doc"] != "2"]
    assert found.clauses.drop_columns(list(CATEGORIES)).to_pylist() == [
        {name: value for name, value in row.items() if name not in CATEGORIES} for row in others
    ]


def test_a_page_is_labeled_alike_in_small_groups(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labeler = Labeler.load(tiny_model)
    pages = [Page(str(i), None, page(f"page-{i}").encode()) for i in range(7)]
    together = label_pages(labeler, pages, Settings())
    monkeypatch.setattr(workers, "GROUP_CHARS", 1)
    marks: list[tuple[int, int]] = []
    apart = label_pages(labeler, pages, Settings(), mark=lambda *place: marks.append(place))
    assert marks == [*((i, stage) for i in range(7) for stage in (1, 2)), (-1, 0)]
    assert [row["clauses"] for row in apart.outcomes] == [row["clauses"] for row in together.outcomes]
    for name in CATEGORIES:
        np.testing.assert_allclose(apart.clauses[name], together.clauses[name], atol=1e-6)
    assert apart.clauses.drop_columns(list(CATEGORIES)).equals(
        together.clauses.drop_columns(list(CATEGORIES))
    )


@given(st.text(st.one_of(st.characters(codec=None), st.sampled_from(" \n\x1c\x85\xa0\u2028\u3000\ud800ab"))))
def test_words_are_counted_as_python_splits_them(text: str) -> None:
    assert count_words(text) == len(text.split())


# Opening it ---------------------------------------------------------------------------------------


def opened(tool: str, table: Path) -> tuple[int, dict[str, str]]:
    """Number of rows of a table, and the types of its columns as a tool calls them."""
    module = pytest.importorskip(tool)
    if tool == "pandas":
        frame = module.read_parquet(table)
        return len(frame), frame.dtypes.astype(str).to_dict()
    if tool == "polars":
        frame = module.read_parquet(table / "*.parquet")
        return len(frame), {name: str(kind) for name, kind in frame.schema.items()}
    relation = module.sql(f"from '{table}/*.parquet'")
    ((count,),) = relation.count("*").fetchall()
    return count, dict(zip(relation.columns, map(str, relation.types), strict=True))


def query(tool: str, out: Path, **known: Any) -> dict[str, Any]:
    """Run the documented query of a tool on a dataset; what it has named by then."""
    text = (Path(__file__).parents[1] / "docs" / "batch.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    (code,) = (block for block in blocks if re.match(rf"(?:import|from) {tool}\b", block))
    exec(code.replace("labels/", f"{out}/"), known)
    return known


def shares(out: Path) -> dict[str, Any]:
    """The share of policies that have a clause of each category, row by row."""
    tables = read(out)
    policies = {d["source"] for d in tables["documents"] if d["is_policy"] and d["duplicate_of"] is None}
    assert 1 < len(policies) < len(tables["documents"])
    having = {(row["doc"], name) for row in tables["clauses"] for name in row["labels"]}
    counts = Counter(name for doc, name in having if doc in policies)
    assert len(set(counts.values())) > 1
    return pytest.approx({name: count / len(policies) for name, count in counts.items()})


@pytest.mark.parametrize(
    ("tool", "string", "names", "several", "whole", "chance", "truth"),
    [
        ("pandas", "str", "category", "object", "int32", "float32", "bool"),
        ("polars", "String", "Categorical", "List(String)", "Int32", "Float32", "Boolean"),
        ("duckdb", "VARCHAR", "VARCHAR", "VARCHAR[]", "INTEGER", "FLOAT", "BOOLEAN"),
    ],
)
def test_it_opens_with_all_rows_and_the_types_of_its_columns(
    undisturbed: Path, tool: str, string: str, names: str, several: str, whole: str, chance: str, truth: str
) -> None:
    tables = read(undisturbed)
    assert [opened(tool, undisturbed / name)[0] for name in TABLES] == [len(tables[name]) for name in TABLES]
    _, types = opened(tool, undisturbed / "clauses")
    assert types == {
        **dict.fromkeys(("doc", "heading", "text"), string),
        **dict.fromkeys(("index", "paragraph", "start", "end"), whole),
        **dict.fromkeys(("kind", "primary"), names),
        "labels": several,
        **dict.fromkeys(CATEGORIES, chance),
        "needs_review": truth,
    }
    assert opened(tool, undisturbed / "documents")[1]["is_policy"] == truth
    assert opened(tool, undisturbed / "errors")[1]["stage"] == names


def test_pandas_tells_the_share_of_policies_with_each_category(undisturbed: Path) -> None:
    assert query("pandas", undisturbed)["share"].to_dict() == shares(undisturbed)


def test_polars_tells_the_share_of_policies_with_each_category(undisturbed: Path) -> None:
    pytest.importorskip("polars")
    assert dict(query("polars", undisturbed)["share"].iter_rows()) == shares(undisturbed)


def test_duckdb_tells_the_share_of_policies_with_each_category_and_what_they_say(undisturbed: Path) -> None:
    pytest.importorskip("duckdb")
    known = query("duckdb", undisturbed)
    assert dict(known["share"].fetchall()) == shares(undisturbed)
    tables = read(undisturbed)
    addresses = {row["source"]: row["url"] for row in tables["documents"]}
    said = [(addresses[c["doc"]], c["text"]) for c in tables["clauses"] if "Do Not Track" in c["labels"]]
    assert Counter(known["found"].fetchall()) == Counter(said)


# Going on -----------------------------------------------------------------------------------------


def test_a_limit_takes_the_first_pages_and_can_be_raised(
    crawl: Path, run, undisturbed: Path, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    assert run(crawl, out=out, limit=15).complete is False
    assert run(crawl, out=out, limit=15).labeled == 0
    assert len(read(out)["documents"]) + len(read(out)["errors"]) == 15
    summary = run(crawl, out=out)
    assert summary.complete
    assert check(out) == read(undisturbed)
    assert summary.to_dict()["clauses"] == len(read(out)["clauses"])


def test_a_crawl_that_has_grown_costs_its_new_pages(crawl: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    run(crawl / "p00[0-3].html", out=out)
    summary = run(crawl / "p00?.html", out=out)
    assert summary.labeled == 6
    assert len(check(out)["documents"]) == 10


def test_parameters_that_have_changed_are_refused(crawl: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    run(crawl / "p001.html", out=tmp_path / "out")
    with pytest.raises(InputError, match="another text"):
        run(crawl / "p001.html", out=tmp_path / "out", text=False)
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**content, "model": "other"}), encoding="utf-8")
    with pytest.raises(InputError, match=r"another model.*name another folder"):
        run(crawl / "p001.html", out=tmp_path / "out")


def test_a_dataset_of_another_format_is_not_gone_on_with(crawl: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "manifest.json").write_text('{"format": "clausemark-batch/1"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"clausemark-batch/1.*run clausemark batch again") as caught:
        run(crawl, out=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_something_else_is_refused(crawl: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "letter.txt").write_text("Dear", encoding="utf-8")
    with pytest.raises(InputError, match="not empty"):
        run(crawl, out=tmp_path)
    with pytest.raises(InputError, match="is a file"):
        run(crawl, out=tmp_path / "letter.txt")


def test_a_model_that_is_missing_is_one_line(crawl: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        label_crawl([str(crawl)], tmp_path / "out", settings=Settings(model="nowhere"), workers=1)
    assert not (tmp_path / "out").exists()


# Faults -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_in_the_middle_goes_on(  # type: ignore[no-untyped-def]
    number: signal.Signals, slow: Path, slow_undisturbed: Path, run, tiny_model: Path, tmp_path: Path
) -> None:
    crawl, out = slow, tmp_path / "out"
    command = Command(tmp_path, tiny_model, crawl, "--out", out, "--workers", 2, "--shard-pages", 3)
    command.wait_for_parts(out, 3)
    command.signal(number)
    code, _, err = command.finish()
    before = read(out)
    count = len(before["documents"]) + len(before["errors"])
    assert 9 <= count < 64
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert (code, err) == (128 + number, f"clausemark: {out}: stopped; the same command goes on\n")
        assert not (out / "_work").exists()
    summary = run(crawl, out=out)
    assert summary.labeled == 64 - count
    assert check(out) == read(slow_undisturbed)


@pytest.mark.parametrize("moment", range(9))
def test_a_dataset_that_dies_within_a_commit_has_all_of_a_shard_or_nothing(
    moment: int, tmp_path: Path
) -> None:
    """Die at each rename and sync, as a power failure may have it."""
    out = tmp_path / "out"
    child = f"""
import os, pathlib
from clausemark.crawl import Failure
from clausemark.dataset import Dataset
count = -1
def dying(call):
    def wrapped(*arguments):
        global count
        count += 1
        if count == {moment}: os._exit(9)
        return call(*arguments)
    return wrapped
data = Dataset(pathlib.Path({str(out)!r}), {MANIFEST})
data.write([], [Failure("one", "read", "gone")])
data.commit()
pathlib.Path.replace, os.fsync = dying(pathlib.Path.replace), dying(os.fsync)
data.write([], [Failure("two", "read", "gone")])
data.commit()
"""
    done = subprocess.run(
        [sys.executable, "-c", child], env={**os.environ, "PYTHONPATH": SOURCE}, check=False
    )
    assert done.returncode == 9
    read(out)  # whole files only
    committed = moment == 8
    assert (out / "documents" / "part-00001.parquet").exists() == committed
    with Dataset(out, MANIFEST) as data:
        assert data.totals.pages == 1 + committed
        assert data.index.claim("one") == "done"
        assert data.index.claim("two") == ("done" if committed else "new")
        if not committed:
            data.write([], [Failure("two", "read", "gone")])
        data.commit()
        data.finish()
    assert [row["source"] for row in check(out)["errors"]] == ["one", "two"]


def test_bad_pages_cost_themselves_alone(tiny_model: Path, run, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    crawl, out = write_crawl(tmp_path / "pages"), tmp_path / "out"
    bad = ("HANG", "CRASH", "KILLED", "GREEDY", "RAISE")
    for i, what in enumerate(bad):
        (crawl / f"p00{2 * i}.{what}.html").write_text(page(what, what), encoding="utf-8")
    (crawl / "p020.CRASH.html").write_text(page("CRASH", "CRASH"), encoding="utf-8")  # a copy
    once = crawl / "p004.once.html"
    once.write_text(page("once", "ONCE"), encoding="utf-8")
    command = Command(
        tmp_path,
        tiny_model,
        crawl,
        "--out",
        out,
        "--workers",
        2,
        "--json",
        "--time-limit",
        5,
        "--memory-limit",
        900,
    )
    code, output, err = command.finish()
    assert (code, err) == (0, "")
    tables = check(out)
    messages = {Path(row["source"]).name.split(".")[1]: row["message"] for row in tables["errors"][:-1]}
    assert messages.pop("empty") == "is empty"
    assert messages == {
        "HANG": "takes longer than 5 s",
        "CRASH": "makes the worker crash (SIGSEGV)",
        "KILLED": "makes the worker crash (SIGKILL)",
        "GREEDY": "needs more than 900 MB of memory",
        "RAISE": "RuntimeError: a fault of ours",
    }
    assert str(once) in {row["source"] for row in tables["documents"]}  # a crash is given a second chance
    assert json.loads(output)["errors"] == 6 + 3
    for what in (*bad, "CRASH"):
        for path in crawl.glob(f"*.{what}.html"):
            path.unlink()
    run(crawl, out=tmp_path / "good")
    good = check(tmp_path / "good")
    assert (good["clauses"], good["documents"]) == (tables["clauses"], tables["documents"])


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a small disk, where that is permitted."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_the_run_goes_on_where_there_is_room(  # type: ignore[no-untyped-def]
    crawl: Path, undisturbed: Path, tiny_model: Path, run, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 160) as disk:
        out = disk / "out"
        command = Command(tmp_path, tiny_model, crawl, "--out", out, "--workers", 1, "--shard-pages", 10)
        code, _, err = command.finish()
        assert code == 1
        assert err.count("\n") == 1
        assert "goes on" in err
        assert 0 < len(read(out)["documents"]) < len(read(undisturbed)["documents"])
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        run(crawl, out=out)
        assert check(out) == read(undisturbed)


def test_a_file_that_may_not_grow_is_one_line_and_the_run_goes_on(  # type: ignore[no-untyped-def]
    crawl: Path, undisturbed: Path, tiny_model: Path, run, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    out = tmp_path / "out"
    command = Command(tmp_path, tiny_model, crawl, "--out", out, "--shard-pages", 10, preexec_fn=limit)
    code, _, err = command.finish()
    assert code == 1
    assert err.count("\n") == 1
    assert str(out) in err
    run(crawl, out=out)
    assert check(out) == read(undisturbed)


def test_two_batches_do_not_write_one_dataset(
    crawl: Path, slow: Path, tiny_model: Path, run, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    command = Command(tmp_path, tiny_model, slow, "--out", out, "--workers", 1, "--shard-pages", 2)
    command.wait_for_parts(out, 1)
    command.signal(signal.SIGSTOP)  # it goes on writing for as long as this test takes
    assert command.process.poll() is None
    with pytest.raises(ClausemarkError, match="another clausemark batch"):
        run(crawl, out=out)
    command.signal(signal.SIGKILL)
    command.finish()
    run(slow, out=out, limit=1)  # the system has taken its lock back


# The command --------------------------------------------------------------------------------------


def test_the_command_prints_a_summary(
    crawl: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "batch",
        str(crawl),
        "--out",
        str(tmp_path / "out"),
        "--model",
        str(tiny_model),
        "--workers",
        "1",
    ]
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert caught.value.code == 0
    assert err == ""
    assert out.startswith("64 pages: 61 documents")
    with pytest.raises(SystemExit):
        main([*arguments, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["pages"] == 64
    assert found["run"]["pages"] == 0
    assert sum(found["primary"].values()) == found["clauses"]
    assert found["labels"].keys() == found["label_shares"].keys() <= set(CATEGORIES)
    assert pa.types.is_string(DOCUMENTS.field("digest").type)


def test_wrong_commands_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["gone.html", "--out", str(tmp_path)], ["--out", str(tmp_path)], [str(tmp_path)]):
        with pytest.raises(SystemExit) as caught:
            main(["batch", *arguments])
        assert caught.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1
