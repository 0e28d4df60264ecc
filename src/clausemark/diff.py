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
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np
from scipy.sparse import csr_matrix

from clausemark import __version__
from clausemark.outputs import COLORS, printable
from clausemark.page import Mark, mark, render_template, show, source_name, title_of
from clausemark.predict import LabeledClause, LabeledPolicy
from clausemark.taxonomy import CATEGORIES, CODE_OF, CODES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = ["Change", "ChangeKind", "PolicyDiff", "Words", "compare", "print_diff", "render_diff"]

ChangeKind = Literal["same", "moved", "reworded", "removed", "added"]
#: Kinds that are a change, in the order in which they are told.
CHANGED: Final[tuple[ChangeKind, ...]] = ("added", "removed", "reworded", "moved")

#: Share of their words, weighed by rarity, from which on two clauses count as one that was reworded:
#: where both stand in the same narrow gap between unchanged clauses, and anywhere else.
_NEAR, _FAR = 0.35, 0.6
#: Most clauses, of both versions, of a narrow gap.
_NARROW: Final = 12
#: Candidates that are kept for a clause, and cells of the table of similarities held at a time.
_CANDIDATES: Final = 8
_CELLS: Final = 1 << 21
#: How often a stretch is divided at what occurs once, before repeated entries are paired one by one.
_DEPTH: Final = 16

#: Soft hyphens and zero-width characters belong to the word around them, and are not seen.
_HIDDEN: Final = "\u00ad\u200b-\u200d\u2060\ufeff"
_TOKEN: Final = re.compile(rf"[\w{_HIDDEN}]+(?:['’][\w{_HIDDEN}]+)*|[^\w\s]")
_NOT_SEEN: Final = re.compile(f"[{_HIDDEN}]")
_PLAIN: Final = str.maketrans("‘’‚‛“”„‟«»‐‑‒–—―−", '\'\'\'\'""""""-------')
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
        table = {name: dict.fromkeys(("old", "new", *CHANGED, "gained", "lost"), 0) for name in CATEGORIES}
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

    olds, news = [i for i, _ in kept], [j for _, j in kept]
    stayed = _increasing([(i, j) for i, j, _ in pairs if bisect_left(olds, i) == bisect_left(news, j)])
    spine = sorted(kept + stayed)
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


def print_diff(diff: PolicyDiff, console: Console) -> None:
    """Print a difference for people: its sum, category by category, then every change.

    Parameters
    ----------
    diff : PolicyDiff
    console : rich.console.Console
        Width and colour are the console's (`clausemark.outputs.make_console`). Without colour, words
        of a reworded clause are set as ``[-removed-]`` and ``{+added+}``.
    """
    from rich.text import Text

    plain = console.no_color or console.color_system is None
    names = (_name(policy) for policy in (diff.old, diff.new))
    console.print(Text(" → ".join(map(printable, names)), style="bold"))
    line = Text()
    for kind in (*CHANGED, "same"):
        count = diff.counts[kind]
        line.append(f"{_SIGN[kind]} {count} {_TOLD[kind]}   ", style=_STYLE[kind] if count else "dim")
    console.print(line)
    if not diff.differs:
        return
    console.print()
    console.print(_category_table(diff))
    console.print()
    console.print(_change_table(diff, plain))


