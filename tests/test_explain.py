"""Explanations: contributions that add up to the score, and where in the clause they stand."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy.special import logit

from clausemark import Labeler
from clausemark.classifier import ClauseClassifier
from clausemark.clauses import segment
from clausemark.context import FIELDS, INTRODUCTIONS, SHAPES, columns, neighbourhood, sources, surroundings
from clausemark.documents import Document, parse_document
from clausemark.errors import InputError
from clausemark.explain import (
    Contribution,
    Explainer,
    Explanation,
    explain,
    explain_policy,
    highlighted,
    reasons,
    render,
    render_line,
    show_term,
    spans,
)
from clausemark.features import clause_frame, make_features
from clausemark.model import restore
from clausemark.predict import LabeledPolicy
from clausemark.taxonomy import CATEGORIES, CODE_OF
from tiny import tiny_model, tiny_policies

EXAMPLE = Path(__file__).parents[1] / "examples" / "harbour-lane-telecom.html"
WORDS = (
    "we sell your data to third parties cookies opt-out opt out don't don’t track e-mail a I 13 İstanbul ΟΔΟΣ"
    " straße STRASSE ﬁle data— (and/or) privacy@example.com naïve ... ? : 個人 e\u0301 \u200b \u202e"
)

#: Headings above each other, a list, a paragraph, and clauses enough for a policy.
EVERYTHING = """Privacy of photos

Browsers

We share photos with advertisers. You can opt out of photos.

You can:

- opt out of cookies;
- tick the box.

After that photos are erased. We keep them for two years. Encryption protects them.

Our address

