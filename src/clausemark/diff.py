"""What changed between two labeled policies: clauses added, removed, reworded and moved.

``two labeled policies -> pairs of clauses -> changes in reading order -> terminal, page, JSON``

Clauses are paired in three steps: equal ones that keep their order (patience diff: what occurs once on
both sides anchors the rest), equal ones elsewhere, and of what is left those that share most of their
words. Clauses are equal where their words and punctuation are: white space, case, the form of quotation
marks and dashes, and the number before a heading do not count.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np
from scipy.sparse import csr_matrix

from clausemark import __version__
from clausemark.outputs import COLORS, printable
from clausemark.page import _mark, _Mark, _render, _source, _title, show
from clausemark.predict import LabeledClause, LabeledPolicy
from clausemark.taxonomy import CATEGORIES, CODE_OF, CODES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Change", "ChangeKind", "PolicyDiff", "Words", "compare", "print_diff", "render_diff"]

ChangeKind = Literal["same", "moved", "reworded", "removed", "added"]
#: Kinds that are a change, in the order in which they are told.
CHANGED: Final[tuple[ChangeKind, ...]] = ("added", "removed", "reworded", "moved")

#: Share of their words, weighed by rarity, from which on two clauses count as one that was reworded:
#: where both stand between the same unchanged clauses, and anywhere else.
_NEAR, _FAR = 0.4, 0.6
#: Candidates that are kept for a clause, and cells of the table of similarities held at a time.
_CANDIDATES: Final = 8
_CELLS: Final = 1 << 21
#: How often a stretch is divided at what occurs once, before repeated entries are paired one by one.
_DEPTH: Final = 16

#: Soft hyphens and zero-width characters belong to the word around them, and are not seen.
_HIDDEN: Final = "\u00ad\u200b-\u200d\u2060\ufeff"
_TOKEN: Final = re.compile(rf"[\w{_HIDDEN}]+(?:['’][\w{_HIDDEN}]+)*|[^\w\s]")
_NOT_SEEN: Final = re.compile(f"[{_HIDDEN}]")
_PLAIN: Final = str.maketrans("‘’‚‛“”„‟«»‐‑‒–—―−", "''''\"\"\"\"\"\"-------")
_NUMBER: Final = re.compile(r"\s*(?:section\s+)?(?:\d{1,2}(?:\.\d{1,2})*[.):]?|[a-z][.)])\s+(?=\S)", re.I)


class Words(NamedTuple):
    """A stretch of a reworded clause.

    Attributes
    ----------
    op : {"=", "-", "+"}
        Kept, removed or added.
    text : str
        With the white space before it. What was kept reads as in the new version, so that ``=`` and
        ``+`` together are the new clause.
    """

    op: Literal["=", "-", "+"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a clause.

    Attributes
    ----------
    kind : {"same", "moved", "reworded", "removed", "added"}
        A moved clause is equal to one elsewhere in the other version.
    old, new : LabeledClause or None
        The clause in each version; an added one has no old, a removed one no new.
    moved : bool
        Whether it stands elsewhere than before; a reworded clause may, too.
    similarity : float
        Share of the words that both have, weighed by rarity (Dice 1945), from 0 to 1.
    """

    kind: ChangeKind
    old: LabeledClause | None
    new: LabeledClause | None
    moved: bool = False
    similarity: float = 0.0

    @property
    def clause(self) -> LabeledClause:
        """The clause as it is now, or as it was where it is gone."""
        found = self.new or self.old
        assert found is not None
        return found

    @property
    def labels(self) -> tuple[str, ...]:
        """Categories that the clause has in either version, the new ones first."""
        both = (self.new.labels if self.new else ()) + (self.old.labels if self.old else ())
        return tuple(dict.fromkeys(both))

    def words(self) -> list[Words]:
        """Tell word by word what changed.

        Returns
        -------
        list of Words
            In reading order, removed before added; one entry unless the clause was reworded.
        """
        if self.old is None or self.new is None:
            return [Words("-" if self.old else "+", self.clause.text)]
        if self.kind != "reworded":
            return [Words("=", self.new.text)]
        return _reworded(self.old.text, self.new.text)


