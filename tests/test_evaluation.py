"""Evaluation: figures are those of the textbook, intervals those of the policies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from clausemark.clauses import Clause
from clausemark.context import surroundings
from clausemark.corpus import AnnotatedClause, Policy
from clausemark.errors import CorpusError, InputError, ModelError
from clausemark.evaluation import (
    BINS,
    HEADLINES,
    Predictions,
    compare,
    confusions,
    coverage_curve,
    evaluate,
    out_of_fold_predictions,
    predictions,
    render,
)
from clausemark.importers import import_mousavi
from clausemark.model import Model
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES
from clausemark.training import passage, train, training_set

FPC, TPS, UCC, *_ = CATEGORIES
DS, IG = "Data Security", "Introductory/Generic"
METADATA = {"name": "Tarn & Fell Ltd", "unit": "clause", "source": "written", "license": "Apache-2.0"}


class Keywords(Labeler):
    """Stands in for a labeler: what it says follows from a word of the clause."""

    def __init__(self) -> None:
        nothing = np.zeros((0, 12), np.float32)
        super().__init__(Model({}, nothing[0:0, 0], nothing, nothing, np.full(12, 0.5)))
        self.calls: list[list[Clause]] = []

    def probabilities(self, clauses: Sequence[Clause]) -> np.ndarray[Any, Any]:
        self.calls.append(list(clauses))
        chances = np.full((len(clauses), 12), 0.04)
        for row, clause in enumerate(clauses):
            for word, name, chance in (
                ("collect", FPC, 0.9), ("share", TPS, 0.8), ("choose", UCC, 0.3), ("Privacy", IG, 0.7),
            ):  # fmt: skip
                if word in clause.text:
                    chances[row, CATEGORIES.index(name)] = chance
        return chances

    @property
    def texts(self) -> list[list[str]]:
        """What it was asked for."""
        return [[clause.text for clause in clauses] for clauses in self.calls]


@pytest.fixture
def labeler() -> Keywords:
    return Keywords()


def clause(text: str, *labels: str, kind: Any = "sentence", paragraph: int = 0) -> AnnotatedClause:
    return AnnotatedClause(text, kind, paragraph, labels)


def policy(name: str, *clauses: AnnotatedClause, **metadata: Any) -> Policy:
    return Policy(name, clauses, {**METADATA, **metadata})


def some_predictions(seed: int = 0, policies: int = 8, size: int = 20, skill: float = 1.0) -> Predictions:
    """Clauses of which a model knows the more, the greater its skill; policies differ in difficulty."""
    random = np.random.default_rng(seed)
    count = policies * size
    groups = np.repeat(np.arange(policies), size)
    primary = random.integers(0, 11, count)  # the last category never occurs
    targets = np.eye(12, dtype=np.int64)[primary]
    targets[np.arange(count), random.integers(0, 11, count)] = 1
    ease = random.uniform(0.5, 1.5, policies)[groups, None] * skill
    scores = random.normal(-2, 1, (count, 12)) + ease * (targets + np.eye(12)[primary])
    chances = 1 / (1 + np.exp(-scores))
    decided = (chances >= 0.4).astype(np.int64)
    decided[np.arange(count), chances.argmax(axis=1)] = 1
    return Predictions(
        targets=targets,
        primary=primary,
        probabilities=chances,
        given=decided,
        groups=groups,
        texts=[f"Clause {i} of a fictional notice." for i in range(count)],
        ids=[f"p{g}:{i}" for i, g in enumerate(groups)],
    )


def rows_of(p: Predictions, rows: Any) -> Predictions:
    return Predictions(
        p.targets[rows], p.primary[rows], p.probabilities[rows], p.given[rows], p.groups[rows],
        [p.texts[i] for i in rows], [p.ids[i] for i in rows],
    )  # fmt: skip


# Predictions ---------------------------------------------------------------------------------------


def test_clauses_are_scored_in_the_context_of_their_policy(labeler: Keywords) -> None:
    found = predictions(
        labeler,
        [
            policy("a", clause("Privacy", IG, kind="heading"), clause("We collect names.", FPC, paragraph=1)),
            policy("b", clause("You choose.", UCC), clause("We share names.", TPS, FPC)),
        ],
    )
    assert labeler.texts == [["Privacy", "We collect names."], ["You choose.", "We share names."]]
    assert [clause.kind for clause in labeler.calls[0]] == ["heading", "sentence"]
    assert [clause.paragraph for clause in labeler.calls[0]] == [0, 1]
    assert found.texts == [text for texts in labeler.texts for text in texts]
    assert found.ids == ["a:0", "a:1", "b:0", "b:1"]
    assert found.groups.tolist() == [0, 0, 1, 1]
    assert [CATEGORIES[k] for k in found.primary] == [IG, FPC, UCC, TPS]
    assert found.targets.sum(axis=1).tolist() == [1, 1, 1, 2]


def test_clauses_without_labels_are_context_and_not_scored(labeler: Keywords) -> None:
    found = predictions(
        labeler,
        [policy("a", clause("Menu"), clause("We collect names.", FPC), unit="sentence", partial=True)],
    )
    assert found.ids == ["a:1"]
    assert labeler.texts == [["Menu", "We collect names."]]
    assert found.predicted.tolist() == [0]


def test_a_policy_without_labels_is_not_read_at_all(labeler: Keywords) -> None:
    menu = policy("a", clause("Menu"), partial=True)
    found = predictions(labeler, [menu, policy("b", clause("We collect names.", FPC)), menu])
    assert labeler.texts == [["We collect names."]]
    assert found.groups.tolist() == [1]


def test_every_clause_is_given_a_category_even_if_none_reaches_its_threshold(labeler: Keywords) -> None:
    clauses = clause("You choose.", UCC), clause("We collect and share.", TPS)
    found = predictions(labeler, [policy("a", *clauses)])
    assert [[CATEGORIES[k] for k in np.flatnonzero(row)] for row in found.given] == [[UCC], [FPC, TPS]]
    assert found.predicted.tolist() == [2, 0]
    assert found.confidence.tolist() == [0.3, 0.9]
    assert found.right.tolist() == [True, False]


def test_a_segment_is_the_mean_of_its_clauses_by_their_length(labeler: Keywords) -> None:
    first, second = "We collect your name and address.", "We share it."
    found = predictions(labeler, [policy("a", clause(f"{first} {second}", FPC), unit="segment")])
    share = len(first) / (len(first) + len(second))
    assert found.probabilities[0, 0] == pytest.approx(share * 0.9 + (1 - share) * 0.04)
    assert found.probabilities[0, 1] == pytest.approx(share * 0.04 + (1 - share) * 0.8)
    assert found.texts == [f"{first} {second}"]


@pytest.mark.parametrize("units", [["segment"], ["clause", "segment"]])
def test_a_model_that_has_learnt_segments_reads_them_whole(labeler: Keywords, units: list[str]) -> None:
    pages = [policy("a", clause("We collect names. We share them.", FPC), unit="segment")]
    labeler.model.info["corpus"] = {"units": units}
    found = predictions(labeler, pages)
    expected = labeler.probabilities(passage("We collect names. We share them."))[0]
    np.testing.assert_array_equal(found.probabilities[0], expected)


def test_a_segment_is_read_on_its_own_and_not_as_the_top_of_a_page(labeler: Keywords) -> None:
    predictions(
        labeler,
        [policy("a", clause("We collect names.", FPC), clause("You choose. We share.", UCC), unit="segment")],
    )
    assert labeler.texts == [["We collect names."], ["You choose.", "We share."]]
    for clauses in labeler.calls:
        assert set(surroundings(clauses).position) == {-1.0}, "unknown, not the first"


def test_a_segment_without_clauses_is_scored_all_the_same(labeler: Keywords) -> None:
    found = predictions(labeler, [policy("a", clause("•", "Practice not covered"), unit="segment")])
    assert found.probabilities.shape == (1, 12)


def test_segments_of_unknown_policies_are_groups_of_their_own(labeler: Keywords) -> None:
    pair = (clause("We collect names.", FPC), clause("We share names.", TPS))
    found = predictions(
        labeler,
        [
            policy("a", *pair, unit="segment", source="opp115"),
            policy("b", *pair, unit="segment", source="mousavi2020"),
            policy("c", *pair),
        ],
    )
    assert len(set(found.groups[:2])) == 1
    assert len(set(found.groups)) == 4


def test_a_corpus_without_labels_is_refused(labeler: Keywords) -> None:
    with pytest.raises(CorpusError, match="no clause of the corpus has a label"):
        predictions(labeler, [policy("a", clause("Menu"), partial=True)])


# Out of fold ---------------------------------------------------------------------------------------


SMALL = {"folds": 2, "min_df": 1}


@pytest.fixture(scope="module")
def small_corpus() -> list[Policy]:
    return [
        policy(
            f"{number}-tarn",
            clause("Our privacy notice", IG, kind="heading"),
            clause(f"We collect your name and address for order {number}.", FPC, paragraph=1),
            clause("We share your data with our printers and carriers.", TPS, paragraph=1),
            clause("Menu", paragraph=2),
            clause("We encrypt all the data that we hold.", DS, FPC, paragraph=3),
            partial=True,
        )
        for number in range(4)
    ]


def test_out_of_fold_predictions_are_of_the_training_clauses(small_corpus: list[Policy]) -> None:
    classifier = train(small_corpus, SMALL)
    found = out_of_fold_predictions(classifier, small_corpus)
    assert found.ids[:5] == ["0-tarn:0", "0-tarn:1", "0-tarn:2", "0-tarn:4", "1-tarn:0"]
    assert found.texts[3] == "We encrypt all the data that we hold."
    assert found.groups.tolist() == sorted([0, 1, 2, 3] * 4)
    # Of every fifth clause, which has no label, the classifier has scores, too.
    labeled = np.arange(20) % 5 != 3
    assert found.probabilities == pytest.approx(expit(classifier.out_of_fold_[labeled]), rel=1e-5)
    assert (found.probabilities != classifier.predict_proba(training_set(small_corpus).frame)[labeled]).any()
    assert (found.given[found.probabilities >= classifier.thresholds_] == 1).all()
    assert found.given.any(axis=1).all()


def test_out_of_fold_predictions_need_the_model_as_it_was_trained(small_corpus: list[Policy]) -> None:
    classifier = train(small_corpus, SMALL)
    with pytest.raises(InputError, match="learnt from 20 clauses, the corpus has 10"):
        out_of_fold_predictions(classifier, small_corpus[:2])
    del classifier.out_of_fold_
    with pytest.raises(InputError, match="no out-of-fold scores"):
        out_of_fold_predictions(classifier, small_corpus)


# Figures -------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), policies=st.integers(1, 5), size=st.integers(1, 9))
def test_figures_are_those_of_scikit_learn(seed: int, policies: int, size: int) -> None:
    p = some_predictions(seed, policies, size)
    found = evaluate(p, resamples=2)
    occur = np.flatnonzero(p.targets.any(axis=0))
    assert found.n == policies * size
    assert found.policies == policies
    assert found.figures["top1_accuracy"] == pytest.approx(accuracy_score(p.primary, p.predicted))
    assert found.figures["exact_match"] == pytest.approx(accuracy_score(p.targets, p.given))
    assert found.figures["micro_f1"] == pytest.approx(f1_score(p.targets, p.given, average="micro"))
    assert found.figures["macro_f1"] == pytest.approx(
        f1_score(p.targets, p.given, average="macro", labels=occur, zero_division=0)
    )
    by_label = precision_recall_fscore_support(p.targets, p.given, zero_division=0)
    for k, name in enumerate(CATEGORIES):
        row = found.per_label[name]
        assert list(row) == ["precision", "recall", "f1", "support"]
        assert list(row.values()) == pytest.approx([column[k] for column in by_label])


def test_calibration_errors_are_the_mean_gap_of_fifteen_bins() -> None:
    p = some_predictions(3)
    error = pooled = 0.0
    for low in range(BINS):
        inside = (p.confidence * BINS >= low) & (p.confidence * BINS < low + 1)
        if inside.any():
            error += inside.mean() * abs(p.confidence[inside].mean() - p.right[inside].mean())
        inside = (p.probabilities * BINS >= low) & (p.probabilities * BINS < low + 1)
        if inside.any():
            pooled += inside.mean() * abs(p.probabilities[inside].mean() - p.targets[inside].mean())
    found = evaluate(p).figures
    assert found["expected_calibration_error"] == pytest.approx(error)
    assert found["expected_calibration_error_pooled"] == pytest.approx(pooled)


def test_a_model_that_is_certain_and_right_is_calibrated() -> None:
    p = some_predictions()
    p = replace(p, probabilities=p.targets * 0.999 + np.eye(12)[p.primary] * 0.001, given=p.targets)
    found = evaluate(p).figures
    assert [found[name] for name in HEADLINES[:4]] == [1, 1, 1, 1]
    assert found["expected_calibration_error"] == 0
    assert found["expected_calibration_error_pooled"] < 0.001


def test_the_dictionary_is_the_contract() -> None:
    record = evaluate(some_predictions()).to_dict()
    assert list(record) == ["n", "policies", *HEADLINES, "per_label", "intervals"]
    assert list(record["per_label"]) == list(CATEGORIES)
    assert list(record["intervals"]) == list(HEADLINES)
    assert record["per_label"][CATEGORIES[11]] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_every_figure_lies_in_its_interval() -> None:
    found = evaluate(some_predictions(policies=30))
    for name in HEADLINES[:4]:  # gaps of bins are biased upwards in resamples, so not the errors
        low, high = found.intervals[name]
        assert 0 <= low < found.figures[name] < high <= 1
    assert np.isnan(found.label_intervals[CATEGORIES[11]]).all()
    low, high = found.label_intervals[FPC]
    assert low < found.per_label[FPC]["f1"] < high


def test_the_bootstrap_repeats_whole_policies() -> None:
    # Vectorised resamples give what evaluating the repeated clauses gives.
    p = some_predictions(policies=6, size=7)
    figures = []
    random = np.random.default_rng(5)
    for times in random.multinomial(6, [1 / 6] * 6, size=40):
        rows = [i for g, n in enumerate(times) for i in np.flatnonzero(p.groups == g).tolist() * n]
        figures.append(evaluate(rows_of(p, rows), resamples=1).figures)
    found = evaluate(p, resamples=40, seed=5)
    for name in HEADLINES:
        expected = np.percentile([f[name] for f in figures], [2.5, 97.5])
        assert found.intervals[name] == pytest.approx(tuple(expected))


def test_intervals_are_wider_where_clauses_of_a_policy_are_alike() -> None:
    p = some_predictions(policies=20, size=30)
    # All clauses of a policy alike: as good as one clause a policy.
    alike = rows_of(p, np.repeat(np.arange(20) * 30, 30))
    alone = replace(alike, groups=np.arange(600))
    widths = [np.diff(evaluate(q).intervals["top1_accuracy"])[0] for q in (alike, alone)]
    assert widths[0] > 3 * widths[1]


def test_one_policy_has_no_interval() -> None:
    found = evaluate(some_predictions(policies=1))
    assert np.isnan(found.intervals["micro_f1"]).all()
    assert found.to_dict()["intervals"]["micro_f1"] == [None, None]


def test_evaluating_twice_gives_the_same_and_the_seed_matters() -> None:
    p = some_predictions()
    assert evaluate(p).to_dict() == evaluate(p).to_dict()
    assert evaluate(p, seed=1).intervals != evaluate(p).intervals
    assert evaluate(p, seed=1).figures == evaluate(p).figures


# Comparison ----------------------------------------------------------------------------------------


def test_a_model_is_not_better_than_itself() -> None:
    found = compare(some_predictions(), some_predictions())
    assert set(found.differences) == {"top1_accuracy", "micro_f1", "macro_f1"}
    assert set(found.differences.values()) == {0.0}
    assert set(found.intervals.values()) == {(0.0, 0.0)}
    assert set(found.better.values()) == {0.0}


def test_a_better_model_is_told_from_a_worse_one_in_both_directions() -> None:
    worse, better = some_predictions(skill=1.0), some_predictions(skill=2.0)
    found, back = compare(worse, better), compare(better, worse)
    gain = evaluate(better).figures["micro_f1"] - evaluate(worse).figures["micro_f1"]
    assert found.differences["micro_f1"] == pytest.approx(gain)
    assert found.intervals["micro_f1"][0] > 0
    assert found.better["micro_f1"] == 1
    assert back.intervals["micro_f1"][1] < 0
    assert back.better["micro_f1"] == 0


def test_pairing_tells_what_two_separate_intervals_cannot() -> None:
    # Better by a little on every policy, where policies differ by much.
    worse = some_predictions(policies=12, size=40, skill=1.0)
    chances = worse.probabilities.copy()
    wrong = [np.flatnonzero((worse.groups == g) & ~worse.right)[:2] for g in range(12)]
    rows = np.concatenate(wrong)
    chances[rows, worse.primary[rows]] = 0.999
    better = replace(worse, probabilities=chances)
    apart = [evaluate(p).intervals["top1_accuracy"] for p in (worse, better)]
    assert apart[0][1] > apart[1][0]
    assert compare(worse, better).intervals["top1_accuracy"][0] > 0


def test_one_policy_proves_nothing() -> None:
    found = compare(some_predictions(policies=1), some_predictions(policies=1, skill=3.0))
    assert not found.intervals["micro_f1"][0] > 0
    assert found.to_dict()["intervals"]["micro_f1"] == [None, None]


@pytest.mark.parametrize("what", ["texts", "ids", "targets", "groups", "fewer"])
def test_models_measured_on_different_clauses_are_not_compared(what: str) -> None:
    a = some_predictions()
    changed = {
        "texts": lambda: replace(a, texts=["Another clause.", *a.texts[1:]]),
        "ids": lambda: replace(a, ids=["q:0", *a.ids[1:]]),
        "targets": lambda: replace(a, targets=1 - a.targets),
        "groups": lambda: replace(a, groups=a.groups[::-1]),
        "fewer": lambda: rows_of(a, range(5)),
    }[what]()
    with pytest.raises(InputError, match="same clauses"):
        compare(a, changed)


# For reading ---------------------------------------------------------------------------------------


def test_the_commonest_mistakes_come_first_with_clauses_to_read() -> None:
    p = some_predictions()
    found = confusions(p, most=4, examples=2)
    assert [c.count for c in found] == sorted((c.count for c in found), reverse=True)
    first = found[0]
    rows = [
        i for i in range(len(p.texts))
        if (CATEGORIES[p.primary[i]], CATEGORIES[p.predicted[i]]) == (first.annotated, first.predicted)
    ]  # fmt: skip
    assert first.count == len(rows)
    assert first.share == len(rows) / (p.primary == CATEGORIES.index(first.annotated)).sum()
    surest = max(rows, key=lambda i: p.confidence[i])
    assert first.examples[0] == (p.ids[surest], p.texts[surest])
    assert len(first.examples) == 2


def test_a_perfect_model_makes_no_mistakes() -> None:
    p = some_predictions()
    assert confusions(replace(p, probabilities=np.eye(12)[p.primary])) == []


def test_all_mistakes_together_are_what_lacks_in_accuracy() -> None:
    p = some_predictions()
    assert sum(c.count for c in confusions(p, most=144)) == (~p.right).sum()


def test_coverage_ends_at_the_accuracy_of_all_clauses() -> None:
    p = some_predictions()
    curve = coverage_curve(p)
    assert curve.coverage[-1] == 1
    assert curve.accuracy[-1] == pytest.approx(p.right.mean())
    assert (np.diff(curve.coverage) > 0).all()
    assert (np.diff(curve.confidence) < 0).all()
    kept = p.confidence >= curve.confidence[30]
    assert curve.coverage[30] == pytest.approx(kept.mean())
    assert curve.accuracy[30] == pytest.approx(p.right[kept].mean())


def test_clauses_that_are_equally_certain_are_kept_together() -> None:
    p = some_predictions()
    p = replace(p, probabilities=np.eye(12)[p.predicted] * 0.8)
    assert coverage_curve(p).coverage.tolist() == [1.0]


def test_an_evaluation_is_printed_with_its_comparison_and_mistakes() -> None:
    worse, better = some_predictions(), some_predictions(skill=2.0)
    report = evaluate(better).to_dict() | {"comparison": compare(worse, better).to_dict()}
    text = render(report, confusions(better, most=1))
    assert text.startswith("160 clauses of 8 policies")
    low, high = report["intervals"]["micro_f1"]
    assert f"{report['micro_f1']:.3f}  [{low:.3f}, {high:.3f}]" in text
    assert "better in 100% of resamples" in text
    assert " taken for " in text
    assert "None" not in render(evaluate(some_predictions(policies=1)).to_dict())


# Real policies -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_model_that_ships_labels_the_published_validation_part() -> None:
    path = Path(__file__).parents[2] / "shared" / "opp115" / "mousavi2020_majority" / "validation_dataset.csv"
    if not path.is_file():
        pytest.skip("no ../shared beside the repository")
    try:
        labeler = Labeler.load()
    except ModelError:
        pytest.skip("no model in models/clausemark: run the pipeline")
    policies, _ = import_mousavi(path)
    found = evaluate(predictions(labeler, policies))
    assert (found.n, found.policies) == (550, 550)
    assert found.figures["micro_f1"] > 0.66  # what the first 97 policies gave, corpus-writing.md
