"""The fast scorer: it scores what scikit-learn scores, for whatever text."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import int64
from numba.core import caching
from scipy.sparse import csr_matrix, hstack

from clausemark import scorer as module
from clausemark.classifier import ClauseClassifier, give
from clausemark.clauses import Clause, segment
from clausemark.compiled import compiled
from clausemark.context import combine, join, surroundings
from clausemark.corpus import read_corpus
from clausemark.documents import read_document
from clausemark.explain import Explainer
from clausemark.features import clause_frame
from clausemark.model import Model, load_model, restore, save_model
from clausemark.predict import Labeler
from clausemark.scorer import Scorer
from clausemark.taxonomy import CATEGORIES
from tiny import tiny_model, tiny_policies

ROOT = Path(__file__).parents[1]
#: What Unicode makes hard: spaces, letters that change their length or look around, halves of pairs.
ODD = (
    " \t\n\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000\u200b\ufeff"
    "İßΣςﬁǅ'’_-.,·٣²Ⅷ\u0301\u0345\ud800\udfff𝕬🏽\0\U0010ffff"
)
WORDS = (
    "we We share your personal data, third-party cookies (e.g. Google's) opt-out GDPR’s 2024 e-mail".split()
)
TEXTS = st.lists(
    st.lists(
        st.one_of(
            st.sampled_from(WORDS),
            st.text(st.sampled_from(ODD), max_size=4),
            st.text(st.characters(), max_size=8),
            st.text("abcdeghinorst", max_size=12),
        ),
        max_size=30,
    ).map(lambda words: " ".join(words)),
    max_size=5,
)


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(ROOT / "models" / "clausemark")


@pytest.fixture(scope="module")
def reference(model: Model) -> ClauseClassifier:
    return restore(model)


@pytest.fixture(scope="module")
def scorer(model: Model) -> Scorer:
    return Scorer(model)


def reference_features(reference: ClauseClassifier, texts: list[str]) -> csr_matrix:
    """Stack the blocks as scikit-learn does, without the frame, which takes no half pairs."""
    blocks = reference.features_.named_transformers_
    scales = reference.features_.transformer_weights
    found = csr_matrix(hstack([blocks[name].transform(texts) * scales[name] for name in scales]))
    found.sort_indices()
    return found


def reference_scores(reference: ClauseClassifier, features: csr_matrix) -> np.ndarray:
    return np.hstack([part.decision_function(features) for part in (reference.says_, reference.announces_)])


def assert_alike(scorer: Scorer, reference: ClauseClassifier, texts: list[str]) -> None:
    said, found = scorer.say(texts), scorer.features(texts)
    assert said.shape == (len(texts), len(scorer.model.intercepts))
    assert said.dtype == np.float32
    if not texts:
        return
    expected = reference_features(reference, texts)
    np.testing.assert_array_equal(found.indptr, expected.indptr)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.values, expected.data, rtol=1e-5)
    np.testing.assert_allclose(said, reference_scores(reference, expected), rtol=1e-5, atol=1e-5)


def assert_same_labels(
    scorer: Scorer, reference: ClauseClassifier, documents: list[tuple[Clause, ...]]
) -> None:
    documents = [clauses for clauses in documents if clauses]
    frame = pd.concat([clause_frame(clauses) for clauses in documents], ignore_index=True)
    labeler = Labeler(scorer.model)
    labeler.scorer = scorer
    found = np.concatenate([labeler.probabilities(clauses) for clauses in documents])
    expected = reference.predict_proba(frame)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    thresholds = scorer.model.thresholds
    np.testing.assert_array_equal(give(found, thresholds), give(expected, thresholds))
    np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


@given(TEXTS)
@settings(deadline=None)
def test_any_text_scores_as_with_scikit_learn(scorer: Scorer, reference: ClauseClassifier, texts) -> None:
    assert_alike(scorer, reference, texts)


ROWS = st.tuples(
    st.sampled_from(("heading", "sentence", "item", "sentence")),
    st.booleans(),
    st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join),
)


@pytest.fixture(scope="module")
def odd_scorer(model: Model) -> Scorer:
    """A scorer whose every field counts, none like another."""
    random = np.random.default_rng(0)
    alone, context = (
        random.normal(size=part.shape).astype(np.float32) for part in (model.alone, model.context)
    )
    return Scorer(replace(model, alone=alone, context=context))


@given(st.lists(st.lists(ROWS, max_size=20), min_size=1, max_size=3))
@settings(deadline=None)
def test_context_counts_as_in_the_reference(odd_scorer: Scorer, rows: list) -> None:
    documents = []
    for part in rows:
        paragraphs = accumulate(int(opens) for _, opens, _ in part)
        documents.append(
            [Clause(text, kind, 0, 0, n) for (kind, _, text), n in zip(part, paragraphs, strict=True)]
        )
    clauses, around = [c for part in documents for c in part], join(map(surroundings, documents))
    scores, said = odd_scorer.say([c.text for c in clauses]), len(odd_scorer.model.alone) - 1
    expected = combine(
        scores[:, :said], scores[:, said:], around, odd_scorer.model.alone, odd_scorer.model.context
    )
    found = odd_scorer.score(clauses, around)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    # Documents apart score as together.
    apart = [odd_scorer.score(part) for part in documents]
    np.testing.assert_allclose(found, np.concatenate(apart), rtol=1e-5, atol=1e-4)


def test_every_clause_of_the_corpus_gets_the_same_labels(scorer: Scorer, reference: ClauseClassifier) -> None:
    policies = read_corpus(ROOT / "data" / "corpus")
    assert_same_labels(scorer, reference, [policy.clauses_for_context() for policy in policies])


def test_every_clause_of_crawled_pages_gets_the_same_labels(
    scorer: Scorer, reference: ClauseClassifier, shared: Path
) -> None:
    pages = sorted((shared / "opp115" / "original_policies").glob("*.html"))
    documents = [tuple(segment(read_document(page))) for page in pages]
    assert documents
    assert_same_labels(scorer, reference, documents)


def test_a_clause_without_words_has_the_intercepts(scorer: Scorer) -> None:
    found = scorer.say(["", " \n", "\u3000"])
    np.testing.assert_array_equal(found, np.tile(scorer.model.intercepts, (3, 1)))
    assert scorer.features(["", " "]).indptr.tolist() == [0, 0, 0]
    assert scorer.say([]).shape == (0, len(scorer.model.intercepts))


@pytest.mark.parametrize(
    "text",
    [
        "w" * 200_000,
        "we sell your data, " * 20_000,
        "".join(map(chr, range(0x20, 0xD800))) * 4,
        "a " * 150_000,
    ],
    ids=["one word", "one sentence", "all letters", "short words"],
)
def test_huge_clauses_score_alike(scorer: Scorer, reference: ClauseClassifier, text: str) -> None:
    assert_alike(scorer, reference, ["before", text, "after"])


def test_words_forgotten_for_want_of_room_are_learnt_again(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    random = Random(0)
    texts = [
        " ".join(random.choice(WORDS) + random.choice("abcdef") * i for i in range(9)) for _ in range(99)
    ]
    expected = Scorer(model).say(texts)
    for name, value in {"BATCH": 256, "MEMORY": 1 << 15, "WORDS": 160}.items():
        monkeypatch.setattr(module, name, value)
    small = Scorer(model)
    memories = set()
    for text in texts:
        small.say([text])
        memories.add(id(small._words.memory))
    assert len(memories) > 1
    np.testing.assert_allclose(small.say(texts), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "parameters",
    [
        {"weights": {"chars": 0}, "word_ngrams": 1},
        {"weights": {"chars": 0}, "word_ngrams": 4},
        {"weights": {"words": 0}, "char_ngrams": 3},
        {"weights": {"words": 0.5, "chars": 2.0}, "word_ngrams": 3, "char_ngrams": 7},
        {"min_df": 100},
    ],
    ids=["words", "word 4-grams", "characters", "both", "no term"],
)
def test_other_models_score_alike(tmp_path: Path, parameters: dict) -> None:
    random = Random(1)
    texts = [" ".join(random.choices(WORDS, k=8)) for _ in range(120)]
    targets = np.eye(len(CATEGORIES), dtype=int)[np.arange(120) % len(CATEGORIES)]
    classifier = ClauseClassifier(**{"min_df": 1, "folds": 2, **parameters}).fit(texts, targets)
    save_model(classifier, tmp_path)
    model = load_model(tmp_path)
    assert_alike(Scorer(model), restore(model), [*texts, "", "we share we share we share İ your", "data"])


def test_a_model_of_two_habits_scores_alike_and_is_explained(tmp_path: Path) -> None:
    ours, theirs = tiny_policies("train"), tiny_policies("test")
    theirs = [replace(policy, metadata={**policy.metadata, "source": "theirs"}) for policy in theirs]
    tiny_model(tmp_path, [*ours, *theirs], folds=2, min_df=1, corpora={"theirs": {"apart": True}})
    labeler = Labeler.load(tmp_path)
    assert len(labeler.model.intercepts) == 24 + 24 + 12
    assert_alike(labeler.scorer, restore(labeler.model), [c.text for p in ours for c in p.clauses])
    page = "\n\n".join(c.text for c in ours[0].clauses)
    policy = labeler.label(page)
    reference = restore(labeler.model).predict_proba(clause_frame(segment(page)))
    np.testing.assert_allclose(policy.chances, reference, atol=1e-5)
    explainer = Explainer(labeler, policy)
    for index in range(len(policy.clauses)):
        found = explainer.explain(index)
        total = found.intercept + sum(part.value for part in found.contributions)
        assert total == pytest.approx(found.score, abs=1e-4)


def test_numbers_of_words_start_afresh_before_there_are_too_many(model: Model) -> None:
    scorer, texts = Scorer(model), ["We share information with sharing partners and shareholders."] * 3
    expected = scorer.say(texts)
    scorer._chars.last[:] = scorer._chars.seen[:] = 2**31 - 10
    np.testing.assert_array_equal(scorer.say(texts), expected)


def test_words_that_begin_alike_are_told_apart(scorer: Scorer, reference: ClauseClassifier) -> None:
    random = Random(2)
    words = ["".join(random.choices("abc\U0001d400", k=random.randint(1, 9))) for _ in range(20_000)]
    assert_alike(scorer, reference, [" ".join(words[i : i + 50]) for i in range(0, len(words), 50)])


def test_white_space_is_what_python_takes_for_it() -> None:
    beyond = range(len(module.SPACE) - 1, sys.maxunicode + 1)
    assert not any(map(str.isspace, map(chr, beyond)))
    assert [bool(found) for found in module.SPACE] == [chr(c).isspace() for c in range(len(module.SPACE))]


def test_a_batch_that_was_stopped_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, model: Model
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    texts, other = ["We sell your cookies to advertisers."], Scorer(model)
    with monkeypatch.context() as patch:
        patch.setattr(other, "_tokenise", stop)
        with pytest.raises(KeyboardInterrupt):
            other.say(texts)
    np.testing.assert_array_equal(other.say(texts), Scorer(model).say(texts))


def test_threads_share_a_scorer(model: Model) -> None:
    random = Random(3)
    texts = [" ".join(random.choices(WORDS, k=20)) + str(i) for i in range(400)]
    expected, shared = Scorer(model).say(texts), Scorer(model)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(shared.say, [texts[i : i + 20] for i in range(0, 400, 20)]))
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=1e-5, atol=1e-6)


def test_a_scorer_can_be_sent_to_another_process(scorer: Scorer) -> None:
    again = pickle.loads(pickle.dumps(scorer))
    np.testing.assert_array_equal(again.say(["We keep it."]), scorer.say(["We keep it."]))


def test_where_nothing_can_be_written_kernels_are_compiled_all_the_same(monkeypatch) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert compiled(int64(int64))(lambda x: x + 1)(2) == 3


def test_labeling_imports_neither_scikit_learn_nor_pandas() -> None:
    program = (
        "import sys; from clausemark import Labeler; Labeler.load().label('We sell your data.')\n"
        "print([name for name in ('sklearn', 'pandas', 'joblib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
