"""The corpus beside real policies; tiny policies stand in for the real ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clausemark import reference
from clausemark.corpus import AnnotatedClause, Policy
from clausemark.errors import CorpusError, InputError
from clausemark.reference import learning_order, measure, profile, read_measured, write_measured
from clausemark.taxonomy import CATEGORIES
from tiny import WORDS, tiny_policies

FAST = {"weights": WORDS, "folds": 2}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of OPP-115 with the published split."""
    segments = [replace(p, metadata={**p.metadata, "unit": "segment"}) for p in tiny_policies("test")]
    monkeypatch.setattr(reference, "import_opp115", lambda root, unit: (tiny_policies("test"), []))
    monkeypatch.setattr(reference, "import_mousavi", lambda path: (segments, []))
    (tmp_path / "split").mkdir()
    (tmp_path / "split" / "validation_dataset.csv").touch()
    return tmp_path


def test_the_curve_grows_to_the_whole_corpus(copy: Path) -> None:
    policies = tiny_policies("train", 6)
    said: list[str] = []
    found = measure(policies, copy, parameters=FAST, sizes=(3, 6, 100), progress=said.append)
    assert [(point["policies"], point["clauses"]) for point in found["curve"]] == [(3, 75), (6, 150)]
    assert found["reference"] == {"policies": 4, "sentences": 96, "headings": 100, "segments": 100}
    assert found["curve"][-1]["sentences"]["top1_accuracy"] > 0.9
    assert set(found["curve"][-1]["segments"]) == {
        "top1_accuracy", "precision_at_1", "micro_f1", "macro_f1", "intervals",
    }  # fmt: skip
    assert found["corpus"]["policies"] == 6
    assert said[1:3] == ["training on 3 policies", "training on 6 policies"]


def test_real_policies_are_learnt_from_beside_the_corpus_but_for_those_held_out(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = [replace(p, metadata={**p.metadata, "source": "real"}) for p in tiny_policies("test", 10)]
    monkeypatch.setattr(reference, "import_opp115", lambda root, unit: (real, []))
    monkeypatch.setattr(reference, "REAL_SIZES", (3, 50))
    trained: list[tuple[int, object]] = []
    train = reference.train

    def spy(policies: Sequence[Policy], parameters: Any) -> Any:
        trained.append((len(policies), parameters.get("corpora")))
        return train(policies, parameters)

    monkeypatch.setattr(reference, "train", spy)
    found = measure(tiny_policies("train"), copy, parameters=FAST, sizes=())["joint"]
    assert [(point["policies"], point["clauses"]) for point in found] == [(0, 0), (3, 75), (8, 200)]
    assert trained == [(4, None), (7, {"written": {"context": 0}}), (12, {"written": {"context": 0}})]
    assert found[-1]["headings"]["top1_accuracy"] > 0.9


def test_figures_only_are_kept_and_always_the_same(copy: Path) -> None:
    policies = tiny_policies("train")
    found = measure(policies, copy, parameters=FAST, sizes=())
    assert found == measure(policies[::-1], copy, parameters=FAST, sizes=())
    written = json.dumps(found)
    assert not [c.text for p in tiny_policies("test") for c in p.clauses[1:] if c.text in written]


def test_without_the_split_there_are_no_segments(copy: Path) -> None:
    (copy / "split" / "validation_dataset.csv").unlink()
    found = measure(tiny_policies("train"), copy, parameters=FAST, sizes=())
    assert "segments" not in found["reference"]
    assert "segments" not in found["curve"][0]


def test_shared_runs_are_counted(copy: Path) -> None:
    policies = tiny_policies("train")
    taken = " ".join(clause.text for clause in tiny_policies("test")[0].clauses[-4:])
    lengthened = replace(
        policies[0], clauses=(*policies[0].clauses, AnnotatedClause(taken, "sentence", 99, CATEGORIES[:1]))
    )
    found = measure([lengthened, *policies[1:]], copy, parameters=FAST, sizes=())
    before = measure(policies, copy, parameters=FAST, sizes=())
    assert found["originality"]["clauses"] == before["originality"]["clauses"] + 1
    assert found["originality"]["share"] == round(found["originality"]["clauses"] / 101, 6)


def test_a_point_needs_two_policies_and_a_reference_is_a_copy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        measure(tiny_policies("train"), tmp_path, sizes=(1,))
    with pytest.raises(CorpusError, match="not a copy of OPP-115"):
        measure(tiny_policies("train"), tmp_path)


def test_the_order_is_one_for_all_and_survives_growth() -> None:
    def order(policies: Sequence[Policy]) -> list[str]:
        return [policy.id for policy in learning_order(policies)]

    many = tiny_policies("train", 12)
    assert order(many) == order(many[::-1]) != [policy.id for policy in many]
    assert order(many[:6]) == [name for name in order(many) if name in {p.id for p in many[:6]}]


def test_a_profile_is_made_of_shares() -> None:
    clauses = [AnnotatedClause("Data we use", "heading", 0, CATEGORIES[9:10])]
    clauses += [AnnotatedClause("one " * n + "end", "sentence", 1, CATEGORIES[:2]) for n in range(3)]
    clauses += [AnnotatedClause("three whole words", "item", 1, ())]
    found = profile([Policy("a", tuple(clauses), {})])
    assert found["clauses"] == 5
    assert found["words"] == {"mean": 2.4, "deciles": [1, 1, 2, 2, 3, 3, 3, 3, 3]}
    assert found["kinds"] == {"heading": 0.2, "sentence": 0.6, "item": 0.2}
    assert [found["labels"][CATEGORIES[k]] for k in (0, 1, 9)] == [1.0, 1.0, 0.0]
    with pytest.raises(CorpusError, match="has a label"):
        profile([Policy("a", tuple(clauses[:1]), {})])


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found: dict[str, Any] = {"schema": "clausemark-measured/1", "curve": []}
    write_measured(found, tmp_path / "new" / "measured.json")
    assert read_measured(tmp_path / "new" / "measured.json") == found


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other"}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "measured.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="corpus measure"):
        read_measured(tmp_path / "measured.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_measured(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be written"):
        write_measured({}, tmp_path)
