"""Labels: what a labeled policy holds and how it is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix

import clausemark
from clausemark.clauses import segment
from clausemark.documents import parse_document
from clausemark.errors import InputError, LanguageError, MissingExtraError, ModelError
from clausemark.features import as_frame, clause_frame
from clausemark.model import load_model, restore
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES

TEXT = "Sharing\n\nWe share photos with advertisers. You can opt out of photos at any time.\n"
GERMAN = (
    "Wir erheben Ihren Namen und Ihre Anschrift, wenn Sie bei uns ein Konto eröffnen. Die Daten werden in"
    " der EU gespeichert und nicht an Dritte weitergegeben, es sei denn, das Gesetz verlangt es. Sie haben"
    " das Recht auf Auskunft, Berichtigung und Löschung und können sich jederzeit an uns wenden. "
)


@pytest.fixture(scope="module")
def labeler(tiny_model: Path) -> Labeler:
    return Labeler.load(tiny_model)


def test_every_clause_has_a_primary_label_and_twelve_scores(labeler: Labeler) -> None:
    policy = labeler.label(TEXT)
    assert [clause.kind for clause in policy.clauses] == ["heading", "sentence", "sentence"]
    for number, clause in enumerate(policy.clauses):
        assert clause.index == number
        assert policy.document.text[clause.start : clause.end] == clause.text
        assert clause.labels[0] == clause.primary
        assert set(clause.labels) <= set(CATEGORIES)
        assert tuple(clause.scores) == CATEGORIES
        assert all(0 <= score <= 1 for score in clause.scores.values())
        assert clause.scores[clause.primary] == max(clause.scores.values())
        others = [clause.scores[name] for name in clause.labels]
        assert others == sorted(others, reverse=True)
    assert [clause.heading for clause in policy.clauses] == ["", "Sharing", "Sharing"]
    assert policy.clauses[1].primary == "Third Party Sharing/Collection"
    assert policy.clauses[2].primary == "User Choice/Control"


def test_further_labels_are_those_over_their_threshold(labeler: Labeler) -> None:
    thresholds = labeler.thresholds
    assert tuple(thresholds) == CATEGORIES
    assert list(thresholds.values()) == labeler.model.thresholds.tolist()
    for clause in labeler.label(TEXT * 20).clauses:
        over = {name for name, score in clause.scores.items() if score >= thresholds[name]}
        assert set(clause.labels) == over | {clause.primary}


def test_text_page_bytes_and_path_give_the_same_labels(labeler: Labeler, tmp_path: Path) -> None:
    page = "<h1>Sharing</h1><p>We share photos with advertisers. You can opt out of photos at any time.</p>"
    (tmp_path / "p.html").write_text(page, encoding="utf-8")
    found = [
        labeler.label(source)
        for source in (
            TEXT,
            TEXT.encode(),
            page,
            page.encode(),
            tmp_path / "p.html",
            str(tmp_path / "p.html"),
        )
    ]
    assert len({tuple((c.text, c.labels) for c in policy.clauses) for policy in found}) == 1
    assert found[0].document.source == "-"
    assert found[-1].document.source == str(tmp_path / "p.html")
    assert labeler.label(TEXT, name="mine").to_records()[0]["doc"] == "mine"


def test_a_clause_is_labeled_alike_each_time(labeler: Labeler) -> None:
    first, second = labeler.label(TEXT), labeler.label(TEXT)
    assert first == second


def test_a_clause_is_labeled_in_its_context(labeler: Labeler) -> None:
    first, alone = labeler.label(TEXT).clauses[1], labeler.label("We share photos with advertisers.")
    assert first.text == alone.clauses[0].text
    assert first.scores != alone.clauses[0].scores
    around = np.array(list(first.scores.values()))
    expected = labeler.probabilities(segment(TEXT))[1]
    np.testing.assert_array_equal(around, expected)


def test_probabilities_are_those_of_the_estimator(tiny_model: Path, labeler: Labeler) -> None:
    clauses = segment(TEXT * 3)
    expected = restore(load_model(tiny_model)).predict_proba(clause_frame(clauses))
    np.testing.assert_allclose(labeler.probabilities(clauses), expected, atol=1e-5)
    assert labeler.probabilities(clauses).dtype == np.float64


def test_features_are_the_tf_idf_of_the_texts_alone(tiny_model: Path, labeler: Labeler) -> None:
    texts = ["We share photos with advertisers.", "", "Zebra?", "Our partners receive photos, photos."]
    indptr, indices, data = labeler.scorer.features(texts)
    found = csr_matrix((data, indices, indptr), shape=(4, len(labeler.model.blocks["words"].terms)))
    expected = restore(load_model(tiny_model)).features_.transform(as_frame(texts))
    np.testing.assert_allclose(found.toarray(), expected.toarray(), atol=1e-6)
    assert indptr.tolist()[1:3] == [indptr[1]] * 2, "a row of a text without a known word is empty"


def test_a_heading_is_named_without_the_rule_below_it(labeler: Labeler) -> None:
    policy = labeler.label("HOW WE SHARE\n------\n\nWe share names.\n\nUSE\n***\n\nWe use them.\n")
    assert {clause.heading for clause in policy.clauses if clause.kind == "sentence"} == {
        "HOW WE SHARE",
        "USE",
    }


def test_documents_are_labeled_together_as_apart(labeler: Labeler) -> None:
    documents = [parse_document(text) for text in (TEXT, "Privacy", TEXT * 3, "- photos\n- names")]
    parts = [(document, labeler.segment(document)) for document in documents]
    together = labeler.label_clauses([*parts, (documents[0], [])])
    assert [labels.policy() for labels in together[:-1]] == [labeler.label_document(d) for d in documents]
    assert together[-1].policy().clauses == ()


def test_records_and_frame_agree(labeler: Labeler) -> None:
    policy = labeler.label(TEXT)
    records, frame = policy.to_records(), policy.to_frame()
    assert list(records[0]) == [
        "doc", "index", "kind", "start", "end", "heading", "text", "primary", "labels", "scores",
        "needs_review",
    ]  # fmt: skip
    assert list(frame.columns) == [*list(records[0])[:-2], *CATEGORIES, "needs_review"]
    assert len(frame) == len(records) == 3
    assert frame["text"].tolist() == [record["text"] for record in records]
    assert frame["labels"].tolist() == [record["labels"] for record in records]
    np.testing.assert_allclose(frame[list(CATEGORIES)], [list(r["scores"].values()) for r in records])


def test_other_languages_are_refused_unless_asked_for(labeler: Labeler) -> None:
    with pytest.raises(
        LanguageError, match=r"de\.txt: is not in English but, it seems, 'de'.*--any-language"
    ):
        labeler.label(GERMAN * 2, name="de.txt")
    assert labeler.label(GERMAN * 2, any_language=True).clauses


def test_english_with_some_other_words_is_english(labeler: Labeler) -> None:
    english = (
        "We keep your name and the address that you gave to us, and we do not share it with others. " * 6
    )
    assert labeler.label(english + GERMAN).clauses


def test_what_holds_no_text_is_refused(labeler: Labeler) -> None:
    for source in ("", " \n", b"", "<html><body></body></html>"):
        with pytest.raises(InputError):
            labeler.label(source)


def test_one_word_is_a_policy_too(labeler: Labeler) -> None:
    (clause,) = labeler.label("Privacy").clauses
    assert clause.text == "Privacy"


def test_hostile_text_is_only_text(labeler: Labeler) -> None:
    for text in (
        "w" * 20_000,
        "\u202eevil\u202c " * 50,
        "'; DROP TABLE x;-- ok",
        "=1+1",
        "𝕬" * 300,
        "a\u0301" * 500,
    ):
        policy = labeler.label(text, any_language=True)
        assert "".join(c.text for c in policy.clauses).replace(" ", "") in text.replace(" ", "")


def test_the_model_is_found_by_folder_or_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("clausemark.predict._SHIPPED", (tmp_path / "none",))
    with pytest.raises(ModelError, match="that ships is missing"):
        Labeler.load()
    monkeypatch.setitem(__import__("sys").modules, "clausemark.tracking", None)
    with pytest.raises(MissingExtraError, match=r"clausemark\[train\]"):
        Labeler.load("models:/clausemark@champion")


def test_the_package_offers_its_names_on_demand() -> None:
    assert clausemark.Labeler is Labeler
    assert set(clausemark.__all__) >= {"Labeler", "ClauseClassifier", "__version__"}
    with pytest.raises(AttributeError, match="no_such"):
        clausemark.no_such  # noqa: B018
