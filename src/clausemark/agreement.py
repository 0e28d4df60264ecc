"""Agreement: how far two annotations of the same clauses, made apart, say the same.

``annotator's TSV -> second.jsonl -> figures with intervals | what became of the disagreements``
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from clausemark.corpus import Policy, read_text
from clausemark.errors import CorpusError
from clausemark.taxonomy import CATEGORIES, CODES

__all__ = ["SecondAnnotation", "agreement", "import_second", "read_second", "write_second"]

_COUNT: Final = len(CATEGORIES)
_COLUMN: Final = {name: number for number, name in enumerate(CATEGORIES)}
_KEYS: Final = {"policy": str, "id": int, "first": list, "second": list}

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SecondAnnotation:
    """What two annotators gave to a clause before they knew of each other.

    Attributes
    ----------
    policy : str
        Id.
    id : int
        Number of the clause in its policy, from 0.
    first, second : tuple of str
        Names of categories, the primary one first.
    """

    policy: str
    id: int
    first: tuple[str, ...]
    second: tuple[str, ...]


# Files -------------------------------------------------------------------------------------------


def import_second(path: str | Path) -> list[SecondAnnotation]:
    """Read annotations as annotators hand them in.

    Parameters
    ----------
    path : str or pathlib.Path
        TSV: policy, number of the clause, first and second codes (joined by ``|``, the primary first).

    Returns
    -------
    list of SecondAnnotation
        In order of policy and clause.

    Raises
    ------
    CorpusError
        If the file cannot be read, or a line breaks the format or comes twice.
    """
    path = Path(path)

    def record(line: str) -> SecondAnnotation:
        columns = line.split("\t")
        if len(columns) != 4 or not columns[1].isdecimal():
            raise ValueError("is not policy, number, first and second codes, parted by tabs")
        try:
            first, second = ([CODES[code] for code in cell.split("|")] for cell in columns[2:])
        except KeyError as error:
            raise ValueError(f"unknown code {error.args[0]!r}: one of {', '.join(CODES)}") from None
        return _checked(columns[0], int(columns[1]), first, second)

    return _collect(path, record)


def read_second(path: str | Path) -> list[SecondAnnotation]:
    """Read the second annotation of a corpus.

    Parameters
    ----------
    path : str or pathlib.Path
        JSONL, a line a clause: policy, id, first and second (lists of names, the primary one first).

    Returns
    -------
    list of SecondAnnotation
        In order of policy and clause.

    Raises
    ------
    CorpusError
        If the file cannot be read, or a line breaks the format or comes twice.
    """
    path = Path(path)

    def record(line: str) -> SecondAnnotation:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError("is not JSON: one JSON object a line") from None
        if not isinstance(found, dict) or {key: type(value) for key, value in found.items()} != _KEYS:
            raise ValueError("is not an object of policy, id, first and second")
        return _checked(found["policy"], found["id"], found["first"], found["second"])

    return _collect(path, record)


def write_second(records: Iterable[SecondAnnotation], path: str | Path) -> None:
    """Write a second annotation; the same records always give the same bytes.

    Parameters
    ----------
    records : iterable of SecondAnnotation
    path : str or pathlib.Path
        Its folder exists.

    Raises
    ------
    CorpusError
        If the file cannot be written.
    """
    lines = [
        json.dumps({"policy": r.policy, "id": r.id, "first": r.first, "second": r.second}, ensure_ascii=False)
        for r in sorted(records, key=_place)
    ]
    try:
        Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise CorpusError(f"cannot be written: {error.strerror}", where=path) from None


def _place(record: SecondAnnotation) -> tuple[str, int]:
    return record.policy, record.id


def _checked(policy: str, number: int, first: Sequence[Any], second: Sequence[Any]) -> SecondAnnotation:
    for labels in (first, second):
        unknown = [label for label in labels if label not in CATEGORIES]
        if unknown:
            raise ValueError(f"unknown category {unknown[0]!r}")
        if not labels or len(set(labels)) < len(labels):
            raise ValueError("an annotation has one category or several different ones")
    return SecondAnnotation(policy, number, tuple(first), tuple(second))


def _collect(path: Path, record: Any) -> list[SecondAnnotation]:
    found: dict[tuple[str, int], SecondAnnotation] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            one = record(line)
            if _place(one) in found:
                raise ValueError(f"clause {one.id} of {one.policy} comes twice")
        except ValueError as error:
            raise CorpusError(str(error), where=path, line=number) from None
        found[_place(one)] = one
    if not found:
        raise CorpusError("holds no annotations", where=path)
    return [found[place] for place in sorted(found)]


# Figures -----------------------------------------------------------------------------------------


def agreement(
    records: Sequence[SecondAnnotation],
    policies: Sequence[Policy],
    *,
    most: int = 10,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure how far two annotations agree, and what became of the rest.

    Parameters
    ----------
    records : sequence of SecondAnnotation
        At least one.
    policies : sequence of Policy
        The corpus, with the labels that it has now.
    most : int
        How many kinds of disagreement to list.
    resamples : int
        Bootstrap samples of policies.
    seed : int

    Returns
    -------
    dict
        Plain and ready for JSON: ``clauses``, ``policies``, ``share`` (of the clauses of the corpus);
        ``observed`` (share of clauses with one primary category), ``kappa`` (of the primary category:
        Cohen 1960, "A coefficient of agreement for nominal scales"), ``same_labels`` (share of clauses
        with one set of categories), ``intervals`` of these three (95 %, None where one policy only);
        ``categories`` (category -> ``first``, ``second`` and ``both``, the clauses that they gave it to
        as any label, ``kappa`` one against the rest, its ``interval``, and ``positive_agreement``, the
        share 2 both / (first + second), which is the F1 of one annotation against the other; None where
        undefined); ``disagreements`` (``first``, ``second``, ``clauses``: primary categories, commonest
        first); ``settled`` (of the clauses whose labels differed: ``first``, ``second`` or ``third``,
        by whose labels the corpus has now; and ``agreed_but_changed``, later mended though they agreed).

    Raises
    ------
    CorpusError
        If an annotated clause is not in the corpus.
    """
    current = _current(records, policies)
    primary, marks = _sums(records)
    weights = _weights(len(primary), resamples, seed)
    total, drawn = primary.sum(axis=0), np.tensordot(weights, primary, axes=1)
    marks_total, marks_drawn = marks.sum(axis=0), np.tensordot(weights, marks, axes=1)
    same = np.array([set(r.first) == set(r.second) for r in records])
    clauses = len(records)
    groups = np.unique([record.policy for record in records], return_inverse=True)[1]
    sizes = np.bincount(groups)
    drawn_same = weights @ np.bincount(groups, same) / (weights @ sizes)
    several = len(sizes) > 1
    return {
        "clauses": clauses,
        "policies": len(sizes),
        "share": round(clauses / sum(len(policy.clauses) for policy in policies), 4),
        "observed": _plain(np.trace(total) / clauses),
        "kappa": _plain(_kappa(total)),
        "same_labels": _plain(same.mean()),
        "intervals": {
            "observed": _interval(np.trace(drawn, axis1=-2, axis2=-1) / drawn.sum(axis=(-2, -1)), several),
            "kappa": _interval(_kappa(drawn), several),
            "same_labels": _interval(drawn_same, several),
        },
        "categories": {
            name: _category(marks_total[k], marks_drawn[:, k], several) for k, name in enumerate(CATEGORIES)
        },
        "disagreements": list(_disagreements(total, most)),
        "settled": _settled(records, current),
    }


