"""PDF files: the text layer, page by page."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from clausemark.errors import InputError

_PAGE_NUMBER: Final = re.compile(
    r"\s*(?:page\s*)?[-–—]?\s*\d{1,4}\s*(?:(?:of|/)\s*\d{1,4})?\s*[-–—]?\s*", re.I
)


def pdf_text(data: bytes) -> str:
    """Extract the text layer of a PDF file.

    Page numbers and lines that run along the top or bottom of most pages are left out; pages are
    joined, so that a sentence may go over a page break.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    str
        Lines as set on the pages.

    Raises
    ------
    InputError
        If the file is broken, encrypted or holds no text (a scan).
    """
    import pypdfium2  # loads a shared library; only those who read PDF pay for it

    try:
        document = pypdfium2.PdfDocument(data)
        pages = []
        for number in range(len(document)):
            page = document[number]
            pages.append(page.get_textpage().get_text_range())
            page.close()
        document.close()
    except pypdfium2.PdfiumError as error:
        raise InputError(f"broken or encrypted PDF ({error})") from None
    lines = [
        [line.rstrip() for line in page.replace("\r\n", "\n").replace("\ufffe", "-").split("\n")]
        for page in pages
    ]
    if sum(len(line.strip()) for page in lines for line in page) < 20 * max(1, len(lines)):
        raise InputError("the PDF holds no text, only pictures of it: run OCR on it first")
    running = _running_lines(lines)
    kept = [
        line
        for page in lines
        for line in page
        if not _PAGE_NUMBER.fullmatch(line) and line.strip() not in running
    ]
    return "\n".join(kept)


def _running_lines(pages: list[list[str]]) -> set[str]:
    """Headers and footers: first or last lines that most pages share."""
    if len(pages) < 3:
        return set()
    edges = Counter(line for page in pages for line in {x.strip() for x in (*page[:2], *page[-2:])} if line)
    return {line for line, count in edges.items() if count > len(pages) / 2}
