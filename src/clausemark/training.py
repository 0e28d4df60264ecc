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
from clausemark.clauses import Clause, segment
from clausemark.corpus import Policy, digest
from clausemark.documents import Document
from clausemark.documents.lines import read_lines
from clausemark.errors import CorpusError, InputError
from clausemark.features import clause_frame
from clausemark.taxonomy import CATEGORIES

#: Parameter that weighs the corpora.
CORPORA: Final = "corpora"
#: Stages of the model, for which a corpus may weigh differently.
STAGES: Final = ("clause", "context")
#: What can be said of a corpus, with defaults.
OPTIONS: Final[Mapping[str, Any]] = {"clause": 1.0, "context": 1.0, "apart": False}


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
        Column of the primary category, -1 where a clause has no label, or its labels no order.
    groups : ndarray of shape (n_clauses,), int64
        Number of the policy; of the segment, where it is not known which policy that is from.
    sources : ndarray of shape (n_clauses,), str
        Where the policy is from.
    """

    frame: pd.DataFrame
    targets: NDArray[np.int64]
    primary: NDArray[np.int64]
    groups: NDArray[np.int64]
    sources: NDArray[np.str_]

    @property
    def labeled(self) -> NDArray[np.bool_]:
        """Which clauses have a label; the others are context: shape (n_clauses,), bool."""
        return np.asarray(self.targets.any(axis=1))


def training_set(policies: Sequence[Policy]) -> TrainingSet:
    """Lay annotated policies out for training.

    Parameters
    ----------
    policies : sequence of Policy
        Clauses without a label count as context only. Of policies whose unit is the segment each
        segment is a document of its own, laid out by `passage`.

    Returns
    -------
    TrainingSet

    Raises
    ------
    CorpusError
        If no clause has a label.
    """
    frames: list[pd.DataFrame] = []
    labels: list[tuple[str, ...]] = []
    groups: list[int] = []
    sources: list[str] = []
    primary: list[int] = []
    group = 0
    for policy in policies:
        source, loose = str(policy.metadata.get("source", "")), is_loose(policy)
        documents = [(policy.clauses_for_context(), [clause.labels for clause in policy.clauses])]
        if policy.metadata.get("unit") == "segment":
            documents = []
            for clause in policy.clauses:
                parts = passage(clause.text)
                documents.append((parts, [clause.labels, *[()] * (len(parts) - 1)]))
        for clauses, given in documents:
            frames.append(clause_frame(clauses))
            labels += given
            primary += [CATEGORIES.index(row[0]) if row and not loose else -1 for row in given]
            groups += [group] * len(clauses)
            sources += [source] * len(clauses)
            group += loose
        group += 1
    if not any(labels):
        raise CorpusError("no clause of the corpus has a label")
    return TrainingSet(
        pd.concat(frames, ignore_index=True),
        np.array([[name in row for name in CATEGORIES] for row in labels], dtype=np.int64),
        np.array(primary, dtype=np.int64),
        np.array(groups, dtype=np.int64),
        np.array(sources),
    )


def passage(text: str) -> list[Clause]:
    """Lay a segment out for a model that labels segments: the whole of it, then its clauses.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of Clause
        All in one paragraph, so that the whole looks at what its clauses say.
    """
    # Not parse_document: what it refuses in a user's file (no text, not English) is text here.
    clauses = segment(Document(text, tuple(read_lines(text)), media="text"))
    whole = Clause(text, "sentence", 0, len(text), 0)
    return [whole, *(clause._replace(paragraph=0) for clause in clauses if len(clauses) > 1)]


def is_loose(policy: Policy) -> bool:
    """Tell whether the segments come from several policies, unknown which, with labels in no order."""
    return policy.metadata.get("unit") == "segment" and policy.metadata.get("source") == "mousavi2020"


def weights_of(data: TrainingSet, parameters: Mapping[str, Any] | None = None) -> dict[str, NDArray[Any]]:
    """Weigh the clauses of several corpora, whose annotators had habits of their own.

    Parameters
    ----------
    data : TrainingSet
    parameters : mapping, optional
        Of which `CORPORA` counts: source of a policy -> weight of its clauses, or a mapping with some of
        `OPTIONS`. Stage "clause" learns what words mean, stage "context" the habits of annotators: which
        of the things said together get a label. What is "apart" has scores of its own in the first.

    Returns
    -------
    dict of str to ndarray of shape (n_clauses,)
        For each of `OPTIONS`: float64, zero for clauses without a label; "apart" bool.

    Raises
    ------
    InputError
        If a weight is no number of 0 or more, "apart" not true or false, or no policy is from a source.
    """
    given = (parameters or {}).get(CORPORA) or {}
    sources, places = np.unique(data.sources, return_inverse=True)
    if not isinstance(given, Mapping):
        raise InputError(
            f"{CORPORA} maps sources of policies to weights, as {sources[0]}: 0.5; not {given!r}"
        )
    chosen = {source: dict(OPTIONS) for source in sources}
    for source, value in given.items():
        if source not in chosen:
            raise InputError(f"{CORPORA}: no policy is from {source!r}; there are {', '.join(sources)}")
        options = value if isinstance(value, Mapping) else dict.fromkeys(STAGES, value)
        for option, of in options.items():
            if option not in OPTIONS:
                raise InputError(f"{CORPORA}.{source}: no {option!r}; there are {', '.join(OPTIONS)}")
            if option not in STAGES and not isinstance(of, bool):
                raise InputError(f"{CORPORA}.{source}.{option} is true or false, not {of!r}")
            if option in STAGES and (isinstance(of, bool) or not isinstance(of, (int, float)) or of < 0):
                raise InputError(f"{CORPORA}.{source} is a weight of 0 or more, not {of!r}")
            chosen[source][option] = of
    found = {option: np.array([chosen[source][option] for source in sources])[places] for option in OPTIONS}
    return found | {stage: data.labeled * found[stage].astype(np.float64) for stage in STAGES}


def train(
    policies: Sequence[Policy], parameters: Mapping[str, Any] | None = None, *, jobs: int = -1
) -> ClauseClassifier:
    """Train a classifier on annotated policies.

    Parameters
    ----------
    policies : sequence of Policy
        At least two, or segments of several.
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
    data = training_set(policies)
    weights = weights_of(data, parameters)
    if data.groups[-1] == 0:
        raise CorpusError("training needs at least two policies, so that scores can be out of fold")
    try:
        with parallel_config(n_jobs=jobs):
            return classifier.fit(
                data.frame,
                data.targets,
                primary=data.primary,
                groups=data.groups,
                sample_weight=weights["clause"],
                context_weight=weights["context"],
                apart=weights["apart"],
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
        digest (SHA-256), policies, clauses, units, license; and the weights of the corpora if there were any.
    """
    weights = (parameters or {}).get(CORPORA)
    return {
        "digest": digest(policies),
        "policies": len(policies),
        "clauses": sum(len(policy.clauses) for policy in policies),
        "units": sorted({str(policy.metadata.get("unit", "?")) for policy in policies}),
        "license": " and ".join(sorted({str(p.metadata.get("license", "?")) for p in policies})),
    } | ({CORPORA: dict(weights)} if weights else {})