@dataclass(frozen=True)
class PolicyDiff:
    """Two labeled policies and what lies between them.

    Attributes
    ----------
    old, new : LabeledPolicy
    changes : tuple of Change
        Every clause of both policies exactly once, the unchanged too: in the order of the new policy,
        what was removed where it stood.
    """

    old: LabeledPolicy
    new: LabeledPolicy
    changes: tuple[Change, ...]

    @property
    def differs(self) -> bool:
        """Whether anything was added, removed, reworded or moved."""
        return self.counts["same"] < len(self.changes)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of clauses by kind of change."""
        found = Counter(change.kind for change in self.changes)
        return {kind: found[kind] for kind in get_args(ChangeKind)}

    @cached_property
    def categories(self) -> dict[str, dict[str, int]]:
        """What the change amounts to, by category.

        Counts of clauses that have the category: old and new, of each version; added, removed,
        reworded (in either version) and moved; gained and lost, of the clauses that both versions have
        those that came to it or left it, because of other words in them or around them. So
        ``new == old + added + gained - removed - lost``.
        """
        table = {
            name: dict.fromkeys(("old", "new", *CHANGED, "gained", "lost"), 0) for name in CATEGORIES
        }
        for change in self.changes:
            before = change.old.labels if change.old else ()
            after = change.new.labels if change.new else ()
            for name in change.labels:
                row = table[name]
                row["old"] += name in before
                row["new"] += name in after
                if change.kind != "same":
                    row[change.kind] += 1
                if change.old and change.new:
                    row["gained"] += name not in before
                    row["lost"] += name not in after
        return table

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as ``clausemark diff --json`` prints it: plain types.

        Returns
        -------
        dict
            differ : bool.
            old, new : doc, title, clauses (their number), words (their number).
            counts : clauses that are same, moved, reworded, removed, added.
            categories : name -> old, new, added, removed, reworded, moved, gained, lost
            (see `categories`).
            changes : a record a change in reading order: kind, moved, similarity, labels (of either
            version), old and new (index, kind, heading, text, primary, labels; or null), and words, a
            list of [op, text] as in `Words`, for reworded clauses, else null.
            unchanged : [index in old, index in new] of each clause that stayed as it was.
        """
        return {
            "differ": self.differs,
            "old": _facts(self.old),
            "new": _facts(self.new),
            "counts": dict(self.counts),
            "categories": {name: dict(row) for name, row in self.categories.items()},
            "changes": [
                {
                    "kind": change.kind,
                    "moved": change.moved,
                    "similarity": round(change.similarity, 4),
                    "labels": list(change.labels),
                    "old": _record(change.old),
                    "new": _record(change.new),
                    "words": [list(part) for part in change.words()] if change.kind == "reworded" else None,
                }
                for change in self.changes
                if change.kind != "same"
            ],
            "unchanged": [
                [change.old.index, change.new.index]
                for change in self.changes
                if change.kind == "same" and change.old and change.new
            ],
        }


def compare(old: LabeledPolicy, new: LabeledPolicy) -> PolicyDiff:
    """Find what changed from one policy to another.

    Parameters
    ----------
    old, new : LabeledPolicy
        Two versions of a policy, or two policies.

    Returns
    -------
    PolicyDiff
        Equal input gives equal output. Time grows with the product of the numbers of clauses that are
        not equal to any of the other side, memory with their sum.
    """
    before, after = [_key(clause) for clause in old.clauses], [_key(clause) for clause in new.clauses]
    kept = _align(before, after)
    rest_old = _without(len(before), (i for i, _ in kept))
    rest_new = _without(len(after), (j for _, j in kept))
    moved = [
        (rest_old[i], rest_new[j])
        for i, j in _by_rank([before[i] for i in rest_old], [after[j] for j in rest_new])
    ]
    gone, come = {i for i, _ in moved}, {j for _, j in moved}
    pairs = _similar(
        [old.clauses[i] for i in rest_old if i not in gone],
        [new.clauses[j] for j in rest_new if j not in come],
        kept,
    )

    anchors = sorted(kept)
    olds, news = [i for i, _ in anchors], [j for _, j in anchors]
    stayed = _increasing([(i, j) for i, j, _ in pairs if bisect_left(olds, i) == bisect_left(news, j)])
    spine = sorted(anchors + stayed)
    found: dict[int, Change] = {}  # by position in the new policy
    for i, j in kept:
        found[j] = Change("same", old.clauses[i], new.clauses[j], similarity=1.0)
    for i, j in moved:
        found[j] = Change("moved", old.clauses[i], new.clauses[j], moved=True, similarity=1.0)
    in_place = set(stayed)
    for i, j, score in pairs:
        found[j] = Change("reworded", old.clauses[i], new.clauses[j], (i, j) not in in_place, score)
    lost = set(range(len(before))) - {change.old.index for change in found.values() if change.old}

    changes: list[Change] = []
    i = j = 0
    for stop_old, stop_new in [*spine, (len(before), len(after))]:
        changes += (Change("removed", old.clauses[k], None) for k in range(i, stop_old) if k in lost)
        for k in range(j, min(stop_new + 1, len(after))):
            changes.append(found.get(k) or Change("added", None, new.clauses[k]))
        i, j = stop_old + 1, stop_new + 1
    return PolicyDiff(old, new, tuple(changes))


