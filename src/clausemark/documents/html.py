"""HTML pages as crawled: blocks of text, without scripts, menus and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from clausemark.documents.lines import (
    BULLET,
    MARKS,
    MAX_CHARS,
    TOO_LONG,
    Block,
    BlockKind,
    is_lead_in,
    is_title,
    read_lines,
    resolve,
)
from clausemark.documents.tags import BLOCKS, check_tags
from clausemark.errors import InputError

#: Never part of what a reader sees as text.
_SKIPPED: Final = (
    "script style noscript template svg math iframe object embed canvas audio video map select"
    " option optgroup datalist textarea head title link meta param source img input".split()
)
_BOLD: Final = frozenset(("b", "strong", "u"))
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_FURNITURE_TAGS: Final = frozenset(("nav", "footer", "aside", "menu"))
_NEVER_FURNITURE: Final = frozenset(("html", "body", "main", "article", "p", "td", "tr", "tbody", "table"))
#: Roles (WAI-ARIA) that make of an element what has a tag of its own.
_ARIA: Final = {
    "heading": "h2",
    "listitem": "li",
    "row": "tr",
    **dict.fromkeys(("cell", "gridcell", "columnheader", "rowheader"), "td"),
}
_FURNITURE_ROLES: Final = frozenset("navigation banner contentinfo search menu menubar complementary".split())
#: These are, if they have fewer characters: a page may show its policy in one.
_DIALOGS: Final = frozenset(("dialog", "alertdialog"))
_DIALOG_CHARS: Final = 3000
#: Words in id or class that mark menus and the like; the last ones, consent banners by their makers.
_FURNITURE_NAME: Final = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|topnav|subnav|sidenav|leftnav|menu|submenu|megamenu"
    r"|footer|foot|masthead|sidebar|breadcrumbs?|toolbar|topbar|skip|pagination|social|share"
    r"|cookie-?(?:bar|banner|notice)|newsletter|related|comments?|search"
    r"|onetrust|cookieconsent|cc-window|cybotcookiebot\w*|usercentrics|didomi|osano|qc-cmp2?|cmplz|cky"
    r"|iubenda-cs)(?:$|[\s_-])",
    re.I,
)
#: What says that a button opens what follows it, and names that do not say what that is.
_OPENS: Final = frozenset(("aria-expanded", "aria-controls"))
_NAMELESS: Final = re.compile(
    r"\W*(?:(?:show|read|view|see|learn|expand|collapse|open|close|toggle|menu|more|less)\b(?:\s+\w+)?)?\W*",
    re.I,
)
#: Raised after a word or a full stop, these refer to a note.
_FOOTNOTE: Final = re.compile(r"\s*[\[(]?(?:\d{1,2}|[*†‡]+)[\])]?\s*")
_SKIP_LINK: Final = re.compile(r"skip (?:to|navigation|nav)\b", re.I)
_LABELLED: Final = re.compile(r"[^.!?:]{2,70}[.:]?$")
#: Stands for a forced line break until white space has been collapsed; no page holds it.
_BREAK: Final = "\0"
#: Places where a word may break; they part words that are one, and hide how a line ends.
_INVISIBLE: Final = "\u00ad\u200b\u2060\ufeff"


def _roles() -> dict[int, str]:
    """What the walk does at a node, by the parser's number of its tag, which is cheap to ask for."""
    body = LexborHTMLParser("x<!---->").body
    assert body is not None
    text, comment = body.iter(include_text=True)
    create = LexborHTMLParser("").create_node
    roles = {
        text.tag_id: "-text",
        **{create(tag).tag_id: tag for tag in (*BLOCKS, "a", "br", "button", "sup")},
    }
    roles |= {create(tag).tag_id: "b" for tag in _BOLD}
    return roles | {node.tag_id: "-skip" for node in (comment, *map(create, _SKIPPED))}


