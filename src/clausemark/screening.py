"""Screening: does a page look like a privacy policy at all?

A crawl of policies brings home cookie walls, error pages, terms, articles about privacy and pages
in other languages. A page is judged by its most policy-like stretch, so that menus around a policy,
or terms that a privacy section stands in, do not hide it: a few figures that one can read (what the
labels say there, whose words are used, what the title says) and a logistic regression on them. Its
weights are made by ``benchmarks/screening.py``, which also measures them; see docs/screening.md.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from clausemark.taxonomy import CATEGORIES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clausemark.predict import LabeledPolicy, Labels

#: Score from which on a page counts as a privacy policy.
POLICY_SCORE: Final = 0.5

#: Clauses of the stretch that a page is judged by.
_STRETCH: Final = 20
#: Practice clauses from which on more of them say nothing more.
_ENOUGH: Final = 30
#: Columns of the categories that only policies speak of.
_PRACTICES: Final = [
    k for k, name in enumerate(CATEGORIES) if name not in ("Introductory/Generic", "Practice not covered")
]
#: A heading is read as a name of the page up to this length.
_NAME_CHARS: Final = 80

_NAMED: Final = re.compile(
    r"privacy (?:policy|notice|statement|rights|practices|commitment|centre|center)"
    r"|cookies? (?:policy|notice|statement)|data (?:protection|policy)|notice at collection"
    r"|(?:your|personal|customer|user) (?:data|information)"
    r"|^\W*privacy\b|^(?!we ).*\bprivacy\W*$"
)
_OTHER: Final = re.compile(
    r"\b(?:40[0-9]|not found|denied|forbidden|error|moment|login|log in|sign in|sign up|home"
    r"|terms|conditions|agreement|licen[cs]e|refunds?|returns|shipping|guidelines|rules"
    r"|faqs?|questions|help|support|forum|community|docs|documentation|api|reference|knowledge base"
    r"|blog|news|newsroom|press|announces|launches|study|abstract|journal|arxiv|how to"
    r"|careers|jobs|about us|accessibility|slavery|site ?map|act|bill|law|regulation|directive)\b"
    r"|\?\W*$"
)

#: Kind of word -> words, counted per 100 words of the stretch.
_WORDS: Final[dict[str, frozenset[str]]] = {
    "data": frozenset(
        "information data personal personally identifiable cookie cookies ip email e-mail address addresses"
        " name names number numbers location identifiers device details privacy records".split()
    ),
    "persons": frozenset(
        "we us our ours i me my we're we'll we've you your yours yourself you're you've".split()
    ),
    "prompt": frozenset(
        "accept reject agree click continue options preferences subscribe enable javascript reload password"
        " search sign log login download".split()
    ),
    "report": frozenset(
        "said says told according announced reported yesterday researchers study paper authors survey"
        " gdpr investigators spokesperson percent million regulators companies marketers businesses launched"
        " he she his her findings results wrote posted comments tips blog article readers experts".split()
    ),
    "law": frozenset(
        "shall means section article act subsection paragraph regulation thereof pursuant controller subject"
        " authority person persons member state states penalty provisions enacted hereby".split()
    ),
    "contract": frozenset(
        "agreement terms agree license licence grant warranty warranties liable liability damages indemnify"
        " terminate termination refund refunds fees price prices order orders buy purchase content"
        " rights non-exclusive governed jurisdiction software".split()
    ),
    "english": frozenset(
        "the and of to your you that with this our we are for not have will from or in a is it by on".split()
    ),
}
#: What words are parted by, besides white space.
_MARKS: Final = '.,;:!?()[]{}"“”«»*|/'

# The weights are made by benchmarks/screening.py --write.
#: Figure -> weight in the sum.
WEIGHTS: Final[dict[str, float]] = {
    "practice": 4.8243,
    "practices": 0.9391,
    "breadth": 0.0601,
    "named": 2.0335,
    "other": -2.6801,
    "data": 0.0406,
    "persons": 0.0009,
    "prompt": -0.6036,
    "report": 0.0008,
    "law": -0.1997,
    "contract": -0.2448,
    "english": 0.0716,
}
#: What is added to the sum.
BIAS: Final = -6.1093


def policy_score(policy: LabeledPolicy | Labels) -> float:
    """Say how much a page looks like a privacy policy.

    Parameters
    ----------
    policy : LabeledPolicy or Labels
        A labeled page; label it with ``any_language=True`` if it may not be in English.

    Returns
    -------
    float
        From 0 to 1; from `POLICY_SCORE` on the page counts as a privacy policy. 0 without clauses.
    """
    if not policy.clauses:
        return 0.0
    return score_figures(policy_figures(policy))


def policy_figures(policy: LabeledPolicy | Labels) -> dict[str, float]:
    """Give the figures that a page is judged by.

    Parameters
    ----------
    policy : LabeledPolicy or Labels

    Returns
    -------
    dict of str to float
        As `figures`.
    """
    return figures(
        policy.document.title,
        [clause.text for clause in policy.clauses],
        [clause.kind == "heading" for clause in policy.clauses],
        policy.chances,
    )


def figures(
    title: str, texts: Sequence[str], headings: Sequence[bool], chances: NDArray[np.floating]
) -> dict[str, float]:
    """Give the figures that a page is judged by, from what labeling has at hand.

    Parameters
    ----------
    title : str
        Of the document, ``""`` where there is none.
    texts : sequence of str, length n_clauses
    headings : sequence of bool, length n_clauses
        Which clauses are headings.
    chances : numpy.ndarray of shape (n_clauses, 12), float
        Probability of every category.

    Returns
    -------
    dict of str to float
        ``practice``: mean probability in the stretch that a clause states a practice; ``practices``:
        log of the expected number of such clauses on the page; ``breadth``: categories of practices
        with at least one expected clause, 0 to 10; ``named`` and ``other``: whether title or headings
        name a policy, whether the title names something else; one for each kind of word, per 100
        words of the stretch.
    """
    practices = chances[:, _PRACTICES]
    practice = practices.max(axis=1, initial=0.0)
    sums = np.concatenate(([0.0], np.cumsum(practice)))
    size = min(_STRETCH, len(texts))
    masses = sums[size:] - sums[:-size] if size else sums
    first = int(np.argmax(masses))
    stretch = " ".join(texts[first : first + size]).lower().replace("’", "'")
    for mark in _MARKS:  # far faster than str.translate where the text is not all ASCII
        stretch = stretch.replace(mark, " ")
    words = stretch.split()
    counts = Counter(words)
    names = [title, *(text for text, is_heading in zip(texts, headings, strict=True) if is_heading)]
    top = names[0] or (names[1] if len(names) > 1 else texts[0] if texts else "")
    return {
        "practice": float(masses[first]) / max(size, 1),
        "practices": math.log1p(min(float(sums[-1]), _ENOUGH)),
        "breadth": float((practices.sum(axis=0) >= 1).sum()),
        "named": float(any(len(n) <= _NAME_CHARS and _NAMED.search(n.lower()) for n in names)),
        "other": float(_OTHER.search(top.lower()) is not None),
    } | {
        kind: 100 * sum(counts[word] for word in group & counts.keys()) / max(len(words), 1)
        for kind, group in _WORDS.items()
    }


def score_figures(found: dict[str, float]) -> float:
    """Turn the figures of a page into its score.

    Parameters
    ----------
    found : dict of str to float
        As `figures` gives them.

    Returns
    -------
    float
        From 0 to 1.
    """
    total = BIAS + sum(weight * found[name] for name, weight in WEIGHTS.items())
    return 1 / (1 + math.exp(-max(-500.0, min(500.0, total))))
