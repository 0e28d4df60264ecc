"""OPP-115: website privacy policies annotated by three law students each (Wilson et al. 2016).

The corpus is for research, teaching and scholarship only. This module reads a copy that the user
has; nothing of the corpus is in this package. Its manual, documentation/manual.txt or readme.txt,
tells what the files hold.
"""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, Literal

from clausemark.clauses import segment
from clausemark.corpus import AnnotatedClause, Policy, find_files, read_rows, read_text
from clausemark.documents import Block, Document
from clausemark.documents.lines import read_lines
from clausemark.errors import CorpusError
from clausemark.taxonomy import CATEGORIES

__all__ = ["import_opp115"]

LICENSE: Final = "research, teaching and scholarship only (Carnegie Mellon University)"
#: Annotators of a policy, and how many of them make a majority.
ANNOTATORS: Final = 3
MAJORITY: Final = 2
#: An annotator marks a clause where a span covers as many of its characters, spaces not counted.
MIN_OVERLAP: Final = 3

_SEPARATOR: Final = "|||"
_ORDER: Final = {name: number for number, name in enumerate(CATEGORIES)}
_OTHER: Final = frozenset(("Introductory/Generic", "Privacy contact information", "Practice not covered"))
_MARKUP: Final = re.compile(
    r"<(?P<close>/?)(?P<tag>[A-Za-z][A-Za-z0-9]*)[^<>]*>|&(?:#\d{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});"
)
_TAG: Final = re.compile(r"</?[A-Za-z][^<>]*>")
_BOLD: Final = re.compile(r"<(strong|b)>(.*?)</\1>", re.I | re.S)
_BREAKS: Final = frozenset(("br", "p", "div", "li", "ul", "ol", "body", "html"))
#: What stands for "no text" in selectedText.
_NO_TEXT: Final = frozenset(("", "null", "not selected"))
_HEADING_WORDS: Final = 12


@dataclass(frozen=True, slots=True)
class _Practice:
    """A category that one annotator gave to a segment, and where: offsets into its raw HTML."""

    annotator: str
    segment: int
    category: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _Evidence:
    """That an annotator gave a category to a unit, with the characters that they marked in it."""

    annotator: str
    category: str
    chars: int


def import_opp115(
    path: str | Path, *, unit: Literal["segment", "sentence"] = "sentence"
) -> tuple[list[Policy], list[str]]:
    """Read OPP-115.

    The ten categories of the annotators become twelve: "Other" is split by its "Other Type", as
    Harkous et al. (2018) and Mousavi Nejad et al. (2020) do, and "Other" of type "Other" is dropped.

    Segments
        are labelled as in Mousavi Nejad et al. 2020: a category counts where at least two of the
        three annotators gave it.

    Sentences
        are the clauses of the whole policy, none of which crosses a segment; the segment, which the
        annotators read at one go, is their paragraph. An annotator marks a
        sentence with a category where one of their spans of that category covers at least three
        characters of it. A span whose offsets are missing or known to be wrong is looked up by its
        text, and used where that stands in the segment exactly once. A practice without any usable
        span speaks for its whole segment, unless another practice of that annotator and category in
        the segment has spans. A sentence gets the categories that the majority gave to its segment
        and that at least one annotator marked in the sentence: annotators were asked for a phrase
        for each attribute, not for every sentence that speaks of a practice, so the majority decides
        what is in the segment and the spans decide where. `AnnotatedClause.votes` hold the marks in
        the sentence itself, for those who want the majority there too.

    The primary category is that of most annotators, then of most practices, then of most marked
    characters, then the first of the scheme.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder with annotations/, sanitized_policies/ and, optionally, documentation/.
    unit : {"segment", "sentence"}

    Returns
    -------
    policies : list of Policy
        Sorted by id, ``opp115-`` and the name of the file; partially labelled. `votes` are shares
        of the three annotators, also for categories that did not become labels.
    report : list of str
        What was dropped or could not be located, and how much of it.

    Raises
    ------
    CorpusError
        If the folder lacks a part, or a file breaks the format of the manual.
    """
    root = Path(path)
    for part in ("annotations", "sanitized_policies"):
        if not (root / part).is_dir():
            raise CorpusError(f"is not a copy of OPP-115: it has no folder {part}", where=root)
    errant = _read_errant(root)
    years = _read_years(root)
    notes: Counter[str] = Counter()
    policies = []
    for file in find_files(root / "annotations", ".csv"):
        segments = _read_segments(root / "sanitized_policies" / f"{file.stem}.html")
        practices, url = _read_practices(file, segments, errant, notes)
        make = _segment_clauses if unit == "segment" else _sentence_clauses
        clauses = tuple(make(segments, practices, notes))
        number, _, name = file.stem.partition("_")
        metadata: dict[str, Any] = {
            "name": name or file.stem, "unit": unit, "source": "opp115", "license": LICENSE,
            "country": "US", "partial": True,
        }  # fmt: skip
        if number in years:
            metadata["year"] = years[number]
        if url:
            metadata["url"] = url
        policies.append(Policy(f"opp115-{file.stem}", clauses, metadata))
        notes["segments"] += len(segments)
        notes[f"{unit}s without a category: kept as context"] += sum(not c.labels for c in clauses)
    report = [f"{len(policies):,} policies", *(f"{count:,} {what}" for what, count in notes.items() if count)]
    return sorted(policies, key=lambda policy: policy.id), report


