"""HTML pages as crawled: blocks of text, without scripts, menus and footers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from clausemark.documents.lines import (
    BULLET,
    MAX_CHARS,
    TOO_LONG,
    Block,
    BlockKind,
    is_lead_in,
    is_title,
    read_lines,
    resolve,
)
from clausemark.errors import InputError

#: Never part of what a reader sees as text.
_SKIPPED: Final = (
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
_NEVER_FURNITURE: Final = frozenset(("html", "body", "main", "article", "p", "td", "tr", "tbody", "table"))
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
_LABELLED: Final = re.compile(r"[^.!?:]{2,70}[.:]?$")
#: Stands for a forced line break until white space has been collapsed; no page holds it.
_BREAK: Final = "\0"


def _roles() -> dict[int, str]:
    """What the walk does at a node, by the parser's number of its tag, which is cheap to ask for."""
    body = LexborHTMLParser("x").body
    assert body is not None
    (text,) = body.iter(include_text=True)
    create = LexborHTMLParser("").create_node
    roles = {text.tag_id: "-text", **{create(tag).tag_id: tag for tag in (*_BLOCK, "a", "br")}}
    roles |= {create(tag).tag_id: "b" for tag in _BOLD}
    return roles | {create(tag).tag_id: "-skip" for tag in _SKIPPED}


_ROLES: Final = _roles()
#: Kind of the blocks in an element; elements not named here leave it as it is.
_KINDS: Final[dict[str, BlockKind]] = {
    "li": "item",
    **dict.fromkeys((*_HEADINGS, "caption", "legend", "summary", "dt"), "heading"),
    **dict.fromkeys(("ul", "ol", "table", "td", "th", "dd"), "paragraph"),
}
#: No page that a browser can show nests deeper (they stop at 512); parsers get slow there.
_MAX_DEPTH: Final = 1000
_CHUNK: Final = 4096
#: Nor one with as many attributes in a tag, each of which a parser compares with all before.
_MAX_ATTRIBUTES: Final = 2000
_OPEN_CLOSE: Final = re.compile(rb"<(/?)([a-z][^\s/<>]*|!--)([^<>]*)", re.I)
_QUOTED: Final = re.compile(rb"\"[^\"]*\"?|'[^']*'?")
_RAW_END: Final = re.compile(rb"</(?:script|style)", re.I)
#: Elements without an end tag, or whose end tag is implied by what follows.
_UNCLOSED: Final = frozenset(
    "area base br col embed hr img input link meta param source track wbr"
    " p li dd dt tr td th tbody thead tfoot option optgroup colgroup body html head".split()
)
#: Parsers limit these themselves, unless their attributes differ.
_FORMATTING: Final = frozenset("b big code em i nobr s small strike strong tt u".split())
#: Largest number of cells and of characters in a cell and in a row of a table of data.
_CELLS, _CELL_CHARS, _ROW_CHARS = 20, 600, 1500
#: An item of several blocks and more characters is a section that a list happens to number.
_ITEM_CHARS: Final = 400


@dataclass(slots=True)
class _Piece:
    """Text gathered for one block, before it has offsets."""

    kind: BlockKind
    furniture: bool
    parts: list[str]
    bold: int = 0
    linked: int = 0
    chars: int = 0
    lead: int = 0  # parts in bold before the first that is not
    text: str = ""


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
    _check_tags(html)
    parser = LexborHTMLParser(html)
    node = parser.css_first("head > title")
    title = " ".join(node.text().split()) if node is not None else ""
    pieces = _pieces(parser.root) if parser.root is not None else []
    return (*_assemble(_trim(pieces)), title)


def _check_tags(html: bytes) -> None:
    """Refuse what no browser shows and a parser takes quadratic time for."""
    if not (_may_nest(html) or _may_crowd(html)):
        return
    depth = position = 0
    while found := _OPEN_CLOSE.search(html, position):
        position = found.end()
        close, name, rest = found.groups()
        if name == b"!--":
            position = html.find(b"-->", found.start() + 2)
            if position < 0:
                return
            continue
        tag = name.lower().decode("latin-1")
        if _attributes(rest) > _MAX_ATTRIBUTES:
            raise InputError(
                f"has a tag with more than {_MAX_ATTRIBUTES:,} attributes: not a page that browsers show"
            )
        if tag in _UNCLOSED or (tag in _FORMATTING and not rest):
            continue
        if close:
            depth -= depth > 0
        elif tag in ("script", "style"):
            end = _RAW_END.search(html, position)
            if end is None:
                return
            position = end.start()
        elif not rest.endswith(b"/"):
            depth += 1
            if depth > _MAX_DEPTH:
                raise InputError(
                    f"nests its tags more than {_MAX_DEPTH:,} deep: not a page that browsers show"
                )


