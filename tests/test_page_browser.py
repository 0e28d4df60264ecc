"""The reading view in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clausemark import Labeler
from clausemark.explain import reasons
from clausemark.page import render_page

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs Debian's chromium", allow_module_level=True)

EXAMPLE = Path(__file__).parents[1] / "examples" / "harbour-lane-telecom.html"
CLAUSE = "We do not sell your personal data to anyone."


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labeler = Labeler.load()
    policy = labeler.label(EXAMPLE)
    file = tmp_path_factory.mktemp("page") / "page.html"
    html = render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy))
    file.write_text(html, encoding="utf-8")
    return file


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    """The open page; when a test is done, nothing was complained of and nothing was fetched."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    fetched: list[str] = []
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: fetched.append(request.url))
    tab.goto(page_file.as_uri())
    yield tab
    tab.close()
    assert errors == []
    assert fetched == [page_file.as_uri()]


def test_a_clause_shows_its_scores_and_the_words_that_made_its_label(page: Any) -> None:
    page.get_by_text("To connect your line").last.click()
    assert page.get_by_text("Words that made the label").is_visible()
    assert page.get_by_text("heading: share").first.is_visible()


def test_a_category_is_switched_off_and_on(page: Any) -> None:
    box = page.get_by_label("Show Third Party Sharing/Collection")
    clause = page.get_by_text(CLAUSE).last
    shown = clause.evaluate("e => getComputedStyle(e).backgroundColor")
    box.uncheck()
    page.wait_for_timeout(300)
    assert clause.evaluate("e => getComputedStyle(e).backgroundColor") != shown
    box.check()
    page.wait_for_timeout(300)
    assert clause.evaluate("e => getComputedStyle(e).backgroundColor") == shown


def test_the_keyboard_reaches_the_next_uncertain_clause_and_the_help(page: Any) -> None:
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("dialog").is_visible()


def test_it_reads_on_a_phone_without_scrolling_sideways(browser: Any, page_file: Path) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    tab.goto(page_file.as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    tab.close()


def test_it_is_readable_without_scripts(browser: Any, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(page_file.as_uri())
    assert tab.get_by_text(CLAUSE).last.is_visible()
    context.close()