def render_diff(diff: PolicyDiff) -> str:
    """Render a difference as a self-contained page.

    Parameters
    ----------
    diff : PolicyDiff

    Returns
    -------
    str
        HTML. It loads nothing, and equal input gives equal output.
    """
    return render_template("diff.html", styles=("base.css", "diff.css"), script="diff.js", **_view(diff))


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
    return sorted(pairs)


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
    gap_old = np.searchsorted([i for i, _ in kept], [clause.index for clause in old])
    gap_new = np.searchsorted([j for _, j in kept], [clause.index for clause in new])
    heading_old = np.array([clause.kind == "heading" for clause in old])
    heading_new = np.array([clause.kind == "heading" for clause in new])
    sizes = np.bincount(np.concatenate([gap_old, gap_new]), minlength=len(kept) + 1)
    scored: list[tuple[float, int, int, int, float]] = []
    step = max(1, _CELLS // len(new))
    turned = right.T.tocsr()
    for first in range(0, len(old), step):
        rows = slice(first, first + step)
        total = sums[0][rows, None] + sums[1][None, :]
        score = 2 * (left[rows] @ turned).toarray() / np.maximum(total, 1e-9)
        near = (gap_old[rows, None] == gap_new[None, :]) & (sizes[gap_new] <= _NARROW)
        score[heading_old[rows, None] != heading_new[None, :]] = 0
        score[score < np.where(near, _NEAR, _FAR)] = 0
        rank = score + (_FAR - _NEAR) * (near & (score > 0))
        for row in np.flatnonzero(rank.any(axis=1)):
            columns = np.argsort(-rank[row], kind="stable")[:_CANDIDATES]
            for column in columns[rank[row, columns] > 0]:
                i, j = first + int(row), int(column)
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
    pairs = _align([_plain(p.strip()) for p in before], [_plain(p.strip()) for p in after])
    signs: tuple[Literal["-", "+", "="], ...] = ("-", "+", "=")
    steps: list[tuple[str, str, str]] = []  # removed, added, then kept
    i = j = 0
    for stop_old, stop_new in [*pairs, (len(before), len(after))]:
        removed, added = "".join(before[i:stop_old]), "".join(after[j:stop_new])
        same = after[stop_new] if stop_new < len(after) else ""
        if steps and not (removed or added):
            steps[-1] = (*steps[-1][:2], steps[-1][2] + same)
        elif steps and any(steps[-1][:2]) and len(steps[-1][2].strip()) <= 3:
            # A short word between two changes is an accident: "-the old +our new", not three pieces.
            gone, come, short = steps[-1]
            steps[-1] = (gone + short + removed, come + short + added, same)
        else:
            steps.append((removed, added, same))
        i, j = stop_old + 1, stop_new + 1
    parts = (
        Words(op, text)
        for step in steps
        for op, text in zip(signs, step, strict=True)
        if text
    )  # fmt: skip
    return list(parts)


def _pieces(text: str) -> list[str]:
    """Words and signs, each with the white space before it; together they are the text."""
    starts = [0, *(found.end() for found in _TOKEN.finditer(text))]
    pieces = [text[start:end] for start, end in pairwise(starts)]
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


# For the terminal ---------------------------------------------------------------------------------

_SIGN: Final = {"added": "+", "removed": "-", "reworded": "~", "moved": ">", "same": "="}
_TOLD: Final = {kind: "unchanged" if kind == "same" else kind for kind in get_args(ChangeKind)}
_STYLE: Final = {"added": "green", "removed": "red", "reworded": "yellow", "moved": "cyan", "same": "dim"}


def _name(policy: LabeledPolicy) -> str:
    return source_name(policy.document.source) or "standard input"


def _category_table(diff: PolicyDiff) -> RenderableType:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("category")
    for head in ("old", "new", *(_SIGN[kind] for kind in CHANGED)):
        table.add_column(head, justify="right", no_wrap=True)
    idle = []
    for name, row in diff.categories.items():
        if not any(row[kind] for kind in (*CHANGED, "gained", "lost")):
            idle.append(CODE_OF[name])
            continue
        label = Text(f"{CODE_OF[name]:3} {name}", style=COLORS[name])
        cells = [Text(str(row[kind] or ""), style=_STYLE[kind]) for kind in CHANGED]
        table.add_row(label, str(row["old"]), str(row["new"]), *cells)
    if not idle:
        return table
    return Group(table, Text("no change: " + ", ".join(idle), style="dim"))


def _change_table(diff: PolicyDiff, plain: bool) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for entry in _entries(diff):
        if isinstance(entry, str):
            table.add_row("", "", Text(printable(entry), style="bold"))
        elif isinstance(entry, list):
            table.add_row("", "", Text(f"··· {len(entry)} unchanged", style="dim"))
        else:
            codes = Text("\n").join(
                Text(f"{sign}{CODE_OF[name]}", style=COLORS[name]) for sign, name in _signed_labels(entry)
            )
            text = Text("• ") if entry.clause.kind == "item" else Text()
            for op, words in entry.words():
                text.append_text(_piece(op, words, entry.kind, plain))
            if origin := _origin(entry):
                text.append(f"  ({printable(origin)})", style="dim")
            table.add_row(Text(_SIGN[entry.kind], style=_STYLE[entry.kind]), codes, text)
    return table


def _piece(op: str, words: str, kind: ChangeKind, plain: bool) -> Text:
    from rich.text import Text

    space = " " if words[:1].isspace() else ""
    body = printable(words)
    if kind != "reworded" or op == "=":
        return Text(space + body, style=_STYLE[kind] if kind in ("added", "removed") else "")
    if plain:
        return Text(f"{space}[-{body}-]" if op == "-" else f"{space}{{+{body}+}}")
    return Text(space).append(body, style="red strike" if op == "-" else "bold green")


# What terminal and page share ---------------------------------------------------------------------


def _entries(diff: PolicyDiff) -> Iterator[Change | list[Change] | str]:
    """Changes in reading order, runs of unchanged clauses, and the heading that a change stands under."""
    run: list[Change] = []
    under = ""
    for change in diff.changes:
        if change.kind == "same":
            run.append(change)
            continue
        if run:
            yield run
            run = []
        clause = change.clause
        if clause.kind == "heading":
            under = " ".join(clause.text.split())
        elif clause.heading != under:
            under = clause.heading
            if under:
                yield under
        yield change
    if run:
        yield run


def _signed_labels(change: Change) -> list[tuple[str, str]]:
    """Categories of a change; those that a clause in both versions gained or lost with a sign."""
    if change.old is None or change.new is None:
        return [("", name) for name in change.labels]
    before, after = change.old.labels, change.new.labels
    return [("-" if n not in after else "+" if n not in before else "", n) for n in change.labels]


def _origin(change: Change) -> str:
    """Where a moved clause stood before."""
    if not (change.moved and change.old and change.new):
        return ""
    if change.old.heading == change.new.heading:
        return "from elsewhere in this section"
    return f"from “{change.old.heading}”" if change.old.heading else "from the beginning"


# What the template is given -----------------------------------------------------------------------


class _Shown(NamedTuple):
    """A change as it is shown."""

    kind: ChangeKind
    mark: Mark
    clause_kind: str
    words: list[tuple[str, str, str]]
    codes: str
    labels: list[tuple[str, str]]
    origin: str


def _view(diff: PolicyDiff) -> dict[str, Any]:
    titles = [title_of(policy) for policy in (diff.old, diff.new)]
    same_title = titles[0].casefold() == titles[1].casefold()
    facts = [_facts(policy) for policy in (diff.old, diff.new)]
    entries: list[tuple[str, Any]] = []
    for entry in _entries(diff):
        if isinstance(entry, str):
            entries.append(("under", show(entry)))
        elif isinstance(entry, list):
            entries.append(("run", [(mark(change.clause), change.clause.kind) for change in entry]))
        else:
            entries.append(("change", _shown(entry)))
    rows = diff.categories
    return {
        "title": f"What changed in {titles[1]}" if same_title else f"From {titles[0]} to {titles[1]}",
        "names": [_name(policy) for policy in (diff.old, diff.new)],
        "facts": facts,
        "counts": diff.counts,
        "changed": CHANGED,
        "signs": _SIGN,
        "differs": diff.differs,
        "total": len(diff.changes) - diff.counts["same"],
        "categories": [(code, name, rows[name]) for code, name in CODES.items()],
        "most": max(max(row["added"], row["removed"]) for row in rows.values()) or 1,
        "fresh": [name for name, row in rows.items() if row["new"] and not row["old"]],
        "silent": [name for name, row in rows.items() if row["old"] and not row["new"]],
        "entries": entries,
        "touched": [
            (code, name, sum(code in shown.codes.split() for kind, shown in entries if kind == "change"))
            for code, name in CODES.items()
        ],
        "version": __version__,
    }


def _shown(change: Change) -> _Shown:
    signed = [(sign, CODE_OF[name]) for sign, name in _signed_labels(change)]
    words: list[tuple[str, str, str]] = []
    for op, text in change.words() if change.kind == "reworded" else ():
        body = text.lstrip()
        words.append((op, show(text[: len(text) - len(body)]), show(body)))
    return _Shown(
        change.kind,
        mark(change.clause),
        change.clause.kind,
        words,
        " ".join(CODE_OF[name] for name in change.labels),
        [pair for pair in signed if pair[0]],
        show(_origin(change)),
    )
