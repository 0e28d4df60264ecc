"""The reading view in a real browser: every control by mouse and by keyboard, whatever the policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clausemark import Labeler
from clausemark.documents import Document
from clausemark.explain import reasons
from clausemark.page import render_page
from clausemark.predict import LabeledClause, LabeledPolicy
from clausemark.taxonomy import CATEGORIES, CODES

Open = Callable[..., Any]

EXAMPLE = Path(__file__).parents[1] / "examples" / "harbour-lane-telecom.html"
CLAUSE = "We do not sell your personal data to anyone."
HOSTILE = (
    "</script><script>alert(1)</script><img src='https://example.com/x' onerror=alert(1)> {{ 7 * 7 }}"
    " \u202edlrow \u2066 \x07 ]]> --> &amp; "
    + "w" * 10_000
)  # fmt: skip


def made_up(size: int, text: str = "We keep your name, or we may share it with others.") -> LabeledPolicy:
    """A policy of so many clauses: a heading and nine sentences a paragraph, category by category."""
    clauses: list[LabeledClause] = []
    written: list[str] = []
    start = 0
    for index in range(size):
        kind = "sentence" if index % 10 else "heading"
        words = f"{text} {index}" if index % 10 else f"Part {index}"
        name = CATEGORIES[index % 12]
        sure = 0.99 if index % 3 else 0.2 + index / size / 2
        given = dict.fromkeys(CATEGORIES, 0.01) | {name: sure}
        clauses.append(
            LabeledClause(
                index, kind, start, start + len(words), "", words, name, (name,), given, not index % 3
            )
        )
        written.append(words + (" " if index % 10 and index % 10 < 9 else "\n\n"))
        start += len(written[-1])
    return LabeledPolicy(Document("".join(written), (), title="Made up"), tuple(clauses))


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler.load()


@pytest.fixture(scope="module")
def policy(labeler: Labeler) -> LabeledPolicy:
    """The sample policy; its labels are those of the model that ships."""
    return labeler.label(EXAMPLE)


def count(policy: LabeledPolicy, code: str) -> int:
    """Clauses that a category is given to."""
    return sum(CODES[code] in clause.labels for clause in policy.clauses)


@pytest.fixture(scope="module")
def example(labeler: Labeler, policy: LabeledPolicy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the sample policy, as ``clausemark label --format html`` writes it."""
    html = render_page(policy, thresholds=labeler.thresholds, explanations=reasons(labeler, policy))
    file = tmp_path_factory.mktemp("page") / "page.html"
    file.write_text(html, encoding="utf-8")
    return file


@pytest.fixture
def tab(open_tab: Open, example: Path) -> Any:
    return open_tab(example)


def shown(tab: Any) -> Any:
    """The clause whose scores are shown."""
    return tab.locator(".text .on")


def code(tab: Any) -> str:
    """The first category of that clause."""
    return str(shown(tab).get_attribute("data-l")).split()[0]


def in_view(tab: Any, element: Any) -> bool:
    box = element.bounding_box()
    return bool(box) and box["y"] >= 0 and box["y"] + box["height"] <= tab.viewport_size["height"]


def background(element: Any) -> str:
    return str(element.evaluate("e => getComputedStyle(e).backgroundColor"))


# A clause ------------------------------------------------------------------------------------------


def test_a_click_shows_scores_thresholds_and_words(tab: Any, policy: LabeledPolicy) -> None:
    tab.get_by_text(CLAUSE).last.click()
    detail = tab.get_by_role("complementary", name="The chosen clause")
    (number,) = (clause.index for clause in policy.clauses if clause.text == CLAUSE)
    assert f"Clause {number + 1} of {len(policy.clauses)}" in detail.inner_text()
    assert "Who we share it with" in detail.inner_text()
    rows = detail.locator("tr")
    assert rows.count() >= 3
    assert "TPS" in rows.first.inner_text()
    assert rows.first.locator("b").get_attribute("title").startswith("given from 0.")
    assert "from here on the category is given" in detail.inner_text()
    assert detail.get_by_text("Words that made the label").is_visible()
    assert detail.locator("#words li").count() >= 3
    detail.get_by_role("button", name="Close").click()
    assert detail.is_hidden()
    assert shown(tab).count() == 0


