"""Stages of the pipeline, as dvc.yaml runs them: from the corpus to tables and a model folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clausemark.classifier import ClauseClassifier
from clausemark.corpus import Paths, Policy, read_corpus, statistics, to_datasets
from clausemark.evaluation import Predictions, evaluate, out_of_fold_predictions
from clausemark.model import save_model
from clausemark.training import describe, train, training_set

__all__ = ["make_model", "prepare"]


def prepare(paths: Paths, folder: str | Path) -> list[Path]:
    """Write a corpus in the forms that other tools read.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        Files or folders of the corpus.
    folder : str or pathlib.Path
        Gets train.parquet and test.parquet (`clausemark.corpus.to_datasets`; the types of the columns
        are kept, so that ``datasets.Dataset.from_parquet`` reads them back) and statistics.json.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    CorpusError
        If the corpus cannot be read.
    MissingExtraError
        If datasets is not installed.
    """
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    policies = read_corpus(paths)
    splits = to_datasets(policies)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "statistics.json"]
    written[0].write_text(_json(statistics(policies)), encoding="utf-8")
    for name, rows in splits.items():
        written.append(folder / f"{name}.parquet")
        rows.to_parquet(written[-1])
    return written


def make_model(
    policies: Sequence[Policy], parameters: Mapping[str, Any], folder: str | Path
) -> tuple[ClauseClassifier, dict[str, Any]]:
    """Train a model, measure it out of fold and save it.

    Parameters
    ----------
    policies : sequence of Policy
        At least two.
    parameters : mapping
        Of `clausemark.classifier.ClauseClassifier`.
    folder : str or pathlib.Path
        Where to save it.

    Returns
    -------
    classifier : ClauseClassifier
        As trained, with its out-of-fold scores.
    info : dict
        Content of the folder's model.json. The same policies, parameters and versions give the same
        bytes.

    Raises
    ------
    CorpusError, InputError, ModelError
        As `clausemark.training.train` and `clausemark.model.save_model`.
    """
    classifier = train(policies, parameters)
    found = out_of_fold_predictions(classifier, policies)
    metrics = _metrics(found)
    if len({policy.metadata.get("source", "") for policy in policies}) > 1:
        data = training_set(policies)
        for source in np.unique(data.sources):
            metrics[str(source)] = _metrics(found.of(data.groups[data.sources == source]))
    return classifier, save_model(classifier, folder, corpus=describe(policies, parameters), metrics=metrics)


def _metrics(found: Predictions) -> dict[str, Any]:
    result = evaluate(found)
    return {"n": result.n} | {name: round(value, 6) for name, value in result.figures.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
