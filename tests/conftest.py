"""Fixtures that several test modules share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import tiny_model as train_tiny
from tiny import tiny_policies


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared material beside the repository."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the repository")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model trained on a few policies."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    train_tiny(folder, tiny_policies("train"), folds=2)
    return folder