def test_the_scores_do_not_cover_the_clause(open_tab: Open, example: Path) -> None:
    for width in (1280, 1000, 390):
        tab = open_tab(example, width)
        tab.get_by_text(CLAUSE).last.evaluate("e => e.scrollIntoView({ block: 'center' })")
        tab.get_by_text(CLAUSE).last.click()
        for key in ("", "j"):
            if key:
                tab.keyboard.press(key)
            detail, clause = tab.locator("#detail").bounding_box(), shown(tab).bounding_box()
            beside = clause["x"] + clause["width"] <= detail["x"]
            assert beside or clause["y"] + clause["height"] <= detail["y"]


def test_a_clause_is_reached_and_left_with_keys_alone(tab: Any) -> None:
    tab.get_by_text("Read the whole text").focus()
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.locator("#detail").is_visible()
    assert shown(tab).get_attribute("id") == "c0"
    assert tab.evaluate("document.activeElement.id") == "c0"
    tab.keyboard.press("Escape")
    assert tab.locator("#detail").is_hidden()


# Categories ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_a_category_is_switched_off_and_on(tab: Any, by: str) -> None:
    box = tab.get_by_label("Show Third Party Sharing/Collection")
    clause = tab.get_by_text(CLAUSE).last

    def switch() -> None:
        if by == "mouse":
            box.click()
        else:
            box.focus()
            tab.keyboard.press("Space")

    marked = background(clause)
    switch()
    assert background(clause) == "rgba(0, 0, 0, 0)"
    assert clause.get_attribute("data-l") == ""
    switch()
    assert background(clause) == marked
    assert clause.get_attribute("data-l") == "TPS"


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_all_categories_are_hidden_and_shown(tab: Any, policy: LabeledPolicy, by: str) -> None:
    def press(name: str) -> None:
        button = tab.get_by_role("button", name=name)
        button.click() if by == "mouse" else (button.focus(), tab.keyboard.press("Enter"))

    marked = tab.locator(".text [data-l]:not(.off)")
    assert marked.count() == len(policy.clauses)
    press("Hide all")
    assert marked.count() == 0
    press("Show all")
    assert marked.count() == len(policy.clauses)


def test_the_arrows_walk_through_a_category(tab: Any, policy: LabeledPolicy) -> None:
    total = count(policy, "DR")
    tab.get_by_role("button", name="Data Retention").click()
    panel = tab.locator("#steps")
    assert f"Data Retention, 1 of {total}" in panel.inner_text()
    assert code(tab) == "DR"
    assert in_view(tab, shown(tab))
    panel.get_by_role("button", name="Next clause of this category").click()
    assert f"2 of {total}" in panel.inner_text()
    panel.get_by_role("button", name="Previous clause of this category").click()
    panel.get_by_role("button", name="Previous clause of this category").click()
    assert f"{total} of {total}" in panel.inner_text()
    panel.get_by_role("button", name="Only this").click()
    assert tab.locator(".text [data-l]:not(.off)").count() == total
    panel.get_by_role("button", name="Only this").click()
    assert tab.locator(".text [data-l]:not(.off)").count() == len(policy.clauses)


def test_keys_walk_through_clauses_and_categories(tab: Any, policy: LabeledPolicy) -> None:
    tab.keyboard.press("j")
    assert shown(tab).get_attribute("id") == "c0"
    tab.keyboard.press("k")
    assert shown(tab).get_attribute("id") == f"c{len(policy.clauses) - 1}"
    tab.keyboard.press("c")
    assert code(tab) == "FPC"
    tab.keyboard.press("c")
    assert "TPS" in shown(tab).get_attribute("data-l")
    first = shown(tab).get_attribute("id")
    tab.keyboard.press("j")
    assert "TPS" in shown(tab).get_attribute("data-l")
    assert in_view(tab, shown(tab))
    tab.keyboard.press("k")
    assert shown(tab).get_attribute("id") == first
    tab.keyboard.press("Shift+C")
    assert code(tab) == "FPC"
    tab.keyboard.press("o")
    assert tab.locator(".text [data-l]:not(.off)").count() == count(policy, "FPC")
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    assert tab.locator(".text [data-l]:not(.off)").count() == len(policy.clauses)
    assert tab.locator("#steps").is_hidden()


