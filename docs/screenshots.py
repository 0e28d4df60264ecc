"""Draw the pictures of the README: the reading view of the example.

python docs/screenshots.py        (needs Playwright and Debian's chromium)
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from clausemark import Labeler
from clausemark.explain import reasons
from clausemark.page import render_page

ROOT = Path(__file__).resolve().parents[1]
CLAUSE = "We do not sell your personal data to anyone."


def main() -> None:
    """Write reading-view.png and reading-view-phone.png beside this file."""
    labeler = Labeler.load()
    policy = labeler.label(ROOT / "examples" / "harbour-lane-telecom.html", name="harbour-lane-telecom.html")
    html = render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy))
    number = next(clause.index for clause in policy.clauses if clause.text == CLAUSE)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "page.html"
        page_file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--hide-scrollbars"]
        )
        desktop = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        desktop.goto(page_file.as_uri())
        desktop.click(f"#c{number}")
        desktop.wait_for_timeout(500)
        desktop.screenshot(path=ROOT / "docs" / "reading-view.png")
        phone = browser.new_page(viewport={"width": 390, "height": 780}, color_scheme="dark")
        phone.goto(page_file.as_uri())
        phone.evaluate(f"document.querySelector('#c{number}').scrollIntoView()")
        phone.wait_for_timeout(500)
        phone.screenshot(path=ROOT / "docs" / "reading-view-phone.png")
        browser.close()


if __name__ == "__main__":
    main()
