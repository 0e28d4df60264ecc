"""Explanations: why a clause got its score, feature by feature, exactly.

Both stages of the model are linear, but for the choice of the strongest clause of a paragraph, so a
score is a sum over the n-grams of the clause and of those around it: TF-IDF value times the weight that
the two stages give together; and an intercept. Nothing is estimated or sampled here.

>>> from clausemark import Labeler
>>> from clausemark.explain import explain
>>> labeler = Labeler.load()
>>> policy = labeler.label("We sell your data to advertisers. Write to privacy@example.com.")
>>> reasons = explain(labeler, policy, 0).contributions
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clausemark.clauses import Clause, segment
from clausemark.context import (
    FIELDS,
    INTRODUCTIONS,
    SHAPES,
    columns,
    shapes,
    sources,
    strongest,
    surroundings,
)
from clausemark.documents import Document
from clausemark.errors import InputError
from clausemark.model import TOKEN
from clausemark.outputs import COLORS, printable
from clausemark.predict import LabeledPolicy, Labeler
from clausemark.taxonomy import CATEGORIES, CODES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Blocks of features whose n-grams stand in the clause itself.
OWN: Final = ("words", "chars")
_WORD: Final = re.compile(r"\S+")
_TOKEN: Final = re.compile(TOKEN)
#: Words are coloured from this share of the strongest word on, and bold from that one on.
_VISIBLE, _STRONG = 0.15, 0.5


class Contribution(NamedTuple):
    """What one feature adds to a score.

    Attributes
    ----------
    block : str
        ``"words"`` or ``"chars"`` of the clause itself; the same of a field around it, as
        ``"heading words"`` (`clausemark.context.FIELDS`); or ``"shape"``.
    term : str
        The n-gram, in lower case, or the property of shape (``"kind=item"``).
    value : float
        Weight of the feature times its TF-IDF value; below zero it speaks against the category. In
        a field of several clauses, such as the paragraph, this is summed over them.
    """

    block: str
    term: str
    value: float


class Span(NamedTuple):
    """A word of a clause and the weight that it carries.

    Attributes
    ----------
    start, end : int
        Character offsets into the clause's text.
    value : float
    """

    start: int
    end: int
    value: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The score of a clause for a category as a sum.

    ``intercept + sum of contributions + rest == score``, up to the rounding of float32.

    Attributes
    ----------
    index : int
        Position of the clause in the document, from 0.
    clause : Clause
    category : str
    score : float
        Logit of the probability.
    probability : float
        Calibrated.
    threshold : float
        Probability from which on the category is given.
    intercept : float
        Score of a clause without words among neighbours without words.
    blocks : dict of str to float
        Sum of all contributions of each block that occurs.
    contributions : tuple of Contribution
        One for every feature that is present, the strongest first, whatever its sign.
    rest : float
        Sum of those that were left out; 0 if none were.
    """

    index: int
    clause: Clause
    category: str
    score: float
    probability: float
    threshold: float
    intercept: float
    blocks: dict[str, float]
    contributions: tuple[Contribution, ...]
    rest: float = 0.0

    def strongest(self, top: int) -> Explanation:
        """Return the explanation with its strongest contributions only.

        Parameters
        ----------
        top : int
            How many to keep; the sum of the others goes to `rest`.

        Returns
        -------
        Explanation

        Raises
        ------
        InputError
            If `top` is negative.
        """
        if top < 0:
            raise InputError(f"cannot show {top} contributions; use 0 or more")
        left_out = fsum(c.value for c in self.contributions[top:])
        return replace(self, contributions=self.contributions[:top], rest=self.rest + left_out)

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as a record of plain types."""
        return {
            "index": self.index,
            "kind": self.clause.kind,
            "start": self.clause.start,
            "end": self.clause.end,
            "text": self.clause.text,
            "category": self.category,
            "score": self.score,
            "probability": self.probability,
            "threshold": self.threshold,
            "intercept": self.intercept,
            "blocks": dict(self.blocks),
            "contributions": [c._asdict() for c in self.contributions],
            "rest": self.rest,
        }


class Explainer:
    """Explains the clauses of one document; its features are computed once.

    Parameters
    ----------
    labeler : Labeler
        Whose model to explain.
    policy : Document or LabeledPolicy
        Of a labeled policy only the document is used: categories are those of `labeler`.
    clauses : sequence of Clause, optional
        Those of the document, where they are known.

    Attributes
    ----------
    clauses : tuple of Clause
    """

    def __init__(
        self, labeler: Labeler, policy: Document | LabeledPolicy, clauses: Sequence[Clause] | None = None
    ) -> None:
        self._document = policy.document if isinstance(policy, LabeledPolicy) else policy
        self.clauses: tuple[Clause, ...] = tuple(segment(self._document) if clauses is None else clauses)
        self._model = labeler.model
        if not self.clauses:
            return
        self._chances = labeler.probabilities(self.clauses)
        texts = [clause.text for clause in self.clauses]
        self._features = labeler.scorer.features(texts)
        said = labeler.scorer.say(texts)[:, : len(self._model.alone) - 1]
        self._around = surroundings(self.clauses)
        self._shapes = shapes(self._around)
        self._strongest = strongest(said, self._around)
        blocks = self._model.blocks
        self._weights = np.concatenate([block.weights for block in blocks.values()]).astype(np.float64)
        self._terms = [block.terms for block in blocks.values()]
        self._ends = np.cumsum([len(terms) for terms in self._terms])
        self._names = [
            block if field == "clause" else f"{field} {block}" for field in FIELDS for block in blocks
        ] + ["shape"]

    def explain(self, index: int, category: str | None = None, top: int | None = None) -> Explanation:
        """Explain one clause.

        Parameters
        ----------
        index : int
            Position in the document, from 0.
        category : str, optional
            Name or code; the primary category by default.
        top : int, optional
            Contributions to keep, the strongest; all by default.

        Returns
        -------
        Explanation

        Raises
        ------
        InputError
            If there is no such clause or category, or `top` is negative.
        """
        if top is not None and top < 0:
            raise InputError(f"cannot show {top} contributions; use 0 or more")
        k = None if category is None else CATEGORIES.index(find_category(category))
        if not 0 <= index < len(self.clauses):
            has = f"0 to {len(self.clauses) - 1}" if self.clauses else "none"
            raise InputError(f"has no clause {index}; its clauses are {has}", where=self._document.source)
        if k is None:
            k = int(self._chances[index].argmax())
        names, terms, values, intercept = self._sum(index, k)
        order = np.argsort(-np.abs(values), kind="stable")
        kept = order if top is None else order[:top]
        blocks = {self._names[number]: fsum(values[names == number]) for number in np.unique(names).tolist()}
        chance = float(self._chances[index, k])
        return Explanation(
            index,
            self.clauses[index],
            CATEGORIES[k],
            fsum([intercept, *blocks.values()]),
            chance,
            float(self._model.thresholds[k]),
            intercept,
            blocks,
            self._contributions(kept, names, terms, values),
            fsum(values[order[len(kept) :]]),
        )

    def strongest(self, index: int, top: int) -> tuple[Contribution, ...]:
        """Return what `explain` has as the strongest contributions to the primary category, sooner.

        Parameters
        ----------
        index : int
            Position in the document, from 0.
        top : int

        Returns
        -------
        tuple of Contribution
        """
        names, terms, values, _ = self._sum(index, int(self._chances[index].argmax()))
        kept = np.argsort(-np.abs(values), kind="stable")[:top]
        return self._contributions(kept, names, terms, values)

    def _contributions(
        self, kept: Ints, names: Ints, terms: Ints, values: Floats
    ) -> tuple[Contribution, ...]:
        return tuple(
            Contribution(self._names[names[i]], self._term(int(names[i]), int(terms[i])), float(values[i]))
            for i in kept
        )

    def _sum(self, index: int, k: int) -> tuple[Ints, Ints, Floats, float]:
        """Take the score of a clause apart.

        Returns
        -------
        names, terms : ndarray of shape (n_contributions,), int64
            Number of the block in `_names`, and the row of the n-gram in the blocks below each other;
            for shapes, which come last, the place in `SHAPES`.
        values : ndarray of shape (n_contributions,), float64
        intercept : float
        """
        bias = self._model.intercepts.astype(np.float64)
        maps, shape, intercept = self._maps(k, bool(self._around.alone[index]))
        indptr, indices, data = self._features
        said: defaultdict[str, list[tuple[Ints, Floats]]] = defaultdict(list)
        properties = dict(zip(SHAPES, (shape * self._shapes[index]).tolist(), strict=True))
        looked_at = [
            (field, shares, maps[field])
            for field, shares in sources(self._around, index).items()
            if field in maps
        ]
        if "strongest" in maps:
            winners = self._strongest[index]
            for winner in np.unique(winners).tolist():
                won = np.append(winners == winner, np.zeros(len(bias) - len(winners)))
                looked_at.append(("strongest", {winner: 1.0}, maps["strongest"] * won))
        for field, shares, weights in looked_at:
            intercept += float(bias @ weights)  # what an empty clause would say there
            terms = np.concatenate([indices[indptr[row] : indptr[row + 1]] for row in shares])
            value = np.concatenate(
                [data[indptr[row] : indptr[row + 1]] * share for row, share in shares.items()]
            )
            if len(shares) > 1:
                terms, value = _sum_by_term(terms, value)
            said[field].append((terms, value * (self._weights[terms] @ weights)))
        found: list[tuple[Ints, Ints, Floats]] = []
        for field, parts in said.items():
            terms, value = (np.concatenate(part) for part in zip(*parts, strict=True))
            if len(parts) > 1:  # an n-gram of several of the strongest counts once
                terms, value = _sum_by_term(terms, value)
            block = np.searchsorted(self._ends, terms, side="right")
            found.append((FIELDS.index(field) * len(self._ends) + block, terms, value))
        # That there are neighbours at all says nothing; with what they say it makes the intercept.
        intercept += fsum(value for name, value in properties.items() if name.startswith("has "))
        there = [
            i for i, (name, value) in enumerate(properties.items()) if value and not name.startswith("has ")
        ]
        found.append(
            (
                np.full(len(there), len(self._names) - 1),
                np.array(there, dtype=np.int64),
                np.array(list(properties.values()))[there],
            )
        )
        names, terms, values = (np.concatenate(part) for part in zip(*found, strict=True))
        return names, terms, values, intercept

    def _maps(self, k: int, alone: bool) -> tuple[dict[str, Floats], Floats, float]:
        """For each field the weights of its scores of stage 1; those of the shapes; the intercept."""
        model, scores = self._model, len(self._model.intercepts)
        said = len(model.alone) - 1
        if alone:
            own = np.concatenate([model.alone[:-1, k], np.zeros(scores - said)])
            return {"clause": own}, np.zeros(len(SHAPES)), float(model.alone[-1, k])
        parts, weights = columns(said, scores - said), model.context[:, k].astype(np.float64)
        nothing = np.zeros(scores - said)
        maps = {
            field: np.concatenate(
                [
                    weights[parts[field]],
                    weights[parts[f"{field} announces"]] if field in INTRODUCTIONS else nothing,
                ]
            )
            for field in FIELDS
        }
        return maps, weights[parts["shape"]], float(weights[-1])

    def _term(self, name: int, term: int) -> str:
        if name == len(self._names) - 1:
            return SHAPES[term]
        block = name % len(self._ends)
        start = int(self._ends[block - 1]) if block else 0
        return self._terms[block][term - start]


def _sum_by_term(terms: Ints, values: Floats) -> tuple[Ints, Floats]:
    terms, place = np.unique(terms, return_inverse=True)
    return terms, np.bincount(place, weights=values, minlength=len(terms)).astype(np.float64, copy=False)


def explain(
    labeler: Labeler, policy: Document | LabeledPolicy, index: int, category: str | None = None
) -> Explanation:
    """Explain one clause; for several of a document use `Explainer` or `explain_policy`.

    Parameters
    ----------
    labeler : Labeler
    policy : Document or LabeledPolicy
    index : int
        Position of the clause, from 0.
    category : str, optional
        Name or code; the primary category of the clause by default.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        If there is no such clause or category.
    """
    return Explainer(labeler, policy).explain(index, category)


def explain_policy(
    labeler: Labeler, policy: Document | LabeledPolicy, top: int = 10, category: str | None = None
) -> list[Explanation]:
    """Explain every clause of a document by its strongest contributions.

    Parameters
    ----------
    labeler : Labeler
    policy : Document or LabeledPolicy
    top : int
        Contributions to keep of each clause; the others are summed in `Explanation.rest`.
    category : str, optional
        Name or code; the primary category of each clause by default.

    Returns
    -------
    list of Explanation
        In document order.

    Raises
    ------
    InputError
        If there is no such category, or `top` is negative.
    """
    explainer = Explainer(labeler, policy)
    return [explainer.explain(i, category, top) for i in range(len(explainer.clauses))]


def find_category(name: str) -> str:
    """Find a category by its name or code, in any case.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        One of `clausemark.taxonomy.CATEGORIES`.

    Raises
    ------
    InputError
        If there is none.
    """
    wanted = name.strip().casefold()
    for code, category in CODES.items():
        if wanted in (code.casefold(), category.casefold()):
            return category
    raise InputError(f"no category is called {name!r}; their codes are {', '.join(CODES)}")


def reasons(
    labeler: Labeler, policy: LabeledPolicy, top: int = 6, clauses: Sequence[Clause] | None = None
) -> dict[int, list[tuple[str, float]]]:
    """Name what made the primary category of every clause, for the reading view.

    Parameters
    ----------
    labeler : Labeler
    policy : LabeledPolicy
    top : int
        Most reasons a clause.
    clauses : sequence of Clause, optional
        As for `Explainer`.

    Returns
    -------
    dict of int to list of (str, float)
        Index of the clause -> its strongest n-grams of words, those of context with the name of
        their field, and what each adds to the score.
    """
    explainer = Explainer(labeler, policy, clauses)
    return {
        index: [
            (_reason(part), part.value)
            for part in explainer.strongest(index, 4 * top)
            if not part.block.endswith("chars")  # parts of words tell a reader little
        ][:top]
        for index in range(len(explainer.clauses))
    }


#: Shapes as a reader says them.
_SHAPES: Final = {
    "kind=heading": "it is a heading",
    "kind=item": "it is a list item",
    "position=first": "it stands first",
    "position=early": "it stands near the beginning",
    "position=late": "it stands near the end",
    "position=last": "it stands last",
}


def _reason(part: Contribution) -> str:
    """Name a contribution for a reader."""
    if part.block == "shape":
        return _SHAPES[part.term]
    field = part.block.removesuffix("words").strip().replace("_", " ")
    return f"{field}: {part.term}" if field else part.term


def spans(explanation: Explanation) -> list[Span]:
    """Lay the weight of a clause's own n-grams on its words.

    The contribution of an n-gram is parted evenly among the places where it stands, and there among
    its letters; a word gets the sum of its letters.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    list of Span
        In the order of the text, without words that carry nothing. Their values add up to the
        contributions of the blocks words and chars that the explanation holds.
    """
    text = explanation.clause.text
    # N-grams are of the text in lower case, which may be longer: "İ" becomes two characters.
    lowered = text.lower()
    origin = np.repeat(np.arange(len(text)), [len(c.lower()) for c in text])
    weight = np.zeros(len(lowered))
    for block, places_of in zip(OWN, (_word_places, _char_places), strict=True):
        values = {c.term: c.value for c in explanation.contributions if c.block == block}
        for term, places in places_of(lowered, values).items():
            for place in places:
                letters = np.r_[tuple(slice(*part) for part in place)]
                weight[letters] += values[term] / len(places) / len(letters)
    carried = np.bincount(origin, weights=weight, minlength=len(text))
    touched = np.bincount(origin, weights=weight != 0, minlength=len(text))
    return [
        Span(word.start(), word.end(), fsum(carried[word.start() : word.end()]))
        for word in _WORD.finditer(text)
        if touched[word.start() : word.end()].any()
    ]


def render(explanation: Explanation, console: Console, top: int = 15) -> None:
    """Print an explanation for people.

    The clause with the words that speak for the category in green and those against it in red and
    underlined, the sum of each block of features, and the strongest contributions.

    Parameters
    ----------
    explanation : Explanation
        With all its contributions.
    console : rich.console.Console
        Width and colour are the console's; NO_COLOR and pipes are honoured by it.
    top : int
        Contributions to print.

    Raises
    ------
    InputError
        If `top` is negative.
    """
    from rich.table import Table
    from rich.text import Text

    shown = explanation.strongest(top)
    reached = "at or above" if explanation.probability >= explanation.threshold else "below"
    console.print(
        Text.assemble(
            f"clause {explanation.index}, {explanation.clause.kind}: ",
            (explanation.category, f"bold {COLORS[explanation.category]}"),
            f"\nprobability {explanation.probability:.3f}, {reached} the threshold of"
            f" {explanation.threshold:.3f}; score {explanation.score:+.3f}\n",
        )
    )
    console.print(highlighted(explanation))
    console.print()
    sums = Table(box=None, pad_edge=False, header_style="bold")
    sums.add_column("block")
    sums.add_column("sum", justify="right")
    for name, value in explanation.blocks.items():
        sums.add_row(name, _number(value))
    sums.add_row("intercept", _number(explanation.intercept))
    sums.add_row(Text("score", style="bold"), _number(explanation.score))
    console.print(sums)
    if not shown.contributions:
        return
    console.print()
    terms = Table(box=None, pad_edge=False, header_style="bold")
    terms.add_column("block")
    terms.add_column("term", overflow="fold")
    terms.add_column("value", justify="right")
    for contribution in shown.contributions:
        terms.add_row(contribution.block, Text(show_term(contribution)), _number(contribution.value))
    left_out = len(explanation.contributions) - top
    if left_out > 0:
        terms.add_row("", Text(f"{left_out} more", style="dim"), _number(shown.rest))
    console.print(terms)


def render_line(explanation: Explanation, reasons: int = 3) -> Text:
    """Put an explanation on one line: clause, category, probability, strongest contributions, text.

    Parameters
    ----------
    explanation : Explanation
    reasons : int
        Contributions to name.

    Returns
    -------
    rich.text.Text
        Without line breaks.
    """
    from rich.text import Text

    line = Text.assemble(
        (f"{explanation.index:4d}  ", "dim"),
        (f"{explanation.category:32}", COLORS[explanation.category]),
        f"  {explanation.probability:.2f}  ",
    )
    for number, contribution in enumerate(explanation.contributions[:reasons]):
        line.append(", " if number else "")
        line.append(f"{contribution.block} {show_term(contribution)} ").append(_number(contribution.value))
    return line.append("  | ", "dim").append(printable(explanation.clause.text))


def highlighted(explanation: Explanation) -> Text:
    """Colour the words of a clause that carry weight.

    Parameters
    ----------
    explanation : Explanation

    Returns
    -------
    rich.text.Text
        The clause on one line, made safe to print.
    """
    from rich.text import Text

    text = explanation.clause.text
    values = {span.start: span.value for span in spans(explanation)}
    most = max(map(abs, values.values()), default=0.0)
    line = Text()
    for word in _WORD.finditer(text):
        value = values.get(word.start(), 0.0)
        style = ""
        if abs(value) > _VISIBLE * most:
            style = ("bold " if abs(value) >= _STRONG * most else "") + _style(value)
        line.append(" " if line else "").append(printable(word.group()), style)
    return line


def show_term(contribution: Contribution) -> str:
    """Write a term so that it is safe to print and its edges show.

    Parameters
    ----------
    contribution : Contribution

    Returns
    -------
    str
        In quotes; the space at the edge of a word, within n-grams of characters, is ``_``. A
        property of shape is given as it is.
    """
    if contribution.block == "shape":
        return contribution.term
    term = contribution.term.replace(" ", "_") if contribution.block.endswith("chars") else contribution.term
    return f'"{printable(term)}"'


#: The stretches of text that an occurrence of an n-gram covers.
_Place = list[tuple[int, int]]


def _word_places(text: str, terms: dict[str, float]) -> dict[str, list[_Place]]:
    """Find n-grams of words, as scikit-learn's analyzer "word" makes them."""
    tokens = [(m.group(), m.span()) for m in _TOKEN.finditer(text)]
    found: dict[str, list[_Place]] = defaultdict(list)
    for size in {term.count(" ") + 1 for term in terms}:
        for first in range(len(tokens) - size + 1):
            window = tokens[first : first + size]
            term = " ".join(word for word, _ in window)
            if term in terms:
                found[term].append([place for _, place in window])
    return found


def _char_places(text: str, terms: dict[str, float]) -> dict[str, list[_Place]]:
    """Find n-grams of characters, as the analyzer "char_wb" makes them of words between spaces.

    They have three characters or more, so that each covers a letter besides the two spaces.
    """
    found: dict[str, list[_Place]] = defaultdict(list)
    sizes = {len(term) for term in terms}
    for word in _WORD.finditer(text):
        padded = f" {word.group()} "
        for size in sizes:
            for first in range(len(padded) - size + 1):
                term = padded[first : first + size]
                if term in terms:
                    start = word.start() - 1 + first
                    found[term].append([(max(start, word.start()), min(start + size, word.end()))])
    return found


def _number(value: float) -> Text:
    from rich.text import Text

    return Text(f"{value:+.3f}", style=_style(value))


def _style(value: float) -> str:
    return "green" if value > 0 else "underline red" if value < 0 else ""
