"""Tracking: a training leaves a complete run, and a model becomes champion only by beating the champion."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import clausemark
from clausemark import Labeler, __version__
from clausemark.corpus import Policy, digest
from clausemark.errors import ClausemarkError, CorpusError, InputError, MissingExtraError, ModelError
from clausemark.model import load_model, restore
from clausemark.taxonomy import CODES
from clausemark.tracking import Registration, download_model, register, track
from tiny import BLIND, WORDS, tiny_model, tiny_policies, write_tiny_corpus

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.slow

TEXT = "We share cookies with advertisers. You can opt out of emails at any time."


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An MLflow store of its own; making one takes seconds, so the module shares it."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run(store: Path) -> Any:
    """One tracked training."""
    policies = tiny_policies("train")
    classifier = tiny_model(store / "model", policies, C=0.7)
    name = track(store / "model", classifier, policies, experiment="shop")
    return mlflow.MlflowClient().get_run(name)


def tracked(folder: Path, policies: list[Policy] | None = None, **parameters: Any) -> Path:
    """Train and track; without the pictures, which take the most time."""
    policies = policies or tiny_policies("train")
    classifier = tiny_model(folder, policies, **parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("clausemark.tracking.draw_evaluation", lambda *arguments: None)
        track(folder, classifier, policies)
    return folder


def versions(name: str) -> int:
    return len(mlflow.MlflowClient().search_model_versions(f"name = '{name}'"))


def aliases(name: str) -> dict[str, int]:
    found = mlflow.MlflowClient().get_registered_model(name).aliases
    return {alias: int(version) for alias, version in found.items()}


# What a run holds ----------------------------------------------------------------------------------


def test_a_run_is_in_the_experiment_that_was_named(run: Any) -> None:
    assert mlflow.get_experiment(run.info.experiment_id).name == "shop"
    assert run.info.status == "FINISHED"


def test_a_run_holds_every_parameter_and_the_weight_of_every_block(run: Any) -> None:
    parameters = run.data.params
    assert parameters["C"] == "0.7"
    assert parameters["folds"] == "5"
    assert float(parameters["weights.words"]) == 1
    assert float(parameters["weights.chars"]) == 0


def test_a_run_holds_headline_figures_with_intervals_and_those_of_each_category(run: Any) -> None:
    metrics = run.data.metrics
    for name in ("top1_accuracy", "micro_f1", "macro_f1", "exact_match", "expected_calibration_error"):
        assert metrics[f"{name}_low"] <= metrics[name] <= metrics[f"{name}_high"]
    for code in CODES:
        assert {f"{figure}/{code}" for figure in ("precision", "recall", "f1", "support")} <= set(metrics)
    assert metrics["n"] == sum(len(policy.clauses) for policy in tiny_policies("train"))


def test_a_run_holds_pictures_of_thresholds_calibration_and_confusion(run: Any) -> None:
    pictures = {item.path for item in mlflow.MlflowClient().list_artifacts(run.info.run_id, "plots")}
    assert {f"plots/{name}.png" for name in ("thresholds", "calibration", "confusion")} <= pictures


def test_a_run_holds_its_evaluation_as_a_page(run: Any) -> None:
    page = mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/scorecard.html")
    assert page.startswith("<!doctype html>")
    assert f"{run.data.metrics['micro_f1']:.3f}" in page


def test_a_run_names_its_corpus_by_digest_and_counts(run: Any) -> None:
    known = digest(tiny_policies("train"))
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.digest == known[:36]
    assert '"num_rows": 100' in used.dataset.profile
    assert run.data.tags["clausemark.corpus"] == known


def test_a_run_names_the_code_that_trained(run: Any) -> None:
    assert run.data.tags["clausemark.version"] == __version__
    if (Path(clausemark.__file__).parents[2] / ".git").exists():
        commit = run.data.tags["mlflow.source.git.commit"]
        assert len(commit) == 40
        assert run.data.tags["clausemark.commit"] in (commit, f"{commit}-dirty")


def test_the_model_of_a_run_has_a_signature_and_an_example(store: Path, run: Any) -> None:
    model = mlflow.models.get_model_info(f"runs:/{run.info.run_id}/clausemark")
    assert [str(column.type) for column in model.signature.inputs] == ["DataType.string"]
    (row,) = model.signature.outputs
    record, *_ = Labeler.load(store / "model").label(TEXT).to_records()
    assert {column.name for column in row.type.properties} == set(record)
    assert model.saved_input_example_info is not None


def test_the_model_of_a_run_is_code_arrays_and_text_without_pickle(run: Any) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/clausemark"))
    # __pycache__ is Python's own and appears beside the code once somebody loads the model.
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    assert {path.suffix for path in files} <= {"", ".json", ".md", ".npy", ".py", ".txt", ".yaml"}
    for path in files:
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)  # raises where there is an object in it
        else:
            path.read_text(encoding="utf-8")  # and a pickle is no text


def test_policies_that_the_model_did_not_learn_from_are_refused(store: Path, run: Any) -> None:
    policies = tiny_policies("train")
    classifier = restore(load_model(store / "model"))
    with pytest.raises(InputError, match="not trained on these policies"):
        track(store / "model", classifier, policies[1:])


def test_an_error_of_mlflow_is_one_line(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "carrier-pigeon://loft")
    with pytest.raises(ClausemarkError, match=r"^MLflow: [^\n]*$"):
        tracked(store / "pigeon")


def test_without_mlflow_the_extra_is_named(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"clausemark\[train\]"):
        download_model("models:/clausemark@champion")


# The registry --------------------------------------------------------------------------------------


def test_a_model_becomes_champion_only_by_beating_the_champion(store: Path) -> None:
    tests = tiny_policies("test")
    blind, words = tracked(store / "blind", **BLIND), tracked(store / "words")

    first = register(blind, tests, name="race")
    assert first == Registration("race", 1, "champion", "there was no champion to beat")

    second = register(words, tests, name="race")
    assert (second.version, second.alias) == (2, "champion")
    assert "on 4 test policies: better than the champion (version 1)" in second.reason
    assert aliases("race") == {"champion": 2}

    third = register(tracked(store / "blind2", **BLIND, C=0.2), tests, name="race")
    assert (third.version, third.alias) == (3, "challenger")
    assert "not surely better" in third.reason
    assert aliases("race") == {"champion": 2, "challenger": 3}

    again = register(words, tests, name="race")
    assert (again.version, again.alias) == (2, "champion")
    assert versions("race") == 3

    measured = mlflow.get_run(mlflow.MlflowClient().get_model_version("race", "2").run_id).data.metrics
    assert measured["test/n"] == sum(len(policy.clauses) for policy in tests)
    assert 0 < measured["test/micro_f1"] <= 1

    champion = Labeler.load("models:/race@champion")
    assert champion.model.digest == load_model(words).digest
    assert champion.label(TEXT).to_records() == Labeler.load(words).label(TEXT).to_records()


def test_a_challenger_that_wins_later_is_no_challenger_any_more(store: Path) -> None:
    tests = tiny_policies("test")
    words, blind = tracked(store / "w"), tracked(store / "b", **BLIND)
    register(words, tests, name="rematch")
    assert register(blind, tests, name="rematch").alias == "challenger"
    mlflow.MlflowClient().delete_registered_model_alias("rematch", "champion")
    assert register(blind, tests, name="rematch").alias == "champion"
    assert aliases("rematch") == {"champion": 2}


def test_a_model_that_has_seen_test_policies_is_not_judged_by_them(store: Path) -> None:
    tracked(store / "seen", tiny_policies("train") + tiny_policies("test", 2))
    with pytest.raises(InputError, match="has seen 2 test policies"):
        register(store / "seen", tiny_policies("test"), name="seen")


def test_a_model_that_was_not_tracked_is_not_registered(store: Path) -> None:
    tiny_model(store / "untracked", tiny_policies("train"), C=3.0)
    with pytest.raises(InputError, match="no run of this MLflow store made this model"):
        register(store / "untracked", tiny_policies("test"))


def test_without_test_policies_nothing_is_registered(store: Path) -> None:
    tiny_model(store / "untested", tiny_policies("train"))
    with pytest.raises(CorpusError, match="none of the 4 policies is a test policy"):
        register(store / "untested", tiny_policies("train"))


def test_a_model_that_does_not_exist_is_named(store: Path, run: Any) -> None:
    with pytest.raises(ModelError, match="models:/nobody@champion: cannot be fetched"):
        Labeler.load("models:/nobody@champion")


def test_a_lookup_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(ModelError, match=r"there is no MLflow store .*none\.db"):
        Labeler.load("models:/clausemark@champion")
    assert not list(tmp_path.iterdir())


# By default ----------------------------------------------------------------------------------------


def test_the_command_tracks_in_the_current_folder_and_says_little(tmp_path: Path) -> None:
    write_tiny_corpus(tmp_path / "corpus")
    settings = [f"--set=weights.{block}={weight}" for block, weight in WORDS.items()]
    command = [
        sys.executable,
        "-m",
        "clausemark",
        "train",
        "--corpus",
        "corpus",
        "--model",
        "model",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW")}
    done = subprocess.run(
        [*command, *settings], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mlflow.db").is_file()
    assert (tmp_path / "mlruns").is_dir()
    assert "MLflow run " in done.stderr
    assert "INFO" not in done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
