"""The dataset that a batch writes: Parquet parts that appear whole or not at all.

A part is written and synced under ``_work``, then renamed into its folder. The part of ``documents`` comes
last: it says that its shard is there. Whatever else a killed process leaves is removed when the
dataset is opened again, so that pages are never lost and never doubled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clausemark.crawl import Claim, Failure
from clausemark.errors import ClausemarkError, InputError
from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    from clausemark.predict import Labels

FORMAT: Final = "clausemark-batch/2"
TABLES: Final = ("clauses", "errors", "documents")
#: Clauses held before they are written as a row group.
ROW_GROUP: Final = 50_000

_NAME: Final = pa.dictionary(pa.int32(), pa.string())
_CLAUSES: Final = pa.schema(
    [
        ("doc", pa.string()),
        ("index", pa.int32()),
        ("paragraph", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("kind", _NAME),
        ("heading", pa.string()),
        ("text", pa.string()),
        ("primary", _NAME),
        ("labels", pa.list_(pa.string())),
        *((name, pa.float32()) for name in CATEGORIES),
        ("needs_review", pa.bool_()),
    ]
)
DOCUMENTS: Final = pa.schema(
    [
        ("source", pa.string()),
        ("url", pa.string()),
        ("language", pa.string()),
        ("title", pa.string()),
        ("bytes", pa.int64()),
        ("clauses", pa.int32()),
        ("words", pa.int32()),
        ("is_policy", pa.bool_()),
        ("policy_score", pa.float32()),
        ("digest", pa.string()),
        ("duplicate_of", pa.string()),
    ]
)
ERRORS: Final = pa.schema([("source", pa.string()), ("stage", _NAME), ("message", pa.string())])

#: Columns whose values come again and again, and are encoded as dictionaries.
_REPEATED: Final = ("doc", "kind", "heading", "primary", "labels.list.element", "language", "stage")
_KINDS: Final = ("heading", "sentence", "item")
_PART: Final = re.compile(r"part-(\d{5,})\.parquet")
_TOTALS: Final = b"clausemark"


def clauses_schema(text: bool = True) -> pa.Schema:
    """Give the columns of the clauses.

    Parameters
    ----------
    text : bool
        With the text of each clause.

    Returns
    -------
    pyarrow.Schema
    """
    return _CLAUSES if text else _CLAUSES.remove(_CLAUSES.get_field_index("text"))


def clause_batch(labels: Sequence[Labels], *, text: bool = True) -> pa.RecordBatch:
    """Lay the clauses of labeled documents out as rows.

    Parameters
    ----------
    labels : sequence of Labels
    text : bool
        With the text of each clause.

    Returns
    -------
    pyarrow.RecordBatch
        Columns as `clauses_schema`.
    """
    clauses = [clause for each in labels for clause in each.clauses]
    texts, kinds, starts, ends, paragraphs = zip(*clauses, strict=True) if clauses else [()] * 5
    counts = [len(each.clauses) for each in labels]
    nothing = np.empty((0, len(CATEGORIES)))
    chances, order, given = (
        np.concatenate([nothing.astype(kind), *(getattr(each, name) for each in labels)])
        for name, kind in (("chances", np.float64), ("order", np.int64), ("given", np.bool_))
    )
    places = np.concatenate([np.arange(0), *map(np.arange, counts)])
    sources = pa.array([each.document.source for each in labels], pa.string())
    names = pa.array(CATEGORIES, pa.string())
    columns = {
        "doc": sources.take(pa.array(np.repeat(np.arange(len(labels)), counts))),
        "index": pa.array(places, pa.int32()),
        "paragraph": pa.array(paragraphs, pa.int32()),
        "start": pa.array(starts, pa.int32()),
        "end": pa.array(ends, pa.int32()),
        "kind": _names([*map(_KINDS.index, kinds)], _KINDS),
        "heading": pa.array([heading for each in labels for heading in each.headings], pa.string()),
        "text": pa.array(texts, pa.string()) if text else None,
        "primary": _names(order[:, 0], CATEGORIES),
        "labels": pa.ListArray.from_arrays(
            np.concatenate([[0], given.sum(axis=1)]).cumsum().astype(np.int32),
            names.take(pa.array(order[given])),
        ),
        **dict(zip(CATEGORIES, map(pa.array, chances.T.astype(np.float32, order="C")), strict=True)),
        "needs_review": pa.array(
            np.concatenate([nothing.any(axis=1), *(each.needs_review for each in labels)])
        ),
    }
    schema = clauses_schema(text)
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a dataset says of its run.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    dict
        Empty where there is no manifest.

    Raises
    ------
    InputError
        If it cannot be read, is no manifest of a batch, or that of another format.
    """
    path = folder / "manifest.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        kind, _, _ = found["format"].partition("/")
        if kind != FORMAT.partition("/")[0]:
            raise ValueError
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError("is no manifest of a batch; name another folder", where=path) from None
    if found["format"] != FORMAT:
        raise InputError(
            f"holds a dataset of the format {found['format']}, and this clausemark has {FORMAT}: run"
            " clausemark batch again, into another folder",
            where=folder,
        )
    return dict(found)