@pytest.mark.parametrize("by", ["mouse", "keyboard"])
def test_uncertain_clauses_come_the_least_certain_first(open_tab: Open, tmp_path: Path, by: str) -> None:
    policy = made_up(9)
    # The last of them is the least certain.
    clauses = tuple(
        replace(c, scores=c.scores | {c.primary: 1 - c.scores[c.primary]}) if c.needs_review else c
        for c in policy.clauses
    )
    total = sum(clause.needs_review for clause in clauses)
    file = tmp_path / "page.html"
    file.write_text(render_page(replace(policy, clauses=clauses)), encoding="utf-8")
    tab = open_tab(file)
    found = []
    for _ in range(total):
        if by == "mouse":
            tab.get_by_role("button", name="Next uncertain").first.click()
        else:
            tab.keyboard.press("u")
        found.append(float(tab.locator("#scores tr").first.locator("td").last.inner_text()))
        assert "u" in shown(tab).get_attribute("class").split()
        assert f"{len(found)} of {total} such clauses" in tab.locator("#doubt").inner_text()
    assert found == sorted(found)
    last = shown(tab).get_attribute("id")
    tab.keyboard.press("Shift+U")
    assert shown(tab).get_attribute("id") != last
    tab.keyboard.press("u")
    assert shown(tab).get_attribute("id") == last
    content = "e => getComputedStyle(e, '::before').content"
    assert shown(tab).evaluate(content).endswith('?"')


# Search --------------------------------------------------------------------------------------------


def test_search_lists_its_matches_and_goes_through_them(tab: Any) -> None:
    tab.keyboard.press("/")
    tab.keyboard.type("deletion")
    results = tab.get_by_role("list", name="Matches").get_by_role("button")
    results.first.wait_for()
    assert all("delet" in text.lower() for text in results.all_inner_texts()), "other forms of the word"
    tab.get_by_role("searchbox").fill("your")
    tab.get_by_text(re.compile(r"in \d\d clauses")).wait_for()
    count = results.count()
    found = tab.locator("#found")
    tab.keyboard.press("Enter")
    assert found.inner_text() == f"1 of {count}"
    assert in_view(tab, shown(tab))
    tab.keyboard.press("Enter")
    assert found.inner_text() == f"2 of {count}"
    assert results.nth(1).get_attribute("aria-current") == "true"
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.press("Shift+Enter")
    assert found.inner_text() == f"{count} of {count}"
    tab.get_by_role("button", name="Next match").click()
    assert found.inner_text() == f"1 of {count}"
    tab.get_by_role("button", name="Previous match").click()
    assert found.inner_text() == f"{count} of {count}"
    results.nth(2).click()
    assert found.inner_text() == f"3 of {count}"
    assert "your" in shown(tab).inner_text().lower()
    assert tab.evaluate("CSS.highlights.get('found').size") >= count
    tab.get_by_role("searchbox").focus()
    tab.keyboard.press("Escape")
    assert found.inner_text() == ""
    assert results.count() == 0


def test_search_says_that_there_is_no_match(tab: Any) -> None:
    tab.get_by_role("searchbox").fill("xylophone")
    tab.get_by_text("not in this policy").wait_for()
    assert tab.get_by_role("button", name="Next match").is_hidden()
    tab.get_by_role("searchbox").press("Enter")
    assert shown(tab).count() == 0


@pytest.mark.parametrize("words", ["(", "a|b|", "[", "*", "\\", "|", "  ", "$&", "e" * 300])
def test_search_takes_any_characters(tab: Any, words: str) -> None:
    tab.get_by_role("searchbox").fill(words)
    tab.get_by_role("searchbox").press("Enter")


@pytest.mark.parametrize(("question", "category"), [("How long it is kept", "DR"), ("Sale of data", "TPS")])
def test_a_question_has_the_likely_clauses_first(tab: Any, question: str, category: str) -> None:
    tab.get_by_role("button", name=question).focus()
    tab.keyboard.press("Enter")
    results = tab.get_by_role("list", name="Matches").get_by_role("button")
    assert results.first.inner_text().startswith(category)
    tab.keyboard.press("Tab")
    results.first.press("Enter")
    assert category in shown(tab).get_attribute("data-l")


def test_a_question_says_that_no_match_is_on_its_category(open_tab: Open, tmp_path: Path) -> None:
    policy = made_up(10)
    file = tmp_path / "page.html"
    clauses = tuple(c for c in policy.clauses if c.primary not in (CODES["DR"], CODES["UAE"]))
    clauses = tuple(replace(clause, index=index) for index, clause in enumerate(clauses))
    file.write_text(render_page(replace(policy, clauses=clauses)), encoding="utf-8")
    tab = open_tab(file)
    tab.get_by_role("button", name="How long it is kept").click()
    assert tab.locator("#found").inner_text() == "in 7 clauses, none on Data Retention"


# The strip, the summary, the help ------------------------------------------------------------------


