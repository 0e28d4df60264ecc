"""The reading view: one self-contained page, whatever the policy holds."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from clausemark.documents import parse_document
from clausemark.page import PALETTE, render_fragment, render_page
from clausemark.predict import LabeledPolicy, Labeler

HOSTILE = (
    """<script>alert(1)</script> & "quotes" 'too'

We share names with </script><img src=x onerror=alert(1)> partners. Our partners receive names from us.

We collect \u202enames\u202c when you sign up. {{ 7 * 7 }} {% raw %} We keep names for two years.

"""
    + "w" * 10_000
)


class _Reader(HTMLParser):
    """Collects tags, attributes and text as a browser would."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.raw = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.raw = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self.raw = ""

    def handle_data(self, data: str) -> None:
        if not self.raw:
            self.text.append(data)


def read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    return reader


@pytest.fixture(scope="module")
def label(tiny_model):
    labeler = Labeler.load(tiny_model)

    def call(text: str) -> LabeledPolicy:
        return labeler.label_document(parse_document(text, media="text"), any_language=True)

    return call


def test_every_clause_stands_in_the_page_in_order(label):
    policy = label(
        "Sharing\n\nWe share photos with advertisers. We keep photos for two years.\n\nWe use photos."
    )
    text = " ".join("".join(read(render_page(policy)).text).split())
    position = text.rindex("Sharing")
    for clause in policy.clauses[1:]:
        position = text.index(clause.text, position)


def test_hostile_text_shows_as_text(label):
    policy = label(HOSTILE)
    page = render_page(policy)
    found = read(page)
    assert not [tag for tag, _ in found.tags if tag == "img"]
    assert not [a for _, attributes in found.tags for a in attributes if a.startswith("on")]
    assert page.count("<script") == sum(tag == "script" for tag, _ in found.tags)
    shown = "".join(found.text)
    assert "<script>alert(1)</script>" in shown
    assert "</script><img src=x onerror=alert(1)>" in shown
    assert "{{ 7 * 7 }}" in shown
    assert "w" * 4_000 in shown, "in clauses of at most 5,000 characters"


def test_scripts_are_our_own_whatever_the_text(label):
    def scripts(text: str) -> list[str]:
        return re.findall(r"<script(?![^>]*json)[^>]*>(.*?)</script>", render_page(label(text)), re.S)

    assert scripts(HOSTILE) == scripts("We share photos with advertisers.")


def test_it_asks_nobody_for_anything(label):
    found = read(render_page(label(HOSTILE)))
    policies = [
        attributes["content"]
        for _, attributes in found.tags
        if (attributes.get("http-equiv") or "").lower() == "content-security-policy"
    ]
    assert len(policies) == 1
    assert "default-src 'none'" in (policies[0] or "")
    loading = [
        attributes.get("src") or attributes.get("href") or ""
        for tag, attributes in found.tags
        if tag in ("script", "link", "img", "iframe")
    ]
    assert not [url for url in loading if url and not url.startswith("data:")]


def test_categories_that_a_policy_never_touches_are_said(label):
    text = "".join(read(render_page(label("We share photos with advertisers."))).text)
    assert "Do Not Track" in text
    assert "Third Party Sharing/Collection" in text


def test_a_clause_is_marked_as_uncertain_where_the_model_asks_for_a_review(label):
    policy = label("We share photos with advertisers. We use photos to bill you.")
    sure, unsure = (
        replace(c, needs_review=review) for c, review in zip(policy.clauses, (False, True), strict=True)
    )
    page = render_page(LabeledPolicy(policy.document, (sure, unsure)))
    assert re.search(r'<span id="c0" class="[A-Z]+"', page)
    assert re.search(r'<span id="c1" class="[A-Z]+ u"', page)
    assert "1 uncertain" in "".join(read(page).text)


def test_the_same_policy_gives_the_same_page(label):
    policy = label("We share photos with advertisers. We use photos to bill you.")
    assert render_page(policy) == render_page(policy)


def test_a_long_policy_stays_lean(label):
    sentence = "We share photos with advertisers and our partners receive emails from us. "
    text = "\n\n".join([sentence * 5] * 2_500)
    page = render_page(label(text))
    assert len(page) < 8 * len(text)


def test_a_fragment_for_notebooks_is_no_whole_page(label):
    fragment = render_fragment(label(HOSTILE))
    assert "<html" not in fragment
    found = read(fragment)
    assert not [tag for tag, _ in found.tags if tag in ("script", "img")]
    assert "</script><img src=x onerror=alert(1)>" in "".join(found.text)
    assert "\u202e" not in fragment


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("code", PALETTE)
def test_tags_and_text_have_the_contrast_of_wcag_aa_on_every_tint(code):
    # axe does not see tags, which are generated content
    tint, tag, mark, dark_tint, dark_tag, dark_mark = PALETTE[code]
    assert min(contrast(tag, tint), contrast("#1c1c1c", tint), contrast("#000000", tint)) >= 4.5
    assert min(contrast(dark_tag, dark_tint), contrast("#e4e2dd", dark_tint)) >= 4.5
    assert {tint, tag, mark}.isdisjoint({dark_tint, dark_tag, dark_mark})
