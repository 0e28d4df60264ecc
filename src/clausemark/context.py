"""Context: how the clauses of a policy lie to one another, and what they say to each of them.

``clauses -> surroundings (who is whose neighbour) -> neighbourhood (the neighbours' scores, aligned)``

Training and labeling read this one table, so that context cannot mean two things. NumPy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clausemark.clauses import Clause, headings_above

#: Where a clause looks, in the order of the neighbourhood; `clause` is the clause itself.
FIELDS: Final = (
    "clause",  # its own scores
    "previous", "next", "before_previous", "after_next",
    "heading",  # the heading that it stands under; of a heading the one above
    "lead_in",  # the sentence that introduces the list of an item
    "paragraph",  # mean of the others in its paragraph
    "strongest",  # of each score the highest in its paragraph, be it its own
    "section",  # mean of the others under its heading
    "content",  # of a heading: mean of the clauses under it
)  # fmt: skip
#: Fields that introduce the clause: what they announce counts besides what they say.
INTRODUCTIONS: Final = ("heading", "lead_in")
#: Properties of a clause that need no score.
SHAPES: Final = (
    "kind=heading", "kind=item", "position=first", "position=early", "position=late", "position=last",
    "has previous", "has next", "has heading", "has lead-in", "has paragraph", "has section", "has content",
)  # fmt: skip
#: A text of fewer clauses is taken for an excerpt, whose clauses have no position.
SHORTEST_POLICY: Final = 8

#: How kinds are numbered.
SENTENCE, HEADING, ITEM = 0, 1, 2
KINDS: Final = {"sentence": SENTENCE, "heading": HEADING, "item": ITEM}

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Who is whose neighbour, for the clauses of one or more documents.

    Attributes
    ----------
    previous, next, heading, lead_in : ndarray of shape (n_clauses,), int64
        Row of the neighbour, -1 for none.
    first, last : ndarray of shape (n_clauses,), int64
        Rows of the first and the last clause of the paragraph.
    kind : ndarray of shape (n_clauses,), int64
        0 sentence, 1 heading, 2 item.
    position : ndarray of shape (n_clauses,), float64
        In the document, from 0 to 1; -1 where that is unknown.
    """

    previous: Ints
    next: Ints
    heading: Ints
    lead_in: Ints
    first: Ints
    last: Ints
    kind: Ints
    position: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.kind)

    @property
    def alone(self) -> NDArray[np.bool_]:
        """Which clauses have nothing around them: shape (n_clauses,), bool."""
        return np.asarray((self.previous < 0) & (self.next < 0) & (self.heading < 0) & (self.lead_in < 0))

    @cached_property
    def singles(self) -> dict[str, Ints]:
        """Fields of one neighbour: its row, -1 for none; each of shape (n_clauses,), int64."""
        return {
            "clause": np.arange(len(self)),
            "previous": self.previous,
            "next": self.next,
            "before_previous": _follow(self.previous),
            "after_next": _follow(self.next),
            "heading": self.heading,
            "lead_in": self.lead_in,
        }

    @cached_property
    def groups(self) -> dict[str, tuple[Ints, Ints, Ints]]:
        """Fields that are means: first and last row, and 1 where the clause itself is left out."""
        heading = self.kind == HEADING
        rows = np.arange(len(self))
        # A section is the run of clauses between two headings of a document.
        opens = heading | (self.previous < 0)
        number = np.cumsum(opens) - 1
        starts = np.flatnonzero(opens)
        ends = np.append(starts[1:], len(self)) - 1
        first, last = (starts + heading[starts])[number], ends[number]
        return {
            "paragraph": (self.first, self.last, np.ones_like(rows)),
            "section": (np.where(heading, rows + 1, first), np.where(heading, rows, last), 1 - heading),
            "content": (
                np.where(heading, first, rows + 1),
                np.where(heading, last, rows),
                np.zeros_like(rows),
            ),
        }