_ROLES: Final = _roles()
#: Roles of elements that end no block.
_INLINE: Final = frozenset(("", "a", "b"))
#: Kind of the blocks in an element; elements not named here leave it as it is.
_KINDS: Final[dict[str, BlockKind]] = {
    "li": "item",
    **dict.fromkeys((*_HEADINGS, "caption", "legend", "summary", "dt"), "heading"),
    **dict.fromkeys(("ul", "ol", "table", "td", "th", "dd"), "paragraph"),
}
#: Largest number of cells and of characters in a cell and in a row of a table of data.
_CELLS, _CELL_CHARS, _ROW_CHARS = 20, 600, 1500
#: An item of several blocks and more characters is a section that a list happens to number.
_ITEM_CHARS: Final = 400


@dataclass(slots=True)
class _Piece:
    """Text gathered for one block, before it has offsets."""

    kind: BlockKind
    furniture: bool
    text: str
    chars: int  # of these: in links, in bold
    linked: int
    bold: int = 0
    run_in: int = 0  # end of what it opens with in bold, if that reads like a label
    prose: int = field(init=False)  # characters, 0 if it is no prose

    def __post_init__(self) -> None:
        text = self.text
        is_prose = (
            len(text) >= 60
            and 2 * self.linked < self.chars
            and (text[-1] in '.:;!?)"”' or len(text) > 200)
            and (text.count(" ", 0, 120) > 8 or text.count(" ") > 8)
        )
        self.prose = len(text) if is_prose else 0


def parse_html(html: str | bytes) -> tuple[str, list[Block], str]:
    """Extract the text of an HTML page.

    Menus, footers and other page furniture are dropped by block: by the element they stand in and,
    before the first and after the last paragraph of prose, where they are nothing but links. List
    items, headings and table rows of the text itself are kept, which extractors of "main content"
    tend to lose.

    Parameters
    ----------
    html : str or bytes
        Source of the page; bytes are UTF-8, which is what the parser reads.

    Returns
    -------
    text : str
        Extracted text, a line a block, blank lines between paragraphs.
    blocks : list of Block
        Blocks in document order, offsets into `text`.
    title : str
        Content of the title element, ``""`` where there is none.

    Raises
    ------
    InputError
        If tags nest deeper or have more attributes than in any page that browsers show, or the text is
        longer than `MAX_CHARS`.
    """
    if isinstance(html, str):
        html = html.encode()
    check_tags(html)
    parser = LexborHTMLParser(html)
    head = () if parser.head is None else parser.head.iter()
    title = next((node.text() for node in head if node.tag == "title"), "")
    pieces = _pieces(parser.root) if parser.root is not None else []
    return (*_assemble(_trim(pieces)), " ".join(title.split()))


