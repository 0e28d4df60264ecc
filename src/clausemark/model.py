"""The saved model: a folder of arrays and JSON, without pickle.

| file | what it holds |
|---|---|
| model.json | format, parameters, thresholds, versions, corpus, metrics; SHA-256 of all |
| vocabulary.json | block of features -> its n-grams in the order of their rows |
| idf.npy | inverse document frequencies of these n-grams, float32 |
| weights.npy | stage 1: one row an n-gram, the blocks below each other; float16 |
| maps.npy | intercepts of stage 1, the map for clauses alone, that in context; float32 |
| README.md | the model card, generated from model.json |

Saving the same classifier twice gives the same bytes. Nothing else knows what is in the folder. What
is read from it is a `Model`, plain arrays that `clausemark.scorer` scores with; `restore` puts them
back into the scikit-learn estimator.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from clausemark.context import columns
from clausemark.errors import ModelError
from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    from clausemark.classifier import ClauseClassifier

#: Words: letters and digits with inner apostrophes; single letters count ("a", "i").
TOKEN: Final = r"(?u)\b\w+(?:['’]\w+)*\b"
#: Shortest n-gram of characters.
SHORTEST: Final = 3

FORMAT: Final = "clausemark-model/3"
_FILES: Final = ("README.md", "idf.npy", "maps.npy", "vocabulary.json", "weights.npy")

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Block:
    """N-grams of one kind.

    Attributes
    ----------
    terms : tuple of str
        In the order of the rows.
    longest : int
        Longest n-gram; the shortest is 1 of words and `SHORTEST` of characters.
    scale : float
        What the TF-IDF vector of the block, of length 1, is multiplied by.
    idf : ndarray of shape (n_terms,), float32
    weights : ndarray of shape (n_terms, n_scores), float32
        Of stage 1.
    """

    terms: tuple[str, ...]
    longest: int
    scale: float
    idf: Floats
    weights: Floats


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model and what is known of it.

    Attributes
    ----------
    blocks : dict of str to Block
        ``"words"``, ``"chars"`` or both.
    intercepts : ndarray of shape (n_scores,), float32
        Of stage 1. The first scores are what a clause says, the last twelve what it announces.
    alone, context : ndarray of shape (n_inputs + 1, 12), float32
        Stage 2: see `clausemark.context.combine`.
    thresholds : ndarray of shape (12,), float64
        Probability from which on a category is given.
    review : float
        Probability of the primary category below which a clause needs a review.
    info : dict
        Content of model.json: format, version, parameters, corpus, metrics and more.
    """

    blocks: Mapping[str, Block]
    intercepts: Floats
    alone: Floats
    context: Floats
    thresholds: NDArray[np.float64]
    review: float = 0.0
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
    model = as_model(classifier)
    maps = (model.intercepts, model.alone, model.context)
    content = {
        "vocabulary.json": _json({name: block.terms for name, block in model.blocks.items()}),
        "idf.npy": _npy(np.concatenate([block.idf for block in model.blocks.values()])),
        "weights.npy": _npy(np.concatenate([block.weights for block in model.blocks.values()]), np.float16),
        "maps.npy": _npy(np.concatenate([part.ravel() for part in maps])),
    }
    info: dict[str, Any] = {
        "format": FORMAT,
        "versions": _versions(),
        "parameters": _plain(classifier.get_params()),
        "categories": list(CATEGORIES),
        "thresholds": classifier.thresholds_.round(6).tolist(),
        "review": round(classifier.review_, 6),
        "blocks": {
            name: {"terms": len(block.terms), "longest": block.longest, "scale": block.scale}
            for name, block in model.blocks.items()
        },
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
        arrays = {
            name: np.load(io.BytesIO(data[f"{name}.npy"]), allow_pickle=False).astype(np.float32)
            for name in ("idf", "weights", "maps")
        }
        return _assemble(info, vocabulary, **arrays)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"its files do not fit one another ({error})", where=folder) from None


def as_model(classifier: ClauseClassifier) -> Model:
    """Take the arrays of a fitted classifier.

    Parameters
    ----------
    classifier : ClauseClassifier

    Returns
    -------
    Model
        Without info.
    """
    parts = (classifier.says_, classifier.announces_)
    weights = np.ascontiguousarray(np.vstack([part.coef_ for part in parts]).T)
    blocks: dict[str, Block] = {}
    start = 0
    for name, scale in classifier.features_.transformer_weights.items():
        fitted = classifier.features_.named_transformers_[name]
        terms = tuple(sorted(fitted.vocabulary_, key=fitted.vocabulary_.__getitem__))
        rows = slice(start, start + len(terms))
        blocks[name] = Block(terms, fitted.ngram_range[1], float(scale), fitted.idf_, weights[rows])
        start = rows.stop
    intercepts = np.concatenate([part.intercept_ for part in parts])
    return Model(
        blocks, intercepts, classifier.alone_, classifier.context_, classifier.thresholds_, classifier.review_
    )


