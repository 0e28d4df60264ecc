"""Training: from annotated policies to a fitted classifier."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from joblib import parallel_config
from numpy.typing import NDArray

from clausemark.classifier import ClauseClassifier
from clausemark.corpus import Policy, digest
from clausemark.errors import CorpusError, InputError
from clausemark.features import clause_frame
from clausemark.taxonomy import CATEGORIES

#: Parameter that weighs the corpora.
CORPORA: Final = "corpora"
#: Stages of the model, for which a corpus may weigh differently.
STAGES: Final = ("clause", "context")


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


def weights_of(
    policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Weigh the clauses of several corpora, whose annotators had habits of their own.

    Parameters
    ----------
    policies : sequence of Policy
    parameters : mapping, optional
        Of which `CORPORA` counts: source of a policy -> weight of its clauses, or a mapping of stage
        to weight; 1 for what is not named. Stage "clause" learns what words mean, stage "context" the
        habits of annotators: which of the things said together get a label.

    Returns
    -------
    dict of str to ndarray of shape (n_clauses,), float64
        For each of `STAGES`; zero for clauses without a label.

    Raises
    ------
    InputError
        If a weight is no number of 0 or more, or of a source that no policy has.
    """
    given = (parameters or {}).get(CORPORA) or {}
    sources = sorted({str(policy.metadata.get("source", "")) for policy in policies})
    if not isinstance(given, Mapping):
        raise InputError(
            f"{CORPORA} maps sources of policies to weights, as {sources[0]}: 0.5; not {given!r}"
        )
    weights = {stage: dict.fromkeys(sources, 1.0) for stage in STAGES}
    for source, value in given.items():
        if source not in sources:
            raise InputError(f"{CORPORA}: no policy is from {source!r}; there are {', '.join(sources)}")
        for stage, weight in (value if isinstance(value, Mapping) else dict.fromkeys(STAGES, value)).items():
            if stage not in STAGES:
                raise InputError(f"{CORPORA}.{source}: no stage {stage!r}; there are {', '.join(STAGES)}")
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or weight < 0:
                raise InputError(f"{CORPORA}.{source} is a weight of 0 or more, not {weight!r}")
            weights[stage][source] = float(weight)
    return {
        stage: np.array(
            [
                by_source[str(policy.metadata.get("source", ""))] if clause.labels else 0.0
                for policy in policies
                for clause in policy.clauses
            ]
        )
        for stage, by_source in weights.items()
    }


def train(
    policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None, *, jobs: int = -1
) -> ClauseClassifier:
    """Train a classifier on annotated policies.

    Parameters
    ----------
    policies : sequence of Policy
        At least two.
    parameters : mapping, optional
        Parameters of `clausemark.classifier.ClauseClassifier`; defaults for those not named. Besides,
        `CORPORA`: see `weights_of`.
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
    data, weights = training_set(policies), weights_of(policies, parameters)
    try:
        with parallel_config(n_jobs=jobs):
            return classifier.fit(
                data.frame,
                data.targets,
                primary=data.primary,
                groups=data.groups,
                sample_weight=weights["clause"],
                context_weight=weights["context"],
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
    given = {name: value for name, value in (parameters or {}).items() if name != CORPORA}
    for name in given:
        if name not in known:
            raise InputError(f"there is no parameter {name!r}; there are {', '.join(known)}")
    return ClauseClassifier(**given)


def describe(policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Say what a model was trained on.

    Parameters
    ----------
    policies : sequence of Policy
    parameters : mapping, optional
        Of the training.

    Returns
    -------
    dict
        digest (SHA-256), policies, clauses, license; and the weights of the corpora if there were any.
    """
    weights = (parameters or {}).get(CORPORA)
    return {
        "digest": digest(policies),
        "policies": len(policies),
        "clauses": sum(len(policy.clauses) for policy in policies),
        "license": " and ".join(sorted({str(p.metadata.get("license", "?")) for p in policies})),
    } | ({CORPORA: dict(weights)} if weights else {})