# Files -------------------------------------------------------------------------------------------


def _read_errant(root: Path) -> frozenset[tuple[str, str]]:
    """Practices and attributes whose offsets the annotation tool got wrong."""
    folder = root / "documentation" / "errant_span_indexes"
    files = sorted(folder.glob("*.csv"))
    return frozenset(
        (row[0], row[1].partition("_")[2]) for file in files for _, row in read_rows(file) if len(row) > 1
    )


def _read_years(root: Path) -> dict[str, int]:
    """Policy -> year of its last revision or, where it does not tell, of its collection."""
    path = root / "documentation" / "policies_opp115.csv"
    years: dict[str, int] = {}
    for _, row in read_rows(path) if path.is_file() else ():
        dates = [date[:4] for date in reversed(row[2:4]) if date[:4].isdigit()]
        if dates:
            years[row[0]] = int(dates[0])
    return years


def _read_segments(path: Path) -> list[str]:
    return read_text(path).split(_SEPARATOR)


def _read_practices(
    path: Path, segments: Sequence[str], errant: frozenset[tuple[str, str]], notes: Counter[str]
) -> tuple[list[_Practice], str]:
    """Read the practices of a policy, and its address."""
    practices: list[_Practice] = []
    annotators: set[str] = set()
    url = ""
    for line, row in read_rows(path):
        try:
            practice_id, _, annotator, _, number, category, attributes = row[:7]
            at = int(number)
            if not 0 <= at < len(segments):
                raise ValueError(f"segment {at} of a policy of {len(segments)}")
            values = json.loads(attributes)
            kind = _category(category, values)
            spans = _locate(segments[at], practice_id, values, errant, notes)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorpusError(f"is not a practice of OPP-115: {error}", where=path, line=line) from None
        notes["practices"] += 1
        annotators.add(annotator)
        url = url or next((field for field in row[7:] if field.startswith("http")), "")
        if kind is None:
            notes['practices "Other" of type "Other": dropped'] += 1
            continue
        practices.append(_Practice(annotator, at, kind, spans))
    if len(annotators) > ANNOTATORS:
        raise CorpusError(f"has {len(annotators)} annotators, not {ANNOTATORS}", where=path)
    return practices, url.strip()


def _category(name: str, attributes: dict[str, Any]) -> str | None:
    """Name of the scheme of twelve, None for what it has no place for."""
    if name == "Other":
        kind = str(attributes["Other Type"]["value"])
        if kind == "Other":
            return None
        if kind not in _OTHER:
            raise ValueError(f"unknown Other Type {kind!r}")
        return kind
    name = name.replace("&", "and")
    if name not in _ORDER:
        raise ValueError(f"unknown category {name!r}")
    return name


def _locate(
    raw: str,
    practice_id: str,
    attributes: dict[str, Any],
    errant: frozenset[tuple[str, str]],
    notes: Counter[str],
) -> tuple[tuple[int, int], ...]:
    """Where the annotator marked the practice."""
    spans: list[tuple[int, int]] = []
    for name, attribute in attributes.items():
        start, end = int(attribute["startIndexInSegment"]), int(attribute["endIndexInSegment"])
        text = attribute.get("selectedText") or ""
        if 0 <= start < end <= len(raw) and (practice_id, name) not in errant:
            spans.append((start, end))
        elif text.strip().lower() not in _NO_TEXT:
            if raw.count(text) == 1:
                spans.append((raw.index(text), raw.index(text) + len(text)))
            else:
                notes["spans with wrong offsets and a text that is not unique: not used"] += 1
    return _merge(spans)


