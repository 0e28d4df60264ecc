"""The report of a crawl: what a great many labeled policies say, as figures and as a page.

``Parquet that batch wrote -> sums policy by policy -> figures -> page, and a reading view an outlier``

The dataset is read in batches of rows and never held as a whole: of a policy that has passed, sums and
counts remain, and the places of the few that stand out.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.special import rel_entr

from clausemark import __version__
from clausemark.clauses import Clause, ClauseKind
from clausemark.dataset import DOCUMENTS, ERRORS, TABLES, clauses_schema, read_manifest
from clausemark.documents import Document
from clausemark.errors import InputError
from clausemark.explain import reasons
from clausemark.page import render_page, render_template, show, source_name
from clausemark.predict import LabeledClause, LabeledPolicy, Labeler
from clausemark.taxonomy import CATEGORIES, CODE_OF

__all__ = ["CrawlReport", "ErrorCount", "Listed", "labeled_by", "read_crawl", "write_report"]

#: Columns that the report needs, in the types that batch gives them.
_TYPES: Final[dict[str, pa.DataType]] = {
    column.name: column.type for schema in (clauses_schema(), DOCUMENTS, ERRORS) for column in schema
}
_CLAUSES: Final = ("doc", "primary", "labels", "needs_review")
_READING: Final = (*_CLAUSES, *CATEGORIES, "paragraph", "start", "end", "kind", "heading", "text")
_DOCUMENTS: Final = ("source", "language", "bytes", "words", "is_policy", "policy_score", "duplicate_of")
_TITLES: Final = ("source", "url", "title", "language")
_ERRORS: Final = ("source", "stage", "message")

#: Rows held at a time.
_ROWS: Final = 32_768
#: Bytes read at a time of each column, which keeps large row groups out of memory.
_BUFFER: Final = 1 << 16
#: Policies listed of each kind, messages of each stage, languages.
_LISTED: Final = 8
_MESSAGES: Final = 5
#: Different messages of errors that are told apart, and documents with copies.
_DISTINCT: Final = 100_000
#: A policy of fewer clauses is no outlier in shares: chance alone moves them that far.
_ENOUGH: Final = 30
#: Longest policy whose length is told exactly, in words.
_LONGEST: Final = 200_000
#: Edges of the bars of lengths, in words.
_LENGTHS: Final = (0, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
#: What the sentences of an item end with, but perhaps the last.
_STOPS: Final = frozenset(".!?…)\"'”’»]")
#: Bars of the shares of uncertain clauses.
_SHARES: Final = 20

_COUNT: Final = len(CATEGORIES)
_TABLE: Final = pa.array(CATEGORIES)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Listed:
    """A document that the report names.

    Attributes
    ----------
    doc : str
        Its source.
    value : float
        What it is listed for.
    note : str
        That in words.
    title, url, language : str
        ``""`` where they are not known.
    page : str
        File of its reading view beside the report, ``""`` where there is none.
    """

    doc: str
    value: float
    note: str
    title: str = ""
    url: str = ""
    language: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """What went wrong at one stage.

    Attributes
    ----------
    stage : str
    count : int
        Documents.
    messages : list of (str, int, str)
        The commonest messages, how often each came, and one document that had it.
    """

    stage: str
    count: int
    messages: list[tuple[str, int, str]]


@dataclass(frozen=True)
class CrawlReport:
    """Figures of a crawl. All but the first five are of policies alone: no copies, nothing else.

    Attributes
    ----------
    documents, duplicates, not_policies : int
        Documents read; those of them that repeat another; those that are no policies.
    failed : int
        Documents that gave an error.
    bytes : int
        Size of all documents read.
    policies : int
        Policies with at least one clause.
    clauses, uncertain : int
        Their clauses, and those that need a review.
    categories : dict of str to dict
        Category -> clauses that have it, primary (of which as the primary one), uncertain (of which
        uncertain), policies that have it, and lacking: policies that do not.
    words : dict
        Words of a policy: quartiles (three of them) and histogram, a list of [from, below, policies].
    touched : list of int
        Policies that touch 0, 1, ... 12 categories.
    unsure : list of int
        Policies by their share of uncertain clauses, in 20 steps of 5 %.
    languages : dict of str to int
        ISO 639-1 code -> policies, commonest first; ``""`` where it is not known.
    outliers : dict of str to list of Listed
        "longest", "uncertain" (largest share of uncertain clauses), "unlike" (primary categories
        shared out least like those of all), "silent" (fewest categories); the last three of policies
        with 30 clauses or more.
    copied : list of Listed
        Documents with the most copies.
    strays : list of Listed
        Of what is no policy, that which comes closest to one.
    errors : list of ErrorCount
        By stage, the commonest first.
    manifest : dict
        What batch says of its run; empty where it says nothing.
    """

    documents: int
    duplicates: int
    not_policies: int
    failed: int
    bytes: int
    policies: int
    clauses: int
    uncertain: int
    categories: dict[str, dict[str, int]]
    words: dict[str, Any]
    touched: list[int]
    unsure: list[int]
    languages: dict[str, int]
    outliers: dict[str, list[Listed]]
    copied: list[Listed]
    strays: list[Listed]
    errors: list[ErrorCount]
    manifest: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as ``clausemark report --json`` prints them: plain types."""

        def plain(value: Any) -> Any:
            if isinstance(value, (Listed, ErrorCount)):
                return {name: plain(getattr(value, name)) for name in value.__slots__}
            if isinstance(value, Mapping):
                return {key: plain(inner) for key, inner in value.items()}
            if isinstance(value, (list, tuple)):
                return [plain(inner) for inner in value]
            return round(value, 6) if isinstance(value, float) else value

        return {name: plain(value) for name, value in vars(self).items()}