# Pairs of clauses ---------------------------------------------------------------------------------

_Pairs = list[tuple[int, int]]


def _plain(token: str) -> str:
    """The form of a word that counts."""
    if not token.isascii():
        token = unicodedata.normalize("NFKC", _NOT_SEEN.sub("", token).translate(_PLAIN))
    return token.casefold()


def _key(clause: LabeledClause) -> str:
    """What equal clauses have in common."""
    text = clause.text
    if clause.kind == "heading" and (number := _NUMBER.match(text)):
        text = text[number.end() :]
    return " ".join(filter(None, map(_plain, _TOKEN.findall(text))))


def _align(old: Sequence[Hashable], new: Sequence[Hashable]) -> _Pairs:
    """Pair equal entries of two sequences, in order (patience diff, Cohen).

    In time that grows with their length but for a logarithm, which difflib's does not where entries
    repeat.
    """
    pairs: _Pairs = []
    todo = [(0, len(old), 0, len(new), 0)]
    while todo:
        a, b, c, d, depth = todo.pop()
        while a < b and c < d and old[a] == new[c]:
            pairs.append((a, c))
            a, c = a + 1, c + 1
        while a < b and c < d and old[b - 1] == new[d - 1]:
            b, d = b - 1, d - 1
            pairs.append((b, d))
        if a == b or c == d:
            continue
        left, right = old[a:b], new[c:d]
        there = _once(right)
        once = [(i, there[key]) for key, i in _once(left).items() if key in there] if depth < _DEPTH else []
        chain = [(a + i, c + j) for i, j in _increasing(once or _by_rank(left, right))]
        pairs += chain
        if once:
            for i, j in [*chain, (b, d)]:
                todo.append((a, i, c, j, depth + 1))
                a, c = i + 1, j + 1
    return pairs


def _once(entries: Sequence[Hashable]) -> dict[Hashable, int]:
    """Positions of the entries that occur once."""
    counts = Counter(entries)
    return {entry: i for i, entry in enumerate(entries) if counts[entry] == 1}


