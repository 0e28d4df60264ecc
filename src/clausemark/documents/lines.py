"""Structure of running text: which lines are headings, paragraphs and list items.

The only marks that plain text has are line breaks, blank lines, bullets, enumerators, capitals and
punctuation. The same reading serves text files, PDF pages and the lines that ``<br>`` makes of an
HTML paragraph. Every step looks at a line and its neighbours once, so the time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

#: Longest text in characters. The longest policies have some 200,000.
MAX_CHARS: Final = 3_000_000
TOO_LONG: Final = f"holds more than {MAX_CHARS:,} characters of text, which no policy does"

BlockKind = Literal["heading", "paragraph", "item", "row"]


class Block(NamedTuple):
    """A stretch of a document's text with one role.

    Attributes
    ----------
    kind : {"heading", "paragraph", "item", "row"}
    start, end : int
        Character offsets into the document's text; a bullet or enumerator of an item lies before
        `start`.
    run_in : int
        End offset of a heading that opens the paragraph in its own line, 0 where there is none.
    """

    kind: BlockKind
    start: int
    end: int
    run_in: int = 0


#: Marks that only ever open a list item, also in the middle of a line.
BULLETS: Final = "•◦▪▫‣⁃●○■□◆◇➢➤►▶✓✔❖"
#: Marks that open a list item where they begin a line and a space follows.
_DASHES: Final = "·∙*+–—‐‑−o-"
_ENUMERATOR: Final = r"\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})[.)]|\(\d{1,3}\)"
BULLET: Final = re.compile(rf"\s*(?:[{BULLETS}]\s*|[{_DASHES}]\s+)(?=\S)")
#: The first character of what one of these may match, in a line that is stripped.
MARKS: Final = frozenset(BULLETS + _DASHES)
ENUMERATOR: Final = re.compile(rf"\s*(?:{_ENUMERATOR})\s+(?=\S)")
#: A bullet, or an enumerator, that stands in a line of its own: the next line is its text.
_LONE_BULLET: Final = re.compile(rf"[{BULLETS}·∙*+–—‐‑−-]")
_LONE_ENUMERATOR: Final = re.compile(_ENUMERATOR)
#: A rule between sections, or under a heading.
_RULES: Final = frozenset("-=_~*#+–—")
_RULED: Final = "".join(_RULES) + " \t\r\n"
_RULE: Final = re.compile(r"(\S)(?:\s*\1){2,}")
ALNUM: Final = re.compile(r"[^\W_]")
_LETTER: Final = re.compile(r"[^\W\d_]")
_NUMBER: Final = re.compile(r"\s*\(?\d{1,3}[.)]\s")
#: Alternatives that begin with one character are searched for three times as fast.
_NOT_TITLE: Final = re.compile(
    "|".join(
        [r"@|\||©|®|•"]
        + [f"{h}(?i:ttps?:)|{w}(?i:ww\\.)" for h, w in ("hw", "HW")]
        + [
            rf"{first}(?<!\w{first})(?i:{word[1:]})\b"
            for word in ("updated?", "revised", "modified", "effective", "copyright", "reserved")
            for first in (word[0], word[0].upper())
        ]
    )
)
#: The end of a sentence, with quotes or a reference to a note after it.
_STOPPED: Final = re.compile(r"""[.;,!…](?:["”’]+|\s?\[[\^\w]{1,4}\])$""")
#: House number and street, and the like: a line of an address, not a title.
_ADDRESS: Final = re.compile(
    r"\d{2,6}\s+(?:[NSEW]{1,2}\.?\s+)?[A-Z0-9]\S*(?:\s+\S+){0,4}?\s+(?i:st|street|ave|avenue|rd|road|blvd"
    r"|boulevard|dr|drive|lane|plaza|parkway|court|square|floor|suite|highway)\b"
    r"|(?i:attn|attention)\b|(?i:tel|phone|fax|e-?mail)\b[.:]?\s*\S*[\d@]"
)
_BOX: Final = re.compile(r".*\bP\.?\s?O\.?\s?Box\b")
_POSTCODE: Final = re.compile(r".*\b(?:[A-Z]{2}\.?,?\s+\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]?\s+\d[A-Z]{2})$")
_DIGIT: Final = re.compile("[0-9@]")
#: A line that ends in a colon and is no heading: a sentence that a list completes.
_LEAD_IN: Final = re.compile(
    r"(?:we|you|they|it|these|this|if|when|please|for example|examples?)\b.*:$|.*\b(?:with|to|at|by|for|from"
    r"|when|if|of|on|in|that|as|is|are|may|can|will|include|includes|including|following|follows|below|us|you|about"
    r"|contact|call|visit):$",
    re.I | re.S,
)
_OPEN_ENDS: Final = frozenset(";,dDrR")
_OPEN_ITEM: Final = re.compile(r"(?:[;,]|[;,]\s*(?:and|or|and/or))$", re.I)
#: Longest title in words and characters; a title is what may be a heading.
_TITLE_WORDS: Final = 14
_TITLE_CHARS: Final = 110
#: As many titles in a row are a menu or a table of contents, not headings.
_MENU: Final = 4


def is_title(text: str) -> bool:
    """Tell whether a line reads like a heading: short, capitalised, without a full stop.

    Parameters
    ----------
    text : str
        One line, stripped.

    Returns
    -------
    bool
    """
    if not text or len(text) > _TITLE_CHARS or text[-1] in ".;,!…":
        return False
    if text[-1] in '"”’]' and _STOPPED.search(text):
        return False
    mark = ENUMERATOR.match(text)
    first = ALNUM.search(text, mark.end() if mark else 0)
    if not first or first.group().islower() or _is_open(text) or len(text.split()) > _TITLE_WORDS:
        return False
    lettered = first.group().isalpha() or _LETTER.search(text)
    return bool(lettered) and not _NOT_TITLE.search(text) and not _is_address(text)


def _is_open(text: str) -> bool:
    """Tell whether an item is left open by a semicolon or comma at its end, or before its last "and"."""
    return text[-1:] in _OPEN_ENDS and _OPEN_ITEM.search(text) is not None


def _is_address(text: str) -> bool:
    # Most lines have nothing that an address must have
    box = "Box" in text
    if not (box or text[:3].lower() == "att" or _DIGIT.search(text)):
        return False
    coded = text[-1].isdecimal() or text[-1].isupper()
    return bool(_ADDRESS.match(text) or (box and _BOX.match(text)) or (coded and _POSTCODE.match(text)))


def is_lead_in(text: str) -> bool:
    """Tell whether a line that could be a heading is a sentence that a list completes.

    Parameters
    ----------
    text : str
        One line, stripped.

    Returns
    -------
    bool
    """
    return text.endswith(":") and len(text) <= _TITLE_CHARS and _LEAD_IN.match(text) is not None


def unruled(text: str) -> str:
    """Leave out the rules below a block, which say nothing of what it is.

    Parameters
    ----------
    text : str
        Not empty.

    Returns
    -------
    str
    """
    if text[-1] not in _RULES or "\n" not in text:
        return text
    kept = text.rstrip(_RULED)
    return kept if kept and "\n" in text[len(kept) :] else text


def read_lines(text: str, start: int = 0, end: int | None = None) -> list[Block]:
    """Find the blocks of running text.

    Parameters
    ----------
    text : str
    start, end : int, optional
        The stretch of `text` to read; all of it by default.

    Returns
    -------
    list of Block
        In order, not overlapping; together they hold every non-space character of the stretch but
        the bullets and enumerators of list items.
    """
    lines = _lines(text, start, len(text) if end is None else end)
    return resolve(text, _join(text, lines))


class _Line(NamedTuple):
    start: int
    end: int
    blank_before: bool


_BREAK: Final = re.compile(r"[^\n\r\x0b\x0c\x85\u2028\u2029]+")


def _lines(text: str, start: int, end: int) -> list[_Line]:
    lines: list[_Line] = []
    last = start
    for match in _BREAK.finditer(text, start, end):
        a, b = match.span()
        piece = match.group()
        stripped = piece.strip()
        if not stripped:
            continue
        a += len(piece) - len(piece.lstrip())
        breaks = text.count("\n", last, a) or text.count("\r", last, a)
        lines.append(_Line(a, a + len(stripped), bool(lines) and breaks > 1))
        last = b
    return lines


def _join(text: str, lines: list[_Line]) -> list[Block]:
    """Put the lines of a wrapped paragraph together and mark bullets."""
    wrap = _wrap_width(text, lines)
    blocks: list[Block] = []
    bullet = False  # the line before was a bullet and nothing else
    ruled = False  # it was a rule, which belongs to what stands above it
    for number, line in enumerate(lines):
        piece = text[line.start : line.end]
        if blocks and piece[0] in _RULES and _RULE.fullmatch(piece):
            blocks[-1] = blocks[-1]._replace(end=line.end)
            ruled = True
            continue
        if len(piece) == 1 and _LONE_BULLET.fullmatch(piece):
            bullet = True
            continue
        mark = BULLET.match(piece) if piece[0] in MARKS else None
        if bullet or mark:
            blocks.append(Block("item", line.start + (mark.end() if mark else 0), line.end))
        elif (
            blocks
            and not (ruled or line.blank_before)
            and _continues(text, blocks, lines[number - 1], piece, wrap)
        ):
            blocks[-1] = blocks[-1]._replace(end=line.end)
        else:
            blocks.append(Block("paragraph", line.start, line.end))
        bullet = ruled = False
    return blocks


def _continues(text: str, blocks: list[Block], previous: _Line, piece: str, wrap: int) -> bool:
    """Tell whether a line goes on with the last block, which the line before belongs to."""
    before = text[previous.start : previous.end]
    if (len(before) < 8 and _LONE_ENUMERATOR.fullmatch(before)) or not ALNUM.search(piece):
        return True  # "1." alone in a line; a line that underlines or closes the one before
    if ENUMERATOR.match(piece):
        return False
    # A full line goes on in the next; so does one that breaks off before a small letter.
    full = bool(wrap) and len(before) >= 0.7 * wrap
    if before[-1] in ".!?":
        return full
    if before[-1] in ":;…":
        return False
    if _is_open(before) and (full or not wrap):
        # Commas end lines of wrapped text too; those of a list follow a lead-in or one another.
        listed = len(blocks) > 1 and text[blocks[-2].end - 1] in ":;,"
        if blocks[-1].kind == "item" or (listed and blocks[-1].start == previous.start):
            return False
    return full or piece[0].islower()


def _wrap_width(text: str, lines: list[_Line]) -> int:
    """Width at which the text was wrapped by hand, 0 where lines are paragraphs."""
    if len(lines) < 4:
        return 0
    lengths = sorted(line.end - line.start for line in lines)
    width = lengths[int(0.95 * (len(lengths) - 1))]
    if width > 140:
        return 0
    cut = sum(
        text[a.end - 1] not in ".!?:;…" and not b.blank_before and text[b.start].islower()
        for a, b in pairwise(lines)
    )
    return width if cut >= 0.2 * len(lines) else 0


def resolve(text: str, blocks: Sequence[Block]) -> list[Block]:
    """Decide which paragraphs are headings or list items by what stands around them.

    Parameters
    ----------
    text : str
        Text that the blocks lie in.
    blocks : sequence of Block
        As found by a reader; headings and items already known stay as they are.

    Returns
    -------
    list of Block
        Same length and order as `blocks`.
    """
    found = list(blocks)
    pieces = [unruled(text[start:end]) for _, start, end, _ in found]
    titles = [
        kind == "paragraph" and len(piece) <= _TITLE_CHARS and is_title(piece)
        for (kind, _, _, _), piece in zip(found, pieces, strict=True)
    ]

    def is_tight(i: int) -> bool:
        """Tell whether no blank line stands between a block and the next."""
        return text.count("\n", blocks[i].end, blocks[i + 1].start) < 2

    for i, piece in enumerate(pieces[:-1]):
        if titles[i] and piece[-1] == ":":
            # "We share it with:" or any short line with a colon over a list is a lead-in
            follows = found[i + 1].kind in ("item", "row") or _is_low(pieces[i + 1])
            titles[i] = not (follows or (titles[i + 1] and is_tight(i)) or is_lead_in(piece))
    listed = False  # the paragraph before is a lead-in or an open item of its list
    position = 0
    while position < len(found):
        (kind, start, end, run_in), piece = found[position], pieces[position]
        if kind != "paragraph":
            listed = kind == "item" or (listed and kind == "row")
            position += 1
            continue
        if titles[position]:
            # They are as far apart as the two before them in their list, or the first two.
            first = position - (listed and found[position - 1].kind == "item")
            run = position + 1
            while run < len(found) and titles[run] and is_tight(run - 1) == is_tight(first):
                run += 1
            position = _titles(found, pieces, is_tight, position, run, listed)
            listed = found[position - 1].kind == "item"
            continue
        mark = ENUMERATOR.match(piece)
        if mark and (listed or not _NUMBER.match(piece)) and _siblings(pieces, position):
            found[position] = Block("item", start + mark.end(), end, run_in)
            listed = True
        elif listed and (
            _is_open(piece) or piece[:1].islower() or (position and _is_open(pieces[position - 1]))
        ):
            # the last of a list may be closed
            found[position] = Block("item", start, end, run_in)
        else:
            listed = piece.endswith(":") and len(piece) < 2000
        position += 1
    return found


def _titles(
    found: list[Block],
    pieces: list[str],
    is_tight: Callable[[int], bool],
    start: int,
    stop: int,
    listed: bool,
) -> int:
    """Settle a run of title-like lines; return where to go on."""
    size = stop - start
    goes_on = listed and found[start - 1].kind == "item" and is_tight(start - 1)
    if (
        (goes_on and ENUMERATOR.match(pieces[start]))
        or (listed and size > 1)
        or (size > 2 and all(map(ENUMERATOR.match, pieces[start:stop])))
    ):
        for i in range(start, stop):
            mark = ENUMERATOR.match(pieces[i])
            _, first, last, run_in = found[i]
            found[i] = Block("item", first + (mark.end() if mark else 0), last, run_in)
        return stop
    first = stop - 1 if size >= _MENU else start
    last = stop
    if stop < len(found) and is_tight(stop - 1) and _is_address(pieces[stop]):
        while last > first and is_tight(last - 1):  # the name that opens an address
            last -= 1
    for i in range(first, last):
        if stop < len(found) or i == 0:
            found[i] = Block("heading", *found[i][1:])
    return stop


def _is_low(piece: str) -> bool:
    """Tell whether a line begins like an item: with a small letter or an enumerator."""
    return piece[0].islower() or ENUMERATOR.match(piece) is not None


def _siblings(pieces: list[str], position: int) -> bool:
    """Tell whether a neighbouring line is enumerated too."""
    around = pieces[max(0, position - 1) : position] + pieces[position + 1 : position + 2]
    return any(ENUMERATOR.match(p) for p in around)
