"""Training: from annotated policies to a fitted classifier."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import parallel_config
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
    frame : pandas.DataFrame of shape (n_clauses, 10)
        All clauses, as `clausemark.features.clause_frame` lays them out.
    targets : ndarray of shape (n_clauses, 12), int64
        1 where a clause has a category.
    primary : ndarray of shape (n_clauses,), int64
        Column of the primary category, -1 where a clause has no label.
    groups : ndarray of shape (n_clauses,), int64
        Number of the policy.
    """

    frame: pd.DataFrame
    targets: NDArray[np.int64]
    primary: NDArray[np.int64]
    groups: NDArray[np.int64]

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Which clauses have a label; the others are context: shape (n_clauses,), bool."""
        return np.asarray(self.primary >= 0)


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
    labels = [clause.labels for policy in policies for clause in policy.clauses]
    if not any(labels):
        raise CorpusError("no clause of the corpus has a label")
    return TrainingSet(
        pd.concat([clause_frame(policy.clauses_for_context()) for policy in policies], ignore_index=True),
        np.array([[name in row for name in CATEGORIES] for row in labels], dtype=np.int64),
        np.array([CATEGORIES.index(row[0]) if row else -1 for row in labels], dtype=np.int64),
        np.repeat(np.arange(len(policies)), [len(policy.clauses) for policy in policies]),
    )


def train(
    policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None, *, jobs: int = -1
) -> ClauseClassifier:
    """Train a classifier on annotated policies.

    Parameters
    ----------
    policies : sequence of Policy
        At least two.
    parameters : mapping, optional
        Parameters of `clausemark.classifier.ClauseClassifier`; defaults for those not named.
    jobs : int
        Fits at a time, which does not change the result; -1 for as many as there are cores.

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
        with parallel_config(n_jobs=jobs):
            return classifier.fit(
                data.frame,
                data.targets,
                primary=data.primary,
                groups=data.groups,
                sample_weight=data.labeled.astype(float),
            )
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
