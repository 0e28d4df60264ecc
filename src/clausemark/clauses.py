"""Clauses: the sentences, list items and headings of a document, and the context of each.

A clause is a small immutable record. What stands around it (its heading, the lead-in of its list,
its neighbours, its paragraph) is derived from the list of clauses that it stands in, here and
nowhere else, so that training, labelling and batch work read the same context.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from clausemark.documents import Block, Document, parse_document
from clausemark.documents.lines import ALNUM, BULLETS

if TYPE_CHECKING:
    from clausemark.stops import Stops

ClauseKind = Literal["heading", "sentence", "item"]

#: Longest clause in characters; what has no full stop for longer is cut at a space.
MAX_CHARS: Final = 5_000
#: Most clauses and characters of a paragraph. What stands around a clause is read with each of its
#: clauses, so without a limit the time would grow with the square of the longest paragraph.
_PARAGRAPH_CLAUSES, _PARAGRAPH_CHARS = 40, 10_000


class Clause(NamedTuple):
    """A sentence, list item or heading of a policy.

    Attributes
    ----------
    text : str
        Exactly ``document.text[start:end]``; line breaks of wrapped text are kept.
    kind : {"heading", "sentence", "item"}
    start, end : int
        Character offsets into the document's text.
    paragraph : int
        Number of the paragraph, from 0. A list shares the number of its lead-in; very long lists
        and paragraphs (over 40 clauses or 10,000 characters) count as several.
    """

    text: str
    kind: ClauseKind
    start: int
    end: int
    paragraph: int


class Context(NamedTuple):
    """What stands around a clause, as positions in the list of clauses; -1 where there is nothing.

    Attributes
    ----------
    heading : int
        The heading that the clause stands under.
    section : int
        The heading above that one: the last heading that opened a run of headings before it.
    lead_in : int
        The clause that introduces the list of an item.
    previous, next : int
        The neighbours.
    first, last : int
        The range of the paragraph, `last` included.
    """

    heading: int
    section: int
    lead_in: int
    previous: int
    next: int
    first: int
    last: int


# As the classes do it, but from a tuple, at a third of the cost
_clause: Final = partial(tuple.__new__, Clause)
_context: Final = partial(tuple.__new__, Context)


def segment(document: Document | str) -> list[Clause]:
    """Split a document into clauses.

    Parameters
    ----------
    document : Document or str
        A string is read as plain text.

    Returns
    -------
    list of Clause
        In document order, not overlapping; together they hold every non-space character of the
        text but bullets and enumerators. Empty for a string without text.
    """
    from clausemark.stops import find_stops  # loads compiled loops, which only those who segment need

    if isinstance(document, str):
        if not document.strip():
            return []
        document = parse_document(document, media="text")
    text = document.text
    stops = find_stops(text)
    clauses: list[Clause] = []
    paragraph, first, opened = -1, 0, 0  # of the paragraph: its number, first clause and offset
    lead_in = open_list = False  # the last paragraph introduces a list; it may be going on in items
    for block in document.blocks:
        parts = _split(text, block, stops, lead_in)
        if not parts:
            continue
        if not open_list or parts[0][0] != "item":
            paragraph, first, opened = paragraph + 1, len(clauses), parts[0][1][0][0]
        for kind, spans in parts:
            for start, end in spans:
                count = len(clauses) - first
                if count and (end - opened > _PARAGRAPH_CHARS or count >= _PARAGRAPH_CLAUSES):
                    paragraph, first, opened = paragraph + 1, len(clauses), start
                clauses.append(_clause((text[start:end], kind, start, end, paragraph)))
        open_list = True
        if kind != "item":
            last = text[end - 1]
            lead_in = kind == "sentence" and last == ":"
            open_list = kind == "sentence" and block.kind == "paragraph" and last not in ".!?"
    return clauses


def contexts(clauses: Sequence[Clause]) -> list[Context]:
    """Derive the context of every clause of one document.

    Parameters
    ----------
    clauses : sequence of Clause
        All clauses of the document, in order. A single clause has an empty context.

    Returns
    -------
    list of Context
        One for each clause. Positions refer to `clauses`.
    """
    count = len(clauses)
    final = {clause.paragraph: i for i, clause in enumerate(clauses)}
    initial: dict[int, int] = {}
    headings = [i for i, clause in enumerate(clauses) if clause.kind == "heading"]
    over = iter(headings_above(clauses, headings))
    found: list[Context] = []
    current: int | None = None
    first = last = 0
    heading = section = lead_in = -1
    before: ClauseKind | None = None
    for i, (_, kind, _, _, paragraph) in enumerate(clauses):
        above, shown = heading, section
        if kind == "heading":
            heading, section = i, next(over)
            above, shown = section, -1
        if kind != "item":
            lead_in = -1
        elif before == "sentence":
            lead_in = i - 1
        if paragraph != current:
            current, first, last = paragraph, initial.setdefault(paragraph, i), final[paragraph]
        following = i + 1 if i + 1 < count else -1
        found.append(_context((above, shown, lead_in, i - 1, following, first, last)))
        before = kind
    return found


def headings_above(clauses: Sequence[Clause], headings: Sequence[int]) -> list[int]:
    """Name the heading that each heading stands under.

    Parameters
    ----------
    clauses : sequence of Clause
        All clauses of the document, in order.
    headings : sequence of int
        Positions of all headings among them, ascending.

    Returns
    -------
    list of int
        One for each heading: the last that opened a run of headings before it, -1 for none. A heading
        that looks like that one, and not like those since, stands beside it.
    """
    found = []
    section, before, run = -1, -2, False  # the heading before, and whether another one is before that
    for i in headings:
        if i == before + 1:
            section = section if run else before
            run = True
        else:
            if section >= 0 and _same_rank(clauses[before].text, clauses[section].text, clauses[i].text):
                section = -1
            run = False
        found.append(section)
        before = i
    return found


_RANK: Final = re.compile(
    r"(?:(?:section|article|part)\s+)?(\(?(?:\d+(?:\.\d+)*|[A-Z]|[IVX]+)[.):]?)\s", re.I
)


@lru_cache(maxsize=1024)
def _rank(text: str) -> str:
    """How a heading looks: its numbering and its case."""
    mark = _RANK.match(text)
    case = "upper" if text.isupper() else "lower"
    return f"{re.sub(r'[0-9]+', '1', mark.group(1)) if mark else ''}/{case}"


def _same_rank(heading: str, section: str, new: str) -> bool:
    """Tell whether a new heading closes the section: it looks like the section's own heading."""
    return _rank(new) == _rank(section) and _rank(heading) != _rank(section)