def _merge(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Put overlapping spans together: attributes of one practice often share their words."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


# Labels ------------------------------------------------------------------------------------------


def _label(
    evidence: Iterable[_Evidence], allowed: frozenset[str] | None = None
) -> tuple[tuple[str, ...], dict[str, float] | None]:
    """Labels and votes of a unit: labels are those allowed, or by majority."""
    annotators: dict[str, set[str]] = defaultdict(set)
    practices: Counter[str] = Counter()
    chars: Counter[str] = Counter()
    for mark in evidence:
        annotators[mark.category].add(mark.annotator)
        practices[mark.category] += 1
        chars[mark.category] += mark.chars
    ranked = sorted(
        annotators, key=lambda name: (-len(annotators[name]), -practices[name], -chars[name], _ORDER[name])
    )
    labels = tuple(
        name for name in ranked if (len(annotators[name]) >= MAJORITY if allowed is None else name in allowed)
    )
    votes = {name: round(len(annotators[name]) / ANNOTATORS, 3) for name in ranked}
    return labels, votes or None


def _of_segment(practices: Iterable[_Practice]) -> list[_Evidence]:
    return [_Evidence(p.annotator, p.category, sum(end - start for start, end in p.spans)) for p in practices]


def _by_segment(practices: Iterable[_Practice]) -> dict[int, list[_Practice]]:
    found: dict[int, list[_Practice]] = defaultdict(list)
    for practice in practices:
        found[practice.segment].append(practice)
    return found


def _segment_clauses(
    segments: Sequence[str], practices: Sequence[_Practice], notes: Counter[str]
) -> Iterator[AnnotatedClause]:
    given = _by_segment(practices)
    for number, raw in enumerate(segments):
        text = " ".join(html.unescape(_TAG.sub(" ", raw)).split())
        if not text:
            notes["segments without text: dropped"] += 1
            continue
        labels, votes = _label(_of_segment(given[number]))
        yield AnnotatedClause(text, "sentence", number, labels, votes)


def _sentence_clauses(
    segments: Sequence[str], practices: Sequence[_Practice], notes: Counter[str]
) -> Iterator[AnnotatedClause]:
    raw = ("\n" * len(_SEPARATOR)).join(segments)
    text = _blank(raw)
    starts = list(accumulate((len(s) + len(_SEPARATOR) for s in segments[:-1]), initial=0))
    given = _by_segment(practices)
    majority = {number: frozenset(_label(_of_segment(found))[0]) for number, found in given.items()}
    located = {(p.segment, p.annotator, p.category) for p in practices if p.spans}
    for practice in practices:
        if not practice.spans:
            known = (practice.segment, practice.annotator, practice.category) in located
            notes[
                "practices without spans: left to the annotator's other practices of the category"
                if known
                else "practices without spans: taken for the whole segment"
            ] += 1
    for clause in segment(_document(raw, text)):
        number = bisect_right(starts, clause.start) - 1
        offset = starts[number]
        size = _size(text[clause.start : clause.end])
        evidence: list[_Evidence] = []
        for practice in given.get(number, ()):
            chars = sum(
                _size(text[max(clause.start, offset + a) : min(clause.end, offset + b)])
                for a, b in practice.spans
            )
            if not practice.spans and (number, practice.annotator, practice.category) not in located:
                chars = size
            if chars >= min(MIN_OVERLAP, size):
                evidence.append(_Evidence(practice.annotator, practice.category, chars))
        labels, votes = _label(evidence, majority.get(number, frozenset()))
        yield AnnotatedClause(" ".join(clause.text.split()), clause.kind, number, labels, votes)


def _size(text: str) -> int:
    """Characters that are not space."""
    return sum(map(len, text.split()))


# Structure ---------------------------------------------------------------------------------------


def _blank(raw: str) -> str:
    """Give HTML as text of the same length, so that offsets into the one hold in the other."""

    def fill(match: re.Match[str]) -> str:
        found = match.group()
        tag = (match["tag"] or "").lower()
        if not tag:
            character = html.unescape(found)
            return (character if len(character) <= len(found) else "").ljust(len(found))
        if tag == "li" and not match["close"]:
            return "\n• ".ljust(len(found))
        return ("\n" if tag in _BREAKS else "").ljust(len(found))

    return _MARKUP.sub(fill, raw)


def _document(raw: str, text: str) -> Document:
    """Read the structure of a blanked policy, in which short lines in bold are headings."""
    bold = []
    for match in _BOLD.finditer(raw):
        inner = text[match.start(2) : match.end(2)]
        if inner.strip():
            start = match.start(2) + len(inner) - len(inner.lstrip())
            bold.append((start, start + len(inner.strip())))
    starts = [start for start, _ in bold]
    blocks = []
    for block in read_lines(text):
        line = text.rfind("\n", 0, block.start) + 1
        mark = text[line : block.start]  # bullet or number; the number of a heading is part of it
        nearest = bisect_right(starts, block.start) - 1
        in_bold = nearest >= 0 and bold[nearest][1] >= block.end
        short = len(text[block.start : block.end].split()) <= _HEADING_WORDS
        if in_bold and short and "•" not in mark:
            block = Block("heading", line + len(mark) - len(mark.lstrip()), block.end)
        blocks.append(block)
    return Document(text, tuple(blocks), media="text")
