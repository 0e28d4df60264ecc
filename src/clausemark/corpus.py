"""The corpus: annotated policies as JSON lines, one file a policy.

The first line of a file describes the policy, every further line is a clause in document order; see
data/SCHEMA.md. A file that breaks the schema is refused with its line, never repaired in silence.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from clausemark.clauses import Clause, ClauseKind
from clausemark.errors import CorpusError, MissingExtraError
from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    from datasets import DatasetDict

__all__ = [
    "AnnotatedClause",
    "NearDuplicate",
    "Paths",
    "Policy",
    "Problem",
    "SharedRun",
    "Split",
    "Unit",
    "digest",
    "find_files",
    "laws_of",
    "near_duplicates",
    "read_corpus",
    "read_policy",
    "read_rows",
    "read_text",
    "shared_runs",
    "split_of",
    "statistics",
    "to_datasets",
    "validate",
    "words",
    "write_policy",
]

#: What one line of a policy is.
Unit = Literal["clause", "sentence", "segment"]
Split = Literal["train", "test"]
#: One file or folder, or several.
Paths = str | Path | Iterable[str | Path]

SCHEMA: Final = "clausemark-corpus/1"
MAX_CLAUSES: Final = 2_000
#: Published sets of segments come without the policies that they were taken from, as one file.
MAX_SEGMENTS: Final = 20_000
MAX_CHARS: Final = 20_000
TEST_SHARE: Final = 0.2

#: Key of the metadata -> type of its value; the order is that of the file.
METADATA: Final[dict[str, type]] = {
    "name": str, "unit": str, "source": str, "license": str, "sector": str, "country": str, "law": str,
    "year": int, "tone": str, "structure": str, "url": str, "partial": bool,
}  # fmt: skip
_REQUIRED: Final = ("name", "unit", "source", "license")
_UNITS: Final[tuple[str, ...]] = get_args(Unit)
_KINDS: Final[tuple[ClauseKind, ...]] = get_args(ClauseKind)
_CLAUSE_KEYS: Final = ("id", "kind", "paragraph", "text", "labels")
_ORDER: Final = {name: number for number, name in enumerate(CATEGORIES)}
#: Line breaks of any kind, other control characters, and halves of surrogate pairs.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_WORD: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


@dataclass(frozen=True, slots=True)
class AnnotatedClause:
    """A clause and its categories.

    Attributes
    ----------
    text : str
        One line, without space around it.
    kind : {"heading", "sentence", "item"}
    paragraph : int
        Number of the paragraph, from 0, never decreasing within a policy.
    labels : tuple of str
        Names of categories, the primary one first. Empty only in a partially labelled policy.
    votes : dict of str to float, optional
        Share of annotators that gave each category, in (0, 1]; also of categories that did not
        become labels. None where one annotation was reconciled by its author.
    """

    text: str
    kind: ClauseKind
    paragraph: int
    labels: tuple[str, ...]
    votes: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """An annotated policy.

    Attributes
    ----------
    id : str
        Unique in the corpus, and the stem of its file.
    clauses : tuple of AnnotatedClause
        In document order.
    metadata : dict
        What stands in the first line of its file but schema and id: at least name, unit, source and
        license.
    """

    id: str
    clauses: tuple[AnnotatedClause, ...]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The texts of all clauses, a line each."""
        return "\n".join(clause.text for clause in self.clauses)

    def clauses_for_context(self) -> list[Clause]:
        """Give the clauses as `clausemark.clauses.contexts` and the features read them.

        Returns
        -------
        list of Clause
            One for each clause of the policy; offsets refer to `Policy.text`.
        """
        found = []
        start = 0
        for clause in self.clauses:
            end = start + len(clause.text)
            found.append(Clause(clause.text, clause.kind, start, end, clause.paragraph))
            start = end + 1
        return found


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a corpus file, and where.

    Attributes
    ----------
    path : pathlib.Path
    line : int or None
        Counted from 1; None for what concerns the file as a whole.
    message : str
        What is wrong and, where there is one, the remedy.
    """

    path: Path
    line: int | None
    message: str

    def __str__(self) -> str:
        """Give path, line and message in one line."""
        return str(self.error())

    def error(self) -> CorpusError:
        """Give the problem as an error to raise."""
        return CorpusError(self.message, where=self.path, line=self.line)


# Files -------------------------------------------------------------------------------------------


def find_files(paths: Paths, suffix: str) -> list[Path]:
    """Find the files that paths name.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        A folder stands for the files in it that end in `suffix`, in order of name; a file for itself.
    suffix : str
        With its dot.

    Returns
    -------
    list of pathlib.Path
        Each file once, in the order given.

    Raises
    ------
    CorpusError
        If a path does not exist or a folder holds no such file.
    """
    found: dict[Path, None] = {}
    for path in [Path(paths)] if isinstance(paths, (str, Path)) else map(Path, paths):
        if path.is_dir():
            files = sorted(path.glob(f"*{suffix}"))
            if not files:
                raise CorpusError(f"folder holds no {suffix} files", where=path)
            found.update(dict.fromkeys(files))
        elif path.is_file():
            found[path] = None
        else:
            raise CorpusError("no such file or folder", where=path)
    return list(found)


def read_text(path: Path) -> str:
    """Read a UTF-8 file as it is, line ends included.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    str
        Without a byte order mark.

    Raises
    ------
    CorpusError
        If the file cannot be read or is not UTF-8.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8").removeprefix("\ufeff")
    except OSError as error:
        raise CorpusError(f"cannot be read: {error.strerror}", where=path) from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CorpusError("is not UTF-8: save it in that encoding", where=path, line=line) from None