# Sentences ---------------------------------------------------------------------------------------

#: Never end a sentence.
TITLES: Final = frozenset(
    "mr mrs ms dr prof st messrs e.g eg i.e ie vs viz cf art arts sec sect secs para paras ch cl"
    " fig reg regs ref tel lit al approx ca incl attn nr nos pt app sched civ bus gen hon rev"
    " capt ltda".split()
)
#: Never end one before a number.
NUMBERED: Final = frozenset("no p pp vol ver v ext art sec".split())
#: End a sentence only where a word follows that seldom goes on within a name.
COMPANY: Final = frozenset(
    "inc ltd co corp llc llp plc etc u.s u.k e.u u.s.a u.s.c d.c a.m p.m jr sr ave blvd rd dept div"
    " s.a s.l s.r.l b.v n.v a.g k.k pty pte gmbh cal mass n.y calif ph.d m.d j.d jan feb mar apr jun"
    " jul aug sep sept oct nov dec dba est bros assn univ intl govt".split()
)
_STARTERS: Final = frozenset(
    "the a an we you your our us it its they their this that these those if when where while in on"
    " at by for from to with without under as all any each every no not please however although"
    " although because since such other some many most more should may can will do does is are was"
    " were have has there here he she his her i my who what which how why also and but or so then"
    " once upon until unless after before during additionally furthermore moreover personal"
    " information data cookies further using once".split()
)
_INITIALS: Final = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")
_LAST_WORD: Final = re.compile(r"[^\s(\[\"'“‘]+$")
_NEXT_WORD: Final = re.compile(r"\s*[\"'“‘(\[]*([^\s,.;:!?)\]]*)")
_INLINE_BULLET: Final = re.compile(rf"\s[{BULLETS}]\s*(?=\S)")
_ENUMERATED: Final = re.compile(r"\s*\(?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivxIVX]{1,5})[.)]*$")
#: An item of at most that many sentences is one clause.
_ITEM_SENTENCES: Final = 2
_VERB: Final = re.compile(
    r"\b(?:we|you|they|it|i|is|are|was|were|will|may|can|do|does|don['’]t|have|has|please|shall|must"
    r"|should|let|see|click|visit|contact|call|write|read|use|send|yes|no|sure|uses|collects|shares"
    r"|keeps|sells|accepts?|applies|apply|remains?|varies|vary|expires?|reserved)\b",
    re.I,
)


