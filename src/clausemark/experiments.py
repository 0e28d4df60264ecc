"""Experiments: changes of parameters, each a small YAML file, compared in one table.

An experiment names what it changes in params.yaml. All are scored out of fold, by policy, on the
training policies or those of one source among them; the test policies are left for the models that
come out of this.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from sklearn.model_selection import GroupKFold

from clausemark.classifier import ClauseClassifier, give, tune_thresholds
from clausemark.corpus import Policy, digest
from clausemark.errors import InputError, MissingExtraError
from clausemark.evaluation import (
    Comparison,
    Evaluation,
    Predictions,
    compare,
    evaluate,
    out_of_fold_predictions,
)
from clausemark.features import make_features
from clausemark.model import save_model
from clausemark.training import describe, make_classifier, train, training_set

__all__ = ["Experiment", "Result", "merge", "read_experiments", "run_experiments", "write_results"]

_KEYS: Final = ("name", "description", "set")
#: What the table shows.
_FIGURES: Final = (
    "top1_accuracy", "precision_at_1", "micro_f1", "macro_f1", "exact_match", "expected_calibration_error",
)  # fmt: skip


@dataclass(frozen=True)
class Experiment:
    """A change of parameters.

    Attributes
    ----------
    name : str
        Unique.
    description : str
        What it shows, in one line.
    changes : dict
        Parameter -> value; entries of a mapping, such as weights, are changed one by one.
    path : pathlib.Path
        Where it stands.
    """

    name: str
    description: str
    changes: dict[str, Any]
    path: Path


@dataclass(frozen=True)
class Result:
    """What came of an experiment.

    Attributes
    ----------
    experiment : Experiment
    parameters : dict
        All parameters that were given.
    features : int
        Columns of the feature matrix.
    evaluation : Evaluation
        Out of fold.
    against : Comparison or None
        With the reference: the experiment that changes nothing, else the first; None for itself.
    """

    experiment: Experiment
    parameters: dict[str, Any]
    features: int
    evaluation: Evaluation
    against: Comparison | None


def merge(parameters: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Change parameters; mappings within are merged, not replaced.

    Parameters
    ----------
    parameters, changes : mapping

    Returns
    -------
    dict
        New; neither argument is touched.
    """
    merged = dict(parameters)
    for name, value in changes.items():
        inner = merged.get(name)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            value = merge(inner, value)
        merged[name] = value
    return merged


def read_experiments(folder: str | Path) -> list[Experiment]:
    """Read the experiments of a folder.

    Parameters
    ----------
    folder : str or pathlib.Path
        Holds a .yaml file an experiment: name, description, and ``set`` with the changes.

    Returns
    -------
    list of Experiment
        In order of file name.

    Raises
    ------
    InputError
        If there is none, or a file is not an experiment.
    MissingExtraError
        If PyYAML is not installed.
    """
    paths = sorted(Path(folder).glob("*.yaml"))
    if not paths:
        raise InputError("holds no experiments (.yaml files)", where=folder)
    found = [_read(path) for path in paths]
    names: dict[str, Path] = {}
    for experiment in found:
        if experiment.name in names:
            raise InputError(
                f"name {experiment.name!r} is that of {names[experiment.name]}", where=experiment.path
            )
        names[experiment.name] = experiment.path
    return found


def run_experiments(
    experiments: Sequence[Experiment],
    policies: Sequence[Policy],
    parameters: Mapping[str, Any],
    *,
    judge: str | None = None,
    jobs: int = -1,
    track: bool = False,
    progress: Callable[[Experiment], object] = lambda experiment: None,
) -> list[Result]:
    """Run experiments and compare them.

    Parameters
    ----------
    experiments : sequence of Experiment
        At least one.
    policies : sequence of Policy
        To train on and, out of fold, to measure on.
    parameters : mapping
        That the experiments change: the section ``train`` of params.yaml.
    judge : str, optional
        Source of the policies to measure on; all by default.
    jobs : int
        Fits at a time; -1 for as many as there are cores.
    track : bool
        Log each as a run of the MLflow experiment "experiments".
    progress : callable
        Called with each experiment before it runs.

    Returns
    -------
    list of Result
        In the order of the experiments.

    Raises
    ------
    InputError
        If a parameter does not exist or has a value that does not work, or no policy is of the source;
        all are checked before the first is run, as far as that can be told without training.
    """
    data = training_set(policies)
    judged = data.groups[(data.sources == judge) | (judge is None)]
    if not len(judged):
        raise InputError(f"no policy is from {judge!r}; there are {', '.join(np.unique(data.sources))}")
    settings = [_checked(experiment, parameters) for experiment in experiments]
    predictions: list[Predictions] = []
    features: list[int] = []
    for experiment, setting in zip(experiments, settings, strict=True):
        progress(experiment)
        classifier = train(policies, setting, jobs=jobs)
        found = out_of_fold_predictions(classifier, policies).of(judged)
        predictions.append(_cross_fitted(classifier, found))
        features.append(classifier.says_.coef_.shape[1])
        if track:
            _track(experiment, classifier, policies)
    reference = next((i for i, experiment in enumerate(experiments) if not experiment.changes), 0)
    return [
        Result(
            experiment,
            settings[i],
            features[i],
            evaluate(predictions[i]),
            compare(predictions[reference], predictions[i]) if i != reference else None,
        )
        for i, experiment in enumerate(experiments)
    ]


