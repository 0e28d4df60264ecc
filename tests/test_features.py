"""Features: clauses as a frame that knows their neighbours, and TF-IDF of their own text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from clausemark.clauses import Clause, segment
from clausemark.context import Surroundings, join, nothing_around, surroundings
from clausemark.features import COLUMNS, NEIGHBOURS, as_frame, clause_frame, make_features, surroundings_of

POLICY = """Privacy Policy

What we collect

We collect:
• your name;
• your address.

We keep both for a year. Then we delete them.

Write to us at any time.
"""


def assert_same(one: Surroundings, other: Surroundings) -> None:
    for field in dataclasses.fields(Surroundings):
        found, expected = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(found, expected, err_msg=field.name)


def neighbour(frame: pd.DataFrame, text: str, name: str) -> str | None:
    """Text of a neighbour of a clause, None where it has none."""
    row = frame.index[frame.text == text][0]
    step = frame[name][row]
    return frame.text[row + step] if step else None


# Frames --------------------------------------------------------------------------------------------


def test_a_frame_has_a_row_a_clause_and_says_how_far_its_neighbours_are():
    frame = clause_frame(segment(POLICY))
    assert list(frame.columns) == list(COLUMNS)
    item = "your address."
    assert neighbour(frame, item, "heading") == "What we collect"
    assert neighbour(frame, item, "lead_in") == "We collect:"
    assert neighbour(frame, item, "previous") == "your name;"
    assert neighbour(frame, item, "next") == "We keep both for a year."
    assert neighbour(frame, "What we collect", "heading") == "Privacy Policy", "the one above"
    assert frame.kind[frame.text == item].tolist() == ["item"]
    assert frame["index"].tolist() == list(range(len(frame)))


def test_first_and_last_bound_the_paragraph():
    frame = clause_frame(segment(POLICY))
    assert neighbour(frame, "Then we delete them.", "first") == "We keep both for a year."
    assert neighbour(frame, "We keep both for a year.", "last") == "Then we delete them."
    assert neighbour(frame, "Privacy Policy", "first") is None
    assert neighbour(frame, "Privacy Policy", "last") is None


def test_the_ends_of_a_document_have_no_neighbour_beyond():
    frame = clause_frame(segment(POLICY))
    assert (frame.previous != 0).tolist() == [False] + [True] * (len(frame) - 1)
    assert (frame.next != 0).tolist() == [True] * (len(frame) - 1) + [False]


def test_position_runs_from_0_to_1():
    position = clause_frame(segment(POLICY)).position
    assert position.iloc[0] == 0
    assert position.iloc[-1] == 1
    assert position.is_monotonic_increasing


def test_a_handful_of_clauses_is_an_excerpt_without_positions():
    assert (clause_frame(segment("We sell data. We keep it. Write to us.")).position == -1).all()


def test_a_clause_alone_is_the_same_as_its_text():
    alone = clause_frame([Clause("We sell data.", "sentence", 0, 13, 0)])
    pd.testing.assert_frame_equal(alone, as_frame(["We sell data."]), check_dtype=False)


def test_strings_become_a_frame_of_clauses_that_come_alone():
    frame = as_frame(["We sell data.", "We do not."])
    assert list(frame.columns) == list(COLUMNS)
    assert (frame[list(NEIGHBOURS)] == 0).all(axis=None)
    assert (frame.position == -1).all()
    assert surroundings_of(frame).alone.all()


def test_a_frame_keeps_given_columns_fills_missing_ones_and_ignores_others():
    given = pd.DataFrame({"text": ["a", "b"], "kind": ["item", None], "next": [1, None], "other": [3, 4]})
    frame = as_frame(given.set_index(pd.Index([7, 9])))
    assert list(frame.columns) == list(COLUMNS)
    assert frame.kind.tolist() == ["item", "sentence"]
    assert frame.next.tolist() == [1, 0]
    assert frame.heading.tolist() == [0, 0]


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


# Surroundings of a frame ---------------------------------------------------------------------------


def test_a_frame_tells_the_surroundings_that_it_was_made_of():
    clauses = segment(POLICY)
    assert_same(surroundings_of(clause_frame(clauses)), surroundings(clauses))


def test_frames_below_each_other_are_documents_below_each_other():
    documents = [segment(POLICY), segment("We sell data. Write to us."), segment(POLICY)]
    frame = pd.concat(map(clause_frame, documents), ignore_index=True)
    assert_same(surroundings_of(frame), join(map(surroundings, documents)))


def test_a_neighbour_that_was_left_out_is_none_and_the_others_stay():
    frame = clause_frame(segment(POLICY))
    kept = as_frame(frame[frame.text != "your name;"])
    around = surroundings_of(kept)
    row = kept.index[kept.text == "your address."][0]
    assert around.previous[row] == -1, "the clause before it is not the one that stood there"
    assert around.lead_in[row] == -1, "the distance is not what it was"
    assert kept.text[around.next[row]] == "We keep both for a year."
    assert around.next[row - 1] == -1
    row = kept.index[kept.text == "Then we delete them."][0]
    assert kept.text[around.first[row]] == "We keep both for a year."
    assert kept.text[around.previous[row]] == "We keep both for a year."


def test_a_clause_whose_paragraph_was_cut_has_it_for_itself():
    frame = clause_frame(segment("One is here. Two is here. Three is here."))
    around = surroundings_of(as_frame(frame.iloc[[0, 2]]))
    assert around.first.tolist() == around.last.tolist() == [0, 1]
    assert around.alone.all()


def test_a_shuffled_frame_has_no_neighbours_that_are_not_in_their_place():
    frame = clause_frame(segment(POLICY)).iloc[::-1]
    assert_same(
        dataclasses.replace(
            surroundings_of(as_frame(frame)), kind=np.zeros(len(frame), int), position=-np.ones(len(frame))
        ),
        nothing_around(len(frame)),
    )


def test_distances_beyond_the_frame_are_no_neighbours():
    frame = as_frame(
        pd.DataFrame({"text": ["a", "b"], "previous": [-5, -1], "next": [9, 9], "index": [0, 1]})
    )
    around = surroundings_of(frame)
    assert around.previous.tolist() == [-1, 0]
    assert around.next.tolist() == [-1, -1]


# TF-IDF --------------------------------------------------------------------------------------------

TEXTS = ["We sell your data.", "We do not sell data.", "Our cookies: do you want them?", "We sell, don’t we"]


def test_blocks_are_those_of_scikit_learn_times_their_weight():
    features = make_features({"words": 2.0, "chars": 0.5}, 2, 4, 1).fit(as_frame(TEXTS))
    token = r"(?u)\b\w+(?:['’]\w+)*\b"
    words = TfidfVectorizer(token_pattern=token, ngram_range=(1, 2), sublinear_tf=True)
    chars = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4), sublinear_tf=True)
    expected = np.hstack([2 * words.fit_transform(TEXTS).toarray(), chars.fit_transform(TEXTS).toarray() / 2])
    found = features.transform(as_frame(TEXTS))
    np.testing.assert_allclose(found.toarray(), expected, atol=1e-6)
    assert found.dtype == np.float32
    assert {"words__sell your", "words__don’t", "chars__ sel"} <= set(features.get_feature_names_out())


def test_only_the_text_counts():
    features = make_features(None, 2, 5, 1).fit(as_frame(TEXTS))
    frame = clause_frame(segment(POLICY))
    alone = as_frame(frame.text.tolist())
    assert (features.transform(frame) != features.transform(alone)).nnz == 0


def test_a_block_of_weight_0_is_left_out():
    features = make_features({"chars": 0}, 1, 5, 1).fit(as_frame(TEXTS))
    assert list(features.transformer_weights) == ["words"]
    assert all(name.startswith("words__") for name in features.get_feature_names_out())


def test_rare_n_grams_are_left_out():
    names = make_features({"chars": 0}, 1, 5, 2).fit(as_frame(TEXTS)).get_feature_names_out()
    assert sorted(names) == ["words__data", "words__do", "words__sell", "words__we"]


@pytest.mark.parametrize("min_df", [2, 100])
def test_text_without_a_frequent_n_gram_gives_an_empty_column(min_df):
    features = make_features(None, 2, 5, min_df).fit(as_frame(["abc", "xyz"]))
    assert features.transform(as_frame(["abc", "We sell data."])).nnz == 0


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"footer": 1}, r"unknown block of features \['footer'\]"), ({"words": 0, "chars": 0}, "weight 0")],
)
def test_blocks_that_are_not_there_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        make_features(weights, 2, 5, 1)