def split_sentences(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Split running text into sentences.

    Full stops of abbreviations ("e.g.", "Inc.", "Art. 6", "U.S."), enumerators ("1. We ...") and
    run-in headings ("Legal requests. We may ...") do not end a sentence.

    Parameters
    ----------
    text : str
    start, end : int, optional
        The stretch of `text` to split; all of it by default.

    Returns
    -------
    list of (int, int)
        Start and end offset of each sentence, without the spaces around.
    """
    from clausemark.stops import find_stops

    end = len(text) if end is None else end
    spans = _sentences(text[start:end], 0, end - start, find_stops(text[start:end]))
    return [(first + start, last + start) for first, last in spans]


def _sentences(text: str, start: int, end: int, stops: Stops) -> list[tuple[int, int]]:
    """Split a stretch of a text whose stops are known."""
    begins, ends, sure, _ = stops
    earliest = bisect_left(begins, start)
    spans: list[tuple[int, int]] = []
    first = _skip_space(text, start, end)
    caseless: bool | None = None  # text without capitals, where a small letter may open a sentence
    for number in range(earliest, bisect_left(ends, end, earliest)):
        stop = ends[number]
        if sure[number]:
            spans.append((first, stop))
            first = stop + 1
            continue
        following = _NEXT_WORD.match(text, stop, min(end, stop + 80))
        word = following.group(1) if following else ""
        if word and word[0].islower() and word not in ("http", "www"):
            # "Ask us at Acme Inc. or write": a small letter goes on
            if caseless is None:
                caseless = text[start:end].islower()
            if not caseless:
                continue
        if word and not _ends_sentence(text, first, begins[number], stop, word):
            continue
        spans.append((first, stop))
        first = _skip_space(text, stop + 1, end)
    while end > first and text[end - 1].isspace():
        end -= 1
    if first < end:
        if spans and not (text[first].isalnum() or ALNUM.search(text, first, end)):
            first = spans.pop()[0]  # a rule or the like: no sentence of its own
        spans.append((first, end))
    if len(spans) > 1 and spans[0][1] - spans[0][0] < 60 and is_run_in(text[spans[0][0] : spans[0][1]]):
        spans[:2] = [(spans[0][0], spans[1][1])]  # with the sentence that it opens
    return spans


def _skip_space(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _ends_sentence(text: str, first: int, begin: int, end: int, word: str) -> bool:
    """Tell whether stops end a sentence that began at `first` and that `word` follows."""
    if text[begin] != "." or text.startswith("..", begin, end):
        return True
    before = _LAST_WORD.search(text, max(first, begin - 40), begin)
    last = before.group() if before else ""
    if begin - first < 10 and _ENUMERATED.match(text, first, begin):
        return False
    low = last.lower()
    if low in TITLES or (word[0].isdigit() and low in NUMBERED):
        return False
    if low in COMPANY or _INITIALS.fullmatch(low):
        # "Acme Inc. We ...", "in the U.S. The ...", but "Acme Inc. Legal Department"
        return word.lower() in _STARTERS and word[0].isupper()
    return True


def is_run_in(text: str) -> bool:
    """Tell whether a first sentence is a heading in the line of its paragraph.

    Parameters
    ----------
    text : str
        The first sentence, with its full stop.

    Returns
    -------
    bool
    """
    if not text.endswith(".") or len(text) >= 60:
        return False
    words = [word for word in text.split() if word[0].isalpha()]
    if len(words) > 6 or not words or not words[0][0].isupper() or _VERB.search(text):
        return False
    # "Legal requests."; longer ones only where they are set like a title
    return len(words) <= 3 or all(word[0].isupper() for word in words if len(word) > 4)


_Spans = list[tuple[int, int]]


def _split(text: str, block: Block, stops: Stops, lead_in: bool) -> list[tuple[ClauseKind, _Spans]]:
    """Clauses of one block; an item that is not under a lead-in may be running text."""
    kind, start, end, run_in = block
    bullets = stops.bullets
    spans = [(start, end)]
    role: ClauseKind = "item"
    if kind == "heading":
        role = "heading"
    elif kind != "row":
        if bullets[bisect_right(bullets, start)] < end:
            marks = list(_INLINE_BULLET.finditer(text, start, end))
            if len(marks) > (kind == "paragraph"):
                return _split_list(text, block, stops, marks)
        spans = _sentences(text, start, end, stops)
        if run_in:
            spans = _after_run_in(spans, run_in)
        if kind == "paragraph" or (len(spans) > _ITEM_SENTENCES and not lead_in):
            role = "sentence"
        else:
            spans = _item(spans)
    if end - start > MAX_CHARS:
        spans = _cut(text, spans)
    return [(role, spans)] if spans else []


def _split_list(
    text: str, block: Block, stops: Stops, marks: list[re.Match[str]]
) -> list[tuple[ClauseKind, _Spans]]:
    """Clauses of a block that has bullets in its lines."""
    kind, start, end, run_in = block
    parts: list[tuple[ClauseKind, _Spans]] = []
    for number, stop in enumerate([*(mark.start() for mark in marks), end]):
        spans = _sentences(text, start, stop, stops)
        if number == 0 and run_in:
            spans = _after_run_in(spans, run_in)
        role: ClauseKind = "item" if number or kind == "item" else "sentence"
        spans = _cut(text, _item(spans) if role == "item" else spans)
        if spans:
            parts.append((role, spans))
        if number < len(marks):
            start = marks[number].end()
    return parts


def _item(spans: _Spans) -> _Spans:
    """Leave an item of few sentences in one."""
    return [(spans[0][0], spans[-1][1])] if 1 < len(spans) <= _ITEM_SENTENCES else spans


def _cut(text: str, spans: _Spans) -> _Spans:
    """Cut what is longer than a clause can be, if possible at a space."""
    parts: _Spans = []
    for start, end in spans:
        while end - start > MAX_CHARS:
            stop = start + MAX_CHARS
            while stop > start and not text[stop].isspace():
                stop -= 1
            stop = stop if stop > start else start + MAX_CHARS
            rest = _skip_space(text, stop, end)
            while text[stop - 1].isspace():
                stop -= 1
            parts.append((start, stop))
            start = rest
        parts.append((start, end))
    return parts


def _after_run_in(sentences: list[tuple[int, int]], run_in: int) -> list[tuple[int, int]]:
    """Join what a run-in heading in bold covers with the sentence after it."""
    covered = sum(end <= run_in for _, end in sentences)
    if 0 < covered < len(sentences):
        return [(sentences[0][0], sentences[covered][1]), *sentences[covered + 1 :]]
    return sentences
