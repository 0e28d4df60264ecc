"""The commands of those who retrain: train, evaluate, corpus."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clausemark.cli import main
from clausemark.corpus import write_policy
from clausemark.taxonomy import CATEGORIES
from tiny import tiny_policies

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for policy in [*tiny_policies("train"), *tiny_policies("test", 2)]:
        write_policy(policy, folder / f"{policy.id}.jsonl")
    return folder


def test_train_saves_a_model_that_evaluate_measures(run: Run, corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    code, _, err = run(
        "train", "--corpus", corpus, "--split", "train", "--model", model, "--set", "folds=2", "--no-track"
    )
    assert code == 0, err
    assert "top1_accuracy" in err
    assert json.loads((model / "model.json").read_text())["parameters"]["folds"] == 2
    code, out, _ = run("evaluate", "--model", model, "--corpus", corpus, "--split", "test", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["n"] == sum(len(p.clauses) for p in tiny_policies("test", 2))
    headlines = {"top1_accuracy", "micro_f1", "macro_f1", "exact_match", "expected_calibration_error"}
    assert headlines <= set(found) & set(found["intervals"])
    assert set(found["per_label"]) == set(CATEGORIES)
    assert set(found["per_label"][CATEGORIES[0]]) == {"precision", "recall", "f1", "support"}


def test_evaluate_compares_with_a_baseline(run: Run, corpus: Path, tiny_model: Path) -> None:
    code, out, _ = run(
        "evaluate", "--model", tiny_model, "--baseline", tiny_model, "--corpus", corpus, "--json"
    )
    assert code == 0
    assert json.loads(out)["comparison"]["differences"]["micro_f1"] == 0
    assert run("evaluate", "--model", tiny_model, "--baseline", tiny_model, "--corpus", corpus)[0] == 0


def test_parameters_come_from_a_file_and_single_ones_over_it(run: Run, corpus: Path, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text("train:\n  folds: 2\n  C: 0.5\n  weights: {words: 0.1}\n")
    code, _, err = run(
        "train", "--corpus", corpus, "--model", tmp_path / "model", "--params", params, "--no-track",
        "--set", "C=2", "--set", "weights.chars=0",
    )  # fmt: skip
    assert code == 0, err
    parameters = json.loads((tmp_path / "model" / "model.json").read_text())["parameters"]
    assert (parameters["C"], parameters["folds"]) == (2, 2)
    assert parameters["weights"] == {"words": 0.1, "chars": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "c=1"), "no parameter 'c'"),
        (("--set", "C"), "NAME=VALUE"),
        (("--params", "missing.yaml"), "missing.yaml: cannot be read"),
    ],
)
def test_bad_parameters_are_one_line_and_exit_code_2(
    run: Run, corpus: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, _, err = run("train", "--corpus", corpus, "--model", tmp_path / "m", "--no-track", *arguments)
    assert code == 2
    assert message in err.splitlines()[-1]
    assert not (tmp_path / "m").exists()


def test_corpus_import_validate_and_stats(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "003-shop.tsv"
    source.write_text("# name: Shop\n# year: 2012\nH\tIG\tPrivacy\n\nS\tFPC|TPS\tWe collect and share.\n")
    code, out, _ = run("corpus", "import", source, "--out", tmp_path / "corpus")
    assert (code, "1 policies, 2 clauses" in out) == (0, True)
    assert run("corpus", "validate", tmp_path / "corpus")[0] == 0
    code, out, _ = run("corpus", "stats", tmp_path / "corpus", "--json")
    assert json.loads(out)["categories"]["First Party Collection/Use"] == {"primary": 1, "any": 1}


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (3, {"labels": ["Cookies"]}, "Cookies"),
        (3, {"labels": []}, "no category"),
        (3, {"id": 0}, "id"),
        (2, {"text": " "}, "text"),
    ],
)
def test_a_bad_corpus_line_is_named(
    run: Run, corpus: Path, tmp_path: Path, line: int, change: dict[str, object], message: str
) -> None:
    good = min(corpus.glob("*.jsonl"))
    bad = tmp_path / good.name
    rows = [json.loads(row) for row in good.read_text().splitlines()]
    rows[line - 1] |= change
    bad.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = run("corpus", "validate", bad)
    assert code == 2
    assert f"{bad}:{line}:" in err
    assert message in err
    code, _, err = run("train", "--corpus", bad, "--model", tmp_path / "m", "--no-track")
    assert code == 2
    assert f"{bad}:{line}:" in err


def test_two_policies_of_one_id_are_refused(run: Run, corpus: Path, tmp_path: Path) -> None:
    good = min(corpus.glob("*.jsonl"))
    (tmp_path / good.name).write_bytes(good.read_bytes())
    code, _, err = run("corpus", "validate", corpus, tmp_path)
    assert code == 2
    assert good.stem in err
