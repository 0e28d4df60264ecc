"""Markdown: rendered to HTML by markdown-it (CommonMark), then read like a page."""

from __future__ import annotations

from clausemark.documents.html import parse_html
from clausemark.documents.lines import Block


def parse_markdown(source: str) -> tuple[str, list[Block], str]:
    """Extract text and blocks of a Markdown document.

    Parameters
    ----------
    source : str
        CommonMark with tables.

    Returns
    -------
    text, blocks, title
        As `clausemark.documents.html.parse_html` returns them.
    """
    from markdown_it import MarkdownIt

    return parse_html(MarkdownIt("commonmark").enable("table").render(source))
