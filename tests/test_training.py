"""Training: from annotated policies to a classifier."""

from __future__ import annotations

import numpy as np
import pytest

from clausemark.corpus import AnnotatedClause, Policy
from clausemark.errors import CorpusError, InputError
from clausemark.features import surroundings_of
from clausemark.taxonomy import CATEGORIES
from clausemark.training import describe, make_classifier, passage, train, training_set, weights_of
from tiny import WORDS, tiny_policies

FPC, TPS = CATEGORIES[:2]
METADATA = {"name": "x", "unit": "clause", "source": "written", "license": "Apache-2.0"}


def policy(name: str, *clauses: tuple[str, tuple[str, ...]], **metadata: object) -> Policy:
    annotated = tuple(AnnotatedClause(text, "sentence", 0, labels) for text, labels in clauses)
    return Policy(name, annotated, {**METADATA, "name": name, **metadata})


def test_a_row_a_clause_with_its_labels_primary_and_policy():
    data = training_set(
        [policy("a", ("We collect and share.", (TPS, FPC))), policy("b", ("We collect.", (FPC,)))]
    )
    assert data.targets[:, :2].tolist() == [[1, 1], [1, 0]]
    assert data.primary.tolist() == [1, 0]
    assert data.groups.tolist() == [0, 1]


def test_clauses_without_a_label_are_context_only():
    data = training_set(
        [policy("a", ("Not labeled.", ()), ("We collect.", (FPC,)), ("Nor this.", ()), partial=True)]
    )
    assert data.frame["text"].tolist() == ["Not labeled.", "We collect.", "Nor this."]
    assert data.frame["previous"].tolist() == [0, -1, -1]
    assert data.frame["next"].tolist() == [1, 1, 0]
    assert data.labeled.tolist() == [False, True, False]
    assert data.primary.tolist() == [-1, 0, -1]
    assert not data.targets[~data.labeled].any()
    assert data.groups.tolist() == [0, 0, 0]


def test_a_segment_is_laid_out_whole_and_beside_its_clauses():
    whole, *parts = passage("We collect names. We share them.")
    assert whole.text == "We collect names. We share them."
    assert [part.text for part in parts] == ["We collect names.", "We share them."]
    assert {whole.paragraph, *(part.paragraph for part in parts)} == {0}
    assert [clause.text for clause in passage("We collect names.")] == ["We collect names."]
    assert [clause.text for clause in passage("•")] == ["•"]


def test_of_a_segment_the_whole_is_learnt_and_its_clauses_are_context():
    pair = ("We collect. We share.", (FPC, TPS)), ("We keep it.", ("Data Retention",))
    data = training_set([policy("a", *pair, unit="segment"), policy("b", *pair, unit="segment")])
    assert (
        data.frame["text"].tolist()
        == ["We collect. We share.", "We collect.", "We share.", "We keep it."] * 2
    )
    assert data.labeled.tolist() == [True, False, False, True] * 2
    assert data.groups.tolist() == [0] * 4 + [1] * 4
    assert surroundings_of(data.frame).alone.tolist() == [False, False, False, True] * 2


def test_segments_of_unknown_policies_are_learnt_from_one_by_one():
    segments = [
        (clause.text, clause.labels) for clauses in tiny_policies("train") for clause in clauses.clauses
    ]
    loose = policy("a", *segments, unit="segment", source="mousavi2020")
    data = training_set([loose])
    assert len(set(data.groups)) == len(segments)
    assert data.labeled.any()
    assert (data.primary == -1).all(), "their labels have no order"
    assert train([loose], {"weights": WORDS, "folds": 2}).out_of_fold_.shape == (len(segments), 12)


