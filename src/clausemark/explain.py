"""Explanations: why a clause got its score, feature by feature, exactly.

The model is linear, so a score is a sum: the weight of every n-gram that is present times its TF-IDF
value, and the intercept. Nothing is estimated or sampled here.

>>> from clausemark import Labeler
>>> from clausemark.explain import explain
>>> labeler = Labeler.load()
>>> policy = labeler.label("We sell your data to advertisers. Write to privacy@example.com.")
>>> reasons = explain(labeler, policy, 0).contributions
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from math import fsum
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from clausemark.classifier import calibrate
from clausemark.clauses import Clause, segment
from clausemark.documents import Document
from clausemark.errors import InputError
from clausemark.features import TOKEN, ShapeFeatures, clause_frame
from clausemark.outputs import COLORS, printable
from clausemark.predict import LabeledPolicy, Labeler
from clausemark.taxonomy import CATEGORIES, CODES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

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
        Name in `clausemark.classifier.WEIGHTS`: words, chars, heading, section, lead_in, previous,
        next, paragraph or shape.
    term : str
        The n-gram, in lower case, or the property of shape (``"kind=item"``).
    value : float
        Weight of the feature times its TF-IDF value; below zero it speaks against the category.
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
        The model's decision value, before calibration.
    probability : float
        Calibrated.
    threshold : float
        Probability from which on the category is given.
    intercept : float
        Score of a clause without any feature.
    blocks : dict of str to float
        Sum of all contributions of each block that the model has.
    contributions : tuple of Contribution
        One for every feature that is present, the strongest first, whatever its sign.
    rest : float
        Sum of those that `strongest` left out; 0 if none were.
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

    Attributes
    ----------
    clauses : tuple of Clause
    """

    def __init__(self, labeler: Labeler, policy: Document | LabeledPolicy) -> None:
        self._document = policy.document if isinstance(policy, LabeledPolicy) else policy
        self.clauses: tuple[Clause, ...] = tuple(segment(self._document))
        self._model = labeler.model.classifier
        if not self.clauses:
            return
        columns, linear = self._model.pipeline_["features"], self._model.pipeline_["linear"]
        features = columns.transform(clause_frame(self.clauses))
        self._scores: NDArray[np.float64] = linear.decision_function(features)
        self._chances = calibrate(self._scores, self._model.calibration_)
        self._features = csr_matrix(features)
        self._blocks: dict[str, slice] = {
            name: part for name, part in columns.output_indices_.items() if part.stop > part.start
        }
        self._terms = {name: _terms(columns.named_transformers_[name]) for name in self._blocks}

    def explain(self, index: int, category: str | None = None) -> Explanation:
        """Explain one clause.

        Parameters
        ----------
        index : int
            Position in the document, from 0.
        category : str, optional
            Name or code; the primary category by default.

        Returns
        -------
        Explanation

        Raises
        ------
        InputError
            If there is no such clause or category.
        """
        k = None if category is None else CATEGORIES.index(find_category(category))
        if not 0 <= index < len(self.clauses):
            has = f"0 to {len(self.clauses) - 1}" if self.clauses else "none"
            raise InputError(f"has no clause {index}; its clauses are {has}", where=self._document.source)
        if k is None:
            k = int(self._chances[index].argmax())
        linear, row = self._model.pipeline_["linear"], self._features[[index]]
        columns = row.indices
        values = row.data.astype(np.float64) * linear.coef_[k, columns]
        found: list[Contribution] = []
        sums: dict[str, float] = {}
        for name, part in self._blocks.items():
            here = np.flatnonzero((columns >= part.start) & (columns < part.stop))
            terms = self._terms[name]
            of_block = [
                Contribution(name, terms[column], value)
                for column, value in zip(
                    (columns[here] - part.start).tolist(), values[here].tolist(), strict=True
                )
            ]
            sums[name] = fsum(c.value for c in of_block)
            found += of_block
        return Explanation(
            index,
            self.clauses[index],
            CATEGORIES[k],
            float(self._scores[index, k]),
            float(self._chances[index, k]),
            float(self._model.thresholds_[k]),
            float(linear.intercept_[k]),
            sums,
            tuple(sorted(found, key=lambda c: -abs(c.value))),
        )


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
    return [explainer.explain(i, category).strongest(top) for i in range(len(explainer.clauses))]


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


def reasons(labeler: Labeler, policy: LabeledPolicy, top: int = 6) -> dict[int, list[tuple[str, float]]]:
    """Name what made the primary category of every clause, for the reading view.

    Parameters
    ----------
    labeler : Labeler
    policy : LabeledPolicy
    top : int
        Most reasons a clause.

    Returns
    -------
    dict of int to list of (str, float)
        Index of the clause -> its strongest n-grams of words, those of context with the name of
        their field, and what each adds to the score.
    """
    return {
        found.index: [
            (part.term if part.block == "words" else f"{part.block}: {part.term}", part.value)
            for part in found.contributions
            if part.block != "chars"  # parts of words tell a reader little
        ][:top]
        for found in explain_policy(labeler, policy, top=4 * top)
    }


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
    term = contribution.term.replace(" ", "_") if contribution.block == "chars" else contribution.term
    return f'"{printable(term)}"'


#: Names of the columns of each block, as long as the block lives: inverting a vocabulary of 100,000
#: terms takes longer than reading a document.
_NAMES: Final[WeakKeyDictionary[Any, list[str]]] = WeakKeyDictionary()


def _terms(block: Any) -> list[str]:
    """Name the columns of a fitted block of features."""
    if isinstance(block, ShapeFeatures):
        return list(block.NAMES)
    if block not in _NAMES:
        vocabulary: dict[str, int] = block.vocabulary_
        terms = [""] * len(vocabulary)
        for term, column in vocabulary.items():
            terms[column] = term
        _NAMES[block] = terms
    return _NAMES[block]


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