def read_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read a CSV file, Excel dialect.

    Parameters
    ----------
    path : pathlib.Path

    Yields
    ------
    (int, list of str)
        The line that a row ends on, and its fields.

    Raises
    ------
    CorpusError
        If the file cannot be read, or is not CSV in UTF-8.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise CorpusError(f"is not CSV: {error}", where=path, line=reader.line_num) from None


def read_policy(path: str | Path) -> Policy:
    """Read one policy.

    Parameters
    ----------
    path : str or pathlib.Path
        A .jsonl file.

    Returns
    -------
    Policy

    Raises
    ------
    CorpusError
        If the file cannot be read or breaks the schema, at its first bad line.
    """
    policy, problems = _parse(Path(path))
    if policy is None:
        raise problems[0].error()
    return policy


def write_policy(policy: Policy, path: str | Path) -> None:
    """Write one policy; the same policy always gives the same bytes.

    Parameters
    ----------
    policy : Policy
    path : str or pathlib.Path
        File to write, named after the policy: ``<id>.jsonl``. Its folder exists.

    Raises
    ------
    CorpusError
        If the policy breaks the schema, or the file cannot be written.
    """
    path = Path(path)
    records = _records(policy)
    for line, message in _check(records, path.stem):
        raise CorpusError(message, where=path, line=line)
    try:
        path.write_bytes(_dump(records))
    except OSError as error:
        raise CorpusError(f"cannot be written: {error.strerror}", where=path) from None


def read_corpus(paths: Paths) -> list[Policy]:
    """Read policies.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        Files, or folders of .jsonl files.

    Returns
    -------
    list of Policy
        Sorted by id.

    Raises
    ------
    CorpusError
        If there is no policy, two have one id, or a file breaks the schema.
    """
    files = find_files(paths, ".jsonl")
    if not files:
        raise CorpusError("no policies to read: name files or folders of .jsonl files")
    for problem in _duplicate_ids(files):
        raise problem.error()
    return sorted(map(read_policy, files), key=lambda policy: policy.id)


def validate(paths: Paths) -> list[Problem]:
    """Check corpus files.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        As for `read_corpus`.

    Returns
    -------
    list of Problem
        Every problem of every file, in order of file and line; empty if all is well.

    Raises
    ------
    CorpusError
        If a path does not exist or a folder holds no .jsonl files.
    """
    files = find_files(paths, ".jsonl")
    return [*_duplicate_ids(files), *(problem for path in files for problem in _parse(path)[1])]


def digest(policies: Iterable[Policy]) -> str:
    """Fingerprint a corpus.

    Parameters
    ----------
    policies : iterable of Policy
        In any order.

    Returns
    -------
    str
        SHA-256, in hexadecimal, of the files as `write_policy` writes them, one after the other in
        order of id.
    """
    sha = hashlib.sha256()
    for policy in sorted(policies, key=lambda policy: policy.id):
        sha.update(_dump(_records(policy)))
    return sha.hexdigest()


