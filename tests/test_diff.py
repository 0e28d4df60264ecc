"""What changed between two policies: every clause accounted for once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from clausemark.cli import app
from clausemark.diff import PolicyDiff, compare, render_diff
from clausemark.documents import Document
from clausemark.predict import LabeledClause, LabeledPolicy, Labeler
from clausemark.taxonomy import CATEGORIES

OLD = """Privacy Policy

We collect your name and your address when you place an order with us.

We keep the records of your orders for two years after the last of them.

We never sell the list of our customers to anybody at all.

You may write to our privacy officer at any time of the year.
"""
HOSTILE = '<script>alert(1)</script> =1+1 \u202e "quoted" & \x00'


def labeled(texts: list[str]) -> LabeledPolicy:
    clauses = []
    start = 0
    for index, text in enumerate(texts):
        primary = CATEGORIES[len(text) % 12]
        scores = {name: float(name == primary) for name in CATEGORIES}
        end = start + len(text)
        clauses.append(LabeledClause(index, "sentence", start, end, "", text, primary, (primary,), scores))
        start = end + 1
    return LabeledPolicy(Document("\n".join(texts), ()), tuple(clauses))


def kinds(diff: PolicyDiff) -> list[str]:
    return [change.kind for change in diff.changes if change.kind != "same"]


@pytest.fixture(scope="module")
def labeler(tiny_model: Path) -> Labeler:
    return Labeler.load(tiny_model)


def difference(labeler: Labeler, old: str, new: str) -> PolicyDiff:
    return compare(labeler.label(old), labeler.label(new))


def test_a_policy_and_itself_do_not_differ(labeler: Labeler) -> None:
    found = difference(labeler, OLD, OLD)
    assert not found.differs
    assert found.to_dict()["changes"] == []


def test_other_spaces_quotes_and_case_are_no_change(labeler: Labeler) -> None:
    assert not difference(labeler, OLD, OLD.replace(" your ", "  Your ")).differs


def test_an_added_clause_is_added_and_read_backwards_removed(labeler: Labeler) -> None:
    new = OLD + "\nFirewalls guard photos against theft by strangers.\n"
    assert kinds(difference(labeler, OLD, new)) == ["added"]
    assert kinds(difference(labeler, new, OLD)) == ["removed"]


def test_a_clause_that_stands_elsewhere_has_moved(labeler: Labeler) -> None:
    parts = OLD.strip().split("\n\n")
    found = difference(labeler, OLD, "\n\n".join([parts[0], *parts[2:], parts[1]]))
    assert kinds(found) == ["moved"]


def test_a_reworded_clause_tells_which_words(labeler: Labeler) -> None:
    found = difference(labeler, OLD, OLD.replace("two years", "five years"))
    change = next(change for change in found.changes if change.kind == "reworded")
    assert ("-", "two") in [(part.op, part.text.strip()) for part in change.words()]
    assert ("+", "five") in [(part.op, part.text.strip()) for part in change.words()]
    assert "".join(part.text for part in change.words() if part.op in "=+") == change.clause.text


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_clause_of_both_sides_appears_exactly_once(data: Any) -> None:
    sentence = st.lists(st.sampled_from("we sell keep your data name never mail to of".split()), min_size=1)
    texts = st.lists(sentence.map(" ".join), max_size=12)
    old, new = labeled(data.draw(texts)), labeled(data.draw(texts))
    found = compare(old, new)
    assert sorted(c.old.index for c in found.changes if c.old) == list(range(len(old.clauses)))
    assert sorted(c.new.index for c in found.changes if c.new) == list(range(len(new.clauses)))
    for row in found.categories.values():
        assert row["new"] == row["old"] + row["added"] + row["gained"] - row["removed"] - row["lost"]
    json.dumps(found.to_dict())


def test_hostile_text_is_text_on_the_page() -> None:
    page = render_diff(compare(labeled(["We keep it."]), labeled([HOSTILE])))
    assert "<script>alert" not in page
    assert "Content-Security-Policy" in page
    assert "\u202e" not in page


def test_the_command_prints_writes_a_page_and_exits_as_diff_does(tiny_model: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "old.txt", tmp_path / "new.txt"
    one.write_text(OLD, encoding="utf-8")
    two.write_text(OLD.replace("two years", "five years"), encoding="utf-8")
    run = CliRunner().invoke
    common = ["diff", str(one), str(two), "--model", str(tiny_model)]
    plain = run(app, common)
    assert plain.exit_code == 0
    assert "1 reworded" in plain.stdout
    assert "\x1b" not in plain.stdout
    assert run(app, [*common, "--exit-code"]).exit_code == 1
    assert run(app, ["diff", str(one), str(one), "--exit-code", "--model", str(tiny_model)]).exit_code == 0
    assert json.loads(run(app, [*common, "--json"]).stdout)["counts"]["reworded"] == 1
    page = tmp_path / "page.html"
    assert run(app, [*common, "--format", "html", "--out", str(page)]).exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!")


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_opens_without_a_complaint_or_a_request(
    labeler: Labeler, tmp_path: Path, width: int, scheme: Any
) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    page = tmp_path / "page.html"
    new = OLD.replace("two years", "five years") + "\nFirewalls guard photos against theft.\n"
    page.write_text(render_diff(difference(labeler, OLD, new)), encoding="utf-8")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(page.as_uri())
        assert "five years" in tab.inner_text("body")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        browser.close()
    assert said == []
    assert asked == [page.as_uri()]
