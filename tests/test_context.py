"""Context: who is whose neighbour, and what the neighbours say, against a slow reading of the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clausemark.clauses import Clause, contexts, segment
from clausemark.context import (
    FIELDS,
    INTRODUCTIONS,
    KINDS,
    SHAPES,
    SHORTEST_POLICY,
    Surroundings,
    affine,
    columns,
    combine,
    join,
    neighbourhood,
    nothing_around,
    shapes,
    sources,
    strongest,
    surroundings,
)

POLICY = """Privacy Policy

What we collect

We collect:
• your name;
• your address.

We keep both for a year. Then we delete them. That is all.

Contact

Write to us at any time.
"""
SAID, ANNOUNCED = 3, 2


def document(kinds: Sequence[Any], breaks: Sequence[bool] = ()) -> list[Clause]:
    """Lay out clauses of these kinds; a new paragraph begins where `breaks` says so."""
    paragraphs = accumulate([*breaks, *[True] * len(kinds)][: len(kinds)], initial=0)
    return [
        Clause(f"c{i}", kind, 3 * i, 3 * i + 2, paragraph)
        for i, (kind, paragraph) in enumerate(zip(kinds, list(paragraphs)[1:], strict=True))
    ]


def documents() -> st.SearchStrategy[list[Clause]]:
    row = st.tuples(st.sampled_from(("heading", "sentence", "item", "sentence")), st.booleans())
    return st.lists(row, max_size=25).map(lambda rows: document(*zip(*rows, strict=True)) if rows else [])


def policies() -> st.SearchStrategy[list[list[Clause]]]:
    return st.lists(documents(), min_size=1, max_size=4)


def scores(count: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    said, announced = (random.normal(size=(count, n)).astype(np.float32) for n in (SAID, ANNOUNCED))
    return said, announced


def looks_at(clauses: Sequence[Clause], i: int) -> dict[str, list[int]]:
    """Read slowly where a clause looks: field -> clauses."""
    around = contexts(clauses)[i]

    def run(start: int) -> list[int]:
        """Clauses from `start` on, up to the next heading."""
        found = []
        for j in range(start, len(clauses)):
            if clauses[j].kind == "heading":
                break
            found.append(j)
        return found

    heading = clauses[i].kind == "heading"
    above = max((j for j in range(i) if clauses[j].kind == "heading"), default=-1)
    fields = {
        "clause": [i],
        "previous": [i - 1],
        "next": [i + 1],
        "before_previous": [i - 2],
        "after_next": [i + 2],
        "heading": [around.heading],
        "lead_in": [around.lead_in],
        "paragraph": [
            j for j, clause in enumerate(clauses) if clause.paragraph == clauses[i].paragraph and j != i
        ],
        "strongest": [j for j, clause in enumerate(clauses) if clause.paragraph == clauses[i].paragraph],
        "section": [] if heading else [j for j in run(above + 1) if j != i],
        "content": run(i + 1) if heading else [],
    }
    there = {name: [j for j in rows if 0 <= j < len(clauses)] for name, rows in fields.items()}
    return {name: rows for name, rows in there.items() if rows}


def has(around: Surroundings, row: int) -> set[str]:
    return {name for name, there in zip(SHAPES, shapes(around)[row], strict=True) if there}


# Who is whose neighbour ----------------------------------------------------------------------------


def test_the_neighbours_are_those_that_segmentation_tells() -> None:
    clauses = segment(POLICY)
    around = surroundings(clauses)
    assert len(around) == len(clauses)
    texts = [clause.text for clause in clauses]
    item = texts.index("your address.")
    assert texts[around.heading[item]] == "What we collect"
    assert texts[around.lead_in[item]] == "We collect:"
    assert texts[around.previous[item]] == "your name;"
    assert around.previous[0] == around.next[-1] == around.lead_in[0] == -1
    assert around.kind.tolist()[:5] == [1, 1, 0, 2, 2]
    middle = texts.index("Then we delete them.")
    assert (around.first[middle], around.last[middle]) == (middle - 1, middle + 1)


HEADINGS = ("1. Scope", "2. Use", "1.1 Names", "A. NAMES", "WHO WE ARE", "Contact us")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("heading", "sentence", "item", "heading")),
            st.sampled_from(HEADINGS),
            st.integers(0, 6) | st.just(2**40),  # a paragraph may go on after another
        ),
        max_size=25,
    )
)
@example([("heading", text, 0) for text in HEADINGS])
def test_the_neighbours_are_those_of_the_contexts(rows: list[tuple[Any, str, int]]) -> None:
    clauses = [Clause(text, kind, 0, 0, paragraph) for kind, text, paragraph in rows]
    around, expected = surroundings(clauses), contexts(clauses)
    for name in ("previous", "next", "heading", "lead_in", "first", "last"):
        found = getattr(around, name)
        assert found.dtype == np.int64
        assert found.tolist() == [getattr(context, name) for context in expected], name
    assert around.kind.tolist() == [KINDS[clause.kind] for clause in clauses]


@pytest.mark.parametrize("count", [1, SHORTEST_POLICY - 1, SHORTEST_POLICY, 20])
def test_only_a_whole_policy_has_positions(count: int) -> None:
    position = surroundings(document(["sentence"] * count)).position
    if count < SHORTEST_POLICY:
        assert (position == -1).all()
    else:
        np.testing.assert_allclose(position, np.linspace(0, 1, count))


def test_a_document_may_be_empty() -> None:
    assert len(surroundings([])) == 0
    assert len(join([surroundings([]), nothing_around(2), surroundings([])])) == 2


def test_clauses_are_alone_without_a_neighbour_and_only_then() -> None:
    assert surroundings(document(["heading"])).alone.tolist() == [True]
    assert surroundings(document(["sentence", "item"])).alone.tolist() == [False, False]
    assert nothing_around(3).alone.tolist() == [True] * 3


@settings(deadline=None)
@given(policies())
def test_joined_documents_do_not_know_each_other(parts: list[list[Clause]]) -> None:
    joined = join(map(surroundings, parts))
    start = 0
    for clauses in parts:
        single, rows = surroundings(clauses), slice(start, start + len(clauses))
        for field in dataclasses.fields(Surroundings):
            found, expected = getattr(joined, field.name)[rows], getattr(single, field.name)
            if field.name not in ("kind", "position"):
                expected = np.where(expected < 0, -1, expected + start)
            np.testing.assert_array_equal(found, expected, err_msg=field.name)
        start += len(clauses)
    assert len(joined) == start


# What they say -------------------------------------------------------------------------------------


def test_the_columns_follow_each_other_without_a_gap() -> None:
    found = columns(SAID, ANNOUNCED)
    assert list(found) == [*FIELDS, *(f"{name} announces" for name in INTRODUCTIONS), "shape"]
    assert found["clause"] == slice(0, SAID)
    ends = [part.stop for part in found.values()]
    assert [part.start for part in found.values()] == [0, *ends[:-1]]
    widths = {name: part.stop - part.start for name, part in found.items()}
    assert {widths[name] for name in FIELDS} == {SAID}
    assert {widths[f"{name} announces"] for name in INTRODUCTIONS} == {ANNOUNCED}
    assert widths["shape"] == len(SHAPES)


@settings(deadline=None)
@given(policies())
@example([segment(POLICY), segment("We sell data."), segment(POLICY)])
def test_every_field_is_the_mean_or_the_strongest_of_what_a_slow_reading_finds(
    parts: list[list[Clause]],
) -> None:
    around = join(map(surroundings, parts))
    said, announced = scores(len(around))
    found = neighbourhood(said, announced, around)
    where = columns(SAID, ANNOUNCED)
    assert found.shape == (len(around), where["shape"].stop)
    assert found.dtype == np.float32
    start = 0
    for clauses in parts:
        for i in range(len(clauses)):
            row, fields = found[start + i], looks_at(clauses, i)
            for name in FIELDS:
                rows = [start + j for j in fields.get(name, [])]
                whole = np.max if name == "strongest" else np.mean
                expected = whole(said[rows], axis=0) if rows else np.zeros(SAID)
                np.testing.assert_allclose(row[where[name]], expected, atol=1e-5, err_msg=name)
            for name in INTRODUCTIONS:
                rows = [start + j for j in fields.get(name, [])]
                expected = announced[rows[0]] if rows else np.zeros(ANNOUNCED)
                np.testing.assert_array_equal(row[where[f"{name} announces"]], expected, err_msg=name)
        start += len(clauses)


@settings(deadline=None)
@given(policies())
def test_sources_name_the_clauses_that_a_slow_reading_finds(parts: list[list[Clause]]) -> None:
    around = join(map(surroundings, parts))
    start = 0
    for clauses in parts:
        for i in range(len(clauses)):
            found, expected = sources(around, start + i), looks_at(clauses, i)
            assert list(found) == [name for name in FIELDS if name in expected and name != "strongest"]
            for name, shares in found.items():
                assert list(shares) == [start + j for j in expected[name]]
                assert list(shares.values()) == pytest.approx([1 / len(shares)] * len(shares))
        start += len(clauses)


@settings(deadline=None)
@given(policies())
def test_the_strongest_is_one_of_the_paragraph_that_none_exceeds(parts: list[list[Clause]]) -> None:
    around = join(map(surroundings, parts))
    said, _ = scores(len(around))
    found = strongest(said, around)
    for i, rows in enumerate(found):
        paragraph = slice(around.first[i], around.last[i] + 1)
        assert ((rows >= paragraph.start) & (rows < paragraph.stop)).all()
        np.testing.assert_array_equal(said[rows, np.arange(SAID)], said[paragraph].max(axis=0))


@settings(deadline=None)
@given(policies())
@example([segment(POLICY), segment(POLICY)])
def test_sources_add_up_to_the_neighbourhood(parts: list[list[Clause]]) -> None:
    around = join(map(surroundings, parts))
    said, announced = scores(len(around))
    where, found = columns(SAID, ANNOUNCED), neighbourhood(said, announced, around)
    for row in range(len(around)):
        expected = np.zeros(found.shape[1])
        for name, shares in sources(around, row).items():
            for other, share in shares.items():
                expected[where[name]] += share * said[other]
                if name in INTRODUCTIONS:
                    expected[where[f"{name} announces"]] += share * announced[other]
        expected[where["strongest"]] = said[strongest(said, around)[row], np.arange(SAID)]
        expected[where["shape"]] = shapes(around)[row]
        np.testing.assert_allclose(found[row], expected, atol=1e-5)


def test_the_neighbourhood_is_linear_in_the_scores_but_for_the_strongest() -> None:
    around = surroundings(segment(POLICY))
    (a, b), (c, d) = scores(len(around), 1), scores(len(around), 2)
    one, two, both = (neighbourhood(x, y, around) for x, y in ((a, b), (c, d), (a + 2 * c, b + 2 * d)))
    for name, where in columns(SAID, ANNOUNCED).items():
        if name == "shape":
            np.testing.assert_array_equal(both[:, where], one[:, where])
        elif name != "strongest":
            np.testing.assert_allclose(both[:, where], (one + 2 * two)[:, where], atol=1e-5)


# Shapes --------------------------------------------------------------------------------------------


def test_a_shape_tells_kind_position_and_which_neighbours_there_are() -> None:
    clauses = segment(POLICY)
    around = surroundings(clauses)
    texts = [clause.text for clause in clauses]
    assert has(around, 0) == {"kind=heading", "position=first", "has next"}
    assert has(around, 1) == {
        "kind=heading", "has previous", "has next", "has heading", "has content",
    }  # fmt: skip
    assert has(around, texts.index("your address.")) == {
        "kind=item", "has previous", "has next", "has heading", "has lead-in", "has paragraph", "has section",
    }  # fmt: skip
    assert has(around, texts.index("Then we delete them.")) == {
        "has previous", "has next", "has heading", "has paragraph", "has section",
    }  # fmt: skip
    assert has(around, len(texts) - 1) == {"position=last", "has previous", "has heading"}


def test_late_is_the_last_tenth_but_for_the_very_last() -> None:
    around = surroundings(document(["sentence"] * 21))
    late = [row for row in range(21) if "position=late" in has(around, row)]
    early = [row for row in range(21) if "position=early" in has(around, row)]
    assert (early, late) == ([1, 2], [19])


def test_a_clause_alone_has_no_shape() -> None:
    assert not shapes(nothing_around(2)).any()


@settings(deadline=None)
@given(documents())
def test_a_shape_has_what_the_clause_looks_at(clauses: list[Clause]) -> None:
    around = surroundings(clauses)
    for i in range(len(clauses)):
        fields = looks_at(clauses, i)
        named = {name[4:].replace("-", "_") for name in has(around, i) if name.startswith("has ")}
        assert named == set(fields) & {
            "previous", "next", "heading", "lead_in", "paragraph", "section", "content",
        }  # fmt: skip


# Stage 2 -------------------------------------------------------------------------------------------


def maps(classes: int = 2) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    random = np.random.default_rng(3)
    inputs = SAID, columns(SAID, ANNOUNCED)["shape"].stop
    alone, context = (random.normal(size=(n + 1, classes)).astype(np.float32) for n in inputs)
    return alone, context


def test_the_last_row_of_weights_is_the_intercept() -> None:
    found = affine(np.array([[1.0, 2.0]], np.float32), np.array([[10.0], [100.0], [3.0]], np.float32))
    assert found.tolist() == [[213.0]]


def test_clauses_alone_use_the_map_for_these_and_the_others_that_in_context() -> None:
    around = join([surroundings(segment(POLICY)), nothing_around(2), surroundings(document(["sentence"]))])
    said, told = scores(len(around))
    alone, context = maps()
    found = combine(said, told, around, alone, context)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[-3:], affine(said[-3:], alone))
    np.testing.assert_allclose(found[:-3], affine(neighbourhood(said, told, around), context)[:-3], atol=1e-5)


def test_clauses_alone_do_not_know_the_map_in_context() -> None:
    said, told = scores(4)
    alone, context = maps()
    found = combine(said, told, nothing_around(4), alone, np.full_like(context, np.nan))
    np.testing.assert_array_equal(found, affine(said, alone))


@settings(deadline=None)
@given(documents().filter(lambda clauses: len(clauses) > 1))
def test_a_policy_scores_the_same_whatever_else_is_scored_with_it(clauses: list[Clause]) -> None:
    around = surroundings(clauses)
    said, told = scores(len(around))
    found = combine(said, told, around, *maps())
    joined = join([surroundings(segment(POLICY)), around, nothing_around(1)])
    rows = slice(len(joined) - 1 - len(around), len(joined) - 1)
    more, more_told = scores(len(joined), 9)
    more[rows], more_told[rows] = said, told
    np.testing.assert_allclose(combine(more, more_told, joined, *maps())[rows], found, atol=1e-4)
