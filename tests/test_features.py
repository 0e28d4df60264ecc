"""Features: clauses and their context as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from clausemark.clauses import Clause, segment
from clausemark.features import COLUMNS, ShapeFeatures, as_frame, clause_frame

POLICY = """Privacy Policy

What we collect

We collect:
• your name;
• your address.

We keep both for a year. Then we delete them.

Write to us at any time.
"""


def test_a_frame_has_a_row_a_clause_and_its_context_as_columns():
    frame = clause_frame(segment(POLICY))
    assert list(frame.columns) == list(COLUMNS)
    item = frame[frame.text == "your address."].iloc[0]
    assert item.heading == "What we collect"
    assert item.section == "Privacy Policy"
    assert item.lead_in == "We collect:"
    assert item.previous == "your name;"
    assert item.next == "We keep both for a year."
    assert item.kind == "item"


def test_the_paragraph_of_a_sentence_is_the_text_around_it_and_empty_where_it_stands_alone():
    frame = clause_frame(segment(POLICY))
    sentence = frame[frame.text == "Then we delete them."].iloc[0]
    assert sentence.paragraph.split() == "We keep both for a year. Then we delete them.".split()
    heading = frame[frame.kind == "heading"].iloc[0]
    assert heading.paragraph == ""


def test_position_runs_from_0_to_1():
    position = clause_frame(segment(POLICY)).position
    assert position.iloc[0] == 0
    assert position.iloc[-1] == 1
    assert position.is_monotonic_increasing


def test_a_handful_of_clauses_is_an_excerpt_without_positions():
    assert (clause_frame(segment("We sell data. We keep it. Write to us.")).position == -1).all()


def test_a_clause_that_comes_alone_looks_like_a_sentence_in_the_middle():
    alone = as_frame(["We sell your data."])
    middle = alone.assign(kind="sentence", position=0.5)
    np.testing.assert_array_equal(ShapeFeatures().fit_transform(alone), ShapeFeatures().fit_transform(middle))


def test_a_clause_alone_has_empty_context():
    row = clause_frame([Clause("We sell data.", "sentence", 0, 13, 0)]).iloc[0]
    assert [row[c] for c in ("heading", "section", "lead_in", "previous", "next", "paragraph")] == [""] * 6


def test_strings_become_a_frame_without_context():
    frame = as_frame(["We sell data.", "We do not."])
    assert list(frame.columns) == list(COLUMNS)
    assert (frame.heading == "").all()
    assert (frame.position == -1).all()


def test_a_frame_keeps_given_columns_fills_missing_ones_and_ignores_others():
    given = pd.DataFrame({"text": ["a b"], "heading": [None], "other": [3]}, index=[7])
    frame = as_frame(given)
    assert frame.heading.tolist() == [""]
    assert frame.lead_in.tolist() == [""]
    assert "other" not in frame.columns


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("We sell data.", "put it in a list"),
        ([], "0 clauses"),
        ([1, 2], "got int"),
        ([["a", "b"], ["c", "d"]], r"\(2, 2\)"),
        (pd.DataFrame({"clause": ["a"]}), "needs a column 'text'"),
    ],
)
def test_what_is_no_list_of_clauses_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        as_frame(given)


def test_shape_features_mark_kind_position_length_and_closing_mark():
    frame = as_frame(
        pd.DataFrame(
            {
                "text": ["Why?", "We share your data with these companies of ours here:"],
                "kind": ["heading", "sentence"],
                "position": [0.0, 0.5],
            }
        )
    )
    found = ShapeFeatures().fit_transform(frame)
    names = ShapeFeatures().fit(frame).get_feature_names_out()
    assert [set(names[row > 0]) for row in found] == [
        {"kind=heading", "position=first", "words<=3", "question"},
        {"words<=20", "colon"},
    ]
    assert found.dtype == np.float32
