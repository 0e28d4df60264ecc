"""Tags that no browser shows and a parser takes quadratic time for: nested too deep, or crowded."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clausemark.errors import InputError

#: Elements that begin a new line.
BLOCKS: Final = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav"
    " ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
#: No page that a browser can show nests deeper (they stop at 512); parsers get slow there.
_MAX_DEPTH: Final = 1000
#: Nor one with as many attributes in a tag, each of which a parser compares with all before.
_MAX_ATTRIBUTES: Final = 2000
#: What is nested or crowded on purpose is so from the beginning, which is looked at first.
_BEGINNING: Final = 1 << 17
_TAG: Final = re.compile(rb"<(?:[a-z][^\s/<>]*|!--)([^<>]*)", re.I)
_QUOTED: Final = re.compile(rb"\"[^\"]*\"?|'[^']*'?")
#: What only looks like tags; the tag of a script is one.
_HIDDEN: Final = re.compile(rb"<!--.*?(?:-->|\Z)|(<(script|style)\b[^<>]*).*?(?=</\2|\Z)", re.I | re.S)
#: Elements without an end tag, or whose end tag is implied by what follows.
_UNCLOSED: Final = (
    "area base br col embed hr img input link meta param source track wbr"
    " p li dd dt tr td th tbody thead tfoot option optgroup colgroup body html head".split()
)
#: Without attributes, pages leave these open, as they do with ``<div/>``, which ends nothing: they count
#: a tenth.
_FORMATTING: Final = "b big code em i nobr rp rt s small strike strong tt u".split()
_TENTHS: Final = 10
#: Kinds of tags, blocks being those that have an end tag.
_NO_END, _FORMAT, _BLOCK, _OTHER = range(4)


def _kinds() -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Tell the kinds of the tags that are not `_OTHER`: codes of their names, ascending, and kinds."""
    kinds = {
        **dict.fromkeys(BLOCKS, _BLOCK),
        **dict.fromkeys(_UNCLOSED, _NO_END),
        **dict.fromkeys(_FORMATTING, _FORMAT),
    }
    pairs = sorted((int.from_bytes(name[:8].encode(), "little"), kind) for name, kind in kinds.items())
    codes, found = zip(*pairs, (2**64 - 1, _OTHER), strict=True)
    return np.array(codes, np.uint64), np.array(found)


_TAG_CODES, _TAG_KINDS = _kinds()


def check_tags(html: bytes) -> None:
    """Refuse what no browser shows and a parser takes quadratic time for.

    Parameters
    ----------
    html : bytes
        Source of a page in UTF-8.

    Raises
    ------
    InputError
        If tags nest deeper, or one has more attributes, than in any page that browsers show.
    """
    if _depth(html) <= _MAX_DEPTH and not _is_crowded(html):
        return
    for end in (html.rfind(b"<", 0, _BEGINNING), len(html)):
        shown = _HIDDEN.sub(rb"\1>", html[: max(0, end)])
        if _depth(shown) > _MAX_DEPTH:
            raise InputError(f"nests its tags more than {_MAX_DEPTH:,} deep: not a page that browsers show")
        if _is_crowded(shown):
            raise InputError(
                f"has a tag with more than {_MAX_ATTRIBUTES:,} attributes: not a page that browsers show"
            )


def _depth(html: bytes) -> int:
    """Bound how deep tags nest, if that may be too deep; an end tag ends one of its name at most."""
    source = np.frombuffer(html, np.uint8)
    is_open = source == ord("<")
    if np.count_nonzero(is_open) <= 2 * _MAX_DEPTH:
        return 0
    (opens,) = np.nonzero(is_open)
    source = np.append(source, np.zeros(10, np.uint8))
    is_end = source[opens + 1] == ord("/")
    # A name is a number: the eight bytes that begin there, of which only those count that it has
    eights = np.ndarray(len(source) - 7, "<u8", source, strides=(1,))[opens + 1 + is_end]
    letters = eights.view(np.uint8)
    stops = ((letters <= ord(" ")) | (letters == ord("/")) | (letters == ord(">"))).view("<u8")
    stop = stops & -stops
    names = (eights | 0x2020202020202020) & (stop - 1)
    place = np.searchsorted(_TAG_CODES, names)
    kinds = np.where(_TAG_CODES[place] == names, _TAG_KINDS[place], _OTHER)
    (ends,) = np.nonzero(source == ord(">"))
    is_closed = source[np.append(ends, 1)[np.searchsorted(ends, opens)] - 1] == ord("/")
    is_tag = ((names & 255) - ord("a") < 26) & (kinds != _NO_END)
    is_tag &= is_end | ~is_closed | (kinds == _BLOCK)
    if np.count_nonzero(is_tag & ~is_end) <= _MAX_DEPTH:
        return 0
    # By names: how many are open, at least none; and how many of them may weigh more than a tenth
    is_light = is_end | is_closed | ((kinds == _FORMAT) & (eights & 255 * stop == ord(">") * stop))
    (order,) = np.nonzero(is_tag)
    order = order[np.argsort(names[order], kind="stable")]
    (begins,) = np.nonzero(np.diff(names[order], prepend=~names[order[:1]]))
    group = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(order)))
    steps = np.where(is_end[order], -1, 1)
    count = np.cumsum(steps)
    count -= (count - steps)[begins][group]
    below = 2 * len(order) * group  # each name lies below the one before
    count -= np.minimum.accumulate(np.minimum(count, 0) - below) + below
    heavy = ~is_light[order]
    given = np.cumsum(heavy)
    count += (_TENTHS - 1) * np.minimum(count, given - (given - heavy)[begins][group])
    changes = np.diff(count, prepend=0)
    changes[begins] = count[begins]
    depth = np.zeros(len(opens), np.int64)
    depth[order] = changes
    return int(np.cumsum(depth).max()) // _TENTHS


def _is_crowded(html: bytes) -> bool:
    """Tell whether a tag, or what looks like one in a script, has too many attributes."""
    size = 8 * _MAX_ATTRIBUTES
    start = 0
    while 0 <= start < len(html) - size:
        if html.find(b">", start, start + size) >= 0:
            start += size
            continue
        tag = _TAG.match(html, max(0, html.rfind(b"<", max(0, start - size), start)))
        given = tag.group(1) if tag else b""
        for end in (_BEGINNING, len(given)):
            if len(_QUOTED.sub(b"", given[:end]).split(None, _MAX_ATTRIBUTES)) > _MAX_ATTRIBUTES:
                return True
        start = html.find(b">", start)
    return False