def test_the_strip_scrolls_the_policy(tab: Any, policy: LabeledPolicy) -> None:
    strip = tab.locator("#strip").bounding_box()
    x = strip["x"] + 20
    tab.mouse.click(x, strip["y"] + strip["height"] - 2)
    assert in_view(tab, tab.locator(f"#c{len(policy.clauses) - 1}"))
    top = tab.locator("#strip .thumb").bounding_box()["y"]
    tab.mouse.move(x, strip["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(x, 4)
    tab.mouse.up()
    assert in_view(tab, tab.locator("#c0"))
    tab.wait_for_timeout(100)
    assert tab.locator("#strip .thumb").bounding_box()["y"] < top
    painted = "e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data.some(Boolean)"
    assert tab.locator("#strip canvas").evaluate(painted)


def test_the_summary_quotes_and_links_to_the_clause(tab: Any, policy: LabeledPolicy) -> None:
    summary = tab.get_by_role("region", name="In its own words")
    total = count(policy, "FPC")
    summary.locator(".FPC summary").click()
    summary.get_by_role("button", name=f"Read all {total} in the text").click()
    assert tab.locator(".text [data-l]:not(.off)").count() == total
    tab.keyboard.press("s")
    assert tab.evaluate("scrollY") == 0
    quote = summary.get_by_role("link", name="When you leave us")
    quote.click()
    assert "When you leave us" in shown(tab).inner_text()
    assert in_view(tab, shown(tab))


def test_the_summary_names_the_categories_that_no_clause_has(open_tab: Open, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(render_page(made_up(10)), encoding="utf-8")
    summary = open_tab(file).get_by_role("region", name="In its own words")
    assert f"Not one clause on {' or '.join(CATEGORIES[10:])}" in summary.inner_text()


def test_a_link_to_a_clause_opens_it(open_tab: Open, example: Path) -> None:
    tab = open_tab(example)
    tab.goto(example.as_uri() + "#c20")
    tab.reload()
    assert shown(tab).get_attribute("id") == "c20"


def test_the_keys_are_explained_and_can_be_switched_off(tab: Any) -> None:
    help_ = tab.get_by_role("dialog", name="Keys")
    tab.keyboard.press("?")
    assert help_.is_visible()
    tab.keyboard.press("Escape")
    assert help_.is_hidden()
    tab.get_by_role("button", name="Keys").click()
    help_.get_by_label("Single keys work").uncheck()
    help_.get_by_role("button", name="Close").click()
    tab.keyboard.press("j")
    assert shown(tab).count() == 0


def test_the_first_key_skips_to_the_policy(tab: Any) -> None:
    tab.keyboard.press("Tab")
    assert tab.get_by_role("link", name="Skip to the policy").is_visible()
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#policy"


# On a phone, in print, without scripts, for everybody ------------------------------------------------


def test_a_phone_has_all_controls_in_reach(open_tab: Open, example: Path, policy: LabeledPolicy) -> None:
    total = count(policy, "PC")
    tab = open_tab(example, 390, "dark", has_touch=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    dock = tab.get_by_role("navigation", name="Controls")
    panel = tab.get_by_role("complementary", name="Categories and search")
    assert panel.is_hidden()
    dock.get_by_role("button", name="Categories & search").tap()
    panel.get_by_role("button", name="Deletion").first.tap()
    panel.get_by_role("list", name="Matches").get_by_role("button").first.tap()
    assert panel.is_hidden()
    assert in_view(tab, tab.locator(".text [data-l]").filter(has_text="erased").last)
    dock.get_by_role("button", name="Next uncertain clause").tap()
    assert tab.locator("#detail").is_visible()
    dock.get_by_role("button", name="Categories & search").tap()
    panel.get_by_role("button", name="Policy Change").tap()
    assert f"PC 1 of {total}" in dock.inner_text()
    dock.get_by_role("button", name="Next clause").tap()
    dock.get_by_role("button", name="Next clause").tap()
    assert f"PC 3 of {total}" in dock.inner_text()
    dock.get_by_role("button", name="Previous clause").tap()
    assert f"PC 2 of {total}" in dock.inner_text()
    dock.get_by_role("button", name=f"PC 2 of {total}").tap()
    panel.get_by_label("Show Policy Change").tap()
    assert tab.locator(".text .PC").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_prints_black_on_white_without_its_controls(open_tab: Open, example: Path, scheme: str) -> None:
    tab = open_tab(example, 700, scheme)
    tab.get_by_text(CLAUSE).last.click()
    tab.emulate_media(media="print")
    for control in ("#search", "#strip", "#detail", ".dock", "[data-do=none]", ".categories input"):
        assert tab.locator(control).first.is_hidden()
    assert tab.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert background(tab.locator("body")) == "rgb(255, 255, 255)"
    assert background(tab.get_by_text(CLAUSE).last) == "rgb(255, 230, 228)"
    assert tab.get_by_role("heading", name="Categories").is_visible()


def test_it_is_readable_without_scripts(open_tab: Open, example: Path) -> None:
    tab = open_tab(example, java_script_enabled=False)
    assert tab.get_by_text(CLAUSE).last.is_visible()
    assert tab.get_by_text("Hide all").is_hidden()
    assert tab.get_by_role("searchbox").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_an_accessibility_scan_finds_nothing(
    open_tab: Open, example: Path, scan: Callable[[Any], None], width: int, scheme: str
) -> None:
    tab = open_tab(example, width, scheme)
    for summary in tab.locator("summary").all():
        summary.click()
    tab.keyboard.press("/")
    tab.keyboard.type("data")
    tab.get_by_role("list", name="Matches").wait_for()
    if width > 1000:
        tab.keyboard.press("Enter")
        tab.get_by_label("Show First Party Collection/Use").uncheck()
    scan(tab)
    tab.keyboard.press("Escape")
    tab.keyboard.press("u")
    tab.keyboard.press("?")
    scan(tab)


# Hostile and large ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 320])
def test_hostile_text_is_text_and_breaks_nothing(open_tab: Open, tmp_path: Path, width: int) -> None:
    name = CODES["TPS"]
    scores = dict.fromkeys(CATEGORIES, 0.05) | {name: 0.9}
    kinds = ("heading", "sentence", "item", "sentence")
    clauses = tuple(
        LabeledClause(i, kind, i, i, HOSTILE, HOSTILE, name, (name,), scores, bool(i % 2))
        for i, kind in enumerate(kinds)
    )
    policy = LabeledPolicy(Document("\n\n".join("abcd"), (), source=HOSTILE, title=HOSTILE), clauses)
    explanations = {i: [(HOSTILE, 1.0)] for i in range(4)}
    file = tmp_path / "page.html"
    thresholds = dict.fromkeys(CATEGORIES, 0.5)
    file.write_text(render_page(policy, thresholds=thresholds, explanations=explanations), encoding="utf-8")
    tab = open_tab(file, width)
    for key in ("j", "j", "u", "c", "o", "/"):
        tab.keyboard.press(key)
    tab.get_by_role("searchbox").fill("</script")
    tab.get_by_role("list", name="Matches").wait_for()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.locator("img").count() == 0
    assert "<script>alert(1)</script>" in tab.locator("#c1").inner_text()
    assert "\u202e" not in tab.content()
    box = tab.locator("#c1").bounding_box()
    assert box["x"] + box["width"] <= width


def test_a_policy_of_one_megabyte_opens_and_obeys(open_tab: Open, tmp_path: Path) -> None:
    policy = made_up(4_000, "We keep your name for as long as the law of the place asks for. " * 4)
    assert len(policy.document.text) > 900_000
    file = tmp_path / "page.html"
    file.write_text(render_page(policy), encoding="utf-8")
    tab = open_tab(file)
    tab.keyboard.press("k")
    assert shown(tab).get_attribute("id") == "c3999"
    assert in_view(tab, shown(tab))
    tab.keyboard.press("u")
    assert shown(tab).get_attribute("id") == "c0"
    tab.get_by_role("searchbox").fill("place")
    tab.get_by_text("in 3600 clauses").wait_for()
    assert tab.get_by_role("list", name="Matches").get_by_role("button").count() == 100
    tab.get_by_role("button", name="Hide all").click()
    assert tab.locator(".text [data-l]:not(.off)").count() == 0


def test_the_time_of_a_step_does_not_grow_with_the_policy(open_tab: Open, tmp_path: Path) -> None:
    def seconds(size: int) -> float:
        file = tmp_path / f"{size}.html"
        file.write_text(render_page(made_up(size)), encoding="utf-8")
        return float(
            open_tab(file).evaluate(
                """() => Math.min(...Array.from({ length: 15 }, () => {
                     const start = performance.now();
                     document.dispatchEvent(new KeyboardEvent("keydown", { key: "j" }));
                     document.body.getBoundingClientRect();
                     return performance.now() - start;
                   }))"""
            )
        )

    assert seconds(1_600) < 12 * (seconds(50) + 0.5)
