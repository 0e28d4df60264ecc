"""Stops: where a sentence may end, found in one compiled pass over the characters.

Most are settled at once; those that abbreviations, numbers and the like leave open are for
`clausemark.clauses` to decide.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit, types

from clausemark.clauses import COMPANY, NUMBERED, TITLES
from clausemark.compiled import compiled
from clausemark.documents.lines import BULLETS

#: Beyond any text.
_BEYOND: Final = 2**31 - 1
_SPACE, _STOP, _CLOSE, _BULLET = 1, 2, 3, 4
#: Abbreviations in letters alone, as `_letters` numbers them: 5 bits a letter, so up to 12 fit.
_ABBREVIATIONS: Final = np.array(
    sorted(
        sum((ord(letter) & 31) << 5 * place for place, letter in enumerate(reversed(word)))
        for word in TITLES | NUMBERED | COMPANY
        if word.isalpha()
    )
)
_LONGEST: Final = 7
#: What characters below 0x3001 are; what is beyond is none of that.
_CLASSES: Final = np.array(
    [
        _SPACE if chr(c).isspace()
        else _STOP if chr(c) in ".!?…"
        else _CLOSE if chr(c) in "\"'”’»)]"
        else _BULLET if chr(c) in BULLETS
        else 0
        for c in range(0x3001)
    ],
    np.uint8,
)  # fmt: skip
_TEXT: Final = types.Array(types.uint32, 1, "C", readonly=True)


class Stops(NamedTuple):
    """Stops, or rows of them, that white space follows; and bullets, as offsets in a text.

    All but `sure` end in an offset that is beyond any text.

    Attributes
    ----------
    begins, ends : list of int
        Of each; the quotes and brackets that close after it lie before its end.
    sure : list of int
        Whether it is sure to end a sentence: no abbreviation, initials or number, and a capital follows.
    bullets : list of int
        Bullets that white space precedes.
    """

    begins: list[int]
    ends: list[int]
    sure: list[int]
    bullets: list[int]


def find_stops(text: str) -> Stops:
    """Find the stops and bullets of a text.

    Parameters
    ----------
    text : str

    Returns
    -------
    Stops
    """
    characters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    found = np.empty((4, len(text) // 2 + 2), np.int32)
    stops, bullets = _find(characters, found)
    found[:2, stops] = found[3, bullets] = _BEYOND
    begins, ends = found[:2, : stops + 1].tolist()
    return Stops(begins, ends, found[2, :stops].tolist(), found[3, : bullets + 1].tolist())


@njit
def _class(character):  # type: ignore[no-untyped-def]
    return _CLASSES[character] if character < 0x3001 else 0


@njit
def _is_word(text, end):  # type: ignore[no-untyped-def]
    """Tell whether the letters before a full stop are neither an abbreviation, initials nor a number."""
    number = length = 0
    roman = True
    while length <= _LONGEST and length < end:
        c = text[end - 1 - length]
        if not (97 <= c <= 122 or 65 <= c <= 90):
            break
        number |= int(c & 31) << 5 * length
        roman = roman and (c & 31 == 9 or c & 31 == 22 or c & 31 == 24)  # i, v, x
        length += 1
    if length < 2 or roman:
        return False
    if length > _LONGEST:
        return True
    return not np.any(number == _ABBREVIATIONS)


@compiled(types.UniTuple(types.int64, 2)(_TEXT, types.int32[:, ::1]))
def _find(text, found):  # type: ignore[no-untyped-def]
    stops = bullets = i = 0
    size = len(text)
    while i < size:
        what = _class(text[i])
        if what < _STOP:
            i += 1
            continue
        if what != _STOP:
            if what == _BULLET and i > 0 and _class(text[i - 1]) == _SPACE:
                found[3, bullets] = i
                bullets += 1
            i += 1
            continue
        begin = i
        while i < size and _class(text[i]) == _STOP:
            i += 1
        row = i > begin + 1 and text[begin + 1] == 46
        while i < size and _class(text[i]) == _CLOSE:
            i += 1
        if i == size or _class(text[i]) != _SPACE:
            continue
        found[0, stops], found[1, stops] = begin, i
        capital = i + 1 < size and 65 <= text[i + 1] <= 90
        found[2, stops] = capital and (text[begin] != 46 or row or _is_word(text, begin))
        stops += 1
    return stops, bullets
