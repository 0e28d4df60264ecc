"""The model folder: the same bytes, the same labels, and nothing that was tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from clausemark.classifier import ClauseClassifier
from clausemark.clauses import segment
from clausemark.context import combine, surroundings
from clausemark.errors import ModelError
from clausemark.features import clause_frame
from clausemark.model import FORMAT, Model, as_model, load_model, restore, save_model
from clausemark.predict import Labeler
from tiny import tiny_model as train_tiny
from tiny import tiny_policies

FILES = ("README.md", "idf.npy", "maps.npy", "model.json", "vocabulary.json", "weights.npy")
CLAUSES = ["We share photos with advertisers.", "You may correct or delete your emails.", "Hello."]


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def test_a_model_is_arrays_and_json(tiny_model: Path) -> None:
    assert sorted(path.name for path in tiny_model.iterdir()) == sorted(FILES)
    arrays = {path.name: np.load(path, allow_pickle=False) for path in tiny_model.glob("*.npy")}
    assert {name: array.dtype.name for name, array in arrays.items()} == {
        "idf.npy": "float32", "maps.npy": "float32", "weights.npy": "float16",
    }  # fmt: skip
    vocabulary = json.loads((tiny_model / "vocabulary.json").read_text(encoding="utf-8"))
    assert list(vocabulary) == ["words"]
    assert len(arrays["idf.npy"]) == len(arrays["weights.npy"]) == len(vocabulary["words"])
    info = json.loads((tiny_model / "model.json").read_text(encoding="utf-8"))
    assert info["format"] == FORMAT
    assert len(info["thresholds"]) == len(info["categories"]) == 12
    assert info["corpus"]["policies"] == 4
    assert "Not legal advice" in (tiny_model / "README.md").read_text(encoding="utf-8")


def test_training_twice_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    train_tiny(tmp_path / "again", tiny_policies("train"), folds=2)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_model / name).read_bytes(), name


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClauseClassifier, Path]:
    """A classifier with both blocks, and the folder that it was saved in."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    return train_tiny(folder, tiny_policies("train"), folds=2, weights={"chars": 0.5}), folder


def assert_same(one: Model, other: Model) -> None:
    for name in ("intercepts", "alone", "context"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert list(one.blocks) == list(other.blocks)
    for name, block in one.blocks.items():
        assert (block.terms, block.longest, block.scale) == (
            other.blocks[name].terms, other.blocks[name].longest, other.blocks[name].scale,
        )  # fmt: skip
        np.testing.assert_array_equal(block.idf, other.blocks[name].idf)
        np.testing.assert_array_equal(block.weights, other.blocks[name].weights)


def test_what_is_loaded_is_what_was_saved(trained: tuple[ClauseClassifier, Path]) -> None:
    classifier, folder = trained
    model = load_model(folder)
    assert_same(model, as_model(classifier))
    np.testing.assert_allclose(model.thresholds, classifier.thresholds_, atol=1e-6)
    assert model.digest == model.info["digest"]
    assert len(model.digest) == 64


def test_the_arrays_are_those_of_the_two_stages(trained: tuple[ClauseClassifier, Path]) -> None:
    classifier, folder = trained
    model = load_model(folder)
    assert list(model.blocks) == ["words", "chars"]
    words, chars = model.blocks.values()
    assert (words.longest, words.scale, chars.longest, chars.scale) == (2, 1.0, 5, 0.5)
    assert {"share", "advertisers", "opt out"} <= set(words.terms)
    assert " sha" in chars.terms
    assert words.weights.shape == (len(words.terms), 36), "says, is primary, announces"
    clauses = segment(" ".join(CLAUSES))
    features = classifier.features_.transform(clause_frame(clauses))
    scores = features @ np.vstack([words.weights, chars.weights]) + model.intercepts
    found = combine(scores[:, :24], scores[:, 24:], surroundings(clauses), model.alone, model.context)
    np.testing.assert_allclose(found, classifier.decision_function(clause_frame(clauses)), atol=1e-4)


def test_what_is_restored_scores_as_what_was_saved(trained: tuple[ClauseClassifier, Path]) -> None:
    classifier, folder = trained
    restored = restore(load_model(folder))
    frame = clause_frame(segment("Privacy\n\n" + " ".join(CLAUSES)))
    for X in (CLAUSES, frame):
        np.testing.assert_allclose(
            restored.decision_function(X), classifier.decision_function(X), rtol=1e-5, atol=1e-5
        )
        np.testing.assert_array_equal(restored.predict(X), classifier.predict(X))
    assert restored.get_params() == classifier.get_params()
    assert not hasattr(restored, "out_of_fold_")


def test_restoring_and_taking_the_arrays_is_going_there_and_back(
    trained: tuple[ClauseClassifier, Path],
) -> None:
    model = load_model(trained[1])
    assert_same(as_model(restore(model)), model)


def test_saving_a_restored_model_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model)
    save_model(restore(model), tmp_path / "again", corpus=model.info["corpus"], metrics=model.info["metrics"])
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_model / name).read_bytes(), name