def restore(model: Model) -> ClauseClassifier:
    """Put the arrays of a model back into the scikit-learn estimator that they come from.

    Parameters
    ----------
    model : Model

    Returns
    -------
    ClauseClassifier
        Fitted, without out-of-fold scores.

    Raises
    ------
    ModelError
        If it has parameters or blocks of features that this clausemark does not know.
    """
    from clausemark.classifier import ClauseClassifier
    from clausemark.features import WEIGHTS, as_frame, make_features
    from clausemark.svm import LinearScores

    scales, longest = ({n: getattr(b, of) for n, b in model.blocks.items()} for of in ("scale", "longest"))
    try:
        classifier = ClauseClassifier(**model.info.get("parameters", {}))
        features = make_features(
            dict.fromkeys(WEIGHTS, 0) | scales, longest.get("words", 1), longest.get("chars", 3), 1
        )
    except (TypeError, ValueError) as error:
        raise ModelError(f"is not one of this clausemark ({error})") from None
    classifier.classes_ = np.array(CATEGORIES)
    classifier.multilabel_, classifier.n_features_in_ = True, 1
    for name, block, _ in features.transformers:
        terms = model.blocks[name].terms
        block.set_params(vocabulary=_Terms((term, i) for i, term in enumerate(terms)))
    features.fit(as_frame(["a clause"]))  # learns nothing but the column: the vocabularies are given
    for name, part in model.blocks.items():
        features.named_transformers_[name].idf_ = part.idf
    classifier.features_ = features
    coef = np.vstack([part.weights for part in model.blocks.values()]).T
    ends = len(model.intercepts) - len(CATEGORIES)
    for name, rows in (("says_", slice(ends)), ("announces_", slice(ends, None))):
        scores = LinearScores(classifier.C, classifier.prior, classifier.seed)
        scores.coef_ = np.ascontiguousarray(coef[rows])
        scores.intercept_ = model.intercepts[rows]
        setattr(classifier, name, scores)
    classifier.alone_, classifier.context_ = model.alone, model.context
    classifier.thresholds_, classifier.review_ = model.thresholds, model.review
    return classifier


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
    idf: Floats,
    weights: Floats,
    maps: Floats,
) -> Model:
    """Cut the arrays to their shapes."""
    classes, scores = len(CATEGORIES), weights.shape[1]
    said = scores - classes
    sizes = (scores, (said + 1) * classes, (columns(said, classes)["shape"].stop + 1) * classes)
    blocks: dict[str, Block] = {}
    start = 0
    for name, of in info["blocks"].items():
        terms = tuple(vocabulary[name])
        rows = slice(start, start + len(terms))
        blocks[name] = Block(terms, int(of["longest"]), float(of["scale"]), idf[rows], weights[rows])
        start = rows.stop
    if not (len(idf) == len(weights) == start) or len(maps) != sum(sizes):
        raise ValueError(f"{start} n-grams, {len(idf)} idf, {len(weights)} weights, {len(maps)} in maps")
    intercepts, alone, context = np.split(maps, np.cumsum(sizes)[:-1])
    thresholds = np.array(info["thresholds"], dtype=np.float64)
    if thresholds.shape != (classes,):
        raise ValueError(f"thresholds of shape {thresholds.shape}")
    shapes = alone.reshape(-1, classes), context.reshape(-1, classes)
    return Model(blocks, intercepts, *shapes, thresholds, float(info["review"]), info)


class _Terms(dict[str, int]):
    """A vocabulary that is shared, not copied, when scikit-learn clones: 300,000 terms take a second."""

    def __deepcopy__(self, memo: object) -> _Terms:
        return self


def _is_ours(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} <= {*_FILES, "model.json"}


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _npy(array: NDArray[Any], dtype: type = np.float32) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array, dtype=dtype), allow_pickle=False)
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
    features = (f"{name} {block['terms']:,}" for name, block in info["blocks"].items())
    lines = [
        "# clausemark model",
        "",
        "Marks the clauses of an English privacy policy with data-practice categories: linear scores of",
        "the TF-IDF of each clause, then a linear map of these and of the scores of the clauses around",
        "it, calibrated. Arrays and JSON only; read it with `clausemark.Labeler.load(folder)`.",
        "",
        f"- Trained on: {corpus.get('policies', '?')} policies, {corpus.get('clauses', '?')} clauses"
        f" (digest {str(corpus.get('digest', '?'))[:12]}), licence {corpus.get('license', '?')}.",
        f"- Features: {', '.join(features)}.",
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
