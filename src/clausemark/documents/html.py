"""HTML pages as crawled: blocks of text, without scripts, menus and footers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from clausemark.documents.lines import Block, BlockKind, is_title, read_lines, resolve

#: Never part of what a reader sees as text.
_SKIPPED: Final = frozenset(
    "script style noscript template svg math iframe object embed canvas audio video map select"
    " option optgroup datalist button textarea head title link meta param source img".split()
)
_BLOCK: Final = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav"
    " ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_BOLD: Final = frozenset(("b", "strong", "u"))
_HEADINGS: Final = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_FURNITURE_TAGS: Final = frozenset(("nav", "footer", "aside", "menu", "dialog"))
_FURNITURE_ROLES: Final = frozenset(
    ("navigation", "banner", "contentinfo", "search", "menu", "menubar", "complementary")
)
#: Words in id or class that mark menus and the like.
_FURNITURE_NAME: Final = re.compile(
    r"(?:^|[\s_-])(?:nav|navbar|navigation|topnav|subnav|sidenav|leftnav|menu|submenu|megamenu"
    r"|footer|foot|masthead|sidebar|breadcrumbs?|toolbar|topbar|skip|pagination|social|share"
    r"|cookie-?(?:bar|banner|notice)|newsletter|related|comments?|search)(?:$|[\s_-])",
    re.I,
)
_SPACE: Final = re.compile(r"[ \t\r\f\v\n\u00a0\u2000-\u200a\u202f\u205f\u3000]+")
_LABELLED: Final = re.compile(r"[^.!?:]{2,70}[.:]?\s*$")


@dataclass(slots=True)
class _Piece:
    """Text gathered for one block, before it has offsets."""

    kind: BlockKind
    furniture: bool
    parts: list[str] = field(default_factory=list)
    bold: int = 0
    linked: int = 0
    chars: int = 0
    lead: int = 0  # characters in bold before the first that is not
    text: str = ""


def parse_html(html: str) -> tuple[str, list[Block], str]:
    """Extract the text of an HTML page.

    Menus, footers and other page furniture are dropped by block: by the element they stand in and,
    before the first and after the last paragraph of prose, where they are nothing but links. List
    items, headings and table rows of the text itself are kept, which extractors of "main content"
    tend to lose.

    Parameters
    ----------
    html : str
        Decoded source of the page.

    Returns
    -------
    text : str
        Extracted text, a line a block, blank lines between paragraphs.
    blocks : list of Block
        Blocks in document order, offsets into `text`.
    title : str
        Content of the title element, ``""`` where there is none.
    """
    parser = LexborHTMLParser(html)
    node = parser.css_first("head > title")
    title = _SPACE.sub(" ", node.text()).strip() if node is not None else ""
    root = parser.root
    pieces = _Walk().run(root) if root is not None else []
    return (*_assemble(_content(pieces)), title)


class _Walk:
    """One pass over the tree, without recursion: pages nest as deep as they like."""

    def __init__(self) -> None:
        self.pieces: list[_Piece] = []
        self.current: _Piece | None = None
        self.kinds: list[BlockKind] = ["paragraph"]
        self.furniture = 0
        self.bold = 0
        self.link = 0
        self.pre = 0
        self.rows: list[int] = []

    def run(self, root: LexborNode) -> list[_Piece]:
        node: LexborNode | None = root
        # Closing actions of the open elements, innermost last.
        stack: list[tuple[str, bool]] = []
        while node is not None:
            tag = node.tag or ""
            child = None
            if tag == "-text":
                self._text(node.text_content or "")
            elif tag not in _SKIPPED and tag[0] not in "!-":
                child = node.first_child
                furniture = self._enter(node, tag)
                if child is not None:
                    stack.append((tag, furniture))
                else:
                    self._leave(tag, furniture)
            if child is not None:
                node = child
                continue
            while node is not None:
                following = node.next
                if following is not None:
                    node = following
                    break
                node = node.parent
                if not stack:
                    node = None
                    break
                self._leave(*stack.pop())
        self._flush()
        return self.pieces

    def _enter(self, node: LexborNode, tag: str) -> bool:
        furniture = False
        if tag == "br":
            if self.current is not None:
                self.current.parts.append("\n")
        elif tag == "a":
            self.link += 1 if not (node.attributes.get("href") or "#").startswith("#") else 0
        elif tag in _BOLD:
            self.bold += 1
        elif tag in _BLOCK:
            self._flush()
            furniture = _is_furniture(node, tag)
            self.furniture += furniture
            if tag == "li":
                self.kinds.append("item")
            elif tag in _HEADINGS or tag in ("caption", "legend", "summary", "dt"):
                self.kinds.append("heading")
            elif tag in ("ul", "ol", "table", "td", "th", "dd"):
                self.kinds.append("paragraph")
            elif tag == "tr":
                self.rows.append(len(self.pieces))
            elif tag == "pre":
                self.pre += 1
        return furniture

    def _leave(self, tag: str, furniture: bool) -> None:
        if tag == "a":
            self.link = max(0, self.link - 1)
        elif tag in _BOLD:
            self.bold -= 1
        elif tag in _BLOCK:
            self._flush()
            self.furniture -= furniture
            if tag in _HEADINGS or tag in (
                "li", "caption", "legend", "summary", "dt", "ul", "ol", "table", "td", "th", "dd",
            ):  # fmt: skip
                self.kinds.pop()
            elif tag == "tr":
                self._row(self.rows.pop())
            elif tag == "pre":
                self.pre -= 1

    def _text(self, text: str) -> None:
        if not self.pre:
            text = _SPACE.sub(" ", text)
        if self.current is None:
            if not text.strip():
                return
            self.current = _Piece(self.kinds[-1], self.furniture > 0)
        piece = self.current
        piece.parts.append(text)
        size = len(text.strip())
        if self.bold:
            if piece.lead == piece.chars:
                piece.lead += size
            piece.bold += size
        if self.link:
            piece.linked += size
        piece.chars += size

    def _flush(self) -> None:
        piece, self.current = self.current, None
        if piece is None:
            return
        lines = "".join(piece.parts).split("\n")
        piece.text = "\n".join(line.strip() for line in lines).strip()
        if not piece.text:
            return
        self.pieces.append(piece)

    def _row(self, first: int) -> None:
        """Make one row of the cells of a data table; leave tables that lay out a page alone."""
        cells = self.pieces[first:]
        if len(cells) < 2 or any(c.kind != "paragraph" or len(c.text) > 600 for c in cells):
            return
        if sum(len(c.text) for c in cells) > 1500 or any("\n\n" in c.text for c in cells):
            return
        row = _Piece("row", any(c.furniture for c in cells))
        row.text = " | ".join(c.text.replace("\n", " ") for c in cells)
        row.linked, row.chars = sum(c.linked for c in cells), sum(c.chars for c in cells)
        self.pieces[first:] = [row]


def _is_furniture(node: LexborNode, tag: str) -> bool:
    if tag in _FURNITURE_TAGS:
        return True
    if tag in ("html", "body", "main", "article", "p", "td", "tr", "tbody", "table"):
        return False
    attributes = node.attributes
    if not attributes:
        return False
    if (attributes.get("role") or "") in _FURNITURE_ROLES:
        return True
    if tag in _HEADINGS:
        return False
    name = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    return len(name) > 3 and _FURNITURE_NAME.search(name) is not None


def _is_prose(piece: _Piece) -> bool:
    text = piece.text
    return (
        len(text) >= 60
        and 2 * piece.linked < piece.chars
        and (text[-1] in '.:;!?)"”' or len(text) > 200)
        and text.count(" ") > 8
    )


def _content(pieces: list[_Piece]) -> list[_Piece]:
    """Drop page furniture."""
    inside = sum(len(p.text) for p in pieces if p.furniture and _is_prose(p))
    outside = sum(len(p.text) for p in pieces if not p.furniture and _is_prose(p))
    if inside <= outside:  # otherwise the whole text stands in what calls itself a menu
        pieces = [p for p in pieces if not p.furniture]
    prose = [i for i, p in enumerate(pieces) if _is_prose(p)]
    if not prose:
        return pieces
    first, last = prose[0], prose[-1]
    kept = [
        p
        for i, p in enumerate(pieces)
        if first <= i <= last or 10 * p.linked < 8 * p.chars or p.kind == "heading"
    ]
    return kept or pieces


def _assemble(pieces: list[_Piece]) -> tuple[str, list[Block]]:
    """Lay the pieces out as one text and settle their kinds."""
    out: list[str] = []
    spans: list[tuple[_Piece, int]] = []
    size = 0
    for piece in pieces:
        if out:
            tight = piece.kind == "item" and spans[-1][0].kind == "item"
            out.append("\n" if tight else "\n\n")
            size += len(out[-1])
        if piece.kind == "item":
            out.append("• ")
            size += 2
        spans.append((piece, size))
        out.append(piece.text)
        size += len(piece.text)
    text = "".join(out)
    blocks: list[Block] = []
    for piece, start in spans:
        end = start + len(piece.text)
        whole_bold = piece.bold == piece.chars and len(piece.text) < 160
        long_heading = piece.kind == "heading" and len(piece.text) > 300
        if long_heading or (piece.kind == "paragraph" and "\n" in piece.text):
            blocks.extend(read_lines(text, start, end))
        elif (
            piece.kind == "paragraph"
            and whole_bold
            and (is_title(piece.text) or piece.text[-1] in ":.?")
            and len(piece.text.split()) <= 12
        ):
            blocks.append(Block("heading", start, end))
        else:
            run_in = 0
            if 0 < piece.lead < piece.chars and _LABELLED.match(text[start : start + piece.lead]):
                run_in = start + piece.lead
            blocks.append(Block(piece.kind, start, end, run_in))
    return text, resolve(text, blocks)
