"""The model that ships: made from the corpus that ships, and found wherever clausemark is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from clausemark import Labeler
from clausemark.corpus import digest, read_corpus
from clausemark.parameters import read_parameters
from clausemark.pipeline import make_model

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "clausemark"
EXAMPLE = ROOT / "examples" / "harbour-lane-telecom.html"


@pytest.fixture(scope="module")
def info() -> dict:
    return json.loads((MODEL / "model.json").read_text(encoding="utf-8"))


def test_it_was_trained_on_the_corpus_as_it_is_now(info):
    policies = read_corpus(ROOT / "data" / "corpus")
    assert info["corpus"]["digest"] == digest(policies), "the corpus has changed: run `dvc repro`"
    assert info["corpus"]["policies"] == len(policies)
    assert info["corpus"]["license"] == "Apache-2.0"


def test_it_holds_no_pickle():
    assert {path.suffix for path in MODEL.iterdir()} <= {".npy", ".json", ".md"}
    found = {path.name: np.load(path, allow_pickle=False).dtype.str for path in MODEL.glob("*.npy")}
    assert found == {"idf.npy": "<f4", "maps.npy": "<f4", "weights.npy": "<f2"}, "plain numbers, no objects"


def test_it_is_the_default_and_reads_the_example():
    policy = Labeler.load().label(EXAMPLE)
    by_text = {clause.text: clause for clause in policy.clauses}
    assert by_text["We do not sell your personal data to anyone."].primary == "Third Party Sharing/Collection"
    dnt = by_text["Our site does not respond to Do Not Track signals sent by your browser."]
    assert dnt.primary == "Do Not Track"
    assert by_text["Call records | 12 months"].primary == "Data Retention"


@pytest.mark.slow
def test_retraining_reproduces_it_byte_for_byte(info, tmp_path):
    made_with = info["versions"]
    here = {name: version(name) for name in ("scikit-learn", "numpy")}
    if any(made_with[name] != found for name, found in here.items()):
        pytest.skip(f"made with {made_with}, here are {here}")
    policies = read_corpus(ROOT / "data" / "corpus")
    make_model(policies, read_parameters(ROOT / "params.yaml"), tmp_path / "model")
    for path in sorted(MODEL.iterdir()):
        assert (tmp_path / "model" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_the_wheel_carries_it(tmp_path):
    pytest.importorskip("hatchling")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import clausemark; from clausemark import Labeler\n"
        "assert sys.argv[1] in clausemark.__file__, clausemark.__file__\n"
        "print(Labeler.load().label('We never sell your data to third parties.').clauses[0].primary)"
    )
    site = tmp_path / "site"
    subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", code, str(site)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout.strip() == "Third Party Sharing/Collection", done.stderr


def test_labeling_imports_nothing_of_the_workshop():
    code = (
        "import sys, clausemark.cli, clausemark.outputs, clausemark.page, clausemark.predict\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"mlflow", "datasets", "dvc", "matplotlib", "pyspark", "torch", "yaml"}
    assert not heavy & set(done.stdout.split())
