"""Draw the pictures of the README: the reading view of the example, wide and narrow, light and dark.

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

DOCS = Path(__file__).resolve().parent
EXAMPLE = DOCS.parent / "examples" / "harbour-lane-telecom.html"
CLAUSE = "We do not sell your personal data to anyone."
#: Name of the picture -> width and height of the window.
WINDOWS = {"reading-view": (1280, 860), "reading-view-phone": (390, 780)}


def main() -> None:
    """Write a picture of each window beside this file, and one of it in the dark."""
    labeler = Labeler.load()
    policy = labeler.label(EXAMPLE, name=EXAMPLE.name)
    html = render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy))
    number = next(clause.index for clause in policy.clauses if clause.text == CLAUSE)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--hide-scrollbars"]
        )
        for name, (width, height) in WINDOWS.items():
            for scheme, suffix in (("light", ""), ("dark", "-dark")):
                tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                tab.goto(file.as_uri())
                if width > 1000:
                    tab.click("text=Sale of data")
                tab.click(f"#c{number}")
                tab.mouse.move(0, 0)
                tab.wait_for_timeout(500)
                tab.screenshot(path=DOCS / f"{name}{suffix}.png")
        browser.close()


if __name__ == "__main__":
    main()