class _Walk:
    """One pass over the tree, without recursion; what is skipped is not even entered.

    Half of a crawled page is furniture. It is passed over too, and only where it stands is noted.
    """

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.passed: list[tuple[int, LexborNode, BlockKind, bool, bool, bool]] = []
        self.size = 0
        self.titled = False  # whether there is a heading
        self.rows: list[list[int]] = []  # where each open one begins, and each of its cells ends
        self.items: list[list[_Piece]] = []
        # The block at hand: its texts, their characters, and the texts in bold that it opens with
        self.parts: list[str] = []
        self.chars = self.linked = self.bold = self.lead = 0

    def run(
        self,
        root: LexborNode,
        kind: BlockKind = "paragraph",
        bold: bool = False,
        link: bool = False,
        pre: bool = False,
        furniture: bool = False,
    ) -> None:
        """Gather the pieces of an element, given what it stands in."""
        roles, parts = _ROLES, self.parts
        role = ""
        nodes = iter((root,))
        # Open elements: what is left of the one around them, and what that means.
        above: list[tuple[Iterator[LexborNode], str, BlockKind, bool, bool, bool, bool]] = []
        while True:
            for node in nodes:
                inner = roles.get(node.tag_id, "")
                if inner == "-text":
                    text = node.text_content
                    if text and (parts or not text.isspace()):
                        size = len(text.strip())
                        self.chars += size
                        if link:
                            self.linked += size
                        if bold:
                            self.bold += size
                            self.lead += self.lead == len(parts)
                        parts.append(text.replace("\n", _BREAK) if pre else text)
                elif inner == "br":
                    if parts:
                        parts.append(_BREAK)
                elif inner != "-skip":
                    outer = (nodes, role, kind, bold, link, pre, furniture)
                    if inner == "button":
                        if kind == "heading":
                            inner = ""
                        elif not _opens(node):
                            continue
                    elif inner == "sup":
                        if parts and _FOOTNOTE.fullmatch(node.text()):
                            continue
                        inner = ""
                    if inner == "a":
                        link = link or not (node.attrs.get("href") or "#").startswith("#")
                    elif inner == "b":
                        bold = True
                    elif inner:
                        if parts:
                            self._flush(kind, furniture)
                        attributes = {} if inner in _NEVER_FURNITURE else node.attributes
                        inner = _ARIA.get(attributes.get("role") or "", inner)
                        if not furniture and _is_furniture(node, inner, attributes):
                            if not (self.items or self.rows):
                                self.passed.append((len(self.pieces), node, kind, bold, link, pre))
                                continue
                            furniture = True
                        kind = _KINDS.get(inner, kind)
                        if inner == "li":
                            self.items.append([])
                        elif inner == "tr":
                            self.rows.append([len(self.pieces)])
                        elif inner == "pre":
                            pre = True
                        elif inner == "button":
                            # Above the title of the page it is part of a menu, and goes as links do
                            link = link or not self.titled
                    above.append(outer)
                    nodes, role = node.iter(include_text=True), inner
                    break
            else:
                if role not in _INLINE:
                    if parts:
                        self._flush(kind, furniture)
                    if role == "li":
                        self._item(self.items.pop())
                    elif role == "tr":
                        self._row(self.rows.pop())
                    elif role in ("td", "th") and self.rows:
                        self.rows[-1].append(len(self.pieces))
                if not above:
                    return
                nodes, role, kind, bold, link, pre, furniture = above.pop()

    def run_passed(self) -> None:
        """Gather the pieces of the furniture too, each where it stands."""
        outside, self.pieces = self.pieces, []
        start = 0
        for stop, node, kind, bold, link, pre in self.passed:
            self.pieces += outside[start:stop]
            self.run(node, kind, bold, link, pre, furniture=True)
            start = stop
        self.pieces += outside[start:]

    def _flush(self, kind: BlockKind, furniture: bool) -> None:
        parts, lead = self.parts, self.lead
        piece = _Piece(kind, furniture, _collapse(parts), self.chars, self.linked, self.bold)
        if 0 < lead < len(parts):
            label = _collapse(parts[:lead])
            piece.run_in = len(label) if _LABELLED.match(label) else 0
        parts.clear()
        self.chars = self.linked = self.bold = self.lead = 0
        if not piece.text:  # nothing but invisible marks
            return
        self.pieces.append(piece)
        self.titled |= kind == "heading"
        self.size += len(piece.text)
        if self.size > MAX_CHARS:  # furniture included: what is refused need not be walked to its end
            raise InputError(TOO_LONG)
        if kind == "item":
            self.items[-1].append(piece)

    def _item(self, blocks: list[_Piece]) -> None:
        """Make sections of numbered sections, which pages mark as items too."""
        if len(blocks) > 1 and sum(len(block.text) for block in blocks) > _ITEM_CHARS:
            for block in blocks:
                block.kind = "paragraph"

    def _row(self, bounds: list[int]) -> None:
        """Make one row of the cells of a data table; leave tables that lay out a page alone."""
        cells = [self.pieces[start:end] for start, end in pairwise(bounds) if start < end]
        if not 1 < len(cells) <= _CELLS or bounds[-1] < len(self.pieces):
            return
        texts = []
        for cell in cells:
            listed = len(cell) > 1
            if any(p.kind not in ("paragraph", "item") or (listed and p.prose) for p in cell):
                return
            text = "; ".join(p.text.rstrip(";,") for p in cell) if listed else cell[0].text
            if len(text) > _CELL_CHARS or "\n\n" in text:
                return
            texts.append(text.replace("\n", " "))
        text = " | ".join(texts)
        if len(text) > _ROW_CHARS:
            return
        parts = self.pieces[bounds[0] :]
        chars, linked = sum(p.chars for p in parts), sum(p.linked for p in parts)
        self.pieces[bounds[0] :] = [_Piece("row", any(p.furniture for p in parts), text, chars, linked)]