def read_crawl(folder: str | Path) -> CrawlReport:
    """Add up what ``clausemark batch`` wrote.

    Parameters
    ----------
    folder : str or pathlib.Path
        Holds Parquet files in clauses/, documents/ and errors/, and manifest.json.

    Returns
    -------
    CrawlReport
        Equal datasets give equal figures, however their rows are spread over files.

    Raises
    ------
    InputError
        If there is no such dataset, a file of it is broken, it lacks a column, or it is of another
        format.
    """
    return _read(_Dataset(Path(folder)))[0]


def write_report(
    folder: str | Path, out: str | Path | None = None, labeler: Labeler | None = None
) -> list[Path]:
    """Write the report of a crawl as a page, and a reading view of each outlier beside it.

    Parameters
    ----------
    folder : str or pathlib.Path
        As for `read_crawl`.
    out : str or pathlib.Path, optional
        Folder for the pages; ``report`` within `folder` by default.
    labeler : Labeler, optional
        Who labeled the crawl (`labeled_by`): reading views then have thresholds, and the words that
        made each label.

    Returns
    -------
    list of pathlib.Path
        index.html, then the reading views; none where the dataset holds no text. The pages load
        nothing.

    Raises
    ------
    InputError
        As `read_crawl`, and if the pages cannot be written.
    """
    dataset = _Dataset(Path(folder))
    report, places = _read(dataset)
    out = Path(out) if out is not None else dataset.folder / "report"
    written: dict[str, Path] = {}
    try:
        out.mkdir(parents=True, exist_ok=True)
        if dataset.has_text:
            for listed in sorted(
                chain.from_iterable(report.outliers.values()), key=lambda listed: places[listed.doc]
            ):
                if listed.page in written:
                    continue
                written[listed.page] = out / listed.page
                policy, clauses = dataset.policy(places[listed.doc], listed)
                view = render_page(
                    policy,
                    thresholds=labeler.thresholds if labeler else None,
                    explanations=reasons(labeler, policy, clauses=clauses) if labeler else None,
                )
                written[listed.page].write_text(view, encoding="utf-8", newline="")
        index = out / "index.html"
        index.write_text(render_report(report), encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=error.filename or out) from None
    return [index, *written.values()]


def labeled_by(folder: str | Path, labeler: Labeler) -> bool:
    """Tell whether it was this model that labeled a crawl.

    Parameters
    ----------
    folder : str or pathlib.Path
        As for `read_crawl`.
    labeler : Labeler

    Returns
    -------
    bool

    Raises
    ------
    InputError
        If the manifest is broken, or of another format.
    """
    return read_manifest(Path(folder)).get("model") == labeler.model.digest


