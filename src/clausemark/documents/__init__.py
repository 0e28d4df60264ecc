"""Documents: one structure for HTML, plain text, Markdown and PDF.

Everything downstream sees a `Document`: its text, and the blocks of that text with their kinds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from clausemark.documents.html import parse_html
from clausemark.documents.lines import MAX_CHARS, TOO_LONG, Block, BlockKind, read_lines
from clausemark.documents.markdown import parse_markdown
from clausemark.documents.pdf import pdf_text
from clausemark.errors import InputError

__all__ = ["Block", "BlockKind", "Document", "Media", "media_of", "parse_document", "read_document"]

Media = Literal["html", "text", "markdown", "pdf"]

_SUFFIXES: Final[dict[str, Media]] = {
    ".html": "html", ".htm": "html", ".xhtml": "html", ".shtml": "html", ".php": "html",
    ".txt": "text", ".text": "text",
    ".md": "markdown", ".markdown": "markdown",
    ".pdf": "pdf",
}  # fmt: skip
_TAG: Final = re.compile(
    r"<(?:!doctype\s+html|/?(?:html|head|body|div|p|br|span|ul|ol|li|table|td|tr|h[1-6]|a|b|strong"
    r"|em|i|section|article|main|nav|meta|script|style|title|header|footer|font|center|hr|dl|dt|dd"
    r"|pre|blockquote)\b[^<>]{0,2000}>)",
    re.I,
)
#: Largest file.
MAX_BYTES: Final = 100_000_000
_TOO_BIG: Final = f"has more than {MAX_BYTES // 1_000_000} MB, which no policy has"
_CHARSET: Final = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.I)
#: Below that many letters a guess at the language is worth little.
_LANGUAGE_CHARS: Final = 300
#: What is looked at, from the middle of the text.
_LANGUAGE_SAMPLE: Final = 6_000
#: Text with that share of these words is English: 99 % of stretches of 200 characters of the policies
#: in the corpus have 8 % or more; Dutch, which comes nearest, has some 5 %.
_ENGLISH: Final = frozenset(
    "the and of to your you that with this our we are for not have will from or".split()
)
_ENGLISH_SHARE: Final = 0.1
_ASCII: Final = bytes(range(128))
#: Control characters that no text has, in ASCII and beyond it, as UTF-8.
_CONTROL: Final = bytes({*range(0x20), 0x7F} - {9, 10, 11, 12, 13, 27})
_NO_CONTROL: Final = bytes(set(range(256)) - set(_CONTROL))
_C1_CONTROL: Final = re.compile(rb"\xc2[\x80-\x84\x86-\x9f]")
_REPLACED: Final = "\ufffd"
#: Largest share of control and replacement characters in text.
_JUNK_SHARE: Final = 0.02


@dataclass(frozen=True, slots=True)
class Document:
    """The text of a policy and its blocks.

    Attributes
    ----------
    text : str
        Extracted text. For plain text it is the input itself, decoded and otherwise unchanged.
    blocks : tuple of Block
        In order, not overlapping, offsets into `text`.
    source : str
        Path, URL or name it came from.
    media : {"html", "text", "markdown", "pdf"}
    title : str
        Title element of an HTML page, ``""`` where there is none.
    language : str
        ISO 639-1 code, ``""`` where the text is too short to tell.
    """

    text: str
    blocks: tuple[Block, ...]
    source: str = "-"
    media: Media = "text"
    title: str = ""
    language: str = ""


def read_document(source: str | Path | bytes, *, name: str | None = None) -> Document:
    """Read a document from a path, from bytes, or from text or HTML as such.

    Parameters
    ----------
    source : str, pathlib.Path or bytes
        A `Path` is read. A string is taken for a path if such a file exists or it looks like one
        (a single word that ends in a known suffix), for HTML if it has tags, else for text.
    name : str, optional
        What to call the document; the path by default, ``"-"`` for strings and bytes.

    Returns
    -------
    Document

    Raises
    ------
    InputError
        If the file is missing, empty, binary, broken, or of a kind that cannot be read.
    """
    if isinstance(source, str):
        path = _as_path(source)
        if path is None:
            return parse_document(source, name=name or "-")
        source = path
    if isinstance(source, bytes):
        return parse_document(source, name=name or "-")
    label = name or str(source)
    try:
        if source.is_dir():
            raise InputError("is a folder; name its files, or use a glob", where=label)
        if source.stat().st_size > MAX_BYTES:
            raise InputError(_TOO_BIG, where=label)
        data = source.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", where=label) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot be read: {reason}", where=label) from None
    return parse_document(data, name=label, media=media_of(source))


def media_of(path: str | Path) -> Media | None:
    """Tell from its suffix what a file holds.

    Parameters
    ----------
    path : str or pathlib.Path

    Returns
    -------
    {"html", "text", "markdown", "pdf"} or None
        None where the suffix says nothing.
    """
    return _SUFFIXES.get(Path(path).suffix.lower())


def parse_document(data: bytes | str, *, name: str = "-", media: Media | None = None) -> Document:
    """Make a document of bytes or of decoded text.

    Parameters
    ----------
    data : bytes or str
    name : str
        What errors and outputs call it.
    media : {"html", "text", "markdown", "pdf"}, optional
        What it is; found from the content by default.

    Returns
    -------
    Document

    Raises
    ------
    InputError
        As `read_document`.
    """
    try:
        return _parse(data, name, media)
    except InputError as error:
        raise InputError(error.message, where=name) from None


def decode(data: bytes) -> str:
    """Decode text of unknown encoding.

    A byte order mark counts first, then UTF-16 without one, then UTF-8 (a few bad bytes do not
    make it anything else), then the encoding that an HTML page declares, then statistics
    (resiliparse).

    Parameters
    ----------
    data : bytes

    Returns
    -------
    str
        Without a byte order mark; bytes that fit nowhere become U+FFFD.
    """
    return _decode(data)[0]


def _decode(data: bytes) -> tuple[str, bytes | None]:
    """Decode text; give the bytes as well where they are the UTF-8 of it."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf-8"),
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace"), None
    if zeros := data[:2000].count(0):
        # Text in Latin letters has its zeros in every other byte
        even = data[:2000:2].count(0)
        if zeros > 0.3 * len(data[:2000]) and min(even, zeros - even) < 0.05 * zeros:
            return data.decode("utf-16-be" if 2 * even > zeros else "utf-16-le", "replace"), None
    try:
        return data.decode("utf-8"), data
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    if 4 * text.count(_REPLACED) < len(data.translate(None, _ASCII)):
        return text, None
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    declared = _CHARSET.search(data, 0, 4096)
    encoding = declared.group(1).decode("ascii") if declared else ""
    if not encoding or encoding.lower().replace("-", "") == "utf8":
        encoding = detect_encoding(data[:200_000]) or "windows-1252"
    try:
        return str(bytes_to_str(data, encoding, "replace")), None
    except LookupError:
        return data.decode("windows-1252", "replace"), None