def _duplicate_ids(files: Sequence[Path]) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path in files:
        other = first.setdefault(path.stem, path)
        if other is not path:
            yield Problem(path, 1, f"policy {path.stem!r} is already in {other}: ids are unique, rename one")


def _records(policy: Policy) -> list[dict[str, Any]]:
    """Make the lines of a policy's file, before JSON."""
    place = {key: number for number, key in enumerate(METADATA)}
    metadata = sorted(policy.metadata.items(), key=lambda item: (place.get(item[0], len(place)), item[0]))
    records: list[dict[str, Any]] = [{"schema": SCHEMA, "policy": policy.id, **dict(metadata)}]
    for number, clause in enumerate(policy.clauses):
        record: dict[str, Any] = {
            "id": number,
            "kind": clause.kind,
            "paragraph": clause.paragraph,
            "text": clause.text,
            "labels": list(clause.labels),
        }
        if clause.votes is not None:
            record["votes"] = {
                name: float(clause.votes[name])
                for name in sorted(clause.votes, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
            }
        records.append(record)
    return records


def _dump(records: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode("utf-8")


def _parse(path: Path) -> tuple[Policy | None, list[Problem]]:
    """Read a file as far as it goes: the policy if there is no problem, and all problems."""
    try:
        text = read_text(path)
    except CorpusError as error:
        return None, [Problem(path, error.line, error.message)]
    records: list[Any] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), 1):
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            records.append(None)  # keeps the lines after it at their numbers
            reason = getattr(error, "msg", "number or nesting out of bounds")
            problems.append(Problem(path, number, f"is not JSON ({reason}): one JSON object a line"))
    broken = {problem.line for problem in problems}
    problems += [
        Problem(path, line, message) for line, message in _check(records, path.stem) if line not in broken
    ]
    if problems:
        return None, sorted(problems, key=lambda problem: problem.line or 0)
    head = {key: value for key, value in records[0].items() if key not in ("schema", "policy")}
    clauses = tuple(
        AnnotatedClause(r["text"], r["kind"], r["paragraph"], tuple(r["labels"]), r.get("votes"))
        for r in records[1:]
    )
    return Policy(records[0]["policy"], clauses, head), []


# Rules of the schema: line and message of each breach ----------------------------------------------


def _check(records: Sequence[Any], stem: str) -> Iterator[tuple[int, str]]:
    head = records[0] if records else None
    for message in _check_metadata(head, stem):
        yield 1, message
    metadata = head if isinstance(head, dict) else {}
    partial = not metadata or metadata.get("partial") is True  # one report of a broken head is enough
    count = len(records) - 1
    most = MAX_SEGMENTS if metadata.get("unit") == "segment" else MAX_CLAUSES
    if not 1 <= count <= most:
        yield max(1, count + 1), f"has {count} clauses: a policy has 1 to {most}"
    paragraph = 0
    for number, record in enumerate(records[1:]):
        for message in _check_clause(record, number, paragraph, partial):
            yield number + 2, message
        if isinstance(record, dict) and type(record.get("paragraph")) is int:
            paragraph = max(paragraph, record["paragraph"])


def _check_metadata(head: Any, stem: str) -> Iterator[str]:
    if not isinstance(head, dict):
        yield "the first line is not an object of metadata"
        return
    if head.get("schema") != SCHEMA:
        yield f"schema is {head.get('schema')!r}, not {SCHEMA!r}"
    if head.get("policy") != stem:
        yield f"policy is {head.get('policy')!r} in a file named {stem!r}: the id is the file's stem"
    for key in _REQUIRED:
        if key not in head:
            yield f"metadata lacks {key!r}"
    for key, value in head.items():
        kind = METADATA.get(key)
        if kind is None:
            if key not in ("schema", "policy"):
                yield f"unknown metadata {key!r}: the schema knows {', '.join(METADATA)}"
        elif type(value) is not kind:
            yield f"{key} is {value!r}, not of type {kind.__name__}"
        elif isinstance(value, str) and (not value or value != value.strip() or _UNPRINTABLE.search(value)):
            yield f"{key} is empty, has space around it, or holds a line break or control character"
    if isinstance(head.get("unit"), str) and head["unit"] not in _UNITS:
        yield f"unit is {head['unit']!r}, not one of {', '.join(_UNITS)}"