def _may_nest(html: bytes) -> bool:
    """Bound the depth from above by counting chunk by chunk, at a hundredth of the cost."""
    if html.count(b"<") <= 2 * _MAX_DEPTH:
        return False
    depth = 0
    for start in range(0, len(html), _CHUNK):
        stop = start + _CHUNK
        depth += html.count(b"<", start, stop) - 2 * html.count(b"</", start, stop)
        if depth > _MAX_DEPTH:
            return True
        depth = max(0, depth)
    return False


def _may_crowd(html: bytes) -> bool:
    """Tell whether a tag, or what looks like one in a script, is long and has too many attributes."""
    size = 4 * _CHUNK
    start = 0
    while 0 <= start < len(html) - size:
        if html.find(b">", start, start + size) >= 0:
            start += size
            continue
        tag = _OPEN_CLOSE.match(html, max(0, html.rfind(b"<", max(0, start - size), start)))
        if tag and _attributes(tag.group(3)) > _MAX_ATTRIBUTES:
            return True
        start = html.find(b">", start)
    return False


def _attributes(tag: bytes) -> int:
    return len(_QUOTED.sub(b"", tag).split()) if len(tag) > 2 * _MAX_ATTRIBUTES else 0


class _Walk:
    """One pass over the tree, without recursion; what is skipped is not even entered.

    Half of a crawled page is furniture. It is passed over too, and only its size is noted, unless
    `thorough`.
    """

    def __init__(self, thorough: bool) -> None:
        self.thorough = thorough
        self.passed = 0  # characters of furniture passed over
        self.pieces: list[_Piece] = []
        self.current: _Piece | None = None
        self.kinds: list[BlockKind] = ["paragraph"]
        self.chars = 0
        self.furniture = 0
        self.bold = 0
        self.link = 0
        self.pre = 0
        self.rows: list[int] = []
        self.items: list[list[_Piece]] = []

    def run(self, root: LexborNode) -> list[_Piece]:
        # Open elements and what they mean, with whether they are furniture.
        stack: list[tuple[LexborNode, str, bool]] = []
        roles = _ROLES
        node = root
        while True:
            below = None
            role = roles.get(node.tag_id, "")
            if role == "-text":
                text = node.text_content
                if text and (self.current is not None or not text.isspace()):
                    self._text(text)
            elif role == "br":
                if self.current is not None:
                    self.current.parts.append(_BREAK)
            elif role != "-skip":
                furniture = False
                if role == "a":
                    if (node.attributes.get("href") or "#").startswith("#"):
                        role = ""
                    else:
                        self.link += 1
                elif role == "b":
                    self.bold += 1
                elif role:
                    if self.current is not None:
                        self._flush()
                    furniture = not self.furniture and _is_furniture(node, role)
                    if furniture and not (self.thorough or self.items or self.rows):
                        self.passed += len(" ".join(node.text().split()))
                        role = "-skip"
                    else:
                        self._enter(role, furniture)
                if role != "-skip":
                    below = node.child
                    if below is not None:
                        stack.append((node, role, furniture))
                    elif role:
                        self._leave(role, furniture)
            if below is None:
                below = node.next
                while below is None:
                    if not stack:
                        self._flush()
                        return self.pieces
                    node, role, furniture = stack.pop()
                    if role:
                        self._leave(role, furniture)
                    below = node.next
            node = below

    def _enter(self, tag: str, furniture: bool) -> None:
        self.furniture += furniture
        if tag in _KINDS:
            self.kinds.append(_KINDS[tag])
        if tag == "li":
            self.items.append([])
        elif tag == "tr":
            self.rows.append(len(self.pieces))
        elif tag == "pre":
            self.pre += 1

    def _leave(self, tag: str, furniture: bool) -> None:
        if tag == "a":
            self.link -= 1
        elif tag == "b":
            self.bold -= 1
        else:
            if self.current is not None:
                self._flush()
            self.furniture -= furniture
            if tag in _KINDS:
                self.kinds.pop()
            if tag == "li":
                self._item(self.items.pop())
            elif tag == "tr":
                self._row(self.rows.pop())
            elif tag == "pre":
                self.pre -= 1

    def _text(self, text: str) -> None:
        size = len(text.strip())
        piece = self.current
        if piece is None:
            self.current = piece = _Piece(self.kinds[-1], self.furniture > 0, [])
        if self.pre:
            text = text.replace("\n", _BREAK)
        if self.bold:
            if piece.lead == len(piece.parts):
                piece.lead += 1
            piece.bold += size
        if self.link:
            piece.linked += size
        piece.chars += size
        piece.parts.append(text)

    def _flush(self) -> None:
        piece, self.current = self.current, None
        if piece is None:
            return
        piece.text = _collapse(piece.parts)
        self.pieces.append(piece)
        self.chars += len(piece.text)
        if self.chars > MAX_CHARS:  # furniture included: what is refused need not be walked to its end
            raise InputError(TOO_LONG)
        if piece.kind == "item":
            self.items[-1].append(piece)

    def _item(self, blocks: list[_Piece]) -> None:
        """Make sections of numbered sections, which pages mark as items too."""
        if len(blocks) > 1 and sum(len(block.text) for block in blocks) > _ITEM_CHARS:
            for block in blocks:
                block.kind = "paragraph"

    def _row(self, first: int) -> None:
        """Make one row of the cells of a data table; leave tables that lay out a page alone."""
        if not 1 < len(self.pieces) - first <= _CELLS:
            return
        cells = self.pieces[first:]
        if any(c.kind != "paragraph" or len(c.text) > _CELL_CHARS or "\n\n" in c.text for c in cells):
            return
        if sum(len(c.text) for c in cells) > _ROW_CHARS:
            return
        row = _Piece("row", any(c.furniture for c in cells), [])
        row.text = " | ".join(c.text.replace("\n", " ") for c in cells)
        row.linked, row.chars = sum(c.linked for c in cells), sum(c.chars for c in cells)
        self.pieces[first:] = [row]