def write_results(
    results: Sequence[Result], policies: Sequence[Policy], folder: str | Path, *, judge: str | None = None
) -> str:
    """Write the table of experiments; the same results give the same bytes.

    Parameters
    ----------
    results : sequence of Result
    policies : sequence of Policy
        That they were trained on.
    folder : str or pathlib.Path
        Gets RESULTS.md, to read, and results.json, with all figures.
    judge : str, optional
        Source of the policies that they were measured on.

    Returns
    -------
    str
        Content of RESULTS.md.
    """
    folder = Path(folder)
    reference = next(result for result in results if result.against is None)
    table = "\n".join(_lines(results, policies, reference, judge)) + "\n"
    records = [
        {
            "name": result.experiment.name,
            "description": result.experiment.description,
            "set": result.experiment.changes,
            "parameters": result.parameters,
            "features": result.features,
            "evaluation": result.evaluation.to_dict(),
            "against": result.against
            and {"reference": reference.experiment.name, **result.against.to_dict()},
        }
        for result in results
    ]
    content = {"corpus": describe(policies), "judge": judge, "experiments": records}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.md").write_text(table, encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return table


def _read(path: Path) -> Experiment:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("reading experiments", "train") from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError("is not YAML", where=path, line=mark.line + 1 if mark else None) from None
    if not isinstance(content, dict) or set(content) != set(_KEYS):
        raise InputError(f"an experiment has exactly {', '.join(_KEYS)}", where=path)
    name, description, changes = (content[key] for key in _KEYS)
    if not (isinstance(name, str) and isinstance(description, str) and isinstance(changes, dict)):
        raise InputError("name and description are text, set is names and values", where=path)
    return Experiment(name, description, changes, path)


def _checked(experiment: Experiment, parameters: Mapping[str, Any]) -> dict[str, Any]:
    setting = merge(parameters, experiment.changes)
    try:
        checked = make_classifier(setting)
        make_features(checked.weights, checked.word_ngrams, checked.char_ngrams, checked.min_df)
    except InputError as error:
        raise InputError(error.message, where=experiment.path) from None
    except ValueError as error:
        raise InputError(str(error), where=experiment.path) from None
    return setting


def _cross_fitted(classifier: ClauseClassifier, found: Predictions) -> Predictions:
    """Cut the scores of some policies by thresholds of the others.

    Thresholds that were tuned to the very scores that they are judged on would look too good beside
    fixed ones.
    """
    if classifier.thresholds != "tuned":
        return found
    given = np.zeros_like(found.targets)
    folds = GroupKFold(min(classifier.folds, len(np.unique(found.groups))))
    for rest, part in folds.split(given, groups=found.groups):
        cuts = tune_thresholds(found.probabilities[rest], found.targets[rest])
        given[part] = give(found.probabilities[part], cuts)
    return replace(found, given=given)


def _track(experiment: Experiment, classifier: ClauseClassifier, policies: Sequence[Policy]) -> None:
    from clausemark import tracking

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save_model(classifier, folder, corpus=describe(policies))
        tracking.track(folder, classifier, policies, experiment="experiments", name=experiment.name)


def _lines(
    results: Sequence[Result], policies: Sequence[Policy], reference: Result, judge: str | None
) -> Iterator[str]:
    first = results[0].evaluation
    yield "# Experiments"
    yield ""
    yield "Generated by `clausemark experiments run`; not to be edited by hand."
    yield ""
    of = f" from {judge}, of {len(policies)} in all" if judge else ""
    yield (
        f"{first.n:,} clauses of {first.policies} training policies{of} (digest {digest(policies)[:12]}),"
        " each scored by a model that has not seen its policy, and cut by thresholds of other policies,"
        " too. In brackets 95 % intervals by a bootstrap of policies; differences are paired."
    )
    yield ""
    headers = (
        "experiment", "what it shows", "features", "top-1 accuracy", "precision at 1", "micro-F1", "macro-F1",
        "exact match", "calibration error", f"micro-F1 against {reference.experiment.name}",
    )  # fmt: skip
    yield "| " + " | ".join(headers) + " |"
    yield "|---|---|" + "---:|" * (len(headers) - 2)
    for result in results:
        figures = result.evaluation.figures
        cells = [result.experiment.name, result.experiment.description, f"{result.features:,}"]
        for name in _FIGURES:
            low, high = result.evaluation.intervals[name]
            cells.append(f"{figures[name]:.3f} [{low:.3f}, {high:.3f}]")
        if result.against:
            low, high = result.against.intervals["micro_f1"]
            cells.append(f"{result.against.differences['micro_f1']:+.3f} [{low:+.3f}, {high:+.3f}]")
        else:
            cells.append("reference")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