def _names(indices: Any, names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), pa.array(names, pa.string()))


@dataclass
class Totals:
    """What a dataset, or a shard of it, adds up to.

    Attributes
    ----------
    pages : int
        Rows of documents and errors.
    documents, duplicates, policies, clauses, errors : int
    bytes : int
        Of the documents' content.
    languages, stages, labels, primary : Counter
        Documents a language, errors a stage, clauses that have a label, clauses whose primary it is.
    """

    pages: int = 0
    documents: int = 0
    duplicates: int = 0
    policies: int = 0
    clauses: int = 0
    errors: int = 0
    bytes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    primary: Counter[str] = field(default_factory=Counter)

    def add(self, other: Mapping[str, Any]) -> None:
        """Add counts.

        Parameters
        ----------
        other : mapping
            As `to_dict` gives it.
        """
        for name, value in other.items():
            if isinstance(value, Mapping):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def count_document(self, row: Mapping[str, Any]) -> None:
        """Count a row of documents."""
        self.pages += 1
        self.documents += 1
        self.duplicates += row["duplicate_of"] is not None
        self.policies += bool(row["is_policy"])
        self.bytes += row["bytes"]
        self.languages[row["language"]] += 1

    def count_failure(self, failure: Failure) -> None:
        """Count a row of errors."""
        self.pages += 1
        self.errors += 1
        self.stages[failure.stage] += 1

    def count_clauses(self, batch: pa.RecordBatch) -> None:
        """Count rows of clauses."""
        self.clauses += batch.num_rows
        for into, column in ((self.primary, batch["primary"]), (self.labels, batch["labels"].flatten())):
            into.update({entry["values"]: entry["counts"] for entry in column.value_counts().to_pylist()})

    def to_dict(self) -> dict[str, Any]:
        """Give the counts as plain types, the most frequent first."""
        return {
            name: dict(sorted(value.items(), key=lambda pair: (-pair[1], pair[0])))
            if isinstance(value, dict)
            else value
            for name, value in vars(self).items()
        }