def _collapse(parts: list[str]) -> str:
    """Join texts as a browser shows them: white space collapsed, forced breaks kept."""
    text = " ".join((parts[0] if len(parts) == 1 else "".join(parts)).split())
    return "\n".join(line.strip() for line in text.split(_BREAK)).strip() if _BREAK in text else text


def _is_furniture(node: LexborNode, tag: str) -> bool:
    if tag in _FURNITURE_TAGS:
        return True
    if tag in _NEVER_FURNITURE:
        return False
    attributes = node.attributes
    if not attributes:
        return False
    if (attributes.get("role") or "") in _FURNITURE_ROLES:
        return True
    if tag in _HEADINGS:
        return False
    name = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    return len(name) > 3 and _names_furniture(name)


@lru_cache(4096)  # pages repeat their class names, and crawls repeat their pages
def _names_furniture(name: str) -> bool:
    return _FURNITURE_NAME.search(name) is not None


def _is_prose(piece: _Piece) -> bool:
    text = piece.text
    return (
        len(text) >= 60
        and 2 * piece.linked < piece.chars
        and (text[-1] in '.:;!?)"”' or len(text) > 200)
        and text.count(" ") > 8
    )


def _prose(pieces: list[_Piece]) -> int:
    return sum(len(piece.text) for piece in pieces if _is_prose(piece))


def _pieces(root: LexborNode) -> list[_Piece]:
    """Gather the text but that of furniture, unless more prose stands in what calls itself so."""
    walk = _Walk(thorough=False)
    pieces = walk.run(root)
    outside = [p for p in pieces if not p.furniture]
    most = 2 * _prose(outside)
    if walk.passed + _prose(pieces) > most:
        pieces = _Walk(thorough=True).run(root)
        if _prose(pieces) > most:
            return pieces
    return outside


def _trim(pieces: list[_Piece]) -> list[_Piece]:
    """Drop what is nothing but links before the first and after the last paragraph of prose."""
    prose = [_is_prose(piece) for piece in pieces]
    if True not in prose:
        return pieces
    first, last = prose.index(True), len(prose) - 1 - prose[::-1].index(True)
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
        bullet = BULLET.match(piece.text) if piece.kind in ("paragraph", "item") else None
        if long_heading or (piece.kind == "paragraph" and "\n" in piece.text):
            blocks.extend(read_lines(text, start, end))
        elif bullet:
            blocks.append(Block("item", start + bullet.end(), end))
        elif (
            piece.kind == "paragraph"
            and whole_bold
            and not is_lead_in(piece.text)
            and (is_title(piece.text) or piece.text[-1] in ":.?")
            and len(piece.text.split()) <= 12
        ):
            blocks.append(Block("heading", start, end))
        else:
            run_in = 0
            if 0 < piece.lead < len(piece.parts):
                lead = _collapse(piece.parts[: piece.lead])
                run_in = start + len(lead) if _LABELLED.match(lead) else 0
            blocks.append(Block(piece.kind, start, end, run_in))
    return text, resolve(text, blocks)
