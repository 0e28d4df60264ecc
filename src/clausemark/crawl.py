"""Crawls: a stream of pages from folders, globs, WARC, JSONL, Parquet and saved datasets.

Nothing is held but the page at hand (and the names in one folder, to sort them). What cannot be read
becomes a `Failure` in the stream: a bad record costs that record, a broken file what follows in it.
"""

from __future__ import annotations

import glob
import gzip
import io
import json
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

from clausemark.documents import MAX_BYTES, Media, media_of
from clausemark.errors import InputError

Stage = Literal["read", "extract", "label"]
Claim = Literal["new", "done", "taken"]

#: Columns and fields that hold a page, and its address, where none are named.
CONTENT: Final = ("html", "text", "content", "body")
URL: Final = ("url", "uri")
_WARC: Final = re.compile(r"\.(?:warc|wet)(?:\.gz|\.zst)?$", re.I)
_JSONL: Final = re.compile(r"\.(?:jsonl|ndjson)(?:\.gz|\.zst)?$", re.I)
_PARQUET: Final = re.compile(r"\.(?:parquet|pq)$", re.I)
_PAGE_TYPES: Final = re.compile(r"text/html|application/xhtml\+xml|text/plain|text/markdown|application/pdf")
_BAD_READ: Final = (OSError, EOFError, zlib.error, ValueError)
#: Longest line of JSON; escapes make it longer than its page.
_MAX_LINE: Final = 2 * MAX_BYTES
_TOO_BIG: Final = f"has more than {MAX_BYTES // 1_000_000} MB, which no policy has"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was crawled.

    Attributes
    ----------
    source : str
        Name that no other page of the crawl has: the path of a file, ``path#row`` (rows of JSONL,
        Parquet and datasets count from 0), ``path#record-id`` in a WARC, or what the source column says.
    url : str or None
        Where it is known.
    content : bytes
        HTML, text, Markdown or PDF. Strings are UTF-8 here.
    media : {"html", "text", "markdown", "pdf"} or None
        What the file's suffix says it is; None to find out from the content.
    """

    source: str
    url: str | None
    content: bytes
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """A page, record or file that could not be labeled.

    Attributes
    ----------
    source : str
        As of a page; the path for a file that breaks off or cannot be opened.
    stage : {"read", "extract", "label"}
        Where it failed: reading the crawl, making a document of the page, or labeling that.
    message : str
        One line.
    """

    source: str
    stage: Stage
    message: str


class Crawl:
    """The pages of some inputs, in an order that is always the same.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, globs; ``-`` reads more of them from `listing`, one a line.
    column, url_column, source_column : str, optional
        Which columns of Parquet files and datasets, or fields of JSON lines, hold the page, its
        address and its name. By default the first of `CONTENT` and of `URL`, and ``path#row``.
    exclude : pathlib.Path, optional
        A folder to leave out where an input holds it.
    claim : callable, optional
        Told the name of each page before it is read; says whether it is new. A page that is "done" is
        left out; one whose name is "taken" by another gets the name ``path#row`` instead.
    listing : iterable of str, optional
        Standard input by default.

    Attributes
    ----------
    position : int
        Bytes of the inputs read so far.

    Raises
    ------
    InputError
        If an input does not exist, or a glob fits nothing.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        column: str | None = None,
        url_column: str | None = None,
        source_column: str | None = None,
        exclude: Path | None = None,
        claim: Callable[[str], Claim] = lambda source: "new",
        listing: Iterable[str] | None = None,
    ) -> None:
        if not inputs:
            raise InputError("name files, folders or globs, or - for a list on standard input")
        for name in inputs:
            if name != "-" and next(_expand(name), None) is None:
                what = "no file fits this pattern" if glob.has_magic(name) else "no such file or folder"
                raise InputError(what, where=name or "''")
        self.inputs = tuple(dict.fromkeys(inputs))
        self.column, self.url_column, self.source_column = column, url_column, source_column
        self.exclude = exclude.resolve() if exclude else None
        self.claim, self.listing = claim, listing
        self.position = 0
        self._containers: set[str] = set()
        self._raw: IO[bytes] | None = None

    def size(self) -> int | None:
        """Count the bytes of all inputs.

        Returns
        -------
        int or None
            None where they are listed on standard input.
        """
        if "-" in self.inputs:
            return None
        return sum(_size(path) for name in self.inputs for path in self._files(name))

    def __iter__(self) -> Iterator[Page | Failure]:
        for path in map(os.path.normpath, self._paths()):
            start = self.position
            size = _size(path)
            for item in self._read(path):
                if self._raw is not None and not self._raw.closed:
                    self.position = start + min(self._raw.tell(), size)
                yield item
            self.position = start + size

    def _paths(self) -> Iterator[str]:
        for name in self.inputs:
            if name != "-":
                yield from self._files(name)
                continue
            for line in sys.stdin if self.listing is None else self.listing:
                if line := line.rstrip("\r\n"):
                    # What is listed and not there is the crawl's loss, not a wrong command.
                    yield from self._files(line) if next(_expand(line), None) else (line,)

    def _files(self, name: str) -> Iterator[str]:
        for path in _expand(name):
            if Path(path).is_dir() and not _is_dataset(path):
                yield from self._walk(path)
            else:
                yield path

    def _walk(self, folder: str) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            yield folder  # reading it says why
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if self.exclude and Path(entry.path).resolve() == self.exclude:
                    continue
                if _is_dataset(entry.path):
                    yield entry.path
                else:
                    yield from self._walk(entry.path)
            elif (media_of(entry.name) or _is_container(entry.name)) and entry.is_file():
                yield entry.path

    def _read(self, path: str) -> Iterator[Page | Failure]:
        container = _is_container(path) or _is_dataset(path)
        if not container:
            if self._name(path):
                yield _read_file(path)
            return
        if path in self._containers:  # named twice
            return
        self._containers.add(path)
        reader = (
            self._read_warc if _WARC.search(path)
            else self._read_jsonl if _JSONL.search(path)
            else self._read_parquet if _PARQUET.search(path)
            else self._read_dataset
        )  # fmt: skip
        try:
            yield from reader(path)
        except Exception as error:  # whatever a library says of a broken file
            yield from self._failure(path, f"cannot be read: {_reason(error)}")
        finally:
            if self._raw:
                self._raw.close()
                self._raw = None

    def _name(self, name: str, fallback: str | None = None) -> str | None:
        """Claim a name for a page; None for a page that is not to be read."""
        for candidate in (name, fallback):
            if candidate and (claim := self.claim(_clean(candidate))) != "taken":
                return _clean(candidate) if claim == "new" else None
        return None

    def _failure(self, source: str, message: str) -> Iterator[Failure]:
        if name := self._name(source):
            yield Failure(name, "read", message)

    def _open(self, path: str) -> IO[bytes]:
        """Open a file, decompressed by its suffix; `_raw` tells how far it has been read."""
        self._raw = raw = Path(path).open("rb")  # noqa: SIM115
        if path.lower().endswith(".gz"):
            # Python's own, because it gives all that comes before the place where a file is damaged.
            return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
        if path.lower().endswith(".zst"):
            import pyarrow as pa

            return io.BufferedReader(pa.input_stream(raw, compression="zstd"))
        return raw

    # Formats -------------------------------------------------------------------------------------

    def _read_warc(self, path: str) -> Iterator[Page | Failure]:
        from fastwarc.warc import ArchiveIterator, WarcRecordType

        kinds = WarcRecordType.response | WarcRecordType.resource | WarcRecordType.conversion
        stream = _Tape(self._open(path))
        row = -1
        try:
            for row, record in enumerate(ArchiveIterator(stream, record_types=kinds, parse_http=False)):
                identity = (record.record_id or "").strip("<>")
                fallback = f"{path}#{row}"
                name = self._name(f"{path}#{identity}" if identity else fallback, fallback)
                if not name:
                    continue
                if record.content_length > MAX_BYTES:
                    yield Failure(name, "read", _TOO_BIG)
                    continue
                block = record.reader.read(record.content_length)
                if not identity or len(block) < record.content_length:
                    yield Failure(name, "read", "is a record that breaks off")
                    continue
                try:
                    content = _payload(record, block)
                except OSError as error:
                    yield Failure(name, "read", f"is a broken record: {_reason(error)}")
                    continue
                if content is not None:
                    url = record.headers.get("WARC-Target-URI")
                    yield Page(name, url.strip("<>") if url else None, content)
        except BaseException as error:
            # The Rust library panics on some broken files, which is no Exception.
            if not isinstance(error, OSError) and type(error).__name__ != "PanicException":
                raise
            stream.error = stream.error or error
        if stream.error:
            yield from self._failure(path, f"is damaged after {row + 1} records: {_reason(stream.error)}")

    def _read_jsonl(self, path: str) -> Iterator[Page | Failure]:
        stream = self._open(path)
        row = -1
        try:
            while line := stream.readline(_MAX_LINE):
                row += 1
                if not line.strip():
                    continue
                if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                    while (rest := stream.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield from self._failure(f"{path}#{row}", _TOO_BIG)
                    continue
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield from self._failure(f"{path}#{row}", f"is not JSON: {error}")
                    continue
                if isinstance(record, dict):
                    yield from self._row(record, path, row)
                else:
                    yield from self._failure(f"{path}#{row}", "is no JSON object")
        except _BAD_READ as error:
            yield from self._failure(path, f"is damaged after {row + 1} lines: {_reason(error)}")

    def _read_parquet(self, path: str) -> Iterator[Page | Failure]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._raw = Path(path).open("rb")  # noqa: SIM115
        # Buffered, so that a row group is not read at once.
        with pq.ParquetFile(self._raw, buffer_size=1 << 20, pre_buffer=False) as file:
            columns = self._columns(file.schema_arrow.names)
            if columns is None:
                yield from self._failure(path, self._no_column("columns"))
                return
            row = 0
            for group in range(file.num_row_groups):
                end = row + file.metadata.row_group(group).num_rows
                try:
                    for batch in file.iter_batches(16, [group], columns=columns, use_threads=False):
                        yield from self._rows(batch, path, row)
                        row += batch.num_rows
                except (OSError, pa.ArrowException) as error:
                    yield from self._failure(
                        f"{path}#{row}", f"is damaged, with the rows up to {end - 1}: {_reason(error)}"
                    )
                row = end

    def _read_dataset(self, folder: str) -> Iterator[Page | Failure]:
        import pyarrow as pa

        index = Path(folder, "dataset_dict.json")
        if index.exists():
            for split in json.loads(index.read_text(encoding="utf-8"))["splits"]:
                yield from self._read(str(Path(folder, split)))
            return
        state = json.loads(Path(folder, "state.json").read_text(encoding="utf-8"))
        row = 0
        for name in (file["filename"] for file in state["_data_files"]):
            with pa.memory_map(str(Path(folder, name))) as source, pa.ipc.open_stream(source) as reader:
                columns = self._columns(reader.schema.names)
                if columns is None:
                    yield from self._failure(folder, self._no_column("columns"))
                    return
                for batch in reader:
                    yield from self._rows(batch.select(columns), folder, row)
                    row += batch.num_rows

    # Rows ----------------------------------------------------------------------------------------

    def _columns(self, names: Sequence[str]) -> list[str] | None:
        """Choose the columns to read, None where there is none that holds pages."""
        content = [self.column] if self.column else CONTENT
        if not any(name in names for name in content):
            return None
        wanted = {*content, *([self.url_column] if self.url_column else URL), self.source_column}
        return [name for name in names if name in wanted]

    def _no_column(self, what: str) -> str:
        names = ", ".join([self.column] if self.column else CONTENT)
        return f"has none of the {what} {names}: name yours with --column"

    def _rows(self, batch: Any, path: str, first: int) -> Iterator[Page | Failure]:
        for i in range(batch.num_rows):
            yield from self._row({n: batch.column(n)[i].as_py() for n in batch.schema.names}, path, first + i)

    def _row(self, record: dict[str, Any], path: str, row: int) -> Iterator[Page | Failure]:
        fallback = f"{path}#{row}"
        given = record.get(self.source_column) if self.source_column else None
        name = self._name(fallback if given is None else str(given), fallback)
        if not name:
            return
        found = [key for key in ([self.column] if self.column else CONTENT) if record.get(key) is not None]
        if not found:
            known = self._columns(list(record))
            yield Failure(name, "read", "is empty" if known else self._no_column("fields"))
            return
        content = record[found[0]]
        url = next(
            (record[k] for k in ([self.url_column] if self.url_column else URL) if record.get(k)), None
        )
        if isinstance(content, str):
            try:
                content = content.encode()
            except UnicodeEncodeError:
                yield Failure(name, "read", "is not Unicode text: it holds lone surrogates")
                return
        if not isinstance(content, bytes):
            yield Failure(name, "read", f"{found[0]} holds neither text nor bytes")
            return
        yield Page(name, None if url is None else _clean(str(url)), content)


class _Tape:
    """A stream that ends where it is damaged, and remembers why; fastwarc asks it where it stands."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.place = stream, 0
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            # read1 gives what can be had before the damage
            data: bytes = self.stream.read1(size)  # type: ignore[attr-defined]
        except _BAD_READ as error:
            self.error = error
            return b""
        self.place += len(data)
        return data

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = 0) -> int:
        raise OSError("a stream has no way back")

    def close(self) -> None:
        self.stream.close()


def _payload(record: Any, block: bytes) -> bytes | None:
    """Take the page out of a record; None where it holds no page (a redirect, a picture)."""
    from fastwarc.warc import WarcRecord

    if not record.is_http:
        kind = record.headers.get("Content-Type") or ""
        return block if not kind or _PAGE_TYPES.match(kind.lower()) else None
    # A record of its own, so that one that cannot be decoded does not end the archive.
    http = WarcRecord()
    http.init_headers(record.record_type, content_length=len(block))
    http.is_http = True
    http.set_bytes_content(block)
    http.parse_http(auto_decode="all")
    status = http.http_headers.status_code or 200
    kind = (http.http_content_type or "").lower()
    if status < 200 or status in (204, 205) or 300 <= status < 400 or (kind and not _PAGE_TYPES.match(kind)):
        return None
    content = bytes(http.reader.read(MAX_BYTES + 1))
    if len(content) > MAX_BYTES:
        raise OSError(_TOO_BIG)
    return content


def _read_file(path: str) -> Page | Failure:
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            return Failure(_clean(path), "read", _TOO_BIG)
        return Page(_clean(path), None, Path(path).read_bytes(), media_of(path))
    except (OSError, ValueError) as error:
        return Failure(_clean(path), "read", f"cannot be read: {_reason(error)}")


def _expand(name: str) -> Iterator[str]:
    """Give the files and folders that a name stands for."""
    try:
        if name and Path(name).exists():
            yield name
        elif glob.has_magic(name):
            yield from sorted(p for p in glob.iglob(name, recursive=True) if Path(p).is_file())  # noqa: PTH207
    except (OSError, ValueError):
        return


def _is_container(name: str) -> bool:
    return any(kind.search(name) for kind in (_WARC, _JSONL, _PARQUET))


def _is_dataset(path: str) -> bool:
    return any(Path(path, name).is_file() for name in ("state.json", "dataset_dict.json"))


def _size(path: str) -> int:
    try:
        if Path(path).is_dir():
            return sum(p.stat().st_size for p in Path(path).rglob("*") if p.is_file())
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0


def _reason(error: BaseException) -> str:
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())


def _clean(text: str) -> str:
    """Make a file name or address that is not Unicode fit for a table."""
    return text.encode("utf-8", "backslashreplace").decode()
