"""The classifier as a scikit-learn estimator."""

from __future__ import annotations

import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from scipy.special import expit
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict

from clausemark.classifier import (
    ClauseClassifier,
    announcements,
    fit_calibration,
    fit_logistic,
    give,
    tune_thresholds,
)
from clausemark.clauses import Clause
from clausemark.context import join, surroundings
from clausemark.features import WEIGHTS, clause_frame
from clausemark.svm import LinearScores
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


def test_scores_are_the_logits_of_the_probabilities(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    scores, chances = model.decision_function(clauses), model.predict_proba(clauses)
    np.testing.assert_allclose(chances, expit(scores.astype(float)), rtol=1e-12)
    assert scores.dtype == np.float32


def test_a_category_is_given_from_its_threshold_on_and_always_the_most_probable(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    chances = model.predict_proba(clauses)
    expected = chances >= model.thresholds_
    expected[np.arange(48), chances.argmax(axis=1)] = True
    np.testing.assert_array_equal(model.predict(clauses), expected)


def test_probabilities_are_calibrated_out_of_fold(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators)
    chances = expit(model.out_of_fold_)
    np.testing.assert_allclose(chances[:, :3].mean(axis=0), indicators[:, :3].mean(axis=0), atol=0.02)


def test_a_fixed_threshold_is_a_half(small, clauses, indicators):
    model = clone(small).set_params(thresholds="half").fit(clauses, indicators)
    assert model.thresholds_.tolist() == [0.5] * 12


def test_folds_never_part_a_group(small):
    # A clause is told by a word that all of its group have, and no other group.
    groups = np.repeat(np.arange(60), 4)
    texts = [f"the name is zz{group}zz" for group in groups]
    labels = np.where(groups % 2, "share", "collect")

    def right(**how):
        model = clone(small).set_params(weights={"chars": 0}).fit(texts, labels, **how)
        return (model.classes_[model.out_of_fold_.argmax(axis=1)] == labels).mean()

    assert right() > 0.9
    assert right(groups=groups) < 0.6


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
    for same in (
        np.array(clauses),
        np.array(clauses)[:, None],
        pd.Series(clauses, index=range(100, 148)),
        pd.DataFrame({"text": clauses}),
    ):
        np.testing.assert_array_equal(model.decision_function(same), expected)


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


# Context -------------------------------------------------------------------------------------------

HEADINGS = {"Sharing": 1, "Collection": 0}


def page(number: int) -> tuple[list[Clause], list[int]]:
    """Write a policy whose headings alone tell what its clauses are; with their labels."""
    clauses, labels = [Clause("Privacy", "heading", 0, 0, 0)], [2]
    for paragraph, heading in enumerate(sorted(HEADINGS, reverse=bool(number % 2)), 1):
        clauses.append(Clause(heading, "heading", 0, 0, 2 * paragraph))
        labels.append(HEADINGS[heading])
        for word in WORDS[number % 4 :: 4]:
            clauses.append(Clause(f"The following applies to {word}.", "sentence", 0, 0, 2 * paragraph + 1))
            labels.append(HEADINGS[heading])
    return clauses, labels


@pytest.fixture(scope="module")
def pages():
    """Clauses of twelve policies as a frame, indicators, policies, and which are no headings."""
    parts = [page(number) for number in range(12)]
    frame = pd.concat([clause_frame(clauses) for clauses, _ in parts], ignore_index=True)
    labels = np.concatenate([labels for _, labels in parts])
    groups = np.repeat(np.arange(12), [len(clauses) for clauses, _ in parts])
    return frame, np.eye(12, dtype=int)[labels], groups, (frame.kind == "sentence").to_numpy()


def fit(pages, **parameters):
    frame, targets, groups, _ = pages
    model = ClauseClassifier(min_df=1, folds=3, **{"context_C": 1.0, **parameters})
    return model.fit(frame, targets, primary=targets.argmax(axis=1), groups=groups)


@pytest.fixture(scope="module")
def in_context(pages):
    return fit(pages)


@pytest.fixture(scope="module")
def one_by_one(pages):
    return fit(pages, context_C=0)


def right(model, X, pages):
    """Share of the sentences, not the headings, whose primary category is right."""
    _, targets, _, sentences = pages
    found = model.predict_proba(X).argmax(axis=1) == targets.argmax(axis=1)
    return found[sentences].mean()


def test_a_heading_decides_where_the_clauses_do_not(pages, in_context, one_by_one):
    assert right(in_context, pages[0], pages) == 1
    assert right(one_by_one, pages[0], pages) <= 0.5
    held = pages[3]
    assert (in_context.out_of_fold_.argmax(axis=1) == pages[1].argmax(axis=1))[held].all()
    assert not (one_by_one.out_of_fold_.argmax(axis=1) == pages[1].argmax(axis=1))[held].all()


def test_without_its_neighbours_a_clause_is_read_alone(pages, in_context):
    texts = pages[0].text.tolist()
    assert right(in_context, texts, pages) <= 0.5
    alone = in_context.decision_function(texts)
    one = [in_context.decision_function([text])[0] for text in texts]
    np.testing.assert_allclose(alone, one, atol=1e-5)


def test_a_model_that_reads_every_clause_alone_knows_no_context(pages, one_by_one):
    frame = pages[0]
    np.testing.assert_allclose(
        one_by_one.decision_function(frame), one_by_one.decision_function(frame.text.tolist()), atol=1e-5
    )
    np.testing.assert_array_equal(one_by_one.out_of_fold_, one_by_one.out_of_fold_alone_)


def test_a_model_that_learnt_from_clauses_alone_knows_no_context(small, pages):
    frame, targets, _, _ = pages
    model = clone(small).fit(frame.text.tolist(), targets)
    np.testing.assert_allclose(
        model.decision_function(frame), model.decision_function(frame.text.tolist()), atol=1e-5
    )


def test_clauses_alone_lose_nothing_by_what_is_learnt_of_context(small, clauses, indicators):
    # Six policies of these very clauses: what stands around them tells nothing.
    parts = [np.arange(48)[start::6] for start in range(6)]
    texts = np.array(clauses)
    frame = pd.concat(
        [clause_frame([Clause(t, "sentence", 0, 0, 0) for t in texts[rows]]) for rows in parts],
        ignore_index=True,
    )
    targets, groups = indicators[np.concatenate(parts)], np.repeat(np.arange(6), 8)
    one, two = (clone(small).set_params(context_C=C).fit(frame, targets, groups=groups) for C in (0.01, 0))
    np.testing.assert_allclose(one.predict_proba(clauses), two.predict_proba(clauses), atol=1e-5)
    np.testing.assert_array_equal(one.says_.coef_, two.says_.coef_)
    np.testing.assert_allclose(one.out_of_fold_alone_, two.out_of_fold_alone_, atol=1e-4)


def test_clauses_of_weight_0_are_context_only(pages):
    frame, targets, groups, sentences = pages
    weight = sentences.astype(float)
    models = []
    for wrong in (0, 1):
        labels = np.where(sentences[:, None], targets, np.roll(targets, wrong, axis=1))
        model = ClauseClassifier(min_df=1, folds=3, context_C=1.0)
        primary = np.where(sentences, targets.argmax(axis=1), -1)
        models.append(model.fit(frame, labels, primary=primary, groups=groups, sample_weight=weight))
    one, two = models
    np.testing.assert_array_equal(one.decision_function(frame), two.decision_function(frame))
    np.testing.assert_array_equal(one.thresholds_, two.thresholds_)
    assert right(one, frame, pages) == 1, "the headings still tell, though their labels are unknown"


def test_clauses_annotated_by_other_habits_have_scores_of_their_own(pages):
    frame, targets, groups, _ = pages
    other = groups % 3 == 0  # annotated by other habits: what is one category here is the next there
    targets = np.where(other[:, None], np.roll(targets, 1, axis=1), targets)

    def learn(**of):
        model = ClauseClassifier(min_df=1, folds=3, context_C=1.0)
        return model.fit(frame, targets, primary=targets.argmax(axis=1), groups=groups, **of)

    both = learn(context_weight=~other, apart=other)
    np.testing.assert_array_equal(both.says_.coef_[:24], learn(sample_weight=~other).says_.coef_)
    np.testing.assert_array_equal(both.says_.coef_[24:], learn(sample_weight=other).says_.coef_)
    assert both.alone_.shape == (2 * 24 + 1, 12)
    found = both.predict_proba(frame).argmax(axis=1) == targets.argmax(axis=1)
    assert found[~other].all(), "labels are by the habits of those that count in stage 2"
    assert not found[other].any()


def test_where_the_primary_category_is_not_known_each_that_is_given_may_be_it(small, clauses, indicators):
    model = clone(small).fit(clauses, indicators, primary=np.full(len(clauses), -1))
    np.testing.assert_allclose(model.says_.coef_[:12], model.says_.coef_[12:], atol=1e-6)
    plain = clone(small).fit(clauses, indicators)
    np.testing.assert_allclose(model.predict_proba(clauses), plain.predict_proba(clauses), atol=0.05)
    assert model.review_ == pytest.approx(plain.review_, abs=0.05)


def test_the_number_of_jobs_does_not_change_a_model(pages, in_context):
    two = fit(pages, n_jobs=2)
    np.testing.assert_array_equal(two.alone_, in_context.alone_)
    np.testing.assert_array_equal(two.context_, in_context.context_)
    np.testing.assert_array_equal(two.says_.coef_, in_context.says_.coef_)
    np.testing.assert_array_equal(two.thresholds_, in_context.thresholds_)


def test_folds_are_fitted_side_by_side_where_the_configuration_says_so(small, clauses, labels, monkeypatch):
    both = threading.Barrier(2, timeout=30)
    fitted = LinearScores.fit

    def fit(self, *given):
        if not met:
            both.wait()  # breaks if no other thread comes
            met.append(True)
        return fitted(self, *given)

    met = []
    monkeypatch.setattr(LinearScores, "fit", fit)
    with parallel_config(n_jobs=2):
        clone(small).fit(clauses, labels)
    assert met


def test_knowing_the_primary_category_doubles_what_a_clause_says(pages, in_context):
    frame, targets, groups, _ = pages
    plain = ClauseClassifier(min_df=1, folds=3, context_C=1.0).fit(frame, targets, groups=groups)
    assert plain.says_.intercept_.shape == (12,)
    assert in_context.says_.intercept_.shape == (24,)
    assert in_context.alone_.shape == (25, 12)
    assert right(plain, frame, pages) == 1


# Announcements -------------------------------------------------------------------------------------


def test_a_heading_and_a_lead_in_announce_what_a_third_of_their_clauses_have():
    kinds = ["heading", "heading", "sentence", "item", "item", "item", "sentence"]
    around = surroundings([Clause("x", kind, 0, 0, i) for i, kind in enumerate(kinds)])
    assert around.heading.tolist() == [-1, 0, 1, 1, 1, 1, 1]
    assert around.lead_in.tolist() == [-1, -1, -1, 2, 2, 2, -1]
    targets = np.array([[0, 0], [1, 1], [0, 0], [1, 0], [1, 0], [0, 1], [0, 0]])
    announced, introduces = announcements(targets, np.full(7, 2.0), around)
    assert introduces.tolist() == [0, 2, 2, 0, 0, 0, 0], "of a title that has headings only under it nothing"
    assert announced[1].tolist() == [1, 0], "two and one of five"
    assert announced[2].tolist() == [1, 1], "two and one of three"
    assert not announced[3:].any()


def test_only_annotated_clauses_tell_what_is_announced():
    around = surroundings([Clause("x", kind, 0, 0, 0) for kind in ("heading", "sentence", "sentence")])
    targets = np.array([[0], [1], [1]])
    announced, introduces = announcements(targets, np.array([1.0, 0, 0]), around)
    assert not announced.any()
    assert not introduces.any()
    announced, introduces = announcements(targets * [[0], [1], [0]], np.array([1.0, 0, 0.5]), around)
    assert introduces.tolist() == [0.5, 0, 0]
    assert not announced.any()


def test_announcements_do_not_cross_documents():
    pair = [Clause("x", kind, 0, 0, 0) for kind in ("heading", "sentence")]
    around = join([surroundings(pair), surroundings(pair)])
    targets = np.array([[0, 0], [1, 0], [0, 0], [0, 1]])
    announced, _ = announcements(targets, np.ones(4), around)
    assert announced.tolist() == [[1, 0], [0, 0], [0, 1], [0, 0]]


# Fits ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [1.0, 0.01])
def test_the_logistic_regressions_are_those_of_scikit_learn(C):
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 6)).astype(np.float32) * [1, 50, 0.02, 1, 0, 0] + [0, 3, 0, -9, 0, -1]
    X = X.astype(np.float32)  # the last two never vary
    noise = random.normal(size=(300, 2))
    y = (X @ np.array([[1, 0.5], [0.02, -0.03], [0, 9], [0, 0], [1, 1], [1, 1]]) + noise > 0).astype(int)
    weight = random.integers(0, 3, 300).astype(float)
    found = fit_logistic(X, y, C, weight)
    counts = weight > 0
    spread = X[counts].std(axis=0, dtype=float)
    scale = np.where(spread > 0, spread, 1)
    for k in range(2):
        model = LogisticRegression(C=C, tol=1e-8, max_iter=10_000)
        model.fit(X[counts] / scale, y[counts, k], sample_weight=weight[counts])
        np.testing.assert_allclose(found[:-1, k] * scale, model.coef_[0], atol=2e-3)
        logits = X.astype(float) @ found[:-1, k] + found[-1, k]
        np.testing.assert_allclose(logits, model.decision_function(X / scale), atol=5e-3)