def _collapse(parts: list[str]) -> str:
    """Join texts as a browser shows them: white space collapsed, forced breaks kept."""
    text = "".join(parts).strip()
    if "  " not in text and text.isprintable():  # most are, and telling costs half of splitting
        return text
    if not text.isascii():
        for mark in _INVISIBLE:
            text = text.replace(mark, "")
    text = " ".join(text.split())
    return "\n".join(line.strip() for line in text.split(_BREAK)).strip() if _BREAK in text else text


def _opens(button: LexborNode) -> bool:
    """Tell whether a button is the heading of a part of the page that it opens."""
    return not _OPENS.isdisjoint(button.attributes) and _NAMELESS.fullmatch(button.text()) is None


def _is_furniture(node: LexborNode, tag: str, attributes: Mapping[str, str | None]) -> bool:
    role = attributes.get("role", tag)
    if tag in _FURNITURE_TAGS or role in _FURNITURE_ROLES:
        return True
    if role in _DIALOGS and len(node.text()) < _DIALOG_CHARS:
        return True
    if not attributes:
        return False
    if tag in _HEADINGS:
        return False
    name = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    return len(name) > 3 and _names_furniture(name)


@lru_cache(4096)  # pages repeat their class names, and crawls repeat their pages
def _names_furniture(name: str) -> bool:
    return _FURNITURE_NAME.search(name) is not None


def _prose(pieces: list[_Piece]) -> int:
    return sum(piece.prose for piece in pieces)


def _pieces(root: LexborNode) -> list[_Piece]:
    """Gather the text but that of furniture, unless more prose stands in what calls itself so."""
    walk = _Walk()
    walk.run(root)
    outside = [p for p in walk.pieces if not p.furniture]
    most = 2 * _prose(outside)
    passed = [node.text() for _, node, *_ in walk.passed]
    room = most - _prose(walk.pieces)
    if sum(map(len, passed)) > room and sum(len(" ".join(text.split())) for text in passed) > room:
        walk.run_passed()
        if _prose(walk.pieces) > most:
            return walk.pieces
    return outside


def _trim(pieces: list[_Piece]) -> list[_Piece]:
    """Drop what is nothing but links before the first and after the last paragraph of prose."""
    prose = [i for i, piece in enumerate(pieces) if piece.prose]
    if not prose:
        return pieces
    kept = [
        p
        for i, p in enumerate(pieces)
        if prose[0] <= i <= prose[-1]
        or p.kind == "heading"
        or (10 * p.linked < 8 * p.chars and not _SKIP_LINK.match(p.text))
    ]
    return kept or pieces


def _assemble(pieces: list[_Piece]) -> tuple[str, list[Block]]:
    """Lay the pieces out as one text and settle their kinds."""
    out: list[str] = []
    starts: list[int] = []
    size = 0
    before = ""
    for piece in pieces:
        gap = "" if not out else "\n" if piece.kind == before == "item" else "\n\n"
        before = piece.kind
        if before == "item":
            gap += "• "
        out += gap, piece.text
        starts.append(size + len(gap))
        size = starts[-1] + len(piece.text)
    text = "".join(out)
    blocks: list[Block] = []
    for piece, start in zip(pieces, starts, strict=True):
        kind, line = piece.kind, piece.text
        end = start + len(line)
        if (kind == "paragraph" and "\n" in line) or (kind == "heading" and len(line) > 300):
            blocks += read_lines(text, start, end)
        elif kind in ("paragraph", "item") and line[0] in MARKS and (bullet := BULLET.match(line)):
            blocks.append(Block("item", start + bullet.end(), end))
        elif kind == "paragraph" and piece.bold == piece.chars and _is_bold_title(line):
            blocks.append(Block("heading", start, end))
        else:
            blocks.append(Block(kind, start, end, piece.run_in and start + piece.run_in))
    return text, resolve(text, blocks)


def _is_bold_title(line: str) -> bool:
    return (
        len(line) < 160
        and not is_lead_in(line)
        and (line[-1] in ":.?" or is_title(line))
        and len(line.split()) <= 12
    )