def detect_language(text: str) -> str:
    """Guess the language of a text: English by its function words, others by resiliparse.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        ISO 639-1 code, ``""`` for text of under 300 characters or one that fits no language.
    """
    if len(text) < _LANGUAGE_CHARS:
        return ""
    middle = len(text) // 2
    sample = text[max(0, middle - _LANGUAGE_SAMPLE // 2) : middle + _LANGUAGE_SAMPLE // 2]
    words = sample.split()
    if _is_english(words) or _is_english([word.lower() for word in words]):
        return "en"
    from resiliparse.parse.lang import detect_fast

    language, _ = detect_fast(sample, cutoff=1200)
    return "" if language == "unknown" else str(language)


def _is_english(words: list[str]) -> bool:
    return sum(map(_ENGLISH.__contains__, words)) >= _ENGLISH_SHARE * len(words)


def _parse(data: bytes | str, name: str, media: Media | None) -> Document:
    if len(data) > MAX_BYTES:
        raise InputError(_TOO_BIG)
    utf8: bytes | None = None
    if isinstance(data, str):
        try:
            utf8 = data.encode()
        except UnicodeEncodeError:
            raise InputError("is not Unicode text: it holds lone surrogates") from None
    elif data[:1024].lstrip().startswith(b"%PDF-"):
        media, data = "pdf", pdf_text(data)
    elif media == "pdf":
        raise InputError("is not a PDF file")
    else:
        data, utf8 = _decode(data)
    if not data.strip():
        raise InputError("is empty")
    if media != "pdf" and _is_junk(data):
        raise InputError("is binary, not text, HTML, Markdown or PDF")
    if media is None:
        media = "html" if _is_html(data) else "text"
    if media != "html" and len(data) > MAX_CHARS:
        raise InputError(TOO_LONG)
    title = ""
    if media == "html":
        text, blocks, title = parse_html(utf8 or data)
    elif media == "markdown":
        text, blocks, title = parse_markdown(data)
    else:
        text, blocks = data, read_lines(data)
    if not blocks:
        raise InputError("holds no text")
    return Document(text, tuple(blocks), name, media, title, detect_language(text))


def _as_path(text: str) -> Path | None:
    if "\n" in text or len(text) > 1024 or not text.strip() or "<" in text:
        return None
    path = Path(text)
    try:
        if path.exists():
            return path
    except (OSError, ValueError):
        return None
    return path if path.suffix.lower() in _SUFFIXES and " " not in text.strip() else None


def _is_html(text: str) -> bool:
    head = text[:4096].lstrip().lower()
    if head.startswith(("<!doctype html", "<html", "<?xml")):
        return True
    found = 0
    for _ in _TAG.finditer(text, 0, 200_000):
        found += 1
        if found == 3:
            return True
    return found > 0 and head.startswith("<")


def _is_junk(text: str) -> bool:
    sample = text[:20_000]
    raw = sample.encode()
    junk = len(raw.translate(None, _NO_CONTROL)) + len(_C1_CONTROL.findall(raw)) + sample.count(_REPLACED)
    return junk > max(2, _JUNK_SHARE * len(sample))