def test_calibration_finds_the_sigmoid_that_labels_were_drawn_from():
    random = np.random.default_rng(1)
    scores = random.normal(size=(20_000, 1)).astype(np.float32)
    targets = (random.random((20_000, 1)) < expit(2 * scores - 1)).astype(int)
    ((slope, intercept),) = fit_calibration(scores, targets, np.ones(20_000))
    assert slope == pytest.approx(2, abs=0.1)
    assert intercept == pytest.approx(-1, abs=0.1)


def test_what_no_clause_has_is_improbable_and_what_all_have_probable():
    scores = np.random.default_rng(2).normal(size=(9, 2)).astype(np.float32)
    found = fit_calibration(scores, np.tile([0, 1], (9, 1)), np.ones(9))
    assert found.tolist() == [[0, -4], [0, 4]]


def test_weights_of_stage_1_are_such_as_float16_holds(in_context):
    for part in (in_context.says_, in_context.announces_):
        assert part.coef_.dtype == np.float32
        np.testing.assert_array_equal(part.coef_, part.coef_.astype(np.float16))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.integers(1, 40))
def test_no_threshold_gives_a_better_f1_than_the_tuned_one(seed, size):
    random = np.random.default_rng(seed)
    chances = random.uniform(0.11, 0.94, (size, 3))
    targets = (random.random((size, 3)) < chances * [1, 1, 0]).astype(int)
    found = tune_thresholds(chances, targets)
    assert found[2] == 0.5, "no clause has it"
    for k in range(2):

        def f1(cut, k=k):
            cuts = np.where(np.arange(3) == k, cut, 0.5)
            found = give(chances, cuts)[:, k]
            return 2 * (found & targets[:, k]).sum() / max(found.sum() + targets[:, k].sum(), 1)

        best = max(map(f1, [0.05, 0.95, *chances[:, k]]))
        assert f1(found[k]) == pytest.approx(best)
        assert 0.05 <= found[k] <= 0.95


def test_at_least_the_most_probable_category_is_given():
    chances = np.array([[0.1, 0.2, 0.1], [0.9, 0.6, 0.5]])
    assert give(chances, [0.5, 0.5, 0.6]).tolist() == [[0, 1, 0], [1, 1, 0]]
