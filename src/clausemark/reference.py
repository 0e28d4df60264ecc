"""The corpus beside real policies: what it teaches about them, how it resembles and copies them.

Real annotated policies (OPP-115) may be used for research only and are not in this repository.
Those who hold a copy run `measure`; what it gives is figures, no text, and the dataset card is made
of them wherever there is no copy.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from clausemark.clauses import ClauseKind
from clausemark.corpus import Policy, shared_runs
from clausemark.errors import CorpusError, InputError
from clausemark.evaluation import evaluate, predictions
from clausemark.importers import import_mousavi, import_opp115
from clausemark.model import as_model
from clausemark.predict import Labeler
from clausemark.taxonomy import CATEGORIES
from clausemark.training import CORPORA, describe, train

__all__ = ["RUN", "SIZES", "learning_order", "measure", "profile", "read_measured", "write_measured"]

#: Numbers of training policies on the learning curve; all of them come last.
SIZES: Final = (25, 50, 100, 200)
#: Numbers of real policies that are learnt from beside the corpus; all but the held out come last.
REAL_SIZES: Final = (10, 25, 50)
#: One in so many real policies is held out to measure on what is learnt with the others.
_HELD_OUT: Final = 5
#: Words in a row that a clause and a real policy must share to be called a finding.
RUN: Final = 9
#: The part of the published split that models are compared on (Mousavi Nejad et al. 2020).
_VALIDATION: Final = "*/validation_dataset.csv"
_FIGURES: Final = ("top1_accuracy", "precision_at_1", "micro_f1", "macro_f1")
_SCHEMA: Final = "clausemark-measured/1"


def measure(
    policies: Sequence[Policy],
    reference: str | Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    sizes: Sequence[int] = SIZES,
    progress: Callable[[str], object] = lambda doing: None,
) -> dict[str, Any]:
    """Hold a corpus against real policies.

    Parameters
    ----------
    policies : sequence of Policy
        The corpus; at least two.
    reference : str or pathlib.Path
        A copy of OPP-115. A folder in it with validation_dataset.csv, the published split of Mousavi
        Nejad et al. (2020), is measured too.
    parameters : mapping, optional
        Of `clausemark.classifier.ClauseClassifier`.
    sizes : sequence of int
        Points of the learning curve below the whole corpus; those that exceed it are left out.
    progress : callable
        Told what is done next.

    Returns
    -------
    dict
        Plain and ready for JSON, figures only: ``corpus`` (`clausemark.training.describe`),
        ``reference`` (policies, sentences and, where there is the split, segments), ``curve`` (a point
        a size: policies, clauses, and for "sentences" (and list items), "headings" (these with the
        headings that have a label) and "segments" top1_accuracy, precision_at_1, micro_f1, macro_f1
        and their ``intervals``), ``joint`` (the same for models that learn from the corpus and some of
        the real policies, whose annotators' habits they take: policies and clauses are those of the real
        ones; figures of all held-out "headings", sentences and items), ``profile`` (of the real policies,
        see `profile`) and ``originality``
        (n, clauses and share of the corpus that share a run of n words with a real policy).

    Raises
    ------
    CorpusError
        If the reference is no copy of OPP-115, or the corpus too small to train on.
    InputError
        If a parameter or size does not work.
    """
    if any(size < 2 for size in sizes):
        raise InputError(f"a point of the learning curve needs at least two policies: {list(sizes)}")
    root = Path(reference)
    progress("reading the real policies")
    sentences, _ = import_opp115(root, unit="sentence")
    tests = {"sentences": [_without_headings(policy) for policy in sentences], "headings": sentences}
    split = sorted(root.glob(_VALIDATION))
    if split:
        tests["segments"], _ = import_mousavi(split[0])
    points = []
    for size in sorted({*(size for size in sizes if size < len(policies)), len(policies)}):
        chosen = sorted(learning_order(policies)[:size], key=lambda policy: policy.id)
        progress(f"training on {size} policies")
        labeler = Labeler(as_model(train(chosen, parameters)))
        points.append(_count(chosen) | {name: _figures(labeler, test) for name, test in tests.items()})
    joint = _joint_curve(policies, sentences, parameters, labeler, progress)
    progress("comparing words and shares")
    clauses = sum(len(policy.clauses) for policy in policies)
    shared = len(shared_runs(policies, (policy.text for policy in sentences), RUN))
    counts = {name: sum(bool(c.labels) for p in test for c in p.clauses) for name, test in tests.items()}
    return {
        "schema": _SCHEMA,
        "corpus": describe(policies),
        "reference": {"policies": len(sentences), **counts},
        "curve": points,
        "joint": joint,
        "profile": profile(sentences),
        "originality": {"n": RUN, "clauses": shared, "share": round(shared / clauses, 6)},
    }


def _joint_curve(
    policies: Sequence[Policy],
    real: Sequence[Policy],
    parameters: Mapping[str, Any] | None,
    alone: Labeler,
    progress: Callable[[str], object],
) -> list[dict[str, Any]]:
    """Measure what real policies add to the corpus; `alone` has learnt from the corpus only."""
    shuffled = learning_order(real)
    held_out = shuffled[: max(1, len(real) // _HELD_OUT)]
    pool = shuffled[len(held_out) :]
    habits = {source: {"context": 0} for source in _sources(policies) - _sources(real)}
    points = [_count([]) | {"headings": _figures(alone, held_out)}]
    for size in sorted({*(size for size in REAL_SIZES if size < len(pool)), len(pool)}):
        progress(f"training on the corpus and {size} real policies")
        chosen = sorted([*policies, *pool[:size]], key=lambda policy: policy.id)
        labeler = Labeler(as_model(train(chosen, {**(parameters or {}), CORPORA: habits})))
        points.append(_count(pool[:size]) | {"headings": _figures(labeler, held_out)})
    return points


def _sources(policies: Sequence[Policy]) -> set[str]:
    return {str(policy.metadata.get("source", "")) for policy in policies}


def _count(policies: Sequence[Policy]) -> dict[str, Any]:
    return {"policies": len(policies), "clauses": sum(len(policy.clauses) for policy in policies)}


def _figures(labeler: Labeler, policies: Sequence[Policy]) -> dict[str, Any]:
    found = evaluate(predictions(labeler, policies)).to_dict()
    figures = {figure: found[figure] for figure in _FIGURES}
    return figures | {"intervals": {figure: found["intervals"][figure] for figure in _FIGURES}}


def _without_headings(policy: Policy) -> Policy:
    """Make headings context: what they are called is a matter of the scheme of annotation."""
    clauses = (
        replace(clause, labels=(), votes=None) if clause.kind == "heading" else clause
        for clause in policy.clauses
    )
    return replace(policy, clauses=tuple(clauses))


def learning_order(policies: Sequence[Policy]) -> list[Policy]:
    """Shuffle policies by a hash of their ids: what is added later does not reorder the rest.

    Parameters
    ----------
    policies : sequence of Policy

    Returns
    -------
    list of Policy
        Its first n are the training set of a point of the learning curve, part of every larger one.
    """
    return sorted(policies, key=lambda policy: hashlib.sha256(f"curve {policy.id}".encode()).digest())


def profile(policies: Sequence[Policy]) -> dict[str, Any]:
    """Describe the make-up of policies in shares, so that corpora of different size compare.

    Parameters
    ----------
    policies : sequence of Policy

    Returns
    -------
    dict
        ``clauses``; ``words`` (mean, and the nine ``deciles`` of words a clause, parted by space);
        ``kinds`` (kind -> share of the clauses); ``labels`` (category -> share of the labelled
        sentences and items that state it: what headings are called is a matter of the scheme).

    Raises
    ------
    CorpusError
        If no sentence or item has a label.
    """
    clauses = [clause for policy in policies for clause in policy.clauses]
    stating = [clause.labels for clause in clauses if clause.labels and clause.kind != "heading"]
    if not stating:
        raise CorpusError("no sentence or item of the policies has a label")
    lengths = np.array([len(clause.text.split()) for clause in clauses])
    kinds = Counter(clause.kind for clause in clauses)
    labels = Counter(name for names in stating for name in names)
    deciles = np.percentile(lengths, range(10, 100, 10), method="inverted_cdf")
    return {
        "clauses": len(clauses),
        "words": {"mean": round(float(lengths.mean()), 2), "deciles": [int(words) for words in deciles]},
        "kinds": {kind: round(kinds[kind] / len(clauses), 4) for kind in get_args(ClauseKind)},
        "labels": {name: round(labels[name] / len(stating), 4) for name in CATEGORIES},
    }


def write_measured(measured: Mapping[str, Any], path: str | Path) -> None:
    """Write what `measure` found.

    Parameters
    ----------
    measured : mapping
    path : str or pathlib.Path
        Its folder is made if missing.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(measured, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=path) from None


def read_measured(path: str | Path) -> dict[str, Any]:
    """Read what `measure` found.

    Parameters
    ----------
    path : str or pathlib.Path
        As `write_measured` writes it.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the file cannot be read or is something else.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("schema") != _SCHEMA:
        raise InputError("is not what clausemark corpus measure writes: make it anew", where=path)
    return found
