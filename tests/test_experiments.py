"""Experiments: small YAML files over params.yaml, compared in one table that is generated."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest

from clausemark.classifier import ClauseClassifier
from clausemark.errors import InputError
from clausemark.experiments import Result, merge, read_experiments, run_experiments, write_results
from clausemark.parameters import read_parameters
from clausemark.training import train
from tiny import BLIND, WORDS, tiny_policies

ROOT = Path(__file__).parents[1]
PARAMETERS = {"weights": WORDS, "min_df": 1}


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    folder = tmp_path_factory.mktemp("experiments")
    write(folder, "1.yaml", f"name: blind\ndescription: reads nothing\nset: {json.dumps(BLIND)}")
    write(folder, "2.yaml", "name: as it is\ndescription: words | all\nset: {}")
    write(folder, "3.yaml", "name: half\ndescription: cut at 0.5\nset: {thresholds: half}")
    return run_experiments(read_experiments(folder), tiny_policies("train"), PARAMETERS, jobs=2)


def test_a_change_of_one_weight_leaves_the_others() -> None:
    parameters = {"C": 1, "weights": {"words": 1.0, "chars": 1.0}}
    assert merge(parameters, {"weights": {"chars": 0}}) == {"C": 1, "weights": {"words": 1.0, "chars": 0}}
    assert parameters["weights"] == {"words": 1.0, "chars": 1.0}


def test_a_change_makes_a_mapping_where_there_is_none() -> None:
    assert merge({"weights": None}, {"weights": {"chars": 0}}) == {"weights": {"chars": 0}}


def test_experiments_are_read_in_order_of_their_files(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write(tmp_path, f"{name}.yaml", f"name: {name}\ndescription: it\nset: {{C: 1}}")
    assert [experiment.name for experiment in read_experiments(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\ndescription: [", r"a\.yaml:2: is not YAML"),
        ("name: a\nset: {}", r"a\.yaml: an experiment has exactly name, description, set"),
        ("name: a\ndescription: b\nset: [C]", r"a\.yaml: .*set is names and values"),
    ],
)
def test_what_is_no_experiment_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_experiments(write(tmp_path, "a.yaml", text))


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, f"{name}.yaml", "name: twin\ndescription: it\nset: {}")
    with pytest.raises(InputError, match=r"b\.yaml: name 'twin' is that of .*a\.yaml"):
        read_experiments(tmp_path)


def test_a_folder_without_experiments_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no experiments"):
        read_experiments(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [("{c: 1}", "there is no parameter 'c'"), ("{weights: {char: 0}}", "unknown block of features")],
)
def test_a_wrong_parameter_is_named_before_anything_runs(tmp_path: Path, changes: str, message: str) -> None:
    write(tmp_path, "a.yaml", "name: a\ndescription: good\nset: {}")
    write(tmp_path, "b.yaml", f"name: b\ndescription: bad\nset: {changes}")
    ran: list[Any] = []
    with pytest.raises(InputError, match=rf"b\.yaml: {message}"):
        run_experiments(read_experiments(tmp_path), tiny_policies("train"), PARAMETERS, progress=ran.append)
    assert not ran


def test_the_others_are_compared_with_the_experiment_that_changes_nothing(results: list[Result]) -> None:
    assert [result.against is None for result in results] == [False, True, False]
    blind, reference, _ = results
    assert blind.against is not None
    assert blind.against.intervals["micro_f1"][1] < 0
    difference = blind.evaluation.figures["micro_f1"] - reference.evaluation.figures["micro_f1"]
    assert blind.against.differences["micro_f1"] == pytest.approx(difference)


def test_only_what_an_experiment_changes_differs(results: list[Result]) -> None:
    _, reference, half = results
    assert half.features == reference.features
    assert half.parameters == {**reference.parameters, "thresholds": "half"}
    assert half.evaluation.figures["top1_accuracy"] == reference.evaluation.figures["top1_accuracy"]


def test_the_features_of_an_experiment_are_counted(results: list[Result]) -> None:
    blind, reference, _ = results
    assert blind.features == 1
    assert reference.features == train(tiny_policies("train"), PARAMETERS).says_.coef_.shape[1]


def test_the_number_of_jobs_does_not_change_a_result(results: list[Result]) -> None:
    found = run_experiments([results[1].experiment], tiny_policies("train"), PARAMETERS, jobs=1)
    assert found[0].evaluation.to_dict() == results[1].evaluation.to_dict()


def test_the_table_has_a_row_an_experiment_and_is_always_the_same(
    results: list[Result], tmp_path: Path
) -> None:
    policies = tiny_policies("train")
    table = write_results(results, policies, tmp_path)
    assert table == (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    rows = [line.replace("\\|", "") for line in table.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0] for row in rows[1:]] == ["| blind", "| as it is", "| half"]
    assert len({row.count("|") for row in rows}) == 1
    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert content["corpus"]["policies"] == 4
    assert [record["against"] is None for record in content["experiments"]] == [False, True, False]
    first = (tmp_path / "results.json").read_bytes()
    write_results(results, policies, tmp_path)
    assert (tmp_path / "results.json").read_bytes() == first


# Those of the repository ---------------------------------------------------------------------------


def test_params_yaml_names_every_parameter_of_the_model() -> None:
    written = read_parameters(ROOT / "params.yaml")
    # How many folds run at a time is the machine's matter, not the model's.
    assert set(written) == set(inspect.signature(ClauseClassifier).parameters) - {"n_jobs"}


def test_the_experiments_of_the_repository_fit_its_parameters() -> None:
    experiments = read_experiments(ROOT / "experiments")
    parameters = read_parameters(ROOT / "params.yaml")
    for experiment in experiments:
        changed = merge(parameters, experiment.changes)
        assert set(changed) == set(parameters), experiment.name
        assert set(changed["weights"]) == set(parameters["weights"]), experiment.name
        assert (changed == parameters) == (not experiment.changes), f"{experiment.name} changes nothing"
