"""Tracking: every training as an MLflow run, and the registry that says which model is the champion.

Runs go to ``sqlite:///mlflow.db`` and ``./mlruns`` in the current folder, or where
``MLFLOW_TRACKING_URI`` says. The model of a run is its folder and `clausemark.serving` as code: no
pickle. A model becomes the champion only by beating the champion on the fixed test policies.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

from clausemark import __version__
from clausemark.classifier import ClauseClassifier
from clausemark.corpus import Policy, digest, split_of
from clausemark.errors import ClausemarkError, CorpusError, InputError, MissingExtraError, ModelError
from clausemark.evaluation import (
    Comparison,
    Predictions,
    compare,
    evaluate,
    out_of_fold_predictions,
    predictions,
)
from clausemark.features import WEIGHTS
from clausemark.model import load_model
from clausemark.plots import draw_evaluation
from clausemark.predict import Labeler
from clausemark.scorecard import render_scorecard
from clausemark.taxonomy import CODE_OF

__all__ = ["CHALLENGER", "CHAMPION", "NAME", "Registration", "download_model", "register", "track"]

#: What MLflow calls the model, in runs and in the registry.
NAME: Final = "clausemark"
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"

_DIGEST: Final = "clausemark.model"
_CORPUS: Final = "clausemark.corpus"
_TEST_POLICIES: Final = "clausemark.test_policies"
_EXAMPLE: Final = "We collect your email address.\n\nWe never sell it. Write to privacy@example.com."
#: MLflow reads these when it is imported; what the user has set stays.
_ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)


@dataclass(frozen=True, slots=True)
class Registration:
    """What became of a model in the registry.

    Attributes
    ----------
    name : str
    version : int
    alias : {"champion", "challenger"}
    reason : str
        Why it has that alias, in one line.
    """

    name: str
    version: int
    alias: Literal["champion", "challenger"]
    reason: str

    def __str__(self) -> str:
        """Give it in one line."""
        return f"{self.name} version {self.version} is {self.alias}: {self.reason}"


def track(
    folder: str | Path,
    classifier: ClauseClassifier,
    policies: Sequence[Policy],
    *,
    experiment: str = NAME,
    name: str | None = None,
) -> str:
    """Log a training as an MLflow run.

    Parameters
    ----------
    folder : str or pathlib.Path
        The model, saved.
    classifier : ClauseClassifier
        The same as `clausemark.training.train` gave it: it knows its out-of-fold scores, which the
        metrics and pictures of the run are of.
    policies : sequence of Policy
        That it was trained on.
    experiment : str
        MLflow experiment; made if missing.
    name : str, optional
        Of the run; MLflow makes one up by default.

    Returns
    -------
    str
        Id of the run. It holds the parameters, the headline metrics with their intervals, those of
        each category by its code (``f1/DS``), pictures (``plots/``), all of it as a page
        (``scorecard.html``), the corpus as a dataset, the version of the code, and the model as a
        pyfunc.

    Raises
    ------
    InputError
        If the model in the folder was not trained on these policies.
    ModelError
        If there is no model in the folder.
    MissingExtraError
        If MLflow is not installed.
    ClausemarkError
        If MLflow cannot log the run.
    """
    mlflow = _mlflow()
    model = load_model(folder)
    info = model.info
    corpus = digest(policies)
    if info["corpus"].get("digest", corpus) != corpus:
        raise InputError("was not trained on these policies: pass those that it was", where=folder)
    found = out_of_fold_predictions(classifier, policies)
    evaluation = evaluate(found)
    tags = {
        _DIGEST: info["digest"],
        _CORPUS: corpus,
        _TEST_POLICIES: str(sum(split_of(policy.id) == "test" for policy in policies)),
        **_code_version(),
    }
    with _one_line_errors(), tempfile.TemporaryDirectory() as pictures:
        draw_evaluation(found, evaluation, model.thresholds, Path(pictures))
        known = mlflow.get_experiment_by_name(experiment)
        place = known.experiment_id if known else mlflow.create_experiment(experiment)
        nested = mlflow.active_run() is not None  # a caller may have a run of its own
        with mlflow.start_run(experiment_id=place, run_name=name, tags=tags, nested=nested) as run:
            mlflow.log_params(_flat_parameters(info["parameters"]))
            mlflow.log_metrics(_flat_metrics(evaluation.to_dict()))
            mlflow.log_dict(evaluation.to_dict(), "evaluation.json")
            mlflow.log_artifacts(pictures, "plots")
            how = "each clause scored by a model that has not seen its policy"
            page = render_scorecard(model, found, evaluation, how=how)
            mlflow.log_text(page, "scorecard.html")
            mlflow.log_input(_dataset(mlflow, policies, corpus), context="training")
            _log_model(mlflow, Path(folder))
    return str(run.info.run_id)


def register(
    folder: str | Path, policies: Sequence[Policy], *, name: str = NAME, resamples: int = 1000
) -> Registration:
    """Register a tracked model, as the champion if it beats the champion, else as the challenger.

    Both models label the fixed test policies. The new one wins if the 95 % interval of the difference
    of their micro-F1, by a paired bootstrap of policies, lies above 0. Registering a model again
    makes no new version, but lets it try again.

    Parameters
    ----------
    folder : str or pathlib.Path
        Model folder, as it was tracked.
    policies : sequence of Policy
        Of these, the ones in the split "test" count.
    name : str
        In the registry.
    resamples : int
        Bootstrap samples.

    Returns
    -------
    Registration

    Raises
    ------
    InputError
        If no run of the store made this model, or it has seen test policies in training.
    CorpusError
        If there is no test policy.
    ModelError
        If this model cannot be read.
    MissingExtraError
        If MLflow is not installed.
    ClausemarkError
        If the registry cannot be written.
    """
    mlflow = _mlflow()
    model = load_model(folder)
    tests = [policy for policy in policies if split_of(policy.id) == "test"]
    if not tests:
        raise CorpusError(f"none of the {len(policies)} policies is a test policy")
    with _one_line_errors():
        client = mlflow.MlflowClient()
        run = _run_of(client, model.digest, folder)
        found = predictions(Labeler(model), tests)
        evaluation = evaluate(found, resamples=resamples).to_dict()
        for key, value in _flat_metrics(evaluation).items():
            client.log_metric(run.info.run_id, f"test/{key}", value)
        version = _version_of(client, name, run, model.digest)
        aliases: dict[str, Any] = client.get_registered_model(name).aliases
        champion = aliases.get(CHAMPION)
        if champion is None:
            wins, reason = True, "there was no champion to beat"
        elif int(champion) == version:
            return Registration(name, version, CHAMPION, "it is the champion already")
        else:
            wins, reason = _challenge(f"models:/{name}/{champion}", tests, found, resamples)
            reason = f"{reason} (version {champion})"
        if wins and int(aliases.get(CHALLENGER, 0)) == version:
            client.delete_registered_model_alias(name, CHALLENGER)
        client.set_registered_model_alias(name, CHAMPION if wins else CHALLENGER, str(version))
        client.set_model_version_tag(name, str(version), "clausemark.reason", reason)
    return Registration(name, version, CHAMPION if wins else CHALLENGER, reason)


def _challenge(
    champion: str, tests: Sequence[Policy], found: Predictions, resamples: int
) -> tuple[bool, str]:
    """Compare with the champion; one that this clausemark cannot read is left where it is."""
    try:
        other = Labeler(load_model(download_model(champion)))
    except ModelError as error:
        return False, f"the champion cannot be read, so nothing beats it: {error.message}"
    return _judge(compare(predictions(other, tests), found, resamples=resamples))


def download_model(uri: str) -> Path:
    """Fetch the model folder of an MLflow model.

    Parameters
    ----------
    uri : str
        ``models:/clausemark@champion``, ``models:/clausemark/3``, ``runs:/<run id>/clausemark``.

    Returns
    -------
    pathlib.Path
        The folder, for `clausemark.model.load_model`: in the store itself where that is a local
        folder, else in a temporary one.

    Raises
    ------
    ModelError
        If there is no such model, or it is not one of clausemark.
    MissingExtraError
        If MLflow is not installed.
    """
    mlflow = _mlflow()
    database = mlflow.get_tracking_uri().removeprefix("sqlite:///")
    if database != mlflow.get_tracking_uri() and not Path(database).is_file():
        # MLflow would make an empty one first, which takes seconds and helps nobody.
        raise ModelError(f"there is no MLflow store {database}: set MLFLOW_TRACKING_URI", where=uri)
    try:
        folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except (mlflow.MlflowException, OSError) as error:
        raise ModelError(f"cannot be fetched from MLflow: {error}", where=uri) from None
    found = sorted(folder.glob("artifacts/*/model.json"))
    if len(found) != 1:
        raise ModelError("is an MLflow model, but not one of clausemark", where=uri)
    return found[0].parent


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError:
        raise MissingExtraError("tracking", "train") from None
    # The migrations of a new store are announced step by step otherwise.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn what MLflow raises into an error that a user can act on."""
    import mlflow

    try:
        yield
    except mlflow.MlflowException as error:
        raise ClausemarkError(f"MLflow: {error}") from error