class Dataset:
    """A folder of Parquet parts that grows by whole shards; a context manager.

    Parameters
    ----------
    folder : pathlib.Path
        Made if missing. A dataset that is there goes on.
    manifest : mapping
        ``model`` (digest), ``version``, ``parameters`` and ``inputs``; the first three must be those
        of the dataset that is there.

    Attributes
    ----------
    totals : Totals
        Of all committed shards.
    index : Index
        Names and contents of all pages so far.

    Raises
    ------
    InputError
        If the folder holds something else, or a dataset of another format, model, version or
        parameters.
    ClausemarkError
        If another process writes there.
    """

    def __init__(self, folder: Path, manifest: Mapping[str, Any]) -> None:
        self.folder = folder
        self.manifest = {"format": FORMAT, **manifest}
        self.totals = Totals()
        self._work = folder / "_work"
        self._check()
        for name in ("_work", *TABLES):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        for path in self._work.iterdir():
            path.unlink()
        self.index = Index(self._work / "index.sqlite")
        self.shards = self._recover()
        self._text = bool(self.manifest["parameters"]["text"])
        self._write_manifest(complete=False)
        self._begin()

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the committed shards, remove what is not."""
        with contextlib.suppress(Exception):
            self._clauses.close()
        self._stream.close()
        self.index.close()
        for path in self._work.iterdir():
            path.unlink()
        self._work.rmdir()
        os.close(self._lock)

    def write(
        self, clauses: Sequence[pa.RecordBatch], outcomes: Sequence[Mapping[str, Any] | Failure]
    ) -> None:
        """Add pages to the shard in hand.

        Parameters
        ----------
        clauses : sequence of pyarrow.RecordBatch
            Of these pages.
        outcomes : sequence of mapping or Failure
            A row of documents or of errors for each page, in the order of the crawl.
        """
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self._failures.append(outcome)
                self._shard.count_failure(outcome)
            else:
                self._documents.append(dict(outcome))
                self._shard.count_document(outcome)
        for batch in clauses:
            self._shard.count_clauses(batch)
            self._pending.append(batch)
            if sum(b.num_rows for b in self._pending) >= ROW_GROUP:
                self._flush()

    def commit(self) -> None:
        """Make the shard in hand part of the dataset; one without pages is left out."""
        if not self._documents and not self._failures:
            return
        self._flush()
        self._clauses.close()
        _sync(self._stream)
        with _write(self._work / "errors", ERRORS) as errors:
            rows = [asdict(failure) for failure in self._failures]
            errors.write_table(pa.Table.from_pylist(rows, schema=ERRORS))
        with _write(self._work / "documents", DOCUMENTS) as documents:
            documents.write_table(pa.Table.from_pylist(self._documents, schema=DOCUMENTS))
            documents.add_key_value_metadata({_TOTALS: json.dumps(self._shard.to_dict())})
        for table in TABLES:  # documents last
            (self._work / table).replace(self._part(table, self.shards))
            _sync_folder(self.folder / table)
        self.totals.add(self._shard.to_dict())
        self.shards += 1
        self._begin()

    def finish(self) -> None:
        """Say in the manifest that all pages of the inputs are there."""
        self._write_manifest(complete=True)

    @property
    def pending(self) -> Totals:
        """Counts of the shard in hand."""
        return self._shard

    def _begin(self) -> None:
        self._shard = Totals()
        self._documents: list[dict[str, Any]] = []
        self._failures: list[Failure] = []
        self._pending: list[pa.RecordBatch] = []
        self._stream = (self._work / "clauses").open("wb")
        self._clauses = _writer(self._stream, clauses_schema(self._text))

    def _flush(self) -> None:
        if self._pending:
            self._clauses.write_table(pa.Table.from_batches(self._pending), row_group_size=2 * ROW_GROUP)
            self._pending = []

    def _part(self, table: str, number: int) -> Path:
        return self.folder / table / f"part-{number:05}.parquet"

    def _check(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError("is a file; --out needs a folder", where=self.folder)
        old = read_manifest(self.folder)
        if not old:
            # A process killed before its manifest has left no more than empty folders.
            if self.folder.is_dir() and {p.name for p in self.folder.iterdir()} - {"_work", *TABLES}:
                raise InputError("is not empty and holds no batch; name another folder", where=self.folder)
            return
        changed = [name for name in ("model", "version") if old.get(name) != self.manifest[name]]
        was, now = old.get("parameters", {}), self.manifest["parameters"]
        changed += [name.replace("_", "-") for name in now if was.get(name) != now[name]]
        if changed:
            raise InputError(
                f"was made with another {' and '.join(changed)}: go on as its manifest.json says, or name"
                " another folder",
                where=self.folder,
            )
        self.manifest["inputs"] = list(dict.fromkeys([*old.get("inputs", ()), *self.manifest["inputs"]]))

    def _recover(self) -> int:
        """Remove parts that were not committed and learn those that were; return their number."""
        numbers = sorted(
            int(found.group(1))
            for path in (self.folder / "documents").iterdir()
            if (found := _PART.fullmatch(path.name))
        )
        count = len(numbers)
        if numbers != list(range(count)):
            raise InputError("has lost parts of documents; name another folder", where=self.folder)
        for table in TABLES:
            for path in (self.folder / table).iterdir():
                found = _PART.fullmatch(path.name)
                if found and int(found.group(1)) >= count:
                    path.unlink()
        for number in range(count):
            try:
                with pq.ParquetFile(self._part("documents", number)) as file:
                    self.totals.add(json.loads(file.metadata.metadata[_TOTALS]))
                    self.index.learn(file.read().to_pylist())
                self.index.learn_failures(pq.read_table(self._part("errors", number))["source"].to_pylist())
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise InputError(f"has a damaged part {number}: {error}", where=self.folder) from None
        return count

    def _write_manifest(self, *, complete: bool) -> None:
        content = {**self.manifest, "complete": complete}
        if complete:
            content |= {"parts": self.shards, "totals": self.totals.to_dict()}
        with (self._work / "manifest").open("wb") as stream:
            stream.write(json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")
            _sync(stream)
        (self._work / "manifest").replace(self.folder / "manifest.json")
        _sync_folder(self.folder)


class Index:
    """Names and contents of the pages so far, on disk, so that memory does not grow with them.

    Parameters
    ----------
    path : pathlib.Path
        A file to make. It is a copy of what the parts hold and may be lost at any time.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-32000;"
            "CREATE TABLE names (name TEXT PRIMARY KEY, seen INTEGER) WITHOUT ROWID;"
            "CREATE TABLE contents (digest TEXT PRIMARY KEY, source TEXT, outcome TEXT) WITHOUT ROWID;"
            "BEGIN;"
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def claim(self, source: str) -> Claim:
        """Take the name of a page, as `Crawl` asks for it.

        Parameters
        ----------
        source : str

        Returns
        -------
        {"new", "done", "taken"}
            "done" if an earlier run has this page, "taken" if this one has.
        """
        row = self._db.execute("SELECT seen FROM names WHERE name = ?", (source,)).fetchone()
        self._db.execute("INSERT OR REPLACE INTO names VALUES (?, 1)", (source,))
        return "new" if row is None else "taken" if row[0] else "done"

    def first(self, digest: str, source: str) -> str:
        """Tell which page had a content first.

        Parameters
        ----------
        digest : str
            Of the content.
        source : str
            The page that has it now.

        Returns
        -------
        str
            A source; the given one if the content is new.
        """
        row = self._db.execute("SELECT source FROM contents WHERE digest = ?", (digest,)).fetchone()
        if row:
            return str(row[0])
        self._db.execute("INSERT INTO contents VALUES (?, ?, NULL)", (digest, source))
        return source

    def settle(self, digest: str, outcome: Mapping[str, Any] | Failure) -> None:
        """Keep what became of a content, for its duplicates."""
        value = outcome if not isinstance(outcome, Failure) else asdict(outcome)
        self._db.execute(
            "UPDATE contents SET outcome = ? WHERE digest = ?", (json.dumps(dict(value)), digest)
        )

    def outcome(self, digest: str) -> dict[str, Any]:
        """Give what `settle` was told: a row of documents, or a `Failure` as a dict."""
        row = self._db.execute("SELECT outcome FROM contents WHERE digest = ?", (digest,)).fetchone()
        return dict(json.loads(row[0]))

    def learn(self, documents: Sequence[Mapping[str, Any]]) -> None:
        """Take up rows of documents from an earlier run."""
        self.learn_failures([row["source"] for row in documents])
        self._db.executemany(
            "INSERT OR IGNORE INTO contents VALUES (?, ?, ?)",
            (
                (row["digest"], row["source"], json.dumps(dict(row)))
                for row in documents
                if row["duplicate_of"] is None
            ),
        )

    def learn_failures(self, sources: Sequence[str]) -> None:
        """Take up names of pages from an earlier run."""
        self._db.executemany("INSERT OR IGNORE INTO names VALUES (?, 0)", ((source,) for source in sources))


def _lock(folder: Path) -> int:
    """Lock a dataset for this process; the system takes the lock back however the process ends."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ClausemarkError("another clausemark batch is writing there", where=folder) from None
    return handle


def _writer(stream: IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(stream, schema, compression="zstd", use_dictionary=list(_REPEATED))


@contextlib.contextmanager
def _write(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with path.open("wb") as stream:
        with _writer(stream, schema) as writer:
            yield writer
        _sync(stream)


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())
    stream.close()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