Write to our officer.
"""


@pytest.fixture(scope="module")
def labeler() -> Labeler:
    """The model that ships, with all its blocks."""
    return Labeler.load()


@pytest.fixture(scope="module")
def classifier(labeler: Labeler) -> ClauseClassifier:
    """The same as an estimator."""
    return restore(labeler.model)


@pytest.fixture(scope="module")
def policy(labeler: Labeler) -> LabeledPolicy:
    return labeler.label(EXAMPLE)


@pytest.fixture(scope="module")
def explainer(labeler: Labeler, policy: LabeledPolicy) -> Explainer:
    return Explainer(labeler, policy)


def texts() -> st.SearchStrategy[str]:
    """Texts of words that occur in policies and of words that are awkward to lower or to split."""
    # Control characters are what makes a document count as binary.
    letters = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffd")
    word = st.sampled_from(WORDS.split(" ")) | st.text(letters, min_size=1, max_size=6)
    return st.lists(word, min_size=1, max_size=30).map(lambda words: " ".join(["We", *words]))


def own(explanation: Explanation) -> float:
    return sum(c.value for c in explanation.contributions if c.block in ("words", "chars"))


def shown(explanation: Explanation, **how: object) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False, **how)  # type: ignore[arg-type]
    render(explanation, console, top=3)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


# Sums --------------------------------------------------------------------------------------------


def check_sums(explainer: Explainer, scores: np.ndarray[Any, Any]) -> None:
    for index in range(len(explainer.clauses)):
        for k, category in enumerate(CATEGORIES):
            found = explainer.explain(index, category)
            values = sum(c.value for c in found.contributions)
            assert found.score == pytest.approx(scores[index, k], abs=2e-5), "float32 against float64"
            assert found.score == pytest.approx(logit(found.probability), abs=2e-4)
            assert found.intercept + values + found.rest == pytest.approx(found.score, abs=1e-9)
            assert sum(found.blocks.values()) == pytest.approx(values, abs=1e-9)
            top = explainer.explain(index, category, top=3)
            assert top.intercept + sum(c.value for c in top.contributions) + top.rest == pytest.approx(
                found.score, abs=1e-9
            )


def test_contributions_add_up_to_the_score_of_every_clause_and_category(
    labeler: Labeler, policy: LabeledPolicy, explainer: Explainer
) -> None:
    frame = clause_frame(segment(policy.document))
    assert len(frame) == len(explainer.clauses) == len(policy.clauses) > 40
    check_sums(explainer, restore(labeler.model).decision_function(frame))


@settings(max_examples=12, deadline=None)
@given(text=texts())
@example(text="Alone.")
@example(text="Sharing\n\nWe may:\n\n- sell data;\n- not sell data.\n\nDo we? No.")
def test_contributions_add_up_whatever_the_text(
    labeler: Labeler, classifier: ClauseClassifier, text: str
) -> None:
    document = parse_document(text, media="text")
    clauses = segment(document)
    if clauses:
        check_sums(Explainer(labeler, document), classifier.decision_function(clause_frame(clauses)))


def test_probability_and_threshold_are_those_of_the_label(
    labeler: Labeler, policy: LabeledPolicy, explainer: Explainer
) -> None:
    for clause in policy.clauses:
        found = explainer.explain(clause.index)
        assert (found.index, found.category, found.clause.text) == (clause.index, clause.primary, clause.text)
        for k, category in enumerate(CATEGORIES):
            found = explainer.explain(clause.index, category, top=0)
            assert found.probability == pytest.approx(clause.scores[category], abs=1e-6)
            assert found.threshold == labeler.model.thresholds[k]


def by_scikit_learn(
    classifier: ClauseClassifier, document: Document, index: int, k: int
) -> tuple[dict[str, float], float]:
    """Take a score apart with the fitted estimator: contributions of n-grams by name, and the rest."""
    clauses = segment(document)
    around = surroundings(clauses)
    features = classifier.features_.transform(clause_frame(clauses)).toarray().astype(float)
    names = classifier.features_.get_feature_names_out()
    says, announces = classifier.says_, classifier.announces_
    if around.alone[index]:
        maps = {"clause": (classifier.alone_[:-1, k], np.zeros(12))}
        rest = float(classifier.alone_[-1, k])
    else:
        where, weights = columns(24, 12), classifier.context_[:, k]
        maps = {
            name: (
                weights[where[name]],
                weights[where[f"{name} announces"]] if name in INTRODUCTIONS else np.zeros(12),
            )
            for name in FIELDS
        }
        nothing = np.zeros((len(clauses), 24), np.float32), np.zeros((len(clauses), 12), np.float32)
        rest = float(weights[-1] + neighbourhood(*nothing, around)[index] @ weights[:-1])  # shapes
    looked_at = [(field, shares, *maps[field]) for field, shares in sources(around, index).items()
                 if field in maps]  # fmt: skip
    if "strongest" in maps:
        # Each score is that of the clause of the paragraph that has the highest.
        paragraph = np.arange(around.first[index], around.last[index] + 1)
        highest = paragraph[(features @ says.coef_.T + says.intercept_)[paragraph].argmax(axis=0)]
        said, told = maps["strongest"]
        looked_at += [
            ("strongest", {row: 1.0}, said * (highest == row), told) for row in set(highest.tolist())
        ]
    found: dict[str, float] = {}
    for field, shares, said, told in looked_at:
        effect = said @ says.coef_ + told @ announces.coef_
        rest += float(said @ says.intercept_ + told @ announces.intercept_)
        for row, share in shares.items():
            for column in np.flatnonzero(features[row]):
                block, term = names[column].split("__", 1)
                name = f"{block}__{term}" if field == "clause" else f"{field} {block}__{term}"
                found[name] = found.get(name, 0.0) + share * features[row, column] * effect[column]
    return found, rest


@pytest.fixture(scope="module")
def both_blocks(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClauseClassifier, Labeler]:
    folder = tmp_path_factory.mktemp("both") / "model"
    classifier = tiny_model(folder, tiny_policies("train"), folds=2, weights={"chars": 0.5}, min_df=1)
    return classifier, Labeler.load(folder)


@pytest.mark.parametrize("text", [EVERYTHING, "Write to our officer."], ids=["policy", "alone"])
def test_every_contribution_is_that_of_the_estimator_and_bears_the_name_of_its_field(
    both_blocks: tuple[ClauseClassifier, Labeler], text: str
) -> None:
    classifier, labeler = both_blocks
    document = parse_document(text, media="text")
    explainer = Explainer(labeler, document)
    for index in range(len(explainer.clauses)):
        for k, category in enumerate(CATEGORIES):
            explanation = explainer.explain(index, category)
            ngrams = [c for c in explanation.contributions if c.block != "shape"]
            found = {f"{c.block}__{c.term}": c.value for c in ngrams}
            assert len(found) == len(ngrams), "an n-gram of a field is named once"
            expected, rest = by_scikit_learn(classifier, document, index, k)
            assert found == pytest.approx(expected, abs=1e-5)
            shape = explanation.blocks.get("shape", 0.0)
            assert explanation.intercept + shape == pytest.approx(rest, abs=1e-4)


def test_blocks_are_named_after_the_fields_around_a_clause(
    both_blocks: tuple[ClauseClassifier, Labeler],
) -> None:
    explainer = Explainer(both_blocks[1], parse_document(EVERYTHING, media="text"))
    seen = [explainer.explain(index) for index in range(len(explainer.clauses))]
    order = [f"{field} {block}" for field in FIELDS for block in ("words", "chars")]
    order = [name.removeprefix("clause ") for name in order] + ["shape"]
    for found in seen:
        assert set(found.blocks) == {c.block for c in found.contributions}
        assert list(found.blocks) == [name for name in order if name in found.blocks]
    assert {name for found in seen for name in found.blocks} == set(order)
    text = [clause.text for clause in explainer.clauses]
    terms = {(c.block, c.term) for c in explainer.explain(text.index("tick the box.")).contributions}
    assert ("words", "tick the") in terms
    assert ("lead_in words", "you can") in terms
    assert ("heading words", "browsers") in terms
    assert ("words", "browsers") not in terms
    assert ("shape", "kind=heading") in {(c.block, c.term) for c in seen[0].contributions}


def test_that_there_are_neighbours_is_part_of_the_intercept(explainer: Explainer) -> None:
    shapes = {
        c.term
        for i in range(len(explainer.clauses))
        for c in explainer.explain(i).contributions
        if c.block == "shape"
    }
    assert shapes == {name for name in SHAPES if not name.startswith("has ")}


def test_a_clause_alone_is_explained_by_its_own_words_only(labeler: Labeler) -> None:
    found = explain(labeler, parse_document("We sell your data to advertisers.", media="text"), 0)
    assert set(found.blocks) == {"words", "chars"}


def test_contributions_are_sorted_by_strength_whatever_their_sign(explainer: Explainer) -> None:
    for index in range(len(explainer.clauses)):
        strengths = [abs(c.value) for c in explainer.explain(index).contributions]
        assert strengths == sorted(strengths, reverse=True)


def test_a_word_can_speak_for_one_category_and_against_another(labeler: Labeler) -> None:
    document = parse_document("You can opt out of this at any time.", media="text")
    by_category = {
        name: dict[tuple[str, str], float](
            ((c.block, c.term), c.value) for c in explain(labeler, document, 0, name).contributions
        )
        for name in ("User Choice/Control", "Data Security")
    }
    assert by_category["User Choice/Control"]["words", "opt out"] > 0
    assert by_category["Data Security"]["words", "opt out"] < 0


# Whole policies ----------------------------------------------------------------------------------


def test_a_policy_is_explained_by_the_strongest_contributions_of_each_clause(
    labeler: Labeler, policy: LabeledPolicy, explainer: Explainer
) -> None:
    found = explain_policy(labeler, policy, top=5)
    assert [e.category for e in found] == [clause.primary for clause in policy.clauses]
    for index, short in enumerate(found):
        full = explainer.explain(index)
        assert short.contributions == full.contributions[:5]
        assert short.blocks == full.blocks, "sums of blocks count all contributions"
        total = short.intercept + sum(c.value for c in short.contributions) + short.rest
        assert total == pytest.approx(short.score, abs=1e-5)


def test_shortening_twice_loses_nothing(explainer: Explainer) -> None:
    full = explainer.explain(10)
    assert full.rest == 0
    twice = full.strongest(20).strongest(4)
    assert twice.contributions == full.strongest(4).contributions
    assert twice.rest == pytest.approx(full.strongest(4).rest, abs=1e-12)
    assert full.strongest(10_000).rest == 0


def test_documents_and_labeled_policies_give_the_same(labeler: Labeler, policy: LabeledPolicy) -> None:
    assert explain(labeler, policy.document, 22) == explain(labeler, policy, 22)


def test_a_document_without_clauses_has_nothing_to_explain(labeler: Labeler) -> None:
    document = Document("", ())
    assert explain_policy(labeler, document) == []
    with pytest.raises(InputError, match="no clause 0; its clauses are none"):
        explain(labeler, document, 0)


# What is asked for -------------------------------------------------------------------------------


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_category_goes_by_name_or_code_in_any_case(explainer: Explainer, category: str) -> None:
    code = CODE_OF[category]
    for name in (category, category.upper(), code, code.lower(), f" {code} "):
        assert explainer.explain(3, name).category == category


@pytest.mark.parametrize("name", ["", "Sharing", "Other"])
def test_an_unknown_category_is_refused_with_those_there_are(explainer: Explainer, name: str) -> None:
    with pytest.raises(InputError, match=rf"'{name}'.*FPC, TPS,.*PNC"):
        explainer.explain(0, name)


@pytest.mark.parametrize("index", [-1, 45, 10**9])
def test_a_clause_that_is_not_there_is_refused_with_those_that_are(explainer: Explainer, index: int) -> None:
    with pytest.raises(InputError, match=rf"telecom.html: has no clause {index}; its clauses are 0 to 44$"):
        explainer.explain(index)


def test_fewer_than_no_contributions_are_refused(explainer: Explainer) -> None:
    with pytest.raises(InputError, match="-1"):
        explainer.explain(0).strongest(-1)


# Spans -------------------------------------------------------------------------------------------


def check_spans(explanation: Explanation) -> None:
    found, text = spans(explanation), explanation.clause.text
    assert sum(span.value for span in found) == pytest.approx(own(explanation), abs=1e-9)
    end = 0
    for span in found:
        word = text[span.start : span.end]
        assert word
        assert word.split() == [word], "one word, without spaces"
        assert end <= span.start
        assert not text[end : span.start].strip() or span.start > end, "whole words, in order"
        end = span.end


def test_spans_add_up_to_the_words_and_characters_of_every_clause(explainer: Explainer) -> None:
    for index in range(len(explainer.clauses)):
        check_spans(explainer.explain(index))
        check_spans(explainer.explain(index, "DS"))


@settings(max_examples=60, deadline=None)
@given(text=texts())
@example(text="İİİ sell İ data ΟΔΟΣ, don’t a")
@example(text="We sell\n  your\tdata; we  SELL\xa0it.")
def test_every_n_gram_that_scikit_learn_makes_of_a_clause_is_found_in_it(text: str) -> None:
    analyzers = {name: block.build_analyzer() for name, block, _ in make_features(None, 3, 5, 1).transformers}
    for clause in segment(parse_document(text, media="text")):
        counts = [
            Contribution(block, term, count)
            for block, analyze in analyzers.items()
            for term, count in Counter(analyze(clause.text)).items()
        ]
        check_spans(Explanation(0, clause, CATEGORIES[0], 0.0, 0.5, 0.5, 0.0, {}, tuple(counts)))


def test_the_telling_word_carries_the_most(labeler: Labeler) -> None:
    found = explain(labeler, parse_document("İ: we do not sell your data to anyone.", media="text"), 0, "TPS")
    best = max(spans(found), key=lambda span: span.value)
    assert found.clause.text[best.start : best.end] == "sell", "also after a character that lowers to two"


def by_hand(text: str, *contributions: Contribution) -> Explanation:
    (clause,) = segment(text)
    return Explanation(0, clause, CATEGORIES[0], 0.0, 0.5, 0.5, 0.0, {}, contributions)


def test_an_n_gram_is_parted_among_its_places_and_there_among_its_letters() -> None:
    found = by_hand("Opt out, opt in", Contribution("words", "opt", 1.0))
    assert spans(found) == [(0, 3, 0.5), (9, 12, 0.5)]
    found = by_hand("Opt outer opt", Contribution("words", "opt outer", 0.8))
    assert spans(found) == [(0, 3, pytest.approx(0.3)), (4, 9, pytest.approx(0.5))]
    found = by_hand("Stop at top", Contribution("chars", "top", 0.6), Contribution("chars", " a", -1.0))
    assert spans(found) == [(0, 4, pytest.approx(0.3)), (5, 7, -1.0), (8, 11, pytest.approx(0.3))]


def test_an_n_gram_of_characters_at_an_edge_is_not_found_within_a_word() -> None:
    assert spans(by_hand("stop opting", Contribution("chars", " op", 1.0))) == [(5, 11, pytest.approx(1.0))]


def test_context_lays_no_weight_on_the_clause() -> None:
    around = (Contribution(f"heading {block}", "sell", 1.0) for block in ("words", "chars"))
    assert spans(by_hand("We sell data", *around)) == []


def test_weights_that_differ_in_sign_meet_on_a_word() -> None:
    found = by_hand("no sale", Contribution("words", "sale", 1.0), Contribution("chars", "sal", -0.25))
    assert spans(found) == [(3, 7, pytest.approx(0.75))]


# For people and for programs ---------------------------------------------------------------------


def test_the_record_is_plain_json_that_adds_up(explainer: Explainer) -> None:
    short = explainer.explain(22).strongest(4)
    record = json.loads(json.dumps(short.to_dict()))
    assert record["text"] == short.clause.text
    assert record["category"] == "Third Party Sharing/Collection"
    assert len(record["contributions"]) == 4
    assert set(record["contributions"][0]) == {"block", "term", "value"}
    assert {"words", "chars", "heading words", "next chars"} <= set(record["blocks"])
    total = record["intercept"] + sum(c["value"] for c in record["contributions"]) + record["rest"]
    assert total == pytest.approx(record["score"], abs=1e-5)
    total = record["intercept"] + sum(record["blocks"].values())
    assert total == pytest.approx(record["score"], abs=1e-5)


def test_what_is_printed_names_category_blocks_terms_and_what_is_left_out(explainer: Explainer) -> None:
    found = explainer.explain(22)
    out = shown(found)
    assert "We do not sell your personal data to anyone." in out
    assert "Third Party Sharing/Collection" in out
    for name in (*found.blocks, "intercept"):
        assert name in out
    first, *_, fourth = found.contributions[:4]
    assert f"{show_term(first)}" in out
    assert f"{first.value:+.3f}" in out
    assert f'{fourth.block:9}  "{fourth.term}"' not in out
    assert f"{len(found.contributions) - 3} more" in out


def test_words_for_the_category_are_green_and_those_against_it_red() -> None:
    found = by_hand("We never sell", Contribution("words", "sell", 1.0), Contribution("words", "never", -0.4))
    text = highlighted(found)
    assert text.plain == "We never sell"
    colored = {text.plain[s.start : s.end]: str(s.style) for s in text.spans}
    assert "green" in colored["sell"]
    assert "red" in colored["never"]
    assert "We" not in colored


def test_colour_is_for_terminals_that_want_it(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    found = explainer.explain(22)
    green = "\x1b[1;32m"
    assert green in shown(found, force_terminal=True)
    assert "\x1b[" not in shown(found), "a pipe"
    monkeypatch.setenv("NO_COLOR", "1")
    assert green not in shown(found, force_terminal=True)


def test_markup_and_control_characters_of_a_document_are_harmless(labeler: Labeler) -> None:
    text = "We [red]sell[/] data \x1b[31m to \u202eanyone [link=x]."
    found = explain(labeler, parse_document(text, media="text"), 0)
    for out in (shown(found), render_line(found).plain):
        assert "[red]sell[/]" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_a_line_holds_the_clause_and_its_strongest_reasons(explainer: Explainer) -> None:
    found = explainer.explain(10)
    line = render_line(found).plain
    assert "\n" not in line
    assert line.startswith("  10  First Party Collection/Use")
    places = [line.index(f"{c.block} {show_term(c)} {c.value:+.3f}") for c in found.contributions[:3]]
    assert places == sorted(places)
    assert line.endswith("which we use to train our staff; and"), "the line break within it is gone"


def test_the_edge_of_a_word_shows_in_n_grams_of_characters() -> None:
    assert show_term(Contribution("chars", " opt", 1.0)) == '"_opt"'
    assert show_term(Contribution("words", "opt out", 1.0)) == '"opt out"'
    assert show_term(Contribution("shape", "words<=3", 1.0)) == "words<=3"


def test_the_reading_view_gets_words_and_context_that_count() -> None:
    labeler = Labeler.load()
    policy = labeler.label(EXAMPLE)
    found = reasons(labeler, policy, top=5)
    assert list(found) == [clause.index for clause in policy.clauses]
    assert all(len(words) <= 5 for words in found.values())
    of = {clause.text: [word for word, _ in found[clause.index]] for clause in policy.clauses}
    assert {"12 months", "heading: how long"} <= set(of["Call records | 12 months"])
    partners = next(text for text in of if text.startswith("Network partners."))
    assert "heading: share" in of[partners]
    assert not any("chars" in word for words in of.values() for word in words)


def test_the_strongest_reasons_are_those_of_the_whole_explanation(explainer: Explainer) -> None:
    for index in (0, 8, 20):
        assert explainer.strongest(index, 9) == explainer.explain(index).contributions[:9]


def test_clauses_that_are_known_are_not_segmented_again(labeler: Labeler, policy: LabeledPolicy) -> None:
    clauses = segment(policy.document)[5:9]
    found = reasons(labeler, policy, clauses=clauses)
    assert list(found) == [0, 1, 2, 3]
    assert found != {i: reasons(labeler, policy)[i] for i in found}, "they stand among others"