def _code_version() -> dict[str, str]:
    """Say which code trained: the version, and the commit where clausemark runs from a checkout."""
    tags = {"clausemark.version": __version__}
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            found = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
            commit = found.stdout.strip()
            tags |= {"clausemark.commit": commit, "mlflow.source.git.commit": commit.removesuffix("-dirty")}
    return tags


def _flat_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Name the weight of every block, so that runs can be compared by it."""
    weights = {**WEIGHTS, **(parameters.get("weights") or {})}
    flat = {key: value for key, value in parameters.items() if key != "weights"}
    return flat | {f"weights.{block}": weight for block, weight in weights.items()}


def _flat_metrics(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """Make MLflow metrics of an evaluation; MLflow refuses the commas in names of categories."""
    flat = {key: value for key, value in evaluation.items() if isinstance(value, (int, float))}
    for key, (low, high) in evaluation["intervals"].items():
        flat |= {f"{key}_low": low, f"{key}_high": high}
    for category, figures in evaluation["per_label"].items():
        flat |= {f"{figure}/{CODE_OF[category]}": value for figure, value in figures.items()}
    return {key: float(value) for key, value in flat.items() if value is not None}


def _dataset(mlflow: Any, policies: Sequence[Policy], corpus: str) -> Any:
    """Describe the corpus: MLflow keeps its schema, counts and digest, not the text."""
    rows = [
        {
            "policy": policy.id,
            "kind": clause.kind,
            "text": clause.text,
            "labels": "|".join(CODE_OF[label] for label in clause.labels),
        }
        for policy in policies
        for clause in policy.clauses
    ]
    # 36 characters is all that MLflow stores of a digest; the tag has the whole.
    return mlflow.data.from_pandas(pd.DataFrame(rows), name="corpus", digest=corpus[:36])


def _log_model(mlflow: Any, folder: Path) -> None:
    mlflow.pyfunc.log_model(
        name=NAME,
        python_model=str(Path(__file__).with_name("serving.py")),
        artifacts={"model": str(folder)},
        # The signature comes from the type hints in serving.py, which run on this example.
        input_example=([_EXAMPLE], {"any_language": False, "by_document": False}),
        pip_requirements=[f"clausemark=={__version__}", f"mlflow=={mlflow.__version__}"],
    )


def _run_of(client: Any, model: str, folder: str | Path) -> Any:
    """Find the run that made a model, the latest if there are several."""
    places = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(places, f"tags.`{_DIGEST}` = '{model}'", order_by=["start_time DESC"])
    if not runs:
        raise InputError("no run of this MLflow store made this model: train it with tracking", where=folder)
    seen = int(runs[0].data.tags[_TEST_POLICIES])
    if seen:
        raise InputError(
            f"has seen {seen} test policies in training, so they cannot judge it: train with --split train",
            where=folder,
        )
    return runs[0]


def _version_of(client: Any, name: str, run: Any, model: str) -> int:
    """Find the version that is this model, or make one."""
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    for version in client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(_DIGEST) == model:
            return int(version.version)
    logged = run.outputs.model_outputs[0].model_id
    made = client.create_model_version(
        name, f"models:/{logged}", run_id=run.info.run_id, tags={_DIGEST: model}, model_id=logged
    )
    return int(made.version)


def _judge(comparison: Comparison) -> tuple[bool, str]:
    """Decide whether the second model is better, and say why."""
    difference, (low, high) = comparison.differences["micro_f1"], comparison.intervals["micro_f1"]
    wins = low > 0  # not so where the interval is unknown (one policy)
    return wins, (
        f"micro-F1 {difference:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}, on"
        f" {comparison.policies} test policies: {'better' if wins else 'not surely better'} than the champion"
    )