def _check_clause(record: Any, number: int, paragraph: int, partial: bool) -> Iterator[str]:
    if not isinstance(record, dict):
        yield "is not an object of a clause"
        return
    keys = ", ".join(_CLAUSE_KEYS)
    missing = [key for key in _CLAUSE_KEYS if key not in record]
    unknown = [key for key in record if key not in (*_CLAUSE_KEYS, "votes")]
    if missing or unknown:
        yield f"a clause has {keys} and may have votes; missing {missing}, unknown {unknown}"
    if type(record.get("id", number)) is not int or record.get("id", number) != number:
        yield f"id is {record['id']!r}, not {number}: clauses are numbered 0, 1, 2 ... in order"
    if record.get("kind", _KINDS[0]) not in _KINDS:
        yield f"kind is {record['kind']!r}, not one of {', '.join(_KINDS)}"
    at = record.get("paragraph", paragraph)
    if type(at) is not int or at < paragraph:
        yield f"paragraph is {at!r}, after {paragraph}: a whole number that never decreases"
    yield from _check_clause_text(record.get("text", "x"))
    yield from _check_labels(record.get("labels", CATEGORIES[:1]), partial)
    if "votes" in record:
        yield from _check_votes(record["votes"])


def _check_clause_text(text: Any) -> Iterator[str]:
    if not isinstance(text, str):
        yield f"text is {text!r}, not a string"
        return
    if not 1 <= len(text) <= MAX_CHARS:
        yield f"text has {len(text)} characters: a clause has 1 to {MAX_CHARS}"
    if text != text.strip():
        yield "text has space around it: strip it"
    if _UNPRINTABLE.search(text):
        yield "text holds a line break or control character: collapse white space"


def _check_labels(labels: Any, partial: bool) -> Iterator[str]:
    if not isinstance(labels, (list, tuple)):
        yield f"labels is {labels!r}, not a list"
        return
    for label in labels:
        if not isinstance(label, str) or label not in _ORDER:
            yield f"unknown category {label!r}: use the twelve names of clausemark.taxonomy"
    if len(set(map(str, labels))) < len(labels):
        yield "a category is given twice"
    if not labels and not partial:
        yield 'no category: give one, or set "partial": true in the first line'


def _check_votes(votes: Any) -> Iterator[str]:
    if not isinstance(votes, dict):
        yield f"votes is {votes!r}, not an object of category and share"
        return
    for name, share in votes.items():
        if name not in _ORDER:
            yield f"unknown category {name!r} in votes: use the twelve names of clausemark.taxonomy"
        if type(share) not in (int, float) or not 0 < share <= 1:
            yield f"the vote for {name!r} is {share!r}, not a share above 0 and up to 1"


# What is in it -------------------------------------------------------------------------------------


def statistics(policies: Iterable[Policy]) -> dict[str, Any]:
    """Count what a corpus holds.

    Parameters
    ----------
    policies : iterable of Policy

    Returns
    -------
    dict
        Plain and ready for JSON: ``policies``, ``clauses``, ``unlabelled``, ``kinds`` (clauses a
        kind), ``categories`` (clauses a category, as ``primary`` and as ``any`` label),
        ``words_per_clause`` (``mean``, ``median``; words are parted by space), ``labels_per_clause``
        (mean over labelled clauses), ``policies_by`` (policies by unit, source, sector, country, decade,
        law, tone and structure; ``"-"`` where a policy does not say; of several laws each counts) and
        what is covered: ``sector_by_decade`` and ``country_by_law`` (value -> value -> policies; what
        does not occur together is left out).
    """
    policies = list(policies)
    clauses = [clause for policy in policies for clause in policy.clauses]
    lengths = [len(clause.text.split()) for clause in clauses]
    labelled = [clause.labels for clause in clauses if clause.labels]
    kinds = Counter(clause.kind for clause in clauses)
    primary = Counter(labels[0] for labels in labelled)
    every = Counter(label for labels in labelled for label in labels)
    return {
        "policies": len(policies),
        "clauses": len(clauses),
        "unlabelled": len(clauses) - len(labelled),
        "kinds": {kind: kinds[kind] for kind in _KINDS},
        "categories": {name: {"primary": primary[name], "any": every[name]} for name in CATEGORIES},
        "words_per_clause": {
            "mean": round(sum(lengths) / len(lengths), 2) if lengths else 0.0,
            "median": float(median(lengths)) if lengths else 0.0,
        },
        "labels_per_clause": round(sum(map(len, labelled)) / len(labelled), 3) if labelled else 0.0,
        "policies_by": {
            key: _descending(Counter(value for policy in policies for value in _values(policy, key)))
            for key in ("country", "decade", "law", "sector", "source", "structure", "tone", "unit")
        },
        "sector_by_decade": _cross(policies, "sector", "decade"),
        "country_by_law": _cross(policies, "country", "law"),
    }