def test_a_model_in_memory_labels_as_the_saved_one(trained: tuple[ClauseClassifier, Path]) -> None:
    classifier, folder = trained
    one = Labeler(as_model(classifier)).label(" ".join(CLAUSES))
    two = Labeler.load(folder).label(" ".join(CLAUSES))
    assert [c.labels for c in one.clauses] == [c.labels for c in two.clauses]


@pytest.mark.parametrize(
    "changes", [{"parameters": {"no_such": 1}}, {"blocks": {"footer": {"longest": 2, "scale": 1.0}}}]
)
def test_a_model_of_another_clausemark_is_refused(copy: Path, changes: dict[str, object]) -> None:
    rewrite(copy, **changes)
    with pytest.raises(ModelError):
        restore(load_model(copy))


def test_only_the_twelve_categories_are_saved(tmp_path: Path) -> None:
    classifier = ClauseClassifier(min_df=1, folds=2).fit(CLAUSES * 2, ["yes", "no", "no"] * 2)
    with pytest.raises(ModelError, match="only a classifier of the twelve categories"):
        save_model(classifier, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_one_altered_byte_is_noticed(copy: Path, name: str, place: float) -> None:
    path = copy / name
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        load_model(copy)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_noticed(copy: Path, name: str) -> None:
    path = copy / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="truncated or altered"):
        load_model(copy)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="truncated or altered"):
        load_model(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        load_model(copy)


def rewrite(folder: Path, **changes: object) -> None:
    """Change model.json and sign it again, as a malicious or a later clausemark might."""
    from clausemark.model import _json, _sha

    info = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    info.pop("digest")
    info.update(changes)
    info["digest"] = _sha(_json(info))
    (folder / "model.json").write_bytes(_json(info))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "clausemark-model/99"}, "has format 'clausemark-model/99'"),
        ({"categories": ["Spam", "Ham"]}, "other categories"),
        ({"files": {}}, "truncated or altered"),
        ({"files": {"../../etc/passwd": "0"}}, "truncated or altered"),
        ({"blocks": {}}, "do not fit one another"),
        ({"blocks": {"chars": {"terms": 1, "longest": 5, "scale": 1.0}}}, "do not fit one another"),
        ({"blocks": {"words": {"terms": 1}}}, "do not fit one another"),
        ({"thresholds": ["high"] * 12}, "do not fit one another"),
        ({"thresholds": None}, "do not fit one another"),
        ({"thresholds": [0.5] * 11}, "do not fit one another"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(copy: Path, changes: dict[str, object], message: str) -> None:
    rewrite(copy, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(copy)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"format": 1}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_model_is_refused(copy: Path, content: bytes) -> None:
    (copy / "model.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.json"):
        load_model(copy)


def test_no_model_at_all_is_said_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(ModelError, match="no model here"):
            Labeler.load(folder)


def test_a_folder_with_other_things_in_it_is_not_written_over(tiny_model: Path, tmp_path: Path) -> None:
    classifier = restore(load_model(tiny_model))
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(ModelError, match="not empty"):
        save_model(classifier, tmp_path)
    with pytest.raises(ModelError, match="not empty"):
        save_model(classifier, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_pickle_in_place_of_an_array_is_never_opened(copy: Path, tmp_path: Path) -> None:
    import pickle

    from clausemark.model import _sha

    class Bomb:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "boom",))

    (copy / "idf.npy").write_bytes(pickle.dumps(Bomb()))
    info = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    rewrite(copy, files={**info["files"], "idf.npy": _sha((copy / "idf.npy").read_bytes())})
    with pytest.raises(ModelError):
        load_model(copy)
    assert not (tmp_path / "boom").exists()