def surroundings(clauses: Sequence[Clause]) -> Surroundings:
    """Find the neighbours of every clause of one document.

    Parameters
    ----------
    clauses : sequence of Clause
        All clauses of the document, in order.

    Returns
    -------
    Surroundings
        As `clausemark.clauses.contexts` has it, in columns.
    """
    count = len(clauses)
    if not count:
        return nothing_around(0)
    _, kinds, _, _, numbers = zip(*clauses, strict=True)
    kind = np.fromiter(map(KINDS.__getitem__, kinds), np.int64, count)
    paragraph, rows = np.fromiter(numbers, np.int64, count), np.arange(count)
    after = rows + 1
    after[-1] = -1
    (headings,) = np.nonzero(kind == HEADING)
    heading = _latest(kind == HEADING)
    heading[headings] = headings_above(clauses, headings.tolist())
    # The sentence before a list is the lead-in of all its items.
    lead_in = _latest(kind != ITEM)
    lead_in[(kind != ITEM) | (kind[lead_in] != SENTENCE)] = -1
    order = paragraph.argsort(kind="stable")
    ascending = paragraph[order]
    first = order[ascending.searchsorted(paragraph)]
    last = order[ascending.searchsorted(paragraph, "right") - 1]
    # A handful of clauses is an excerpt: the first of it is not the title of a policy.
    position = rows / (count - 1) if count >= SHORTEST_POLICY else np.full(count, -1.0)
    return Surroundings(rows - 1, after, heading, lead_in, first, last, kind, position)


def _latest(chosen: NDArray[np.bool_]) -> Ints:
    """Name the last row up to each that is chosen, -1 for none."""
    return np.maximum.accumulate(np.where(chosen, np.arange(len(chosen)), -1))


def nothing_around(count: int) -> Surroundings:
    """Return the surroundings of `count` clauses that come alone."""
    none, own = np.full(count, -1, dtype=np.int64), np.arange(count)
    return Surroundings(none, none, none, none, own, own, np.zeros_like(own), np.full(count, -1.0))


def join(parts: Iterable[Surroundings]) -> Surroundings:
    """Put documents below each other.

    Parameters
    ----------
    parts : iterable of Surroundings
        At least one.

    Returns
    -------
    Surroundings
        Rows count through all of them.
    """
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    lengths = [len(part) for part in parts]
    shift = np.repeat(np.cumsum([0, *lengths[:-1]]), lengths)
    columns = []
    for name in (field.name for field in dataclasses.fields(Surroundings)):
        values = np.concatenate([getattr(part, name) for part in parts])
        if name not in ("kind", "position"):
            values += shift * (values >= 0)
        columns.append(values)
    return Surroundings(*columns)


def columns(said: int, announced: int) -> dict[str, slice]:
    """Name the columns of `neighbourhood`.

    Parameters
    ----------
    said, announced : int
        Numbers of scores of stage 1.

    Returns
    -------
    dict of str to slice
        What each of `FIELDS` says, what each of `INTRODUCTIONS` announces (``"heading announces"``),
        and ``"shape"``, in this order.
    """
    widths = dict.fromkeys(FIELDS, said)
    widths |= {f"{name} announces": announced for name in INTRODUCTIONS} | {"shape": len(SHAPES)}
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - width, end) for (name, width), end in zip(widths.items(), ends, strict=True)}


def neighbourhood(said: Floats, announced: Floats, around: Surroundings) -> Floats:
    """Align the scores of a clause's neighbours with its own.

    Parameters
    ----------
    said : ndarray of shape (n_clauses, n_said), float32
        Scores of what each clause says, judged by its own text.
    announced : ndarray of shape (n_clauses, n_announced), float32
        Scores of what the clauses that it introduces say, judged by its own text.
    around : Surroundings

    Returns
    -------
    ndarray of shape (n_clauses, n_columns), float32
        `said` of each of `FIELDS`, `announced` of each of `INTRODUCTIONS`, then `SHAPES`; zero where
        there is no such neighbour; see `columns`. All of it is linear in `said` and `announced`, but
        for the choice of the strongest.
    """
    parts = {name: _take(said, rows) for name, rows in around.singles.items()}
    for name, (first, last, without) in around.groups.items():
        parts[name] = _mean(said, first, last, without)
    parts["strongest"] = np.take_along_axis(said, strongest(said, around), axis=0)
    blocks = [parts[name] for name in FIELDS]
    blocks += [_take(announced, getattr(around, name)) for name in INTRODUCTIONS]
    return np.hstack([*blocks, shapes(around)], dtype=np.float32)