def _by_rank(old: Sequence[Hashable], new: Sequence[Hashable]) -> _Pairs:
    """Pair the first of equal entries with the first, the second with the second."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for j, key in enumerate(new):
        places[key].append(j)
    queues = {key: iter(found) for key, found in places.items()}
    pairs = ((i, next(queues[key], -1)) for i, key in enumerate(old) if key in queues)
    return [(i, j) for i, j in pairs if j >= 0]


def _increasing(pairs: _Pairs) -> _Pairs:
    """The longest run of pairs that rises on both sides (patience sorting)."""
    pairs = sorted(pairs)
    tops: list[int] = []  # second of the pair that ends the best run of each length
    ends: list[int] = []  # its position
    before: list[int] = []
    for position, (_, j) in enumerate(pairs):
        length = bisect_left(tops, j)
        before.append(ends[length - 1] if length else -1)
        tops[length : length + 1] = [j]
        ends[length : length + 1] = [position]
    run: _Pairs = []
    position = ends[-1] if ends else -1
    while position >= 0:
        run.append(pairs[position])
        position = before[position]
    return run[::-1]


def _without(size: int, taken: Iterable[int]) -> list[int]:
    gone = set(taken)
    return [i for i in range(size) if i not in gone]


def _similar(
    old: Sequence[LabeledClause], new: Sequence[LabeledClause], kept: _Pairs
) -> list[tuple[int, int, float]]:
    """Pair clauses that share most of their words, the most alike first.

    Returns positions in the policies, and the similarity.
    """
    if not old or not new:
        return []
    left, right = _weighed(old, new)
    sums = [np.asarray(side.multiply(side).sum(axis=1)).ravel() for side in (left, right)]
    anchors = sorted(kept)
    gap_old = np.searchsorted([i for i, _ in anchors], [clause.index for clause in old])
    gap_new = np.searchsorted([j for _, j in anchors], [clause.index for clause in new])
    heading_old = np.array([clause.kind == "heading" for clause in old])
    heading_new = np.array([clause.kind == "heading" for clause in new])
    scored: list[tuple[float, int, int, int, float]] = []
    step = max(1, _CELLS // len(new))
    turned = right.T.tocsr()
    for first in range(0, len(old), step):
        rows = slice(first, first + step)
        total = sums[0][rows, None] + sums[1][None, :]
        score = 2 * (left[rows] @ turned).toarray() / np.maximum(total, 1e-9)
        near = gap_old[rows, None] == gap_new[None, :]
        score[heading_old[rows, None] != heading_new[None, :]] = 0
        score[score < np.where(near, _NEAR, _FAR)] = 0
        rank = score + (_FAR - _NEAR) * (near & (score > 0))
        best = np.argsort(-rank, axis=1, kind="stable")[:, :_CANDIDATES]
        for row, columns in enumerate(best):
            for column in columns[rank[row, columns] > 0]:
                i, j = first + row, int(column)
                away = abs(int(gap_old[i]) - int(gap_new[j]))
                scored.append((-round(float(rank[row, j]), 6), away, i, j, float(score[row, j])))
    pairs: list[tuple[int, int, float]] = []
    free_old, free_new = set(range(len(old))), set(range(len(new)))
    for _, _, i, j, similarity in sorted(scored):
        if i in free_old and j in free_new:
            free_old.remove(i)
            free_new.remove(j)
            pairs.append((old[i].index, new[j].index, min(similarity, 1.0)))
    return pairs


def _weighed(old: Sequence[LabeledClause], new: Sequence[LabeledClause]) -> tuple[csr_matrix, csr_matrix]:
    """The different words of clauses as rows, each with the root of its weight."""
    columns: dict[str, int] = {}
    rows: list[list[int]] = []
    for clause in (*old, *new):
        words = (_plain(token) for token in _TOKEN.findall(clause.text) if token[0].isalnum())
        rows.append([columns.setdefault(word, len(columns)) for word in dict.fromkeys(words)])
    indices = np.array([column for row in rows for column in row], dtype=np.int32)
    starts = np.cumsum([0, *map(len, rows)])
    held = np.bincount(indices, minlength=len(columns))
    weights = np.sqrt(1 + np.log((1 + len(rows)) / (1 + held)))
    table = csr_matrix((weights[indices], indices, starts), shape=(len(rows), len(columns)))
    return table[: len(old)], table[len(old) :]


# Words of a reworded clause -----------------------------------------------------------------------


def _reworded(old: str, new: str) -> list[Words]:
    before, after = _pieces(old), _pieces(new)
    pairs = sorted(_align([_plain(p.strip()) for p in before], [_plain(p.strip()) for p in after]))
    steps: list[tuple[str, str, str]] = []  # removed, added, then kept
    i = j = 0
    for stop_old, stop_new in [*pairs, (len(before), len(after))]:
        removed, added = "".join(before[i:stop_old]), "".join(after[j:stop_new])
        same = after[stop_new] if stop_new < len(after) else ""
        if steps and not (removed or added):
            steps[-1] = (*steps[-1][:2], steps[-1][2] + same)
        elif steps and i > 1 and any(steps[-1][:2]) and len(steps[-1][2].strip()) <= 3:
            # A short word between two changes is an accident: "-the old +our new", not three pieces.
            gone, come, short = steps[-1]
            steps[-1] = (gone + short + removed, come + short + added, same)
        else:
            steps.append((removed, added, same))
        i, j = stop_old + 1, stop_new + 1
    parts = (
        Words(op, text)
        for step in steps
        for op, text in zip(("-", "+", "="), step, strict=True)
        if text
    )  # fmt: skip
    return list(parts)


def _pieces(text: str) -> list[str]:
    """Words and signs, each with the white space before it; together they are the text."""
    starts = [0, *(found.end() for found in _TOKEN.finditer(text))]
    pieces = [text[start:end] for start, end in zip(starts, starts[1:], strict=False)]
    return [*pieces[:-1], pieces[-1] + text[starts[-1] :]] if pieces else [text]


def _facts(policy: LabeledPolicy) -> dict[str, Any]:
    return {
        "doc": policy.document.source,
        "title": policy.document.title,
        "clauses": len(policy.clauses),
        "words": sum(len(clause.text.split()) for clause in policy.clauses),
    }


def _record(clause: LabeledClause | None) -> dict[str, Any] | None:
    if clause is None:
        return None
    record = clause.to_dict()
    return {name: record[name] for name in ("index", "kind", "heading", "text", "primary", "labels")}
