"""The saved model: a folder of arrays and JSON, without pickle.

| file | what it holds |
|---|---|
| model.json | format, parameters, calibration, thresholds, versions, corpus, metrics; SHA-256 of all |
| vocabulary.json | block of features -> its n-grams in the order of their columns |
| idf.npy | inverse document frequencies of these n-grams, float32 |
| weights.npy | one row a category: the weights of all features, then the intercept, float32 |
| README.md | the model card, generated from model.json |

Saving the same classifier twice gives the same bytes. Nothing else knows what is in the folder.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from clausemark.classifier import ClauseClassifier, LinearScores
from clausemark.errors import ModelError
from clausemark.taxonomy import CATEGORIES

FORMAT: Final = "clausemark-model/1"
_FILES: Final = ("README.md", "idf.npy", "vocabulary.json", "weights.npy")


@dataclass(frozen=True)
class Model:
    """A trained classifier and what is known of it.

    Attributes
    ----------
    classifier : ClauseClassifier
        Fitted.
    info : dict
        Content of model.json: format, version, parameters, corpus, metrics and more.
    """

    classifier: ClauseClassifier
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 that names the model."""
        return str(self.info.get("digest", ""))


def save_model(
    classifier: ClauseClassifier,
    folder: str | Path,
    *,
    corpus: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a fitted classifier as a model folder.

    Parameters
    ----------
    classifier : ClauseClassifier
        Fitted on indicators of the twelve categories.
    folder : str or pathlib.Path
        Made if missing; files of an older model in it are replaced.
    corpus : mapping, optional
        What it was trained on: digest, policies, clauses, licence.
    metrics : mapping, optional
        What was measured on clauses that it had not seen.

    Returns
    -------
    dict
        Content of model.json.

    Raises
    ------
    ModelError
        If the classifier was not trained on the twelve categories, or the folder holds other files.
    """
    folder = Path(folder)
    if tuple(classifier.classes_) != CATEGORIES:
        raise ModelError("only a classifier of the twelve categories can be saved")
    if folder.is_file() or (folder.is_dir() and not _is_ours(folder)):
        raise ModelError("is not a model folder and not empty; name another", where=folder)
    blocks = classifier.pipeline_["features"].named_transformers_
    linear = classifier.pipeline_["linear"]
    vocabulary = {
        name: sorted(block.vocabulary_, key=block.vocabulary_.__getitem__)
        for name, block in blocks.items()
        if name not in ("shape", "remainder")
    }
    idf = [np.empty(0), *(blocks[name].idf_ for name in vocabulary)]
    content = {
        "vocabulary.json": _json(vocabulary),
        "idf.npy": _npy(np.concatenate(idf)),
        "weights.npy": _npy(np.column_stack([linear.coef_, linear.intercept_])),
    }
    info: dict[str, Any] = {
        "format": FORMAT,
        "versions": _versions(),
        "parameters": _plain(classifier.get_params()),
        "categories": list(CATEGORIES),
        "calibration": classifier.calibration_.round(6).tolist(),
        "thresholds": classifier.thresholds_.round(6).tolist(),
        "features": {name: len(terms) for name, terms in vocabulary.items()},
        "corpus": _plain(corpus or {}),
        "metrics": _plain(metrics or {}),
    }
    content["README.md"] = _card(info).encode()
    info["files"] = {name: _sha(content[name]) for name in sorted(content)}
    info["digest"] = _sha(_json(info))
    content["model.json"] = _json(info)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return info


def load_model(folder: str | Path) -> Model:
    """Read a model folder.

    Parameters
    ----------
    folder : str or pathlib.Path

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        If the folder or a file is missing, of another format version, truncated or altered.
    """
    folder = Path(folder)
    info = _read_info(folder)
    data = {}
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{name} is missing from the model folder", where=folder)
        data[name] = path.read_bytes()
        if _sha(data[name]) != info.get("files", {}).get(name):
            raise ModelError("truncated or altered: its SHA-256 is not that in model.json", where=path)
    try:
        vocabulary: dict[str, list[str]] = json.loads(data["vocabulary.json"])
        idf = np.load(io.BytesIO(data["idf.npy"]), allow_pickle=False)
        weights = np.load(io.BytesIO(data["weights.npy"]), allow_pickle=False)
        return Model(_assemble(info, vocabulary, idf, weights), info)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"its files do not fit one another ({error})", where=folder) from None


def _read_info(folder: Path) -> dict[str, Any]:
    path = folder / "model.json"
    if not path.is_file():
        raise ModelError("no model here: a model folder holds a model.json", where=folder)
    try:
        content = path.read_bytes()
        info = json.loads(content)
        found = info["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError("truncated or altered: not the JSON of a model", where=path) from None
    if found != FORMAT:
        raise ModelError(f"has format {found!r}, this clausemark reads {FORMAT!r}", where=path)
    claimed = info.pop("digest", "")
    if _sha(_json(info)) != claimed or _json({**info, "digest": claimed}) != content:
        raise ModelError("truncated or altered: its content does not fit its digest", where=path)
    if tuple(info.get("categories", ())) != CATEGORIES:
        raise ModelError("has other categories than the twelve", where=path)
    info["digest"] = claimed
    return dict(info)


def _assemble(
    info: Mapping[str, Any],
    vocabulary: Mapping[str, list[str]],
    idf: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> ClauseClassifier:
    """Put the trained parts into an estimator."""
    classifier = ClauseClassifier(**info["parameters"])
    classifier.classes_ = np.array(CATEGORIES)
    classifier.multilabel_, classifier.n_features_in_ = True, 1
    classifier.calibration_ = np.array(info["calibration"])
    classifier.thresholds_ = np.array(info["thresholds"])
    pipeline = classifier._pipeline()
    features = pipeline["features"]
    for name, block, _ in features.transformers:
        if name in vocabulary:
            block.set_params(vocabulary=_Terms((term, i) for i, term in enumerate(vocabulary[name])))
    features.fit(_SAMPLE)  # learns nothing but the columns: the vocabularies are given
    start = 0
    for name, terms in vocabulary.items():
        features.named_transformers_[name].idf_ = idf[start : start + len(terms)]
        start += len(terms)
    width = features.transform(_SAMPLE).shape[1]
    if weights.shape != (len(CATEGORIES), width + 1):
        raise ValueError(f"weights of {weights.shape[1] - 1} features, not {width}")
    linear: LinearScores = pipeline["linear"]
    linear.coef_, linear.intercept_ = np.ascontiguousarray(weights[:, :-1]), weights[:, -1]
    classifier.pipeline_ = pipeline
    return classifier


class _Terms(dict[str, int]):
    """A vocabulary that is shared, not copied, when scikit-learn clones: 300,000 terms take a second."""

    def __deepcopy__(self, memo: object) -> _Terms:
        return self


_SAMPLE: Final = pd.DataFrame(
    {
        name: ["clause", "clause"]
        for name in (
            "text", "heading", "section", "lead_in", "previous", "next", "paragraph", "kind",
        )
    }
    | {"position": [0.0, 1.0]}
)  # fmt: skip


def _is_ours(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} <= {*_FILES, "model.json"}


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, dtype=np.float32), allow_pickle=False)
    return buffer.getvalue()


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _plain(value: Any) -> Any:
    """JSON types only, so that what is saved is what is read back."""
    return json.loads(json.dumps(value, default=lambda v: v.item() if hasattr(v, "item") else str(v)))


def _versions() -> dict[str, str]:
    import sklearn

    from clausemark import __version__

    return {"clausemark": __version__, "scikit-learn": sklearn.__version__, "numpy": np.__version__}


def _card(info: Mapping[str, Any]) -> str:
    """Write the model card."""
    corpus, metrics = info["corpus"], info["metrics"]
    lines = [
        "# clausemark model",
        "",
        "Marks the clauses of an English privacy policy with data-practice categories. TF-IDF of the",
        "clause and of what stands around it, one linear score a category, calibrated. Arrays and JSON",
        "only; read it with `clausemark.Labeler.load(folder)`.",
        "",
        f"- Trained on: {corpus.get('policies', '?')} policies, {corpus.get('clauses', '?')} clauses"
        f" (digest {str(corpus.get('digest', '?'))[:12]}), licence {corpus.get('license', '?')}.",
        f"- Features: {', '.join(f'{n} {c:,}' for n, c in info['features'].items())}.",
        f"- Made with: {', '.join(f'{n} {v}' for n, v in info['versions'].items())}.",
        "",
    ]
    if metrics:
        lines += ["Measured out of fold, split by policy:", "", "| figure | value |", "|---|---|"]
        lines += [f"| {n} | {v:.4f} |" for n, v in metrics.items() if isinstance(v, float)]
        lines.append("")
    lines += ["| category | threshold |", "|---|---|"]
    lines += [
        f"| {name} | {cut:.2f} |" for name, cut in zip(info["categories"], info["thresholds"], strict=True)
    ]
    lines += [
        "",
        "Not legal advice. Reads English only; a category says what a clause is about, not whether",
        "the practice is lawful or true.",
        "",
    ]
    return "\n".join(lines)
