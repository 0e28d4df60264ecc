"""Linear support vector machines, fitted all at once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array
from sklearn.svm import LinearSVC

from clausemark.svm import LinearScores, fit_svm, log_ratios

CLAUSES, FEATURES, OUTPUTS = 300, 80, 5


@pytest.fixture(scope="module")
def data():
    """Sparse features of which the first few tell the outputs, with some noise; weights."""
    random = np.random.default_rng(0)
    X = csr_matrix(random_array((CLAUSES, FEATURES), density=0.2, rng=random), dtype=np.float32)
    y = (X[:, :OUTPUTS].toarray() + 0.3 * random.random((CLAUSES, OUTPUTS)) > 0.25).astype(np.int64)
    return X, y, random.uniform(0.2, 2, CLAUSES)


def objective(weights, X, y, weight, C):
    """What `LinearSVC` minimises."""
    margins = np.where(y, 1, -1) * (X @ weights[:-1] + weights[-1])
    return 0.5 * (weights**2).sum(axis=0) + C * (weight[:, None] * np.maximum(1 - margins, 0) ** 2).sum(
        axis=0
    )


@pytest.mark.parametrize("C", [0.03, 1.0])
def test_without_a_prior_the_machines_are_those_of_scikit_learn(data, C):
    X, y, weight = data
    found = fit_svm(X, y, C, weight, tolerance=1e-4).astype(np.float64)
    for k in range(OUTPUTS):
        expected = LinearSVC(C=C, random_state=0, tol=1e-6, max_iter=10_000).fit(X, y[:, k], weight)
        np.testing.assert_allclose(found[:-1, k], expected.coef_[0], atol=5e-3)
        np.testing.assert_allclose(found[-1, k], expected.intercept_[0], atol=5e-3)


def test_the_usual_tolerance_is_close_to_the_least_loss(data):
    X, y, weight = data
    exact = objective(fit_svm(X, y, 0.3, weight, tolerance=1e-5).astype(np.float64), X, y, weight, 0.3)
    usual = objective(fit_svm(X, y, 0.3, weight).astype(np.float64), X, y, weight, 0.3)
    np.testing.assert_allclose(usual, exact, rtol=1e-3)


def test_a_prior_is_a_scale_of_the_features(data):
    X, y, weight = data
    found = fit_svm(X, y[:, :1], 0.3, weight, prior=1.0, tolerance=1e-5)
    variance = np.clip(log_ratios(X, y[:, :1], weight), 0.1, 10)[:, 0]
    spread = np.sqrt(variance / variance.mean())
    scaled = fit_svm(csr_matrix(X.multiply(spread)), y[:, :1], 0.3, weight, tolerance=1e-5)
    np.testing.assert_allclose(found[:-1, 0], scaled[:-1, 0] * spread, atol=2e-3)


def test_a_prior_lets_what_tells_a_category_weigh_more(data):
    X, y, weight = data
    plain, informed = (fit_svm(X, y, 0.03, weight, prior=prior) for prior in (0, 1))
    for k in range(OUTPUTS):
        share = [abs(w[k, k]) / np.abs(w[:-1, k]).sum() for w in (plain, informed)]
        assert share[1] > share[0]


def test_log_ratios_tell_which_feature_goes_with_an_output():
    X = csr_matrix(np.array([[1, 0, 5], [1, 0, 5], [0, 2, 5], [0, 2, 5]], dtype=np.float32))
    ((one,), (other,), (both,)) = log_ratios(X, np.array([[1], [1], [0], [0]]), np.ones(4))
    assert one == pytest.approx(other)
    assert one > 3 * both, "what all clauses have tells nothing"


@pytest.mark.parametrize("prior", [0.0, 1.0])
def test_weights_count_a_clause_several_times(data, prior):
    X, y, _ = data
    weight = np.arange(CLAUSES) % 3
    weighted = LinearScores(0.3, prior).fit(X, y, weight.astype(float))
    rows = np.repeat(np.arange(CLAUSES), weight)
    repeated = LinearScores(0.3, prior).fit(X[rows], y[rows])
    np.testing.assert_allclose(weighted.decision_function(X), repeated.decision_function(X), atol=3e-2)


def test_the_same_seed_gives_the_same_bits_and_another_the_same_scores(data):
    X, y, weight = data
    one, same, other = (LinearScores(seed=seed).fit(X, y, weight) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.coef_, same.coef_)
    assert (one.coef_ != other.coef_).any()
    np.testing.assert_allclose(one.decision_function(X), other.decision_function(X), atol=3e-2)


def test_outputs_do_not_bear_on_each_other(data):
    X, y, weight = data
    together = fit_svm(X, y, 0.3, weight, prior=1.0, tolerance=1e-5)
    apart = fit_svm(X, y[:, 1:2], 0.3, weight, prior=1.0, tolerance=1e-5)
    np.testing.assert_allclose(together[:, 1], apart[:, 0], atol=2e-3)


def test_an_output_that_none_or_all_have_needs_no_weights(data):
    X, y, _ = data
    y = np.column_stack([np.zeros(CLAUSES, int), y[:, 0], np.ones(CLAUSES, int)])
    scores = LinearScores().fit(X, y).decision_function(X)
    assert (scores[:, 0] == -1).all()
    assert (scores[:, 2] == 1).all()
    assert ((scores[:, 1] > 0) == y[:, 1]).mean() > 0.9


@pytest.mark.parametrize(("C", "prior"), [(0, 1.0), (-1, 1.0), (1.0, -0.5)])
def test_parameters_out_of_range_are_refused(data, C, prior):
    X, y, weight = data
    with pytest.raises(ValueError, match=r"not (0|-1|-0\.5)$"):
        LinearScores(C, prior).fit(X, y, weight)
