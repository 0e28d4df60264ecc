"""Fixtures that several test modules share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tiny import tiny_model as train_tiny
from tiny import tiny_policies


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the repository")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model trained on a few policies."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    train_tiny(folder, tiny_policies("train"), folds=2)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    chromium = shutil.which("chromium") or pytest.skip("needs Debian's chromium")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_tab(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open files in tabs: at the end none has complained, or fetched what is not in its folder."""
    tabs: list[Any] = []
    said: list[str] = []
    fetched: list[str] = []

    def call(file: Path, width: int = 1280, scheme: str = "light", **options: Any) -> Any:
        size = {"width": width, "height": 800}
        tab = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce", **options)
        tab.set_default_timeout(10_000)
        tabs.append(tab)
        here = file.parent.as_uri()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        tab.on("request", lambda asked: asked.url.startswith(here) or fetched.append(asked.url))
        tab.goto(file.as_uri())
        return tab

    yield call
    for tab in tabs:
        tab.close()
    assert (said, fetched) == ([], [])


@pytest.fixture(scope="session")
def scan() -> Callable[[Any], None]:
    """Scan a tab for what axe finds inaccessible."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe").Axe()

    def call(tab: Any) -> None:
        found = axe.run(tab)
        assert found.response["violations"] == [], found.generate_report()

    return call
