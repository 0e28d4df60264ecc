"""The pipeline: DVC makes tables, candidate, figures, report and the model that ships from the corpus."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clausemark.agreement import SecondAnnotation, write_second
from clausemark.corpus import digest, read_corpus, read_policy, statistics
from clausemark.errors import CorpusError
from clausemark.model import load_model
from clausemark.pipeline import prepare
from clausemark.taxonomy import CATEGORIES
from tiny import tiny_policies, write_tiny_corpus

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


# The stages that are functions ---------------------------------------------------------------------


def test_prepared_tables_keep_their_types(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    corpus = write_tiny_corpus(tmp_path / "corpus")
    prepare(corpus, tmp_path / "prepared")
    for split in ("train", "test"):
        rows = datasets.Dataset.from_parquet(
            str(tmp_path / "prepared" / f"{split}.parquet"), cache_dir=str(tmp_path / "cache")
        )
        assert set(rows["policy"]) == {policy.id for policy in tiny_policies(split)}
        assert rows.features["primary"].names == list(CATEGORIES)
    counts = json.loads((tmp_path / "prepared" / "statistics.json").read_text(encoding="utf-8"))
    assert counts == json.loads(json.dumps(statistics(read_corpus(corpus))))


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    corpus = write_tiny_corpus(tmp_path / "corpus")
    first, second = prepare(corpus, tmp_path / "a"), prepare(corpus, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_broken_corpus_is_not_prepared(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        prepare(tmp_path / "nothing", tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


# dvc.yaml ------------------------------------------------------------------------------------------


def test_a_stage_depends_on_files_that_exist_or_are_made() -> None:
    made = {
        name
        for stage in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, ())
        for name in ([out] if isinstance(out, str) else out)
    }
    for name, stage in STAGES.items():
        for dependency in stage["deps"]:
            made_or_there = dependency in made or dependency == "data/corpus" or (ROOT / dependency).is_file()
            assert made_or_there, f"{name}: {dependency}"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the repository as it is now, with a tiny corpus."""
    pytest.importorskip("dvc")
    folder = tmp_path_factory.mktemp("clone") / "clausemark"
    # With the kernels that numba has compiled here: compiling them again takes half a minute.
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_tiny_corpus(folder / "data" / "corpus")
    shutil.copy(ROOT / "data" / "measured.json", folder / "data")
    policy = read_policy(min((folder / "data" / "corpus").glob("*.jsonl")))
    twice = [
        SecondAnnotation(policy.id, number, clause.labels, clause.labels)
        for number, clause in enumerate(policy.clauses)
    ]
    write_second(twice, folder / "data" / "second.jsonl")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        git(folder, *command)
    return folder


@pytest.fixture(scope="module")
def made(clone: Path) -> Path:
    """That clone after its first ``dvc repro``."""
    dvc(clone, "repro")
    return clone


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC as a user would, with nothing of the user's own."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DVC", "MLFLOW"))}
    environment |= {
        "HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "nobody",
        "GIT_AUTHOR_EMAIL": "nobody@example.com",
        "GIT_COMMITTER_NAME": "nobody",
        "GIT_COMMITTER_EMAIL": "nobody@example.com",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "PYTHONPATH": str(folder / "src"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_dvc_makes_everything_in_a_clone_without_a_remote(made: Path) -> None:
    policies = read_corpus(made / "data" / "corpus")
    shipped = load_model(made / "models" / "clausemark").info
    assert shipped["corpus"]["digest"] == digest(policies)
    candidate = load_model(made / "models" / "candidate").info
    assert candidate["corpus"]["digest"] == digest(tiny_policies("train"))
    assert candidate["parameters"] == shipped["parameters"]
    metrics = json.loads((made / "reports" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["policies"] == len(tiny_policies("test"))
    assert (made / "reports" / "plots" / "calibration.png").is_file()
    for name in ("README.md", "index.html"):
        assert "which it has not seen" in (made / "reports" / name).read_text(encoding="utf-8")
    # What DVC keeps in its cache is not left for git to pick up.
    untracked = git(made, "status", "--porcelain", "--untracked-files=all")
    assert "models/candidate/" not in untracked
    assert "data/prepared/" not in untracked
    assert "models/clausemark/model.json" in untracked


@pytest.mark.slow
def test_a_second_run_makes_nothing_anew(made: Path) -> None:
    assert "Running stage" not in dvc(made, "repro")
    assert "up to date" in dvc(made, "status")


@pytest.mark.slow
def test_an_experiment_of_dvc_changes_a_parameter(made: Path) -> None:
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "made")
    before = load_model(made / "models" / "clausemark").digest
    dvc(made, "exp", "run", "-S", "train.C=1", "report")
    assert load_model(made / "models" / "candidate").info["parameters"]["C"] == 1
    assert "train.C" in dvc(made, "params", "diff")
    # The target report leaves the model that ships alone.
    assert load_model(made / "models" / "clausemark").digest == before
