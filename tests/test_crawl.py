"""Crawls: every container gives its pages in order, and what is broken costs itself alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clausemark.crawl import Crawl, Failure, Page
from clausemark.errors import InputError

PAGES = [f"<html><p>We collect {i} names.</p></html>" for i in range(6)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name: str, content: str | bytes = PAGES[0]) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return name


def pages(*inputs: str, **options: object) -> list[Page]:
    found = list(Crawl(inputs, **options))  # type: ignore[arg-type]
    assert not [item for item in found if isinstance(item, Failure)]
    return found  # type: ignore[return-value]


def sources(*inputs: str, **options: object) -> list[str]:
    return [page.source for page in pages(*inputs, **options)]


def contents(*inputs: str, **options: object) -> list[str]:
    return [page.content.decode() for page in pages(*inputs, **options)]


def split(*inputs: str, **options: object) -> tuple[list[str], list[Failure]]:
    """Read what is partly broken: texts of the pages, and failures."""
    found = list(Crawl(inputs, **options))  # type: ignore[arg-type]
    failures = [item for item in found if isinstance(item, Failure)]
    assert all(f.stage == "read" and f.message and "\n" not in f.message for f in failures)
    return [item.content.decode(errors="replace") for item in found if isinstance(item, Page)], failures


# Writers of containers ----------------------------------------------------------------------------


def http(body: bytes, kind: str = "text/html", status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def record(i: int, block: bytes, kind: str = "response", content_type: str = "application/http") -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{i}>\r\n"
        f"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Target-URI: https://site{i}.example/privacy\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


RECORDS = [record(i, http(page.encode())) for i, page in enumerate(PAGES)]
LINES = [json.dumps({"url": f"https://site{i}.example", "html": page}) for i, page in enumerate(PAGES)]


def table(**columns: list[object]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, row_group_size=2)
    return bytes(sink.getvalue())


def zst(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


CONTAINERS = {
    "c.warc": b"".join(RECORDS),
    "c.warc.gz": b"".join(map(gzip.compress, RECORDS)),
    "c.jsonl": "\n".join(LINES).encode(),
    "c.jsonl.gz": b"".join(gzip.compress(line.encode() + b"\n") for line in LINES),
    "c.jsonl.zst": zst("\n".join(LINES).encode()),
    "c.parquet": table(html=PAGES, url=[f"https://site{i}.example" for i in range(6)], size=list(range(6))),
}  # fmt: skip


# Files and folders --------------------------------------------------------------------------------


def test_a_folder_gives_its_pages_in_order_of_their_names() -> None:
    for name in ("b/2.html", "b/1.txt", "a.md", "c.pdf", "picture.png", "b/c/3.htm"):
        save(f"crawl/{name}")
    assert sources("crawl") == [
        "crawl/a.md", "crawl/b/1.txt", "crawl/b/2.html", "crawl/b/c/3.htm", "crawl/c.pdf",
    ]  # fmt: skip
    assert [page.media for page in pages("crawl")] == ["markdown", "text", "html", "html", "pdf"]


def test_a_folder_may_hold_containers_and_the_dataset_that_is_being_written() -> None:
    save("crawl/x.jsonl", LINES[0])
    save("crawl/out/clauses/part-00000.parquet", table(text=["We sell data."]))
    assert sources("crawl", exclude=Path("crawl/out")) == ["crawl/x.jsonl#0"]


def test_a_glob_gives_files_of_any_name() -> None:
    for name in ("a.1", "a.2", "b.1"):
        save(name)
    assert sources("a.*", "b.1") == ["a.1", "a.2", "b.1"]


def test_what_is_listed_on_standard_input_is_read() -> None:
    save("a b.html")
    save("d/x.html")
    found, failures = split("-", listing=["a b.html\n", "d\n", "\n", "gone.html\n"])
    assert len(found) == 2
    assert [failure.source for failure in failures] == ["gone.html"]


def test_a_name_of_a_file_that_is_not_unicode_is_written_out(folder: Path) -> None:
    try:
        Path(b"caf\xe9.html".decode("utf-8", "surrogateescape")).write_text("x")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    assert sources(".") == [r"caf\udce9.html"]


@pytest.mark.parametrize("name", ["gone.html", "gone/*.html", "", "gone"])
def test_an_input_that_is_not_there_is_a_wrong_command(name: str) -> None:
    with pytest.raises(InputError, match=r"no such file|fits this pattern"):
        Crawl([name])


def test_inputs_are_needed() -> None:
    with pytest.raises(InputError, match="standard input"):
        Crawl([])


def test_a_file_that_cannot_be_opened_is_a_failure(folder: Path) -> None:
    save("a.html")
    Path("b.html").symlink_to("nowhere.html")
    save("c.html")
    found, failures = split("-", listing=["a.html", "b.html", "c.html"])
    assert len(found) == 2
    assert [(f.source, f.message) for f in failures] == [
        ("b.html", "cannot be read: No such file or directory")
    ]


# Containers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_gives_its_pages_with_addresses_in_order(name: str) -> None:
    found = pages(save(name, CONTAINERS[name]))
    assert [page.content.decode() for page in found] == PAGES
    assert [page.url for page in found] == [
        f"https://site{i}.example{'/privacy' if 'warc' in name else ''}" for i in range(6)
    ]
    mark = "urn:uuid:" if "warc" in name else ""
    assert [page.source for page in found] == [f"{name}#{mark}{i}" for i in range(6)]


@pytest.mark.parametrize("name", CONTAINERS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_container_never_ends_the_crawl(name: str, data: st.DataObject) -> None:
    whole = CONTAINERS[name]
    at = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.one_of(st.none(), st.binary(min_size=1, max_size=20)))
    save("broken/" + name, whole[:at] if junk is None else whole[:at] + junk + whole[at + len(junk) :])
    after = save("broken/z.html", "<p>The last.</p>")
    found, _ = split("broken")
    assert found[-1] == Path(after).read_text()


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_that_breaks_off_gives_what_came_before_and_a_failure(name: str) -> None:
    found, failures = split(save(name, CONTAINERS[name][:-25]))
    assert found == PAGES[: len(found)]
    assert failures
    assert all(failure.source.startswith(name) for failure in failures)
    if name in ("c.warc", "c.warc.gz", "c.jsonl"):
        assert len(found) == 5


def test_a_line_that_is_no_json_costs_itself_alone() -> None:
    lines = [
        LINES[0],
        "{oops",
        "",
        "[1]",
        '{"html": 3}',
        '{"html": null}',
        '{"x": 1}',
        r'{"html": "\ud800"}',
        LINES[1],
    ]
    found, failures = split(save("c.jsonl", "\n".join(lines)))
    assert found == PAGES[:2]
    assert [f.source for f in failures] == [f"c.jsonl#{i}" for i in (1, 3, 4, 5, 6, 7)]
    assert "--column" in failures[4].message


def test_a_damaged_row_group_costs_itself_alone() -> None:
    data = table(html=PAGES)
    at = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(1).column(0).data_page_offset
    found, failures = split(save("c.parquet", data[:at] + b"\xff" * 30 + data[at + 30 :]))
    assert found == PAGES[:2] + PAGES[4:]
    assert [f.source for f in failures] == ["c.parquet#2"]


def test_a_broken_record_of_a_warc_costs_itself_alone() -> None:
    bad = record(9, http(b"not gzip", more="Content-Encoding: gzip\r\n"))
    found, failures = split(save("c.warc", RECORDS[0] + bad + RECORDS[1]))
    assert found == PAGES[:2]
    assert [f.source for f in failures] == ["c.warc#urn:uuid:9"]


def test_records_that_are_no_pages_are_left_out() -> None:
    body = PAGES[0].encode()
    records = [
        record(0, http(body)),
        record(1, http(b"", status="301 Moved")),
        record(2, http(b"\x89PNG", "image/png")),
        record(3, http(gzip.compress(body), more="Content-Encoding: gzip\r\n")),
        record(4, b"GET / HTTP/1.1\r\n\r\n", "request"),
        record(5, b"We sell data.", "conversion", "text/plain"),
        record(6, http(body, status="404 Not Found")),
    ]
    found = pages(save("c.warc", b"".join(records)))
    assert [page.source[-1] for page in found] == ["0", "3", "5", "6"]
    assert found[1].content == body


def test_a_name_that_another_page_has_gives_way_to_the_row() -> None:
    save("a.warc", RECORDS[0] + RECORDS[0])
    taken: set[str] = set()

    def claim(source: str) -> str:
        new = source not in taken
        taken.add(source)
        return "new" if new else "taken"

    assert sources("a.warc", claim=claim) == ["a.warc#urn:uuid:0", "a.warc#1"]


def test_pages_that_are_done_are_not_read() -> None:
    save("a.html")
    save("c.jsonl", "\n".join(LINES))
    done = {"a.html", "c.jsonl#1"}
    found = sources("a.html", "c.jsonl", claim=lambda s: "done" if s in done else "new")
    assert found == [f"c.jsonl#{i}" for i in (0, 2, 3, 4, 5)]


def test_columns_can_be_named() -> None:
    name = save("c.parquet", table(page=PAGES[:2], html=["x", "y"], id=["one", "two"], link=["l1", "l2"]))
    found = pages(name, column="page", url_column="link", source_column="id")
    assert [(p.source, p.url, p.content.decode()) for p in found] == [
        ("one", "l1", PAGES[0]),
        ("two", "l2", PAGES[1]),
    ]


def test_a_table_may_hold_bytes() -> None:
    assert contents(save("c.parquet", table(html=[page.encode() for page in PAGES]))) == PAGES


def test_a_table_without_pages_says_how_to_name_the_column() -> None:
    _, failures = split(save("c.parquet", table(x=[1])))
    assert [f.source for f in failures] == ["c.parquet"]
    assert "--column" in failures[0].message


def test_a_saved_dataset_is_read() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"text": PAGES, "url": [f"u{i}" for i in range(6)]})
    data.save_to_disk("one")
    datasets.DatasetDict({"train": data, "test": data.select(range(2))}).save_to_disk("two")
    assert contents("one") == PAGES
    assert sources("one")[:2] == ["one#0", "one#1"]
    assert sources("two") == [f"two/train#{i}" for i in range(6)] + ["two/test#0", "two/test#1"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_position_ends_at_the_size(name: str) -> None:
    save("a.html")
    crawl = Crawl(["a.html", save(name, CONTAINERS[name])])
    places = [crawl.position for _ in crawl]
    assert places == sorted(places)
    assert crawl.position == crawl.size() == len(PAGES[0]) + len(CONTAINERS[name])


def test_a_container_that_is_named_twice_is_read_once() -> None:
    assert len(sources(save("c.jsonl", "\n".join(LINES)), "./c.jsonl", "*.jsonl")) == 6
