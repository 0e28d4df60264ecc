"""The reading view: a labeled policy as one HTML page that asks the network for nothing.

The page is the policy as a document, every clause marked by colour and by the codes of its
categories. It reads without JavaScript; with it come switches, search, keys and scores. Whatever
stems from the policy passes through Jinja2's autoescape, and the content security policy lets only
the page's own style and script run, by their SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, Literal

from jinja2 import Environment, PackageLoader, StrictUndefined

from clausemark import __version__
from clausemark.clauses import ClauseKind
from clausemark.taxonomy import CODE_OF, CODES

if TYPE_CHECKING:
    from clausemark.predict import LabeledClause, LabeledPolicy

#: Colours of a category: (tint behind text, ink on the tint, mark in the strip), light then dark.
#: Evenly lit in OKLCH, so that no category shouts; ink on tint has a contrast of at least 6 : 1.
PALETTE: Final[dict[str, tuple[str, str, str, str, str, str]]] = {
    "FPC": ("#e1eeff", "#144f92", "#4087de", "#1a2f49", "#a3cafe", "#5894e0"),
    "TPS": ("#ffe6e4", "#872c2a", "#d15c56", "#462220", "#feb0a9", "#d67069"),
    "UCC": ("#daf5de", "#02612a", "#2e9e52", "#17351f", "#9ad9a7", "#4fa866"),
    "UAE": ("#cdf6f5", "#045c5c", "#0c9999", "#023536", "#76dbda", "#08a7a7"),
    "DR": ("#faebce", "#654b03", "#a87f09", "#3a2b07", "#e4c37e", "#b68b16"),
    "DS": ("#eceaff", "#51408e", "#8673d9", "#2e2947", "#c6befe", "#9283dc"),
    "PC": ("#ffe4f2", "#7d2d5f", "#c35c9b", "#412234", "#f5afd5", "#c96fa4"),
    "DNT": ("#e9f2d2", "#495702", "#7c9207", "#2a320f", "#bfd18a", "#889d37"),
    "ISA": ("#ffe8d9", "#7a3d04", "#c9690c", "#432610", "#f8b78b", "#ce7a3b"),
    "IG": ("#f5f3ef", "#5b5851", "#bfbeb9", "#1f1e1b", "#b2b1ad", "#4e4d49"),
    "PCI": ("#d5f2ff", "#075870", "#1394ba", "#033342", "#7fd5f6", "#11a1ca"),
    "PNC": ("#eaedf1", "#54585f", "#96989c", "#252729", "#afb1b5", "#67696c"),
}

#: What readers look for most, across categories: ready-made searches, and the categories whose clauses
#: are likely to tell, which come first among the matches.
QUESTIONS: Final = (
    ("Sale of data", "sell | sale | sold | rent", "TPS"),
    (
        "How long it is kept",
        "retain | retention | keep | kept | be stored | are stored | as long as | months | years",
        "DR",
    ),
    ("Deletion", "delete | erase | remove | removal | close your account", "UAE DR"),
    ("Children", "children | minor | under 13 | under 16 | parent", "ISA"),
    ("Location", "location | geoloc | gps | geograph", "FPC TPS"),
)

#: Categories without a practice of their own stand last in the summary.
_GENERIC: Final = ("IG", "PNC")
#: Clauses quoted for a category in the summary, and characters of a quotation.
_QUOTES: Final = 8
_QUOTE_CHARS: Final = 240

#: Control characters but white space, bidirectional embeddings, overrides and isolates, and lone
#: surrogates: they reorder or hide the text around them, or cannot be written at all.
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: A clause that leans on the one before it, and tells little by itself.
_LEANING: Final = re.compile(
    r"(?:in such|this|these|those|such|however|they|it|he|she|for example|similarly)\b", re.I
)
_BLANK_LINE: Final = re.compile(r"\n[^\S\n]*\n|\r[^\S\r\n]*\r")
_SUBNUMBER: Final = re.compile(r"\s*(?:\d{1,3}|[A-Z])\.\d{1,3}\b")
_LETTERS: Final = "abcdefghijkl"


@dataclass(frozen=True, slots=True)
class Mark:
    """A clause as it is shown.

    Attributes
    ----------
    index : int
    text : str
        All of it can be seen.
    code, codes : str
        Of the primary category; of all that are given, with spaces between.
    scores : str
        In hundredths, ``"a97d2"``: the first category has 0.97, the fourth 0.02.
    uncertain : bool
    """

    index: int
    text: str
    code: str
    codes: str
    scores: str
    uncertain: bool


@dataclass(frozen=True, slots=True)
class _Item:
    """A list item with the bullet or enumerator that it had, or the whole of another part."""

    marker: str
    row: bool
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A heading, paragraph or list of the document."""

    kind: Literal["heading", "paragraph", "list"]
    level: int
    items: list[_Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Category:
    """What a policy says on a category: clauses, share of its characters, surest clauses first."""

    code: str
    name: str
    count: int
    share: float
    sure: int
    quotes: list[Mark]


def render_page(
    policy: LabeledPolicy,
    *,
    thresholds: Mapping[str, float] | None = None,
    explanations: Mapping[int, Sequence[tuple[str, float]]] | None = None,
) -> str:
    """Render a labeled policy as a self-contained page.

    Parameters
    ----------
    policy : LabeledPolicy
    thresholds : mapping of str to float, optional
        Score from which each category is given, drawn beside the scores.
    explanations : mapping of int to sequence of (str, float), optional
        For clauses by index, the words that made the primary label and what each added to its
        score (log-odds), in the order to show.

    Returns
    -------
    str
        HTML. It loads nothing, and equal input gives equal output.
    """
    data = {
        "codes": list(CODES),
        "names": list(CODES.values()),
        "thresholds": [thresholds[name] for name in CODES.values()] if thresholds else None,
        "explanations": {
            str(index): [[show(word), round(weight, 3)] for word, weight in words]
            for index, words in (explanations or {}).items()
        },
    }
    styles = ("base.css", "policy.css")
    return render_template("policy.html", styles=styles, script="policy.js", data=data, **_view(policy))


def render_fragment(policy: LabeledPolicy) -> str:
    """Render a labeled policy as a piece of HTML to show within a page, as notebooks do.

    Parameters
    ----------
    policy : LabeledPolicy

    Returns
    -------
    str
        One element with its own style, without script and without ids, in a box that scrolls. The
        style reaches nothing but fragments with this very style.
    """
    style = _style("base.css")
    # A class after the style: no other page, and no cell of another clausemark, is styled by it.
    name = "cm-" + hashlib.sha256(style.encode()).hexdigest()[:8]
    template = environment().get_template("fragment.html")
    return template.render(style=style.replace(".cm", f".{name}"), root=name, **_view(policy))


def show(text: str) -> str:
    """Make what cannot be seen in a text visible.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
        Of the same length: control and bidirectional control characters become U+FFFD.
    """
    return _UNSEEN.sub("\ufffd", text)


def source_name(source: str) -> str:
    """Name a document without the folders of somebody's machine; addresses stay whole.

    Parameters
    ----------
    source : str

    Returns
    -------
    str
        At most 120 characters; empty for standard input.
    """
    name = source if re.match(r"https?://", source) else PurePath(source.replace("\\", "/")).name
    return "" if name == "-" else _shorten(show(name), 120)


def render_template(template: str, *, styles: Sequence[str], script: str | None, **context: Any) -> str:
    """Render a whole page: a template that extends ``base.html``.

    Parameters
    ----------
    template : str
        Its name in the folder of templates, as the names that follow.
    styles : sequence of str
        Style sheets, in their order.
    script : str, optional
        The page's script.
    **context
        What the template is given.

    Returns
    -------
    str
        HTML whose content security policy lets these styles and this script run, and no other.
    """
    style, code = _style(*styles), _text(script) if script else ""
    return (
        environment()
        .get_template(template)
        .render(style=style, script=code, style_hash=_digest(style), script_hash=_digest(code), **context)
    )


@cache
def environment() -> Environment:
    """Return the templates, with autoescape and the filters ``quote`` and ``percent``.

    Returns
    -------
    jinja2.Environment
    """
    templates = Environment(
        loader=PackageLoader("clausemark"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["quote"] = lambda text: _shorten(" ".join(show(text).split()), _QUOTE_CHARS)
    templates.filters["percent"] = lambda share: "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"
    return templates


# What the templates are given -----------------------------------------------------------------


def _view(policy: LabeledPolicy) -> dict[str, Any]:
    """Everything that a template shows of a policy."""
    marks = [mark(clause) for clause in policy.clauses]
    categories = _categories(policy, marks)
    language = policy.document.language
    return {
        "title": title_of(policy),
        "source": source_name(policy.document.source),
        "language": language if re.fullmatch(r"[a-z]{2,3}", language) else "en",
        "words": sum(len(clause.text.split()) for clause in policy.clauses),
        "clauses": len(marks),
        "uncertain": sum(mark.uncertain for mark in marks),
        "parts": _parts(policy, marks),
        "categories": categories,
        "touched": sorted((c for c in categories if c.count), key=lambda c: c.code in _GENERIC),
        "absent": [c for c in categories if not c.count],
        "questions": QUESTIONS,
        "version": __version__,
    }


def mark(clause: LabeledClause) -> Mark:
    """Give what is shown of a clause.

    Parameters
    ----------
    clause : LabeledClause

    Returns
    -------
    Mark
    """
    # Only what can be seen in a bar is worth its bytes.
    scores = (
        (letter, round(100 * clause.scores.get(name, 0.0)))
        for letter, name in zip(_LETTERS, CODE_OF, strict=True)
    )
    return Mark(
        clause.index,
        show(clause.text),
        CODE_OF[clause.primary],
        " ".join(CODE_OF[name] for name in clause.labels),
        "".join(f"{letter}{score}" for letter, score in scores if score),
        clause.needs_review,
    )


def _categories(policy: LabeledPolicy, marks: Sequence[Mark]) -> list[_Category]:
    total = sum(len(clause.text) for clause in policy.clauses) or 1
    found = []
    for code, name in CODES.items():
        given = [clause for clause in policy.clauses if name in clause.labels]
        # A heading, an item or the lead-in of a list says little by itself, however sure its label is.
        given.sort(
            key=lambda c: (
                c.primary != name,
                marks[c.index].uncertain,
                c.kind != "sentence" or len(c.text) < 25 or c.text.rstrip().endswith(":"),
                len(c.text) > _QUOTE_CHARS,  # a whole sentence tells more than the beginning of one
                _LEANING.match(c.text) is not None,
                len(c.labels),
                -round(c.scores[name], 2),
                c.index,
            )
        )
        found.append(
            _Category(
                code,
                name,
                len(given),
                sum(len(clause.text) for clause in given) / total,
                sum(not marks[clause.index].uncertain for clause in given),
                [marks[clause.index] for clause in given[:_QUOTES]],
            )
        )
    return found


def _parts(policy: LabeledPolicy, marks: Sequence[Mark]) -> list[_Part]:
    """Rebuild headings, paragraphs and lists from the clauses and from what lies between them."""
    text, blocks = policy.document.text, policy.document.blocks
    starts = [block.start for block in blocks]
    parts: list[_Part] = []
    before: ClauseKind | None = None
    numbered = False  # a heading that "1.2" may stand under has come
    end = 0
    for clause, mark in zip(policy.clauses, marks, strict=True):
        gap = text[end : clause.start]
        block = bisect_right(starts, clause.start) - 1
        row = block >= 0 and blocks[block].kind == "row" and clause.end <= blocks[block].end
        fresh = (
            clause.kind == "heading"
            or clause.kind != before
            or bool(gap.strip())
            or _BLANK_LINE.search(gap) is not None
            or (block >= 0 and end <= starts[block])
        )
        if clause.kind == "item":
            if before != "item":
                parts.append(_Part("list", 0))
            if fresh:
                parts[-1].items.append(_Item(show(" ".join(gap.split()))[:12] or "–", row))
        elif fresh:
            if clause.kind == "heading":
                deep = numbered and _SUBNUMBER.match(clause.text) is not None
                numbered = True
                parts.append(_Part("heading", 4 if deep else 3, [_Item("", False)]))
            else:
                parts.append(_Part("paragraph", 0, [_Item("", False)]))
        parts[-1].items[-1].marks.append(mark)
        before, end = clause.kind, clause.end
    return parts


def title_of(policy: LabeledPolicy) -> str:
    """Name a policy: by its title, its first heading or its source.

    Parameters
    ----------
    policy : LabeledPolicy

    Returns
    -------
    str
        At most 160 characters, never empty.
    """
    headings = (clause.text for clause in policy.clauses if clause.kind == "heading")
    title = policy.document.title or next(headings, "") or source_name(policy.document.source)
    return _shorten(show(" ".join(title.split())), 160) or "Privacy policy"


def _shorten(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 1].rstrip() + "…"


@cache
def _style(*names: str) -> str:
    return "\n".join(environment().get_template(name).render(palette=PALETTE) for name in names)


@cache
def _text(name: str) -> str:
    return environment().get_template(name).render()


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