def _current(records: Sequence[SecondAnnotation], policies: Sequence[Policy]) -> list[tuple[str, ...]]:
    """Labels that the corpus has now."""
    known = {policy.id: policy for policy in policies}
    found = []
    for record in records:
        policy = known.get(record.policy)
        if policy is None or not 0 <= record.id < len(policy.clauses):
            raise CorpusError(f"clause {record.id} of {record.policy} was annotated and is not in the corpus")
        found.append(policy.clauses[record.id].labels)
    return found


def _sums(records: Sequence[SecondAnnotation]) -> tuple[Floats, Floats]:
    """Everything that the figures are made of, by policy.

    Returns
    -------
    ndarray of shape (n_policies, 12, 12), float64
        Clauses by first and second primary category.
    ndarray of shape (n_policies, 12, 2, 2), float64
        Clauses by category, by whether the first and whether the second gave it.
    """
    by_policy: dict[str, list[SecondAnnotation]] = defaultdict(list)
    for record in records:
        by_policy[record.policy].append(record)
    primary = np.zeros((len(by_policy), _COUNT, _COUNT))
    marks = np.zeros((len(by_policy), _COUNT, 2, 2))
    for row, name in enumerate(sorted(by_policy)):
        for record in by_policy[name]:
            primary[row, _COLUMN[record.first[0]], _COLUMN[record.second[0]]] += 1
            for k, category in enumerate(CATEGORIES):
                marks[row, k, int(category in record.first), int(category in record.second)] += 1
    return primary, marks


