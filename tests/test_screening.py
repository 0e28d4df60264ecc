"""Screening: what looks like a privacy policy, and what does not."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from clausemark import Labeler
from clausemark.clauses import segment
from clausemark.cli import main
from clausemark.documents import read_document
from clausemark.predict import LabeledPolicy
from clausemark.screening import (
    BIAS,
    POLICY_SCORE,
    WEIGHTS,
    figures,
    policy_figures,
    policy_score,
    score_figures,
)
from clausemark.taxonomy import CATEGORIES

PAGES = Path(__file__).parents[1] / "data" / "screening.jsonl"
POLICY = (
    "<html><head><title>{title}</title></head><body>{before}<h1>{heading}</h1>"
    "<p>We collect your name, e-mail address and IP address when you order.</p>"
    "<p>We use this information to send your order and to prevent fraud.</p>"
    "<p>We share your address with the carrier. We do not sell your data to advertisers.</p>"
    "<p>We keep invoices for seven years and delete everything else after one year.</p>"
    "<p>You may unsubscribe from our newsletter at any time.</p>"
    "<p>You can ask us for a copy of your data, and to correct or delete it.</p>"
    "<p>Card numbers are encrypted and our servers are protected.</p>"
    "<p>We do not knowingly collect information from children under 13.</p>"
    "<p>Write to us at data@orchard.example with questions.</p>{after}</body></html>"
)
MENU = (
    "".join(f"<div>{word}</div>" for word in "Pears Apples Plums Cider Juice Gifts Visits Jobs".split()) * 6
)
TERMS = (
    "<h1>Rules of the orchard</h1><p>Keep dogs on a lead.</p><p>Ladders stay where they are.</p>"
    "<p>Fruit is sold by weight.</p><p>Entry costs five pounds.</p><p>We close at dusk.</p>" * 3
)


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    return Labeler.load()


def score(labeler: Labeler, html: str) -> float:
    return policy_score(labeler.label(html, any_language=True))


def page(
    title: str = "Privacy policy", heading: str = "Privacy policy", before: str = "", after: str = ""
) -> str:
    return POLICY.format(title=title, heading=heading, before=before, after=after)


def test_a_short_policy_is_one(labeler: Labeler) -> None:
    assert score(labeler, page()) >= POLICY_SCORE


@pytest.mark.parametrize(
    "html",
    [
        page(title="Orchard Lane", heading="How we treat what you tell us"),
        page(title="Orchard Lane", before=MENU, after=MENU),
        page(title="Rules", heading="Your data", before=TERMS, after=TERMS),
    ],
    ids=["without the words", "in much navigation", "within terms"],
)
def test_a_policy_is_found_where_it_is_hard_to_see(labeler: Labeler, html: str) -> None:
    assert score(labeler, html) >= POLICY_SCORE


@pytest.mark.parametrize(
    "html",
    [
        "<html><title>404 Not Found: /privacy-policy</title><h1>404 Not Found</h1><p>No page.</p></html>",
        f"<html><title>Orchard Lane</title>{TERMS}</html>",
        f"<html><title>Orchard Lane</title>{MENU}</html>",
        "<html><title>Privacy policy</title><p>This page has moved.</p></html>",
    ],
    ids=["error", "terms", "menu", "moved"],
)
def test_other_pages_are_none(labeler: Labeler, html: str) -> None:
    assert score(labeler, html) < POLICY_SCORE


def test_a_policy_in_another_language_is_none(labeler: Labeler) -> None:
    pages = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    foreign = [page["html"] for page in pages if page["kind"].startswith("language-")]
    assert len(foreign) >= 10
    assert max(score(labeler, html) for html in foreign) < POLICY_SCORE


def test_most_written_pages_are_told_apart(labeler: Labeler) -> None:
    pages = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    wrong = [p["id"] for p in pages if (score(labeler, p["html"]) >= POLICY_SCORE) != p["is_policy"]]
    assert len(wrong) <= 0.15 * len(pages), wrong


def test_pages_have_unique_ids_and_both_halves() -> None:
    pages = [json.loads(line) for line in PAGES.read_text(encoding="utf-8").splitlines()]
    assert len({page["id"] for page in pages}) == len(pages)
    assert {(page["split"], page["is_policy"]) for page in pages} == {
        (half, truth) for half in ("train", "test") for truth in (True, False)
    }


def test_a_document_without_clauses_scores_nothing() -> None:
    document = read_document("Nothing to see", name="-")
    assert policy_score(LabeledPolicy(document, ())) == 0.0


def test_figures_are_the_same_from_a_labeled_policy_and_from_arrays(labeler: Labeler) -> None:
    policy = labeler.label(page())
    clauses = segment(policy.document)
    chances = np.array([[clause.scores[name] for name in CATEGORIES] for clause in policy.clauses])
    texts, headings = [clause.text for clause in clauses], [clause.kind == "heading" for clause in clauses]
    assert figures(policy.document.title, texts, headings, chances) == policy_figures(policy)


def test_figures_are_those_that_have_weights() -> None:
    found = figures("", ["We collect your name."], [False], np.full((1, 12), 0.5))
    assert list(found) == list(WEIGHTS)


def test_only_the_most_policy_like_stretch_is_read() -> None:
    chances = np.zeros((60, 12))
    chances[30:50, 0] = 0.9
    texts = ["Buy pears now"] * 30 + ["We collect data"] * 20 + ["Buy pears now"] * 10
    found = figures("", texts, [False] * 60, chances)
    assert found["practice"] == pytest.approx(0.9)
    assert found["data"] == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("title", "named", "other"),
    [
        ("Privacy Policy | Orchard Lane", 1, 0),
        ("Orchard Lane: Cookie notice", 1, 0),
        ("Your personal data", 1, 0),
        ("We value your privacy", 0, 0),
        ("Terms of Service", 0, 1),
        ("404 Not Found", 0, 1),
        ("Does my site need one?", 0, 1),
        ("Orchard Lane", 0, 0),
    ],
)
def test_titles(title: str, named: int, other: int) -> None:
    found = figures(title, ["Pears."], [False], np.zeros((1, 12)))
    assert (found["named"], found["other"]) == (named, other)


def test_scores_stay_between_0_and_1_however_large_the_figures() -> None:
    for value in (-1e9, 0.0, 1e9):
        assert 0.0 <= score_figures(dict.fromkeys(WEIGHTS, value)) <= 1.0
    assert score_figures(dict.fromkeys(WEIGHTS, 0.0)) == pytest.approx(1 / (1 + math.exp(-BIAS)))


@pytest.mark.parametrize(("html", "lines"), [(page(), 0), (f"<html><title>Rules</title>{TERMS}</html>", 1)])
def test_label_says_in_a_line_when_a_page_looks_like_no_policy(
    html: str, lines: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        main(["label", "--format", "jsonl", str(path)])
    out, err = capsys.readouterr()
    assert (caught.value.code or 0) == 0
    assert len(out.splitlines()) >= 9
    assert err.count("does not look like a privacy policy (score 0.") == lines == len(err.splitlines())
