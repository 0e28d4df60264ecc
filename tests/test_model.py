"""The model folder: the same bytes, the same labels, and nothing that was tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from clausemark.errors import ModelError
from clausemark.model import FORMAT, load_model, save_model
from clausemark.predict import Labeler
from tiny import tiny_model as train_tiny
from tiny import tiny_policies

FILES = ("README.md", "idf.npy", "model.json", "vocabulary.json", "weights.npy")
CLAUSES = ["We share photos with advertisers.", "You may correct or delete your emails.", "Hello."]


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A model folder to spoil."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def test_a_model_is_arrays_and_json(tiny_model: Path) -> None:
    assert sorted(path.name for path in tiny_model.iterdir()) == sorted(FILES)
    for path in tiny_model.glob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype == np.float32
    info = json.loads((tiny_model / "model.json").read_text(encoding="utf-8"))
    assert info["format"] == FORMAT
    assert len(info["thresholds"]) == len(info["categories"]) == 12
    assert info["corpus"]["policies"] == 4
    assert "Not legal advice" in (tiny_model / "README.md").read_text(encoding="utf-8")


def test_training_twice_gives_the_same_bytes(tiny_model: Path, tmp_path: Path) -> None:
    train_tiny(tmp_path / "again", tiny_policies("train"), folds=2)
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_model / name).read_bytes(), name


def test_what_is_loaded_scores_as_what_was_saved(tmp_path: Path) -> None:
    classifier = train_tiny(tmp_path / "model", tiny_policies("train"), folds=2)
    model = load_model(tmp_path / "model")
    np.testing.assert_allclose(
        model.classifier.predict_proba(CLAUSES), classifier.predict_proba(CLAUSES), atol=1e-4
    )
    assert model.digest == model.info["digest"]
    assert len(model.digest) == 64


def test_saving_a_loaded_model_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model)
    save_model(
        model.classifier, tmp_path / "again", corpus=model.info["corpus"], metrics=model.info["metrics"]
    )
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (tiny_model / name).read_bytes(), name


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
        ({"parameters": {"no_such": 1}}, "do not fit one another"),
        ({"parameters": {}}, "do not fit one another"),
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
    classifier = load_model(tiny_model).classifier
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
