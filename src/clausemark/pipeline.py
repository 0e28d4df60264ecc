"""Stages of the pipeline, as dvc.yaml runs them: from the corpus to tables, a model folder, a report."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clausemark.classifier import ClauseClassifier
from clausemark.corpus import Paths, Policy, read_corpus, statistics, to_datasets
from clausemark.errors import InputError
from clausemark.evaluation import HEADLINES, evaluate, out_of_fold_predictions
from clausemark.model import load_model, save_model
from clausemark.training import describe, train

__all__ = ["make_model", "prepare", "report"]

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #ccc}"
    "img{max-width:100%}"
)


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
    result = evaluate(out_of_fold_predictions(classifier, policies))
    metrics = {"n": len(classifier.out_of_fold_)} | {k: round(v, 6) for k, v in result.figures.items()}
    return classifier, save_model(classifier, folder, corpus=describe(policies), metrics=metrics)


def report(model: str | Path, metrics: str | Path, plots: str | Path, folder: str | Path) -> list[Path]:
    """Write an evaluation as a page to read.

    Parameters
    ----------
    model : str or pathlib.Path
        Model folder.
    metrics : str or pathlib.Path
        What ``clausemark evaluate --out`` wrote for it.
    plots : str or pathlib.Path
        Folder of pictures that ``clausemark evaluate --plots`` drew.
    folder : str or pathlib.Path
        Gets README.md and index.html, which refer to the pictures where they are.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ModelError
        If there is no model in the folder.
    InputError
        If the metrics cannot be read.
    """
    from markdown_it import MarkdownIt

    info = load_model(model).info
    figures = _read_metrics(Path(metrics))
    folder = Path(folder)
    pictures = [Path(os.path.relpath(path, folder)).as_posix() for path in sorted(Path(plots).glob("*.png"))]
    text = "\n".join(_page(info, figures, pictures)) + "\n"
    body = MarkdownIt("commonmark").enable("table").render(text)
    page = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{html.escape(_TITLE)}</title>\n'
        f"<style>{_STYLE}</style>\n{body}</html>\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "README.md", folder / "index.html"]
    for path, content in zip(written, (text, page), strict=True):
        path.write_text(content, encoding="utf-8")
    return written


_TITLE: Final = "How good the model is"


def _page(info: Mapping[str, Any], figures: Mapping[str, Any], pictures: list[str]) -> Iterator[str]:
    corpus = info["corpus"]
    yield f"# {_TITLE}"
    yield ""
    yield "Generated by the stage `report` of dvc.yaml; not to be edited by hand."
    yield ""
    yield (
        f"The candidate (model {info['digest'][:12]}) learnt from {corpus.get('policies', '?')} policies and"
        f" is measured here on {figures['n']:,} clauses of {figures['policies']} policies that it has not"
        " seen. In brackets 95 % intervals by a bootstrap of policies."
    )
    yield ""
    yield "| figure | value | |"
    yield "|---|---:|---|"
    for name in HEADLINES:
        low, high = figures["intervals"][name]
        brackets = "" if low is None else f"[{low:.3f}, {high:.3f}]"
        yield f"| {name.replace('_', ' ')} | {figures[name]:.3f} | {brackets} |"
    yield ""
    yield "| category | precision | recall | F1 | clauses |"
    yield "|---|---:|---:|---:|---:|"
    for name, row in figures["per_label"].items():
        cells = " | ".join(f"{row[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        yield f"| {name} | {cells} | {row['support']:,} |"
    for picture in pictures:
        yield ""
        yield f"![{Path(picture).stem}]({picture})"


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("n", "policies", "per_label", "intervals", *HEADLINES)}
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except (ValueError, KeyError, TypeError):
        raise InputError("is not what clausemark evaluate --out writes", where=path) from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
