"""The report of a crawl in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clausemark.report import write_report
from clausemark.taxonomy import CODES
from crawls import clauses, document, write_crawl

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Debian's chromium", allow_module_level=True)

LONG = "w" * 3_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


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
def page(browser: Any, index: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The open page; when a test is done, nothing was complained of and nothing was fetched."""
    width, scheme = request.param
    tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    fetched: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("request", lambda asked: fetched.append(asked.url))
    tab.goto(index.as_uri())
    yield tab
    tab.close()
    assert said == []
    assert [url for url in fetched if not url.startswith(index.parent.as_uri())] == []


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


def test_an_accessibility_scan_finds_nothing(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    found = axe.Axe().run(page)
    assert found.response["violations"] == [], found.generate_report()