def laws_of(policy: Policy) -> tuple[str, ...]:
    """Give the laws that a policy shows.

    Parameters
    ----------
    policy : Policy
        Its metadata ``law`` names them, parted by commas.

    Returns
    -------
    tuple of str
        Each once, in the order given; empty where the metadata name none.
    """
    names = (name.strip() for name in str(policy.metadata.get("law", "")).split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _values(policy: Policy, key: str) -> tuple[str, ...]:
    """Values of a policy that it is counted under: one, but each of its laws; "-" if it has none."""
    if key == "law":
        return laws_of(policy) or ("-",)
    if key == "decade":
        return (f"{policy.metadata['year'] // 10 * 10}s" if "year" in policy.metadata else "-",)
    return (str(policy.metadata.get(key, "-")),)


def _descending(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _cross(policies: Sequence[Policy], rows: str, columns: str) -> dict[str, dict[str, int]]:
    """Count policies by two keys; rows and columns in order of name."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for policy in policies:
        for row in _values(policy, rows):
            found[row].update(_values(policy, columns))
    return {row: dict(sorted(counts.items())) for row, counts in sorted(found.items())}


def split_of(policy_id: str) -> Split:
    """Tell which split a policy belongs to.

    The split is a function of the id alone (a hash of it), so that adding policies moves none of the
    old ones, and all clauses of a policy stay together.

    Parameters
    ----------
    policy_id : str

    Returns
    -------
    {"train", "test"}
        "test" for about a fifth of all ids.
    """
    value = int.from_bytes(hashlib.sha256(policy_id.encode("utf-8")).digest()[:8], "big")
    return "test" if value < TEST_SHARE * 2**64 else "train"


def to_datasets(policies: Iterable[Policy]) -> DatasetDict:
    """Make a Hugging Face dataset of a corpus.

    Parameters
    ----------
    policies : iterable of Policy

    Returns
    -------
    datasets.DatasetDict
        Splits "train" and "test" by `split_of`, a row a clause: ``policy`` (string), ``index``
        (int32, position in the policy), ``kind`` (ClassLabel), ``paragraph`` (int32), ``text``
        (string), ``labels`` (list of ClassLabel, primary first) and ``primary`` (ClassLabel; null
        where a clause has no label).

    Raises
    ------
    MissingExtraError
        If datasets is not installed.
    """
    # Without these the library reports uses and downloads, of local data too.
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "1")
    try:
        from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
    except ImportError:
        raise MissingExtraError("a Hugging Face dataset", "train") from None
    category = ClassLabel(names=list(CATEGORIES))
    features = Features(
        {
            "policy": Value("string"),
            "index": Value("int32"),
            "kind": ClassLabel(names=list(_KINDS)),
            "paragraph": Value("int32"),
            "text": Value("string"),
            "labels": List(category),
            "primary": category,
        }
    )
    rows: dict[Split, dict[str, list[Any]]] = {
        split: {column: [] for column in features} for split in get_args(Split)
    }
    for policy in sorted(policies, key=lambda policy: policy.id):
        columns = rows[split_of(policy.id)]
        for index, clause in enumerate(policy.clauses):
            columns["policy"].append(policy.id)
            columns["index"].append(index)
            columns["kind"].append(clause.kind)
            columns["paragraph"].append(clause.paragraph)
            columns["text"].append(clause.text)
            columns["labels"].append(list(clause.labels))
            columns["primary"].append(clause.labels[0] if clause.labels else None)
    return DatasetDict(
        {split: Dataset.from_dict(columns, features=features) for split, columns in rows.items()}
    )


# Originality ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two clauses of different policies that say nearly the same in the same words.

    Attributes
    ----------
    policy, other_policy : str
        Ids, `policy` the lesser.
    clause, other_clause : int
        Positions in their policies.
    similarity : float
        Jaccard similarity of their word 5-grams.
    """

    policy: str
    clause: int
    other_policy: str
    other_clause: int
    similarity: float


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A clause that shares a run of words with a reference text.

    Attributes
    ----------
    policy : str
    clause : int
        Position in the policy.
    run : str
        The first such run of words.
    """

    policy: str
    clause: int
    run: str


def words(text: str) -> list[str]:
    """Split a text into words for comparison: lower-case letters a to z, digits, apostrophes within.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
    """
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def _runs(tokens: Sequence[str], n: int) -> list[str]:
    return [" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def near_duplicates(
    policies: Iterable[Policy], *, threshold: float = 0.6, n: int = 5, min_words: int = 8
) -> list[NearDuplicate]:
    """Find clauses of different policies that are nearly identical.

    Clauses are compared only where they share one of their rarest word n-grams: of two sets with
    Jaccard similarity t or more, the first ``size - ceil(t * size) + 1`` elements of each, in one
    order for all, have one in common (prefix filtering: Chaudhuri et al. 2006, ICDE). Nothing is
    missed, and stock phrases do not make every clause a candidate for every other.

    Parameters
    ----------
    policies : iterable of Policy
    threshold : float
        Least Jaccard similarity of their sets of word n-grams, in (0, 1].
    n : int
        Words in an n-gram.
    min_words : int
        Shorter clauses are left out.

    Returns
    -------
    list of NearDuplicate
        Most similar first, then in order of policy and clause.
    """
    places: list[tuple[str, int]] = []
    shingles: list[frozenset[str]] = []
    for policy in sorted(policies, key=lambda policy: policy.id):
        for index, clause in enumerate(policy.clauses):
            tokens = words(clause.text)
            if len(tokens) >= max(min_words, n):
                places.append((policy.id, index))
                shingles.append(frozenset(_runs(tokens, n)))
    frequency = Counter(shingle for found in shingles for shingle in found)
    index_of: dict[str, list[int]] = defaultdict(list)
    pairs: list[NearDuplicate] = []
    for number, found in enumerate(shingles):
        rarest = sorted(found, key=lambda shingle: (frequency[shingle], shingle))
        # The margin keeps rounding (0.6 * 5 = 3.0000000000000004) from cutting the prefix short.
        prefix = rarest[: len(found) - math.ceil(threshold * len(found) - 1e-9) + 1]
        candidates = {other for shingle in prefix for other in index_of[shingle]}
        for shingle in prefix:
            index_of[shingle].append(number)
        for other in candidates:
            if places[other][0] == places[number][0]:
                continue
            common = len(found & shingles[other])
            similarity = common / (len(found) + len(shingles[other]) - common)
            if similarity >= threshold:
                pairs.append(NearDuplicate(*places[other], *places[number], similarity))
    return sorted(pairs, key=lambda p: (-p.similarity, p.policy, p.clause, p.other_policy, p.other_clause))


def shared_runs(policies: Iterable[Policy], texts: Iterable[str], n: int = 9) -> list[SharedRun]:
    """Find clauses that share a run of words with reference texts.

    Parameters
    ----------
    policies : iterable of Policy
    texts : iterable of str
        Real policies, as plain text.
    n : int
        Words in a run.

    Returns
    -------
    list of SharedRun
        At most one a clause, in order of policy and clause.
    """
    known: set[str] = set()
    for text in texts:
        known.update(_runs(words(text), n))
    found: list[SharedRun] = []
    for policy in sorted(policies, key=lambda policy: policy.id):
        for index, clause in enumerate(policy.clauses):
            run = next((run for run in _runs(words(clause.text), n) if run in known), None)
            if run is not None:
                found.append(SharedRun(policy.id, index, run))
    return found