def combine(said: Floats, told: Floats, around: Surroundings, alone: Floats, context: Floats) -> Floats:
    """Turn the scores of clauses, each read alone, into scores in context: stage 2.

    Parameters
    ----------
    said : ndarray of shape (n_clauses, n_said), float32
    told : ndarray of shape (n_clauses, n_classes), float32
        Scores of stage 1: what clauses say and what they announce.
    around : Surroundings
    alone, context : ndarray of shape (n_inputs + 1, n_classes), float32
        Weights for clauses that come alone (input: `said`) and in context (input: `neighbourhood`);
        the last row is the intercept.

    Returns
    -------
    ndarray of shape (n_clauses, n_classes), float32
    """
    scores = affine(said, alone)
    if not around.alone.all():
        scores = np.where(around.alone[:, None], scores, affine(neighbourhood(said, told, around), context))
    return scores


def affine(X: Floats, weights: Floats) -> Floats:
    """Multiply by weights whose last row is the intercept."""
    return np.asarray(X @ weights[:-1] + weights[-1])


def strongest(said: Floats, around: Surroundings) -> Ints:
    """Name the clause of the paragraph that has the highest of each score.

    Parameters
    ----------
    said : ndarray of shape (n_clauses, n_said), float32
    around : Surroundings

    Returns
    -------
    ndarray of shape (n_clauses, n_said), int64
        Rows; the first of several that are equal.
    """
    bounds, place = np.unique(np.column_stack([around.first, around.last + 1]), axis=0, return_inverse=True)
    found = [start + said[start:end].argmax(axis=0) for start, end in bounds.tolist()]
    return np.array(found, dtype=np.int64).reshape(-1, said.shape[1])[place.ravel()]


def sources(around: Surroundings, row: int) -> dict[str, dict[int, float]]:
    """Name the clauses that a clause looks at, and how much each counts.

    Parameters
    ----------
    around : Surroundings
    row : int

    Returns
    -------
    dict of str to dict of int to float
        Field -> row -> share, for the fields of `FIELDS` that the clause has; for the strongest see
        `strongest`. Shares of a field add up to one.
    """
    found = {}
    for name, rows in around.singles.items():
        if rows[row] >= 0:
            found[name] = {int(rows[row]): 1.0}
    for name, (first, last, without) in around.groups.items():
        members = [i for i in range(first[row], last[row] + 1) if not (without[row] and i == row)]
        if members:
            found[name] = dict.fromkeys(members, 1 / len(members))
    return {name: found[name] for name in FIELDS if name in found}


def shapes(around: Surroundings) -> Floats:
    """Tell what needs no score: shape (n_clauses, 13), float32, columns as `SHAPES`."""
    position, groups = around.position, around.groups
    return np.column_stack(
        [
            around.kind == HEADING,
            around.kind == ITEM,
            position == 0,
            (position > 0) & (position <= 0.1),
            (position > 0.9) & (position < 1),
            position == 1,
            *(getattr(around, name) >= 0 for name in ("previous", "next", "heading", "lead_in")),
            *(last - first + 1 > without for first, last, without in groups.values()),
        ]
    ).astype(np.float32)


def _follow(rows: Ints) -> Ints:
    return np.where(rows >= 0, rows[rows], -1)


def _take(scores: Floats, rows: Ints) -> Floats:
    return np.where(rows[:, None] >= 0, scores[rows], np.float32(0))


def _mean(scores: Floats, first: Ints, last: Ints, without: Ints) -> Floats:
    """Mean of each range of rows, without the row itself where `without` is 1; zero where empty."""
    sums = np.zeros((len(scores) + 1, scores.shape[1]))
    np.cumsum(scores, axis=0, dtype=np.float64, out=sums[1:])
    count = last - first + 1 - without
    total = sums[last + 1] - sums[first] - scores * without[:, None]
    return np.asarray(total / np.maximum(count, 1)[:, None] * (count > 0)[:, None], dtype=np.float32)