def render_report(report: CrawlReport) -> str:
    """Render figures of a crawl as a self-contained page.

    Parameters
    ----------
    report : CrawlReport

    Returns
    -------
    str
        HTML without script that loads nothing; equal figures give equal output.
    """
    return render_template("report.html", styles=("base.css", "report.css"), script=None, **_view(report))


# The dataset --------------------------------------------------------------------------------------

#: Where a policy begins: number of the file, row in it.
_Place = tuple[int, int]


class _Dataset:
    """The files of a dataset, read column by column in batches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise InputError("no such folder: name one that clausemark batch wrote", where=folder)
        self.manifest = read_manifest(folder)
        self.parts = {name: sorted((folder / name).glob("*.parquet")) for name in TABLES}
        if not any(self.parts.values()) and not self.manifest:
            raise InputError(
                "holds neither documents/*.parquet nor manifest.json: name a folder that clausemark batch"
                " wrote",
                where=folder,
            )
        self.has_text = all("text" in _open(part).schema_arrow.names for part in self.parts["clauses"])

    def batches(self, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        for part in self.parts[table]:
            yield from _batches(part, columns)

    def policy(self, place: _Place, listed: Listed) -> tuple[LabeledPolicy, list[Clause]]:
        """Read one policy back, from where it begins to where the next one does."""
        records: list[dict[str, Any]] = []
        number, row = place
        for part in self.parts["clauses"][number:]:
            for batch in _batches(part, _READING, row):
                same = pc.equal(batch["doc"], listed.doc).to_numpy(zero_copy_only=False)
                size = len(same) if same.all() else int(same.argmin())
                records += batch.slice(0, size).to_pylist()
                if size < len(same):
                    return _policy(records, listed)
            row = 0
        return _policy(records, listed)


def _open(part: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(part, buffer_size=_BUFFER)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet ({_first_line(error)})", where=part) from None


def _batches(part: Path, columns: Sequence[str], row: int = 0) -> Iterator[pa.RecordBatch]:
    """Read columns of a file from a row on, in the types that are expected."""
    with _open(part) as file:
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise InputError(
                f"has no column {missing[0]!r}: run clausemark batch again, into another folder", where=part
            )
        first = 0
        while first < file.num_row_groups and row >= (size := file.metadata.row_group(first).num_rows):
            first, row = first + 1, row - size
        try:
            for group in range(first, file.num_row_groups):
                # Group by group: Arrow reads no lists of dictionaries across groups.
                for batch in file.iter_batches(_ROWS, row_groups=[group], columns=list(columns)):
                    if row < batch.num_rows:
                        typed = {name: batch[name].cast(_TYPES[name]) for name in columns}
                        yield pa.record_batch(typed).slice(row)
                    row = max(row - batch.num_rows, 0)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"cannot be read as Parquet ({_first_line(error)})", where=part) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _policy(records: Sequence[Mapping[str, Any]], listed: Listed) -> tuple[LabeledPolicy, list[Clause]]:
    """Rebuild a policy, and its clauses as they were labeled but for their offsets.

    The dataset has no text between clauses: it is laid out again by their paragraphs, and by what
    lay between the items of a list.
    """
    labeled: list[LabeledClause] = []
    clauses: list[Clause] = []
    text: list[str] = []
    size = end = 0
    for index, record in enumerate(records):
        kind: ClauseKind = record["kind"] if record["kind"] in get_args(ClauseKind) else "sentence"
        words, paragraph = record["text"] or "", record["paragraph"] or 0
        if clauses:
            if kind == "item":
                apart = (record["start"] or 0) - end > 1 or text[-1][-1:] not in _STOPS
            else:
                apart = paragraph != clauses[-1].paragraph
            text.append(" " if not apart else "\n• " if kind == "item" else "\n\n")
            size += len(text[-1])
        text.append(words)
        clauses.append(Clause(words, kind, size, size + len(words), paragraph))
        size, end = clauses[-1].end, record["end"] or 0
        labels = tuple(dict.fromkeys([record["primary"], *(record["labels"] or ())]))
        labeled.append(
            LabeledClause(
                index,
                kind,
                clauses[-1].start,
                size,
                record["heading"] or "",
                words,
                labels[0],
                labels,
                {name: float(record[name] or 0.0) for name in CATEGORIES},
                bool(record["needs_review"]),
            )
        )
    source = listed.url or listed.doc
    document = Document("".join(text), (), source=source, title=listed.title, language=listed.language)
    return LabeledPolicy(document, tuple(labeled)), clauses


# Adding up ----------------------------------------------------------------------------------------


def _read(dataset: _Dataset) -> tuple[CrawlReport, dict[str, _Place]]:
    """Add a dataset up; give also where the outliers begin."""
    counts = _Documents()
    for batch in dataset.batches("documents", _DOCUMENTS):
        counts.add(batch)
    left_out = np.sort(np.concatenate(counts.left_out)) if counts.left_out else np.empty(0, np.uint64)
    sums = _Clauses()
    for policies in _kept(_policies(dataset, _CLAUSES, _measure), left_out):
        sums.add(policies)
    unlike = _Top(_LISTED)
    mix = sums.total[_PRIMARY] / max(sums.total[_PRIMARY].sum(), 1)
    for policies in _kept(_policies(dataset, ("doc", "primary"), _measure_primary), left_out):
        enough = policies.where(policies.sums.sum(axis=0) >= _ENOUGH)
        unlike.add(enough, _divergence(enough.sums, mix))
    failed, errors = _errors(dataset)
    tops = {"longest": sums.longest, "uncertain": sums.uncertain, "unlike": unlike, "silent": sums.silent}
    notes: dict[str, Callable[[float, Ints], str]] = {
        "longest": lambda value, _: f"{value:,.0f} clauses",
        "uncertain": lambda value, found: f"{100 * value:.0f} % of {found[0]:,} clauses",
        "unlike": lambda _, found: _peculiar(found, mix),
        "silent": lambda value, found: f"{-value:.0f} in {found[0]:,} clauses",
    }
    outliers = {
        kind: [Listed(doc, abs(value), notes[kind](value, found)) for value, doc, _, found in top.best()]
        for kind, top in tops.items()
    }
    places = {doc: place for top in tops.values() for _, doc, place, _ in top.best()}
    copied = [
        Listed(doc, count, f"{count:,} cop{'y' if count == 1 else 'ies'}")
        for doc, count in _commonest(counts.copies, _LISTED)
    ]
    strays = [Listed(doc, value, f"{value:.2f}") for value, doc, _, _ in counts.strays.best()]
    named = _named(dataset, [*chain.from_iterable(outliers.values()), *copied, *strays])
    size, total = int(sums.total[_SIZE][0]), sums.total
    report = CrawlReport(
        documents=counts.documents,
        duplicates=counts.duplicates,
        not_policies=counts.not_policies,
        failed=failed,
        bytes=counts.bytes,
        policies=sums.policies,
        clauses=size,
        uncertain=int(total[_UNSURE][0]),
        categories={
            name: {
                "clauses": int(total[_GIVEN][k]),
                "primary": int(total[_PRIMARY][k]),
                "uncertain": int(total[_GIVEN_UNSURE][k]),
                "policies": int(sums.having[k]),
                "lacking": int(sums.policies - sums.having[k]),
            }
            for k, name in enumerate(CATEGORIES)
        },
        words=_lengths(counts.words),
        touched=sums.touched.tolist(),
        unsure=sums.unsure.tolist(),
        languages=dict(_commonest(counts.languages)),
        outliers={
            kind: [named(listed, page=dataset.has_text) for listed in found]
            for kind, found in outliers.items()
        },
        copied=[named(listed) for listed in copied],
        strays=[named(listed) for listed in strays],
        errors=errors,
        manifest=dataset.manifest,
    )
    return report, places


#: Rows of what `_measure` gives.
_SIZE, _UNSURE = slice(0, 1), slice(1, 2)
_GIVEN, _GIVEN_UNSURE, _PRIMARY = (slice(2 + k * _COUNT, 2 + (k + 1) * _COUNT) for k in range(3))


def _measure(batch: pa.RecordBatch) -> NDArray[np.int32]:
    """What is added up of every clause: shape (2 + 3 * 12, n_clauses)."""
    rows = np.arange(batch.num_rows)
    primary = _codes(batch["primary"])
    given = np.zeros((_COUNT, len(rows)), dtype=np.int32)
    given[_codes(batch["labels"].flatten()), pc.list_parent_indices(batch["labels"])] = 1
    given[primary, rows] = 1
    unsure = pc.fill_null(batch["needs_review"], False).to_numpy(zero_copy_only=False).astype(np.int32)
    return np.vstack([np.ones_like(unsure), unsure, given, given * unsure, _indicators(primary)])


def _measure_primary(batch: pa.RecordBatch) -> NDArray[np.int32]:
    """Primary category of every clause: shape (12, n_clauses)."""
    return _indicators(_codes(batch["primary"]))


def _indicators(primary: NDArray[np.intp]) -> NDArray[np.int32]:
    found = np.zeros((_COUNT, len(primary)), dtype=np.int32)
    found[primary, np.arange(len(primary))] = 1
    return found


def _codes(names: pa.Array) -> NDArray[np.intp]:
    """Turn names of categories into their columns."""
    table = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    columns = pc.index_in(table.dictionary, _TABLE)
    if names.null_count or columns.null_count:
        strange = "null" if names.null_count else repr(table.dictionary.filter(columns.is_null())[0].as_py())
        raise InputError(f"{strange[:80]} is none of the twelve categories", where="clauses")
    return np.asarray(columns.to_numpy()[table.indices.to_numpy()], dtype=np.intp)


@dataclass(frozen=True)
class _Policies:
    """Policies that have been added up.

    Attributes
    ----------
    docs : ndarray of shape (n,), object
    places : list of (int, int)
    sums : ndarray of shape (k, n), int64
    """

    docs: NDArray[np.object_]
    places: list[_Place]
    sums: Ints

    def where(self, mask: NDArray[np.bool_]) -> _Policies:
        places = [place for place, kept in zip(self.places, mask, strict=True) if kept]
        return _Policies(self.docs[mask], places, self.sums[:, mask])


def _policies(
    dataset: _Dataset,
    columns: Sequence[str],
    measure: Callable[[pa.RecordBatch], NDArray[np.int32]],
) -> Iterator[_Policies]:
    """Add up what `measure` gives over the rows of each policy, which follow one another."""
    held: _Policies | None = None  # the last one, which may go on in the next batch or file
    for number, part in enumerate(dataset.parts["clauses"]):
        row = 0
        for batch in _batches(part, columns):
            if not batch.num_rows:
                continue
            runs = pc.run_end_encode(pc.fill_null(batch["doc"], ""))
            starts = np.concatenate([[0], runs.run_ends.to_numpy()[:-1]]).astype(np.int64)
            docs = np.array(runs.values.to_pylist(), dtype=object)
            places = [(number, row + int(start)) for start in starts]
            sums = np.add.reduceat(measure(batch), starts, axis=1, dtype=np.int64)
            if held is not None:
                if held.docs[0] == docs[0]:
                    sums[:, :1] += held.sums
                    places[0] = held.places[0]
                else:
                    docs, places = np.append(held.docs, docs), held.places + places
                    sums = np.hstack([held.sums, sums])
            held = _Policies(docs[-1:], places[-1:], sums[:, -1:])
            if len(docs) > 1:
                yield _Policies(docs[:-1], places[:-1], sums[:, :-1])
            row += batch.num_rows
    if held is not None:
        yield held


def _kept(found: Iterable[_Policies], left_out: NDArray[np.uint64]) -> Iterator[_Policies]:
    """Leave copies out, and what is no policy."""
    for policies in found:
        if not len(left_out):
            yield policies
            continue
        hashes = _hashes(policies.docs)
        at = np.minimum(np.searchsorted(left_out, hashes), len(left_out) - 1)
        kept = policies.where(left_out[at] != hashes)
        if len(kept.docs):
            yield kept


def _hashes(names: NDArray[np.object_]) -> NDArray[np.uint64]:
    """Eight bytes stand for a name: all that is kept of a document that is left out."""
    return np.asarray(pd.util.hash_array(names, categorize=False), dtype=np.uint64)


class _Top:
    """The few policies with the largest values; ties go to the name that sorts first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[tuple[float, _Backwards, _Place, Ints]] = []

    def add(self, policies: _Policies, values: Floats | Ints) -> None:
        least = self._heap[0][0] if len(self._heap) == self.size else -np.inf
        for i in np.flatnonzero(values >= least):
            entry = (
                float(values[i]),
                _Backwards(str(policies.docs[i])),
                policies.places[i],
                policies.sums[:, i].copy(),
            )
            if len(self._heap) < self.size:
                heapq.heappush(self._heap, entry)
            elif entry[:3] > self._heap[0][:3]:
                heapq.heapreplace(self._heap, entry)

    def best(self) -> list[tuple[float, str, _Place, Ints]]:
        """Value, document, place and sums, the largest value first."""
        found = sorted(self._heap, key=lambda entry: entry[:3], reverse=True)
        return [(value, str(doc), place, sums) for value, doc, place, sums in found]


