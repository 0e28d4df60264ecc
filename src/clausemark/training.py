"""Training: from annotated policies to a fitted classifier."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clausemark.classifier import ClauseClassifier
from clausemark.corpus import Policy, digest
from clausemark.errors import CorpusError, InputError
from clausemark.features import clause_frame
from clausemark.taxonomy import CATEGORIES


@dataclass(frozen=True)
class TrainingSet:
    """Clauses of several policies, ready to train on.

    Attributes
    ----------
    frame : pandas.DataFrame of shape (n_clauses, 9)
        Clauses with context, as `clausemark.features.clause_frame` lays them out.
    targets : ndarray of shape (n_clauses, 12), int64
        1 where a clause has a category.
    primary : ndarray of shape (n_clauses,), int64
        Column of the primary category.
    groups : ndarray of shape (n_clauses,), int64
        Number of the policy.
    """

    frame: pd.DataFrame
    targets: NDArray[np.int64]
    primary: NDArray[np.int64]
    groups: NDArray[np.int64]


def training_set(policies: Sequence[Policy]) -> TrainingSet:
    """Lay annotated policies out for training.

    Parameters
    ----------
    policies : sequence of Policy
        Clauses without a label count as context only.

    Returns
    -------
    TrainingSet

    Raises
    ------
    CorpusError
        If no clause has a label.
    """
    frames, rows, groups = [], [], []
    for number, policy in enumerate(policies):
        labeled = [i for i, clause in enumerate(policy.clauses) if clause.labels]
        frames.append(clause_frame(policy.clauses_for_context()).iloc[labeled])
        rows += [policy.clauses[i].labels for i in labeled]
        groups += [number] * len(labeled)
    if not rows:
        raise CorpusError("no clause of the corpus has a label")
    targets = np.array([[name in labels for name in CATEGORIES] for labels in rows], dtype=np.int64)
    primary = np.array([CATEGORIES.index(labels[0]) for labels in rows], dtype=np.int64)
    frame = pd.concat(frames, ignore_index=True)
    return TrainingSet(frame, targets, primary, np.array(groups, dtype=np.int64))


def train(policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None) -> ClauseClassifier:
    """Train a classifier on annotated policies.

    Parameters
    ----------
    policies : sequence of Policy
        At least two.
    parameters : mapping, optional
        Parameters of `clausemark.classifier.ClauseClassifier`; defaults for those not named.

    Returns
    -------
    ClauseClassifier
        Fitted; its out-of-fold scores are split by policy.

    Raises
    ------
    InputError
        If a parameter does not exist or has a value that does not work.
    CorpusError
        If there are fewer than two policies or no labels.
    """
    classifier = make_classifier(parameters)
    if len(policies) < 2:
        raise CorpusError("training needs at least two policies, so that scores can be out of fold")
    data = training_set(policies)
    try:
        return classifier.fit(data.frame, data.targets, groups=data.groups)
    except ValueError as error:
        raise InputError(f"training failed: {error}") from error


def make_classifier(parameters: Mapping[str, Any] | None = None) -> ClauseClassifier:
    """Build an untrained classifier from named parameters.

    Parameters
    ----------
    parameters : mapping, optional

    Returns
    -------
    ClauseClassifier

    Raises
    ------
    InputError
        If a parameter does not exist.
    """
    known = list(inspect.signature(ClauseClassifier).parameters)
    for name in parameters or {}:
        if name not in known:
            raise InputError(f"there is no parameter {name!r}; there are {', '.join(known)}")
    return ClauseClassifier(**dict(parameters or {}))


def describe(policies: Sequence[Policy]) -> dict[str, Any]:
    """Say what a model was trained on.

    Parameters
    ----------
    policies : sequence of Policy

    Returns
    -------
    dict
        digest (SHA-256), policies, clauses, license.
    """
    return {
        "digest": digest(policies),
        "policies": len(policies),
        "clauses": sum(len(policy.clauses) for policy in policies),
        "license": " and ".join(sorted({str(p.metadata.get("license", "?")) for p in policies})),
    }
