"""What changed between two policies: every clause accounted for once."""

from __future__ import annotations

import json
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


# In a browser ----------------------------------------------------------------------------------------

NEW = """Privacy Policy

We never sell the list of our customers to anybody at all.

We collect your name and your address when you place an order with us.

We keep the records of your orders for five years after the last of them.

Firewalls guard photos against theft by strangers.
"""


@pytest.fixture(scope="module")
def page(labeler: Labeler, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a clause each added, removed, reworded and moved."""
    found = difference(labeler, OLD, NEW)
    assert set(kinds(found)) == {"added", "removed", "reworded", "moved"}
    file = tmp_path_factory.mktemp("diff") / "page.html"
    file.write_text(render_diff(found), encoding="utf-8")
    return file


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_kinds_of_change_are_switched_off_and_on(open_tab: Any, page: Path, by: str) -> None:
    tab = open_tab(page)
    for kind in ("added", "removed", "reworded", "moved"):
        box, change = tab.get_by_label(kind, exact=True), tab.locator(f".change.{kind}")
        for visible in (False, True):
            box.click() if by == "mouse" else box.press("Space")
            assert change.is_visible() is visible


def test_changes_of_one_category_are_chosen_by_list_and_by_link(open_tab: Any, page: Path) -> None:
    tab = open_tab(page)
    link = tab.locator("table a").first
    link.click()
    name = link.inner_text().replace("\u200b", "")
    assert tab.locator("#only option:checked").inner_text().startswith(name)
    shown, every = tab.locator(".change:visible").count(), tab.locator(".change").count()
    assert 0 < shown < every
    tab.get_by_label("Category").select_option("")
    assert tab.locator(".change:visible").count() == every


def test_changes_are_walked_through_with_buttons_and_keys(open_tab: Any, page: Path) -> None:
    tab = open_tab(page)
    status, marked = tab.locator("#shown"), tab.locator(".change.on")
    assert status.inner_text() == "4 changes"
    tab.get_by_role("button", name="Next change").click()
    assert status.inner_text() == "1 of 4"
    tab.keyboard.press("j")
    assert status.inner_text() == "2 of 4"
    assert marked.get_attribute("id") == tab.evaluate("document.activeElement.id")
    tab.keyboard.press("k")
    tab.get_by_role("button", name="Next change").click()
    tab.get_by_role("button", name="Previous change").click()
    assert status.inner_text() == "1 of 4"
    tab.locator(".change.added").click()
    assert "added" in marked.get_attribute("class")
    tab.keyboard.press("Escape")
    assert marked.count() == 0


def test_what_is_unchanged_opens(open_tab: Any, page: Path) -> None:
    tab = open_tab(page)
    tab.get_by_text("unchanged", exact=False).last.click()
    assert tab.locator("details[open]").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window_and_an_accessibility_scan_finds_nothing(
    open_tab: Any, scan: Any, page: Path, width: int, scheme: str
) -> None:
    tab = open_tab(page, width, scheme)
    for summary in tab.locator("summary").all():
        summary.click()
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    scan(tab)


def test_hostile_text_breaks_nothing(open_tab: Any, tmp_path: Path) -> None:
    hostile = HOSTILE + "w" * 10_000
    file = tmp_path / "page.html"
    old, new = labeled([hostile, "We keep it."]), labeled(["It is new.", f"{hostile} more", hostile])
    file.write_text(render_diff(compare(old, new)), encoding="utf-8")
    for width in (1280, 320):
        tab = open_tab(file, width)
        tab.keyboard.press("j")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert "<script>alert(1)</script>" in tab.inner_text("body")


def test_it_reads_without_scripts(open_tab: Any, page: Path) -> None:
    tab = open_tab(page, java_script_enabled=False)
    assert tab.locator(".change:visible").count() == 4
    assert tab.locator(".filter").is_hidden()