class _Backwards(str):
    """A string that sorts the other way round."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


class _Clauses:
    """Sums over all policies, and those that stand out."""

    def __init__(self) -> None:
        self.total = np.zeros(_PRIMARY.stop, dtype=np.int64)
        self.having = np.zeros(_COUNT, dtype=np.int64)
        self.touched = np.zeros(_COUNT + 1, dtype=np.int64)
        self.unsure = np.zeros(_SHARES, dtype=np.int64)
        self.policies = 0
        self.longest, self.uncertain, self.silent = _Top(_LISTED), _Top(_LISTED), _Top(_LISTED)

    def add(self, policies: _Policies) -> None:
        sums = policies.sums
        size, unsure = sums[_SIZE][0], sums[_UNSURE][0]
        has = sums[_GIVEN] > 0
        touched = has.sum(axis=0)
        self.policies += sums.shape[1]
        self.total += sums.sum(axis=1)
        self.having += has.sum(axis=1)
        self.touched += np.bincount(touched, minlength=_COUNT + 1)
        step = np.minimum(unsure * _SHARES // size, _SHARES - 1)
        self.unsure += np.bincount(step, minlength=_SHARES)
        self.longest.add(policies, size)
        enough = size >= _ENOUGH
        large = policies.where(enough)
        self.uncertain.add(large, unsure[enough] / size[enough])
        self.silent.add(large, -touched[enough])


class _Documents:
    """Counts over all documents."""

    def __init__(self) -> None:
        self.documents = self.duplicates = self.not_policies = self.bytes = 0
        self.words = np.zeros(_LONGEST + 1, dtype=np.int64)
        self.languages: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()
        self.strays = _Top(_LISTED)
        self.left_out: list[NDArray[np.uint64]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        copy = pc.is_valid(batch["duplicate_of"]).to_numpy(zero_copy_only=False)
        policy = pc.fill_null(batch["is_policy"], True).to_numpy(zero_copy_only=False)
        kept = policy & ~copy
        stray = ~policy & ~copy
        self.documents += batch.num_rows
        self.duplicates += int(copy.sum())
        self.not_policies += int(stray.sum())
        self.bytes += pc.sum(batch["bytes"], min_count=0).as_py()
        words = pc.fill_null(batch["words"], 0).to_numpy()[kept]
        self.words += np.bincount(np.clip(words, 0, _LONGEST), minlength=_LONGEST + 1)
        _count(self.languages, pc.fill_null(batch["language"], "").filter(pa.array(kept)))
        _count(self.copies, batch["duplicate_of"].drop_null())
        if not kept.all():
            names = np.array(batch["source"].to_pylist(), dtype=object)
            self.left_out.append(_hashes(names[~kept]))
            scores = np.nan_to_num(pc.fill_null(batch["policy_score"], 0.0).to_numpy()[stray])
            nowhere = [(0, 0)] * len(scores)
            self.strays.add(_Policies(names[stray], nowhere, np.zeros((0, len(scores)), np.int64)), scores)


def _count(counter: Counter[str], values: pa.Array) -> None:
    """Count strings; past a great many, only those seen before."""
    for pair in values.value_counts():
        name = pair["values"].as_py()
        if name in counter or len(counter) < _DISTINCT:
            counter[name] += pair["counts"].as_py()


def _commonest(counter: Counter[Any], most: int | None = None) -> list[tuple[Any, int]]:
    """List by count, then name: equal datasets give equal lists."""
    return sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))[:most]


def _errors(dataset: _Dataset) -> tuple[int, list[ErrorCount]]:
    stages: Counter[str] = Counter()
    messages: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    for batch in dataset.batches("errors", _ERRORS):
        for record in batch.to_pylist():
            stage, message = record["stage"] or "unknown", record["message"] or ""
            stages[stage] += 1
            if (stage, message) in messages or len(messages) < _DISTINCT:
                messages[stage, message] += 1
                examples.setdefault((stage, message), record["source"] or "")
    ranked = _commonest(messages)
    return stages.total(), [
        ErrorCount(
            stage,
            count,
            [(text, n, examples[of, text]) for (of, text), n in ranked if of == stage][:_MESSAGES],
        )
        for stage, count in _commonest(stages)
    ]


def _lengths(words: Ints) -> dict[str, Any]:
    """Quartiles and bars of the counts of policies by their number of words."""
    total = int(words.sum())
    ranks = np.ceil(np.array([0.25, 0.5, 0.75]) * total)
    quartiles = np.searchsorted(words.cumsum(), np.maximum(ranks, 1)) if total else []
    edges = [*_LENGTHS, _LONGEST + 1]
    bars = np.add.reduceat(words, edges[:-1])
    return {
        "quartiles": [int(value) for value in quartiles],
        "histogram": [
            [low, high if high <= _LONGEST else None, int(count)]
            for low, high, count in zip(edges, edges[1:], bars, strict=False)
        ],
    }


def _divergence(counts: Ints, mix: Floats) -> Floats:
    """Jensen-Shannon divergence, in bits, of each column of counts from a mix (Lin 1991)."""
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    mean = (shares + mix[:, None]) / 2
    both = rel_entr(shares, mean) + rel_entr(mix[:, None], mean)
    return np.asarray(both.sum(axis=0) / (2 * np.log(2)))


def _peculiar(counts: Ints, mix: Floats) -> str:
    """Say which category a policy has most too much of."""
    shares = counts / max(counts.sum(), 1)
    k = int((shares - mix).argmax())
    return f"{100 * shares[k]:.0f} % {CATEGORIES[k]}, of all {100 * mix[k]:.0f} %"


def _named(dataset: _Dataset, listed: Sequence[Listed]) -> Callable[..., Listed]:
    """Look up titles and addresses of what is listed; give a function that fills them in."""
    known: dict[str, dict[str, Any]] = {}
    wanted = pa.array(sorted({entry.doc for entry in listed}), pa.string())
    if len(wanted):
        for batch in dataset.batches("documents", _TITLES):
            for record in batch.filter(pc.is_in(batch["source"], wanted)).to_pylist():
                doc = record.pop("source")
                known[doc] = {name: value or "" for name, value in record.items()}

    def fill(entry: Listed, page: bool = False) -> Listed:
        file = f"policy-{hashlib.sha256(entry.doc.encode()).hexdigest()[:12]}.html" if page else ""
        return replace(entry, page=file, **known.get(entry.doc, {}))

    return fill


# What the template is given -----------------------------------------------------------------------


def _view(report: CrawlReport) -> dict[str, Any]:
    return {
        "report": report,
        "title": f"What {report.policies:,} privacy polic{'y says' if report.policies == 1 else 'ies say'}",
        "code_of": CODE_OF,
        "lengths": [
            (_thousands(low), count, f"{low:,} to {high - 1:,}" if high else f"{low:,} or more")
            for low, high, count in report.words["histogram"]
        ],
        "touched": [(str(k), count, f"{k}") for k, count in enumerate(report.touched)],
        "unsure": [
            (f"{100 * k // _SHARES}", count, f"{100 * k // _SHARES} to {100 * (k + 1) // _SHARES} %")
            for k, count in enumerate(report.unsure)
        ],
        "outliers": [
            (title, unit, why, report.outliers[kind])
            for kind, title, unit, why in (
                ("longest", "Longest", "length", ""),
                ("uncertain", "Most uncertain", "uncertain", f"of {_ENOUGH} clauses or more"),
                ("unlike", "Least like the others", "most of", f"of {_ENOUGH} clauses or more"),
                ("silent", "Fewest categories", "categories", f"of {_ENOUGH} clauses or more"),
            )
            if report.outliers[kind]
        ],
        "source": source_name,
        "complete": report.manifest.get("complete", True) is not False,
        "model": show(str(report.manifest.get("model", "")))[:12],
        "version": __version__,
    }


def _thousands(value: int) -> str:
    return f"{value // 1000}k" if value >= 1000 else str(value)
