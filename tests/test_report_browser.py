"""The report of a crawl in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clausemark.report import write_report
from clausemark.taxonomy import CODES
from crawls import clauses, document, write_crawl

LONG = "w" * 3_000


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = [(code, f"Clause on {name}.") for code, name in CODES.items()]
    rows = [row for number in range(30) for row in clauses(f"policy {number}", said[: number % 12 + 1] * 6)]
    rows += clauses(LONG, [("FPC", LONG)] * 90)
    known = [document(f"policy {n}", title=f"Policy {n}", words=50 * 2**n % 70_000) for n in range(30)]
    strays = [document("shop window", is_policy=False), document("copy", duplicate_of="policy 3")]
    errors = [("a", "read", "<script>alert(1)</script>"), ("b", LONG, LONG)]
    folder = write_crawl(tmp_path_factory.mktemp("crawl"), [rows], known + strays, errors)
    return write_report(folder)[0]


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark"), (320, "light")])
def page(open_tab: Callable[..., Any], index: Path, request: pytest.FixtureRequest) -> Any:
    return open_tab(index, *request.param)


def test_it_fits_its_window_and_shows_its_style(page: Any) -> None:
    width = page.viewport_size["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontFamily").startswith('"Iowan')
    assert page.get_by_role("img").count() == 3


def test_an_outlier_opens_in_the_reading_view(page: Any) -> None:
    page.get_by_role("link", name="Policy 23").first.click()
    assert page.get_by_text("Clause on Data Retention.").first.is_visible()
    page.go_back()


def test_the_numbers_of_a_chart_open(page: Any) -> None:
    page.locator("summary").first.click()
    assert page.get_by_role("row", name="100 to 199").is_visible()


def test_an_accessibility_scan_finds_nothing(page: Any, scan: Callable[[Any], None]) -> None:
    for summary in page.locator("summary").all():
        summary.click()
    scan(page)


def test_it_prints_black_on_white(open_tab: Callable[..., Any], index: Path) -> None:
    tab = open_tab(index, scheme="dark")
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    fill = tab.locator(".bar .track").first.evaluate("e => getComputedStyle(e).fill")
    assert fill == "rgb(240, 240, 239)"
    assert tab.locator("details").first.is_hidden()
