"""The classifier as a scikit-learn estimator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from clausemark.classifier import WEIGHTS, ClauseClassifier
from clausemark.taxonomy import CATEGORIES

COLLECT = ["We collect your {}.", "We ask for your {} when you register.", "Your {} is in our log files."]
SHARE = ["We sell your {} to others.", "Partners receive your {}.", "We share your {} with third parties."]
WORDS = ["name", "address", "location", "birthday", "picture", "number", "income", "browser"]


@pytest.fixture(scope="module")
def clauses():
    return [s.format(w) for s in COLLECT + SHARE for w in WORDS]


@pytest.fixture(scope="module")
def labels():
    return np.array(["collect"] * 24 + ["share"] * 24)


@pytest.fixture(scope="module")
def indicators():
    found = np.zeros((48, 12), dtype=int)
    found[:24, 0] = 1
    found[24:, 1] = 1
    found[8:16, 2] = 1
    return found


@pytest.fixture(scope="module")
def small():
    return ClauseClassifier(min_df=1, folds=3)


def test_it_learns_label_vectors(small, clauses, labels):
    model = clone(small).fit(clauses, labels)
    assert list(model.classes_) == ["collect", "share"]
    assert (model.predict(clauses) == labels).mean() > 0.95
    assert model.decision_function(clauses).shape == (48,)
    chances = model.predict_proba(clauses)
    assert chances.shape == (48, 2)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert model.score(clauses, labels) > 0.95


def test_it_learns_indicators_and_knows_the_twelve_categories(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    assert tuple(model.classes_) == CATEGORIES
    found = model.predict(clauses)
    assert found.shape == (48, 12)
    assert set(np.unique(found)) == {0, 1}
    assert (found[:, :3] == indicators[:, :3]).mean() > 0.95
    assert model.decision_function(clauses).shape == model.predict_proba(clauses).shape == (48, 12)


def test_every_clause_gets_a_category_and_categories_never_seen_are_not_given(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    found = model.predict(["zebra", "We collect your name.", ""])
    assert (found.sum(axis=1) >= 1).all()
    assert not found[:, 3:].any()


def test_probabilities_rise_with_scores(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    scores, chances = model.decision_function(clauses), model.predict_proba(clauses)
    for k in range(3):
        order = scores[:, k].argsort()
        assert (np.diff(chances[order, k]) >= 0).all()
    assert ((chances >= 0) & (chances <= 1)).all()


def test_out_of_fold_scores_come_from_models_that_have_not_seen_the_group(small, clauses, indicators):
    groups = np.arange(48) % 8
    one = clone(small).fit(clauses, indicators, groups=groups)
    wrong = indicators.copy()
    wrong[groups == 0] = 1 - wrong[groups == 0]  # spoil the labels of one group ...
    two = clone(small).set_params(thresholds="half").fit(clauses, wrong, groups=groups)
    held = groups == 0
    # ... and its own out-of-fold scores do not follow the spoilt labels.
    assert ((one.out_of_fold_[held, 0] > 0) == (two.out_of_fold_[held, 0] > 0)).mean() > 0.8


def test_context_columns_count(small):
    frame = pd.DataFrame({"text": ["the following applies"] * 40, "heading": ["Sharing", "Cookies"] * 20})
    labels = np.array(["share", "collect"] * 20)
    model = clone(small).fit(frame, labels)
    assert (model.predict(frame) == labels).all()
    blind = clone(small).set_params(weights={"heading": 0}).fit(frame, labels)
    assert (blind.predict(frame) == labels).mean() < 0.6


def test_it_works_in_cross_validation_and_grid_search(small, clauses, labels, indicators):
    assert cross_val_predict(small, np.array(clauses), labels, cv=3).shape == (48,)
    chances = cross_val_predict(small, clauses, indicators, cv=3, method="predict_proba")
    assert np.shape(chances) == (48, 12)
    folds = KFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(small, {"C": [0.1, 1.0]}, cv=folds).fit(clauses, labels)
    assert search.best_score_ > 0.8


def test_parameters_follow_the_estimator_contract(small):
    model = ClauseClassifier()
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    model.set_params(C=2.0, weights={"chars": 0})
    assert model.C == 2.0
    given = {"chars": 0.5}
    assert ClauseClassifier(weights=given).weights is given, "__init__ stores parameters as they are"
    assert "C=2.0" in repr(model)
    with pytest.raises(NotFittedError):
        small.predict(["We sell data."])


def test_fit_returns_itself_and_leaves_its_parameters_and_input_alone(small, clauses, labels):
    model = clone(small)
    before = model.get_params()
    frame = pd.DataFrame({"text": clauses})
    copy = frame.copy()
    assert model.fit(frame, labels) is model
    assert model.get_params() == before
    pd.testing.assert_frame_equal(frame, copy)


def test_training_twice_gives_the_same_scores(small, clauses, indicators):
    one, two = (clone(small).fit(clauses, indicators).decision_function(clauses) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_strings_lists_arrays_series_and_columns_are_the_same_input(small, clauses, labels):
    model = clone(small).fit(clauses, labels)
    expected = model.decision_function(clauses)
    for given in (
        np.array(clauses),
        np.array(clauses)[:, None],
        pd.Series(clauses, index=range(100, 148)),
        pd.DataFrame({"text": clauses}),
    ):
        np.testing.assert_array_equal(model.decision_function(given), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"thresholds": "best"}, "'tuned' or 'half'"),
        ({"weights": {"footer": 1}}, "unknown block of features"),
        ({"weights": dict.fromkeys(WEIGHTS, 0)}, "weight 0"),
        ({"folds": 1}, "at least two folds"),
    ],
)
def test_parameters_out_of_range_are_refused(clauses, labels, change, message):
    with pytest.raises(ValueError, match=message):
        ClauseClassifier(**{"min_df": 1, **change}).fit(clauses, labels)


def test_targets_that_do_not_fit_are_refused(small, clauses, labels):
    with pytest.raises(ValueError, match="47 rows"):
        clone(small).fit(clauses, labels[:-1])
    with pytest.raises(ValueError, match="two classes"):
        clone(small).fit(clauses, ["collect"] * 48)
    with pytest.raises(ValueError, match="0 and 1"):
        clone(small).fit(clauses, np.full((48, 12), 2))
    with pytest.raises(ValueError, match="requires y"):
        clone(small).fit(clauses, None)