def test_corpora_weigh_as_is_said_in_each_stage():
    data = training_set(
        [
            policy("a", ("We collect.", (FPC,)), ("So.", ()), source="ours"),
            policy("b", ("We share.", (TPS,)), source="theirs"),
        ]
    )

    def weights(corpora):
        return {stage: found.tolist() for stage, found in weights_of(data, {"corpora": corpora}).items()}

    plain = {"clause": [1, 0, 1], "context": [1, 0, 1], "apart": [False] * 3}
    assert weights({}) == plain
    assert weights({"ours": 0.5}) == plain | {"clause": [0.5, 0, 1], "context": [0.5, 0, 1]}
    assert weights({"ours": {"context": 0}}) == plain | {"context": [0, 0, 1]}
    assert weights({"theirs": {"apart": True}}) == plain | {"apart": [False, False, True]}


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        ({"hers": 1}, "no policy is from 'hers'; there are ours"),
        ({"ours": -1}, "a weight of 0 or more, not -1"),
        ({"ours": {"words": 1}}, "ours: no 'words'; there are clause, context, apart"),
        ({"ours": {"apart": 1}}, "ours.apart is true or false, not 1"),
        ({"ours": {"clause": True}}, "a weight of 0 or more, not True"),
        (0.5, "maps sources of policies to weights, as ours: 0.5"),
    ],
)
def test_weights_of_corpora_that_do_not_work_are_named(corpora, message):
    data = training_set([policy("a", ("We collect.", (FPC,)), source="ours")])
    with pytest.raises(InputError, match=message):
        weights_of(data, {"corpora": corpora})


def test_context_never_crosses_policies():
    data = training_set([policy("a", ("One.", (FPC,))), policy("b", ("Two.", (TPS,)))])
    assert data.frame["previous"].tolist() == data.frame["next"].tolist() == [0, 0]
    assert surroundings_of(data.frame).alone.all()


def test_training_leaves_out_what_has_no_label_but_reads_it_around_the_others():
    policies = [
        policy(
            f"p{i}",
            ("Sharing follows.", ()), (f"It is {word}.", (TPS,)),
            ("Collection follows.", ()), ("It is.", (FPC,)), partial=True,
        )
        for i, word in enumerate(("so", "thus", "that", "it", "so", "thus"))
    ]  # fmt: skip
    model = train(policies, {"folds": 3, "min_df": 1, "context_C": 1.0})
    data = training_set(policies)
    assert model.out_of_fold_.shape == (24, 12)
    assert (model.predict_proba(data.frame).argmax(axis=1) == data.primary)[data.labeled].all()
    # None of the labels of the others, which have none, was learnt.
    other = model.predict_proba(data.frame)[:, 2:]
    assert other.max() < 0.05


def test_the_number_of_jobs_does_not_change_a_model():
    policies = tiny_policies("train", 2)
    one, two = (train(policies, {"folds": 2, "weights": WORDS}, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(one.context_, two.context_)
    np.testing.assert_array_equal(one.out_of_fold_, two.out_of_fold_)


def test_a_model_learns_a_tiny_corpus_and_the_same_one_each_time():
    policies = tiny_policies("train")
    one, two = (train(policies, {"folds": 2}) for _ in range(2))
    data = training_set(policies)
    assert (one.predict(data.frame) == data.targets).mean() > 0.95
    np.testing.assert_array_equal(one.decision_function(data.frame), two.decision_function(data.frame))


def test_what_it_was_trained_on_is_described():
    policies = tiny_policies("train")
    found = describe(policies)
    assert found["policies"] == len(policies)
    assert found["clauses"] == sum(len(p.clauses) for p in policies)
    assert found["digest"] == describe(policies)["digest"] != describe(policies[:-1])["digest"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"c": 1.0}, "no parameter 'c'; there are"),
        ({"weights": {"footer": 1}}, "unknown block"),
        ({"C": -1}, "training failed"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InputError, match=message):
        train(tiny_policies("train"), parameters)


def test_too_little_to_learn_from_is_an_error():
    with pytest.raises(CorpusError, match="two policies"):
        train(tiny_policies("train")[:1])
    with pytest.raises(CorpusError, match="has a label"):
        train([policy("a", ("x", ()), partial=True), policy("b", ("y", ()), partial=True)])


def test_a_classifier_is_built_from_names():
    assert make_classifier({"C": 2.0}).C == 2.0
    assert make_classifier().get_params() == make_classifier({}).get_params()