def _weights(count: int, resamples: int, seed: int) -> Floats:
    """How often each policy is drawn: shape (resamples, n_policies)."""
    random = np.random.default_rng(seed)
    return random.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def _kappa(table: Floats) -> Floats:
    """Cohen's kappa of square tables in the last two axes; NaN where chance alone explains all."""
    whole = table.sum(axis=(-2, -1))
    observed = np.trace(table, axis1=-2, axis2=-1) / whole
    expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / whole**2
    room = np.asarray(1 - expected)
    unknown = np.full_like(room, np.nan)
    return np.asarray(np.divide(observed - expected, room, out=unknown, where=room > 1e-12))


def _category(table: Floats, drawn: Floats, several: bool) -> dict[str, Any]:
    first, second, both = int(table[1].sum()), int(table[:, 1].sum()), int(table[1, 1])
    return {
        "first": first,
        "second": second,
        "both": both,
        "kappa": _plain(_kappa(table)),
        "interval": _interval(_kappa(drawn), several),
        "positive_agreement": _plain(2 * both / (first + second)) if first + second else None,
    }


def _disagreements(table: Floats, most: int) -> Iterator[dict[str, Any]]:
    apart = table.astype(int)
    np.fill_diagonal(apart, 0)
    for cell in np.argsort(-apart, axis=None, kind="stable")[:most]:
        first, second = divmod(int(cell), _COUNT)
        if apart[first, second]:
            names = {"first": CATEGORIES[first], "second": CATEGORIES[second]}
            yield {**names, "clauses": int(apart[first, second])}


def _settled(records: Sequence[SecondAnnotation], current: Sequence[tuple[str, ...]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for record, labels in zip(records, current, strict=True):
        # The order of the labels counts only in so far as it tells the primary one.
        first, second, now = (_reading(given) for given in (record.first, record.second, labels))
        if first == second:
            counts["agreed_but_changed"] += now != first
        else:
            counts["first" if now == first else "second" if now == second else "third"] += 1
    return {name: counts[name] for name in ("first", "second", "third", "agreed_but_changed")}


def _reading(labels: tuple[str, ...]) -> tuple[str, frozenset[str]]:
    return labels[0], frozenset(labels)


def _interval(drawn: Floats, several: bool) -> list[float | None]:
    """95 % percentile interval; None where resamples of one policy could only repeat it."""
    known = drawn[~np.isnan(drawn)]
    if not several or not len(known):
        return [None, None]
    return [_plain(value) for value in np.percentile(known, [2.5, 97.5])]


def _plain(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 4) + 0.0  # + 0.0: no minus zero
