"""The fast scorer: labels clauses with a saved model, without scikit-learn, pandas or scipy.

``texts -> words (each distinct one read once) -> n-grams counted -> stage-1 scores -> scores in context``

The n-grams of characters never cross a word, and policies repeat their words. So the n-grams of a word
are looked up when it is first met and their weights added up; from then on a clause costs an addition
a word, and a correction for each n-gram that several words of the clause share, since term frequencies
count by their logarithm. Strings are lowered and matched by Python itself, so Unicode is what
scikit-learn takes it for; all else are loops over arrays, compiled by numba and kept on disk.

`clausemark.model.restore` gives the scikit-learn path, which scores the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
from llvmlite import ir
from numba import float32, float64, int32, int64, njit, types, uint32, uint64
from numba.extending import intrinsic
from numpy.typing import NDArray

from clausemark.clauses import Clause
from clausemark.compiled import compiled
from clausemark.context import (
    HEADING,
    INTRODUCTIONS,
    ITEM,
    Surroundings,
    columns,
    surroundings,
)
from clausemark.model import SHORTEST, TOKEN, Block, Model
from clausemark.taxonomy import CATEGORIES

#: Characters that are scored at once.
BATCH: Final = 1 << 16
#: Words that are remembered, and numbers that their records may hold; what comes after that starts afresh.
WORDS: Final = 1 << 17
MEMORY: Final = 1 << 23

_FREE: Final = np.uint64(2**64 - 1)
#: A code point is a node of its own: the first of every n-gram of characters.
_CODE_POINTS: Final = 0x110000
#: 1 where a code point is white space; there is none from the last one on.
SPACE: Final = np.array([chr(c).isspace() for c in range(0x3002)])
#: Stands for a token where a word ends.
_WORD_ENDS: Final = -2
#: What a term counts that occurs so often.
_DAMPED: Final = np.concatenate([[0], 1 + np.log(np.arange(1, 1024))])
_NO_VALUES: Final = np.empty(0, np.float32)

#: Fields of one neighbour, `INTRODUCTIONS` first, and those that are means, as the kernel has them.
SINGLE: Final = (*INTRODUCTIONS, "clause", "previous", "next", "before_previous", "after_next")
MEANS: Final = ("paragraph", "section", "content")

#: Where a word's record has what, after its number of characters; where its characters begin.
_TOKENS: Final = np.uint32(1)
_NGRAMS: Final = np.uint32(2)
_TIMES: Final = np.uint32(3)
_SQUARE: Final = np.uint32(4)
_HEAD: Final = np.uint32(5)

Floats = NDArray[np.float32]


class Features(NamedTuple):
    """TF-IDF of clauses, as a sparse matrix in rows (CSR).

    Attributes
    ----------
    indptr : ndarray of shape (n_clauses + 1,), int64
        Where the terms of each clause start.
    indices : ndarray of shape (n_found,), int32
        Terms, ascending within a clause: rows of the model's blocks, stacked in their order.
    values : ndarray of shape (n_found,), float32
        TF-IDF, normed and scaled: times `Block.weights` it is what the term says.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: Floats


class Trie(NamedTuple):
    """Sequences of symbols, each step found by hash of node and symbol; exact, as these fit in 64 bits.

    A single symbol is the node of its own number. `first` and more is the slot of a longer sequence.
    """

    first: int
    table: NDArray[np.uint64]  # (n_slots, 2): node << 32 | symbol, or free; 1 + term, or 0 for none


class Terms(NamedTuple):
    """A block as the kernels read it."""

    trie: Trie
    single: NDArray[np.int32]  # symbol -> term of this symbol alone, -1 for none
    longest: int
    scale: float
    idf: Floats
    weights: Floats  # (n_terms, n_scores)
    # Of the clause at hand; zero between clauses:
    times: NDArray[np.int32]  # how often a term occurs; of characters, one that several words have
    seen: NDArray[np.int32]  # the last word that has the term; words are numbered as they come
    last: NDArray[np.int64]  # number of the last word
    apart: NDArray[np.float64]  # what a term of several words would count, were they alone


class Words(NamedTuple):
    """Distinct words, as between white space, and what is known of each.

    A word is a record in `memory`, all of it in one place, because what takes time is to fetch it:
    how many characters, tokens and n-grams it has, how often the clause at hand has it, the sum of idf²
    of its distinct n-grams; characters; symbols of tokens, room for half as many as characters; scores
    of its distinct n-grams, the sum of idf * weights; terms of its n-grams.
    """

    size: NDArray[np.int64]  # of the memory in use, and how many words it holds
    slots: NDArray[np.uint64]  # half of a word's hash and its place, or free; a power of two of them
    memory: NDArray[np.uint32]
    floats: Floats  # the same memory


class Scratch(NamedTuple):
    """Room for what the kernels note down of a text, at least as much as it has characters."""

    hashes: NDArray[np.uint64]  # of words
    new: NDArray[np.int64]  # places of new words
    starts: NDArray[np.uint32]
    found: NDArray[np.uint32]  # words
    terms: NDArray[np.uint32]
    line: NDArray[np.uint32]  # tokens, then n-grams


class Maps(NamedTuple):
    """Stage 2 as the kernel reads it: the fields of one neighbour, `INTRODUCTIONS` first, then the means."""

    said: Floats  # (n_said, n_fields * n_classes)
    told: Floats  # (n_classes, n_introductions * n_classes)
    strongest: Floats  # (n_said, n_classes)
    shapes: Floats  # (n_shapes + 1, n_classes): the last row is the intercept
    alone: Floats  # (n_said + 1, n_classes)


_F32, _F32S = types.float32[::1], types.float32[:, ::1]
_F64, _F64S = types.float64[::1], types.float64[:, ::1]
_I32, _I64 = types.int32[::1], types.int64[::1]
_U32, _U64, _U64S = types.uint32[::1], types.uint64[::1], types.uint64[:, ::1]
_CODES = types.Array(types.uint32, 1, "C", readonly=True)
_BOOL = types.boolean
# Columns of `Surroundings` come from elsewhere.
_ROWS = types.Array(types.int64, 1, "A", readonly=True)
_POSITIONS = types.Array(types.float64, 1, "A", readonly=True)
_TRIE = types.NamedTuple((types.int64, _U64S), Trie)
_TERMS = types.NamedTuple(
    (_TRIE, _I32, types.int64, types.float64, _F32, _F32S, _I32, _I32, _I64, _F64), Terms
)
_WORDS = types.NamedTuple((_I64, _U64, _U32, _F32), Words)
_MAPS = types.NamedUniTuple(_F32S, 5, Maps)


@intrinsic
def _fetch(context, array, index):  # type: ignore[no-untyped-def]
    """Ask for what lies at an index of the flat array, and go on: memory is slow, but can do much at once."""

    def ask(context, builder, signature, values):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, values[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        flags = [ir.Constant(number, flag) for flag in (0, 3, 1)]  # to read, to keep, data
        builder.call(function, [builder.bitcast(builder.gep(data, [values[1]]), byte), *flags])
        return context.get_dummy_value()

    return types.void(array, types.intp), ask


@njit
def _slot(table, node, symbol):  # type: ignore[no-untyped-def]
    key = (uint64(node) << uint64(32)) | uint64(symbol)
    mixed = key * uint64(0x9E3779B97F4A7C15)
    return (mixed ^ (mixed >> uint64(32))) & uint64(len(table) - 1), key


@njit
def _find(table, node, symbol):  # type: ignore[no-untyped-def]
    """Slot of the step from a node, or the free slot where it belongs."""
    slot, key = _slot(table, node, symbol)
    while (table[slot, 0] != key) & (table[slot, 0] != _FREE):
        slot = (slot + uint64(1)) & uint64(len(table) - 1)
    return slot, key


@compiled(_BOOL(_CODES, _I64, _TRIE, _I32))
def _build(symbols, ends, trie, single):  # type: ignore[no-untyped-def]
    """Put terms into a trie, unless more than half of it would be in use."""
    room = len(trie.table) // 2
    for term in range(len(ends) - 1):
        start, end = ends[term], ends[term + 1]
        if end <= start:
            continue
        node = int64(symbols[start])
        if end - start == 1:
            if node < len(single):
                single[node] = term
            continue
        for i in range(start + 1, end):
            slot, key = _find(trie.table, node, symbols[i])
            if trie.table[slot, 0] == _FREE:
                if room == 0:
                    return False
                room -= 1
                trie.table[slot, 0] = key
            node = trie.first + int64(slot)
        trie.table[node - trie.first, 1] = term + 1
    return True


@njit
def _learn(codes, at, chars, words, total):  # type: ignore[no-untyped-def]
    """Make the record of a new word but for its tokens; its n-grams are scikit-learn's "char_wb"."""
    memory, scores, length = words.memory, chars.weights.shape[1], len(codes)
    memory[at] = length
    for i in range(length):
        memory[at + _HEAD + i] = codes[i]
    sums = at + _HEAD + length + (length + 1) // 2
    begin = end = sums + scores
    for k in range(scores):
        total[k] = 0
    chars.last[0] += 1
    number = chars.last[0]
    square = 0.0
    for first in range(-1, length + 2 - SHORTEST):  # from the space before the word
        node = int64(codes[first] if first >= 0 else 32)
        for last in range(first + 1, min(first + chars.longest, length + 1)):
            slot, key = _find(chars.trie.table, node, codes[last] if last < length else uint32(32))
            if chars.trie.table[slot, 0] != key:
                break
            node = chars.trie.first + int64(slot)
            term = int64(chars.trie.table[slot, 1]) - 1
            if term < 0:
                continue
            memory[end] = term
            end += 1
            if chars.seen[term] != number:
                chars.seen[term] = number
                idf = float64(chars.idf[term])
                square += idf * idf
                for k in range(scores):
                    total[k] += idf * chars.weights[term, k]
    memory[at + _TOKENS] = memory[at + _TIMES] = 0
    memory[at + _NGRAMS] = end - begin
    words.floats[at + _SQUARE] = square
    for k in range(scores):
        words.floats[sums + k] = total[k]
    words.size[0] = (end + 15) & ~15  # where a line of the cache begins
    words.size[1] += 1


@compiled(types.int64(_CODES, _I64, _BOOL[::1], _TERMS, _WORDS, _U64, _U32, _I64, _U32, _I64))
def _read(codes, ends, space, chars, words, hashes, starts, counts, found, new):  # type: ignore[no-untyped-def]
    """Split texts into words, `found`; learn what can be learnt of new ones."""
    mask = uint64(len(words.slots) - 1)
    high = uint64(0xFFFFFFFF00000000)
    memory, total = words.memory, np.empty(chars.weights.shape[1])
    count = learnt = 0
    if chars.last[0] + 2 * len(found) > 2**31 - 1:  # words known and new
        chars.seen[:] = chars.last[0] = 0
    i = uint64(0)
    for text in range(len(ends)):
        end = uint64(ends[text])
        begin = count
        while i < end:
            code = codes[i]
            if code < len(space) and space[code]:
                i += uint64(1)
                continue
            starts[count] = i
            mixed = uint64(0xCBF29CE484222325)
            while True:
                mixed = (mixed ^ uint64(code)) * uint64(0x100000001B3)
                i += uint64(1)
                if i == end:
                    break
                code = codes[i]
                if code < len(space) and space[code]:
                    break
            mixed = (mixed ^ (mixed >> uint64(29))) * uint64(0x9E3779B97F4A7C15)
            hashes[count] = mixed
            found[count] = i
            count += 1
            _fetch(words.slots, (mixed ^ (mixed >> uint64(32))) & mask)
        for word in range(begin, count):
            mixed = hashes[word]
            _fetch(memory, words.slots[(mixed ^ (mixed >> uint64(32))) & mask] & ~high)
        for word in range(begin, count):
            start, mixed = uint64(starts[word]), hashes[word]
            length = found[word] - start
            slot = (mixed ^ (mixed >> uint64(32))) & mask
            while True:
                entry = words.slots[slot]
                if entry == _FREE:
                    at = uint64(words.size[0])
                    words.slots[slot] = (mixed & high) | at
                    _learn(codes[start : start + length], int64(at), chars, words, total)
                    new[learnt] = int64(at)
                    learnt += 1
                    break
                at = entry & ~high
                if (entry ^ mixed) & high == uint64(0) and memory[at] == length:
                    j = uint64(0)
                    while j < length and memory[at + uint64(_HEAD) + j] == codes[start + j]:
                        j += uint64(1)
                    if j == length:
                        break
                slot = (slot + uint64(1)) & mask
            found[word] = at
        counts[text + 1] = count
    return learnt


@njit
def _damp(table, times):  # type: ignore[no-untyped-def]
    return table[times] if times < len(table) else 1 + np.log(times)


@compiled(
    types.int64(
        _I64, _U32, _U32, _F64, _TERMS, _TERMS, _WORDS, _F32, _F32S, _I64, _U32, _F32, _BOOL
    )
)  # fmt: skip
def _say(  # type: ignore[no-untyped-def]
    counts, found, line, damped, terms, chars, words, intercepts, out, indptr, indices, values, keep
):  # fmt: skip
    """Stage 1: scores of texts whose words have been found; on demand their features too."""
    scores = len(intercepts)
    heard = np.empty((2, scores), dtype=np.float32)
    memory, floats = words.memory, words.floats
    base = 0
    first = chars.last[0]
    for text in range(len(counts) - 1):
        for k in range(scores):
            heard[0, k] = heard[1, k] = 0
        # Steps of their own, with few branches, so that the processor can wait for several terms at once.
        begin = distinct = counts[text]
        tokens = 0
        for i in range(begin, counts[text + 1]):
            word = found[i]
            if memory[word + _TIMES] == 0:  # the distinct words move to the front
                found[distinct] = word
                distinct += 1
            memory[word + _TIMES] += 1
            at = word + _HEAD + memory[word]
            for j in range(at, at + memory[word + _TOKENS]):
                line[tokens] = memory[j]
                tokens += 1
        for i in range(1, tokens):
            _fetch(terms.trie.table, 2 * _slot(terms.trie.table, line[i - 1], line[i])[0])
        here = base
        for i in range(tokens):
            node = int64(line[i])
            term = terms.single[node]
            indices[here] = term
            here += term >= 0
            last = min(i + terms.longest, tokens) - 1
            j = i
            while j < last:
                j += 1
                slot, key = _find(terms.trie.table, node, line[j])
                term = int64(terms.trie.table[slot, 1]) - 1
                indices[here] = term
                here += term >= 0
                if j < last and terms.trie.table[slot, 0] != key:
                    break
                node = terms.trie.first + int64(slot)
        end, here = here, base
        for i in range(base, end):
            term = indices[i]
            indices[here] = term
            here += terms.times[term] == 0
            terms.times[term] += 1
        for i in range(base, here):
            for k in range(0, scores, 16):
                _fetch(terms.weights, int64(indices[i]) * scores + k)
        for i in range(begin, distinct):
            for j in range(16, 64, 16):
                _fetch(memory, found[i] + j)
        square = 0.0
        for i in range(base, here):
            term = indices[i]
            share = float32(_damp(damped, terms.times[term]) * terms.idf[term])
            terms.times[term] = 0
            square += float64(share) * share
            for k in range(scores):
                heard[0, k] += share * terms.weights[term, k]
            if keep:
                values[i] = share
        norm = terms.scale / np.sqrt(square) if square > 0 else 0.0
        share = float32(norm)
        for k in range(scores):
            out[text, k] = intercepts[k] + share * heard[0, k]
        if keep:
            for i in range(base, here):
                values[i] *= share
            base = here
        square = 0.0
        shared = 0
        for i in range(begin, distinct):
            word = found[i]
            more = memory[word + _TIMES]
            apart = _damp(damped, more)
            square += apart * apart * floats[word + _SQUARE]
            share = float32(apart)
            at = word + _HEAD + memory[word] + (memory[word] + 1) // 2
            for k in range(scores):
                heard[1, k] += share * floats[at + k]
            at += scores
            number = int32(first + i - begin + 1)
            for j in range(at, at + memory[word + _NGRAMS]):
                term = memory[j]
                before = chars.seen[term]
                chars.seen[term] = number
                if before <= first:
                    continue
                # Few n-grams occur again. Together they count less than apart.
                if chars.times[term] == 0:
                    chars.times[term] = memory[found[begin + before - first - 1] + _TIMES]
                    chars.apart[term] = _damp(damped, chars.times[term])
                    line[shared] = term
                    shared += 1
                    for k in range(0, scores, 16):
                        _fetch(chars.weights, int64(term) * scores + k)
                idf = float64(chars.idf[term])
                alone = _damp(damped, chars.times[term])
                chars.times[term] += more
                both = _damp(damped, chars.times[term])
                square += (both * both - alone * alone) * idf * idf
                if before != number:
                    chars.apart[term] += apart
                    square -= apart * apart * idf * idf
        for i in range(shared):
            term = line[i]
            share = float32((_damp(damped, chars.times[term]) - chars.apart[term]) * chars.idf[term])
            for k in range(scores):
                heard[1, k] += share * chars.weights[term, k]
        norm = chars.scale / np.sqrt(square) if square > 0 else 0.0
        share = float32(norm)
        for k in range(scores):
            out[text, k] += share * heard[1, k]
        for i in range(begin, distinct):
            word = found[i]
            at = word + _HEAD + memory[word] + (memory[word] + 1) // 2 + scores
            for j in range(at, at + memory[word + _NGRAMS] * keep):
                term = memory[j]
                if chars.seen[term] > first:
                    times = max(int64(chars.times[term]), int64(memory[word + _TIMES]))
                    indices[base] = term + len(terms.idf)
                    values[base] = _damp(damped, times) * chars.idf[term] * norm
                    base += 1
                chars.seen[term] = 0
            memory[word + _TIMES] = 0
        for i in range(shared):
            chars.times[line[i]] = 0
        first += distinct - begin
        indptr[text + 1] = base
    chars.last[0] = first
    return base


@njit
def _gather(out, parts, row, at):  # type: ignore[no-untyped-def]
    """Add what a clause says to the field whose columns begin there."""
    for j in range(len(out)):
        out[j] += parts[row, at + j]


@njit
def _mean(out, sums, parts, i, first, last, without, at, start):  # type: ignore[no-untyped-def]
    """Add the mean of a range of clauses, `without` this one if that is 1."""
    count = last - first + 1 - without
    if count > 0:
        share = 1 / count
        for j in range(at, at + len(out)):
            out[j - at] += float32(
                share * (sums[last + 1, j] - sums[first, j] - without * parts[i, start + j])
            )


@compiled(types.void(_F32S, _MAPS, *(_ROWS,) * 7, _POSITIONS, _F32S))
def _combine(  # type: ignore[no-untyped-def]
    scores, maps, previous, following, heading, lead_in, first, last, kind, position, out
):  # fmt: skip
    """Stage 2, as `context.combine`: what a clause says to each field is worked out once, then gathered."""
    count, classes = out.shape
    said, told = len(maps.alone) - 1, len(maps.told)
    start = len(SINGLE) * classes  # of the fields that are means
    parts = np.empty((count, maps.said.shape[1]), dtype=np.float32)
    sums = np.zeros((count + 1, len(MEANS) * classes))
    for i in range(count):
        for j in range(maps.said.shape[1]):
            parts[i, j] = 0
        for k in range(said):
            for j in range(maps.said.shape[1]):
                parts[i, j] += scores[i, k] * maps.said[k, j]
        for k in range(told):
            for j in range(maps.told.shape[1]):
                parts[i, j] += scores[i, said + k] * maps.told[k, j]
        for j in range(sums.shape[1]):
            sums[i + 1, j] = sums[i, j] + parts[i, start + j]
    begin, end = int64(0), int64(0)  # of the paragraph, the end not in it
    opens, closes = int64(0), int64(0)  # of the section: its first clause after the heading, and its last
    highest, best = np.empty(said, dtype=np.float32), np.zeros(classes, dtype=np.float32)
    for i in range(count):
        if kind[i] == HEADING or previous[i] < 0:
            opens = i + (kind[i] == HEADING)
            closes = i
            while closes + 1 < count and kind[closes + 1] != HEADING and previous[closes + 1] >= 0:
                closes += 1
        found = out[i]
        if previous[i] < 0 and following[i] < 0 and heading[i] < 0 and lead_in[i] < 0:
            for j in range(classes):
                found[j] = maps.alone[said, j]
            for k in range(said):
                for j in range(classes):
                    found[j] += scores[i, k] * maps.alone[k, j]
            continue
        if begin != first[i] or end != last[i] + 1:
            begin, end = first[i], last[i] + 1
            for k in range(said):
                highest[k] = scores[begin, k]
            for row in range(begin + 1, end):
                for k in range(said):
                    highest[k] = max(highest[k], scores[row, k])
            for j in range(classes):
                best[j] = 0
            for k in range(said):
                for j in range(classes):
                    best[j] += highest[k] * maps.strongest[k, j]
        # In the order of SHAPES, then the intercept
        near = previous[i], following[i], heading[i], lead_in[i]
        under = closes >= opens
        shape = (
            kind[i] == HEADING, kind[i] == ITEM,
            position[i] == 0, 0 < position[i] <= 0.1, 0.9 < position[i] < 1, position[i] == 1,
            near[0] >= 0, near[1] >= 0, near[2] >= 0, near[3] >= 0,
            last[i] > first[i], kind[i] != HEADING and closes > opens, kind[i] == HEADING and under, True,
        )  # fmt: skip
        for j in range(classes):
            found[j] = best[j]
        for k in range(len(shape)):
            if shape[k]:
                for j in range(classes):
                    found[j] += maps.shapes[k, j]
        # In the order of SINGLE
        rows = (
            heading[i], lead_in[i], i, previous[i], following[i],
            previous[previous[i]] if previous[i] >= 0 else -1,
            following[following[i]] if following[i] >= 0 else -1,
        )  # fmt: skip
        for field in range(len(rows)):
            if rows[field] >= 0:
                _gather(found, parts, rows[field], field * classes)
        # In the order of MEANS
        _mean(found, sums, parts, i, first[i], last[i], 1, 0, start)
        if kind[i] != HEADING:
            _mean(found, sums, parts, i, opens, closes, 1, classes, start)
        else:
            _mean(found, sums, parts, i, opens, closes, 0, 2 * classes, start)


class Scorer:
    """Scores clauses with a model.

    Parameters
    ----------
    model : Model
        As `clausemark.model.load_model` returns it.

    Notes
    -----
    Distinct words are remembered between calls, within fixed bounds (some 40 MB). Threads may share a
    scorer; they take turns.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._lock = Lock()
        self._intercepts = _array(model.intercepts, np.float32)
        block = model.blocks.get("words")
        terms = block.terms if block else ()
        tokens = " ".join(terms).split(" ") if terms else []
        symbols = self._symbols = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
        flat = np.array([symbols[token] for token in tokens], np.uint32)
        flat.flags.writeable = False
        ends = np.cumsum([0, *(term.count(" ") + 1 for term in terms)])
        self._terms = _terms(block, flat, ends, len(symbols) + 1, len(self._intercepts))
        block = model.blocks.get("chars")
        grams = block.terms if block else ()
        ends = np.cumsum([0, *map(len, grams)])
        self._chars = _terms(block, _codes("".join(grams)), ends, _CODE_POINTS, len(self._intercepts))
        self._token = re.compile(f"{TOKEN}| ")
        self._unknown = len(symbols)
        symbols[" "] = _WORD_ENDS
        self._words: Words = self._remember(0, 0)
        self._room = self._scratch(BATCH)
        self._maps = _lay_out(model)

    def __reduce__(self) -> tuple[type[Scorer], tuple[Model]]:
        return Scorer, (self.model,)

    def features(self, texts: Sequence[str]) -> Features:
        """Give the TF-IDF features of texts.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        Features
            With ``indptr`` of shape (n_texts + 1,).
        """
        parts = [found for _, found in self._batches(texts, keep=True)]
        ends = np.concatenate([[0], *(np.diff(part.indptr) for part in parts)]).cumsum()
        indices = np.concatenate([np.empty(0, np.int32), *(part.indices for part in parts)])
        values = np.concatenate([np.empty(0, np.float32), *(part.values for part in parts)])
        order = np.lexsort((indices, np.repeat(np.arange(len(texts)), np.diff(ends))))
        return Features(ends, indices[order], values[order])

    def say(self, texts: Sequence[str]) -> Floats:
        """Score what texts say and announce, each read alone: stage 1.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        ndarray of shape (n_texts, n_scores), float32
        """
        nothing = np.empty((0, len(self._intercepts)), dtype=np.float32)
        return np.concatenate([nothing, *(scores for scores, _ in self._batches(texts))])

    def score(self, clauses: Sequence[Clause], around: Surroundings | None = None) -> Floats:
        """Score clauses in context.

        Parameters
        ----------
        clauses : sequence of Clause
            All clauses of a document, in order.
        around : Surroundings, optional
            Where they stand; needed if they are of several documents.

        Returns
        -------
        ndarray of shape (n_clauses, 12), float32
            Logits of the probabilities, columns as `clausemark.taxonomy.CATEGORIES`.
        """
        around = surroundings(clauses) if around is None else around
        scores, maps = self.say([clause.text for clause in clauses]), self._maps
        found = np.empty((len(clauses), maps.alone.shape[1]), np.float32)
        _combine(
            scores, maps, around.previous, around.next, around.heading, around.lead_in, around.first,
            around.last, around.kind, around.position, found,
        )  # fmt: skip
        return found

    def _batches(self, texts: Sequence[str], keep: bool = False) -> Iterator[tuple[Floats, Features]]:
        """Score some texts at a time; features are empty unless they are kept."""
        lowered = [text.lower() for text in texts]
        ends = np.cumsum(np.fromiter(map(len, lowered), dtype=np.int64, count=len(lowered)))
        start = 0
        while start < len(lowered):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + BATCH, side="right")))
            with self._lock:
                try:
                    found = self._batch("".join(lowered[start:stop]), ends[start:stop] - before, keep)
                except BaseException:
                    del self._words  # may be half written
                    raise
            yield found
            start = stop

    def _batch(self, text: str, ends: NDArray[np.int64], keep: bool) -> tuple[Floats, Features]:
        most = min(len(text), len(text) // 2 + len(ends))  # words
        words = self._words = self._remember(len(text), most)
        room = self._room if len(text) <= BATCH else self._scratch(len(text))
        counts = np.zeros(len(ends) + 1, np.int64)
        learnt = _read(
            _codes(text), ends, SPACE, self._chars, words, room.hashes, room.starts, counts, room.found,
            room.new,
        )  # fmt: skip
        if learnt:
            self._tokenise(words.memory, room.new[:learnt])
        out = np.empty((len(ends), len(self._intercepts)), np.float32)
        indptr, indices, values = np.zeros(len(ends) + 1, np.int64), room.terms, _NO_VALUES
        if keep:
            indices, values = np.empty_like(room.line), np.empty(len(room.line), np.float32)
        kept = _say(
            counts, room.found, room.line, _DAMPED, self._terms, self._chars, words, self._intercepts, out,
            indptr, indices, values, keep,
        )  # fmt: skip
        return out, Features(indptr, indices[:kept].astype(np.int32), values[:kept].copy())

    def _scratch(self, characters: int) -> Scratch:
        """Make room for the work on a text; only what is used of it costs memory."""
        rooms = (1, 1, self._terms.longest, self._terms.longest + self._chars.longest)
        return Scratch(
            np.empty(characters, np.uint64),
            np.empty(characters, np.int64),
            *(np.empty(room * characters, np.uint32) for room in rooms),
        )

    def _tokenise(self, memory: NDArray[np.uint32], words: NDArray[np.int64]) -> None:
        """Find the tokens of new words."""
        lengths = memory[words].astype(np.int64)
        codes = np.insert(memory[_places(words + _HEAD, lengths)], np.cumsum(lengths), ord(" "))
        text = codes.tobytes().decode("utf-32-le", "surrogatepass")
        symbol = self._symbols.get
        found = np.array([symbol(token, self._unknown) for token in self._token.findall(text)], np.int64)
        ends = np.flatnonzero(found == _WORD_ENDS)
        counts = np.diff(ends, prepend=-1) - 1
        memory[words + _TOKENS] = counts
        memory[_places(words + _HEAD + lengths, counts)] = found[found != _WORD_ENDS]

    def _remember(self, characters: int, words: int) -> Words:
        """Give the words known, or a fresh memory if so many more might not find room in it."""
        # Characters, tokens, n-grams of each length; and of each word the rest, up to the next line.
        longest = max(0, self._chars.longest - SHORTEST + 1)
        room = characters * (2 + longest) + words * (int(_HEAD) + len(self._intercepts) + longest + 16)
        if hasattr(self, "_words"):
            end, known = map(int, self._words.size)
            rooms = len(self._words.memory), len(self._words.slots)
            # What has grown for a huge text is given up after it.
            if rooms == (MEMORY, 2 * WORDS) and end + room <= MEMORY and known + words <= WORDS:
                return self._words
        memory = np.empty(max(MEMORY, room), np.uint32)
        slots = _free(2 * max(WORDS, words), 1)[:, 0]
        return Words(np.zeros(2, np.int64), slots, memory, memory.view(np.float32))


def _places(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count on from each start."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)


def _terms(
    block: Block | None, symbols: NDArray[np.uint32], ends: NDArray[np.int64], first: int, scores: int
) -> Terms:
    """Lay a block out for the kernels; none has no terms."""
    count = len(ends) - 1
    single = np.full(first if first < _CODE_POINTS else 0, -1, np.int32)
    room = max(8, 2 * count)
    while True:
        trie = Trie(first, _free(room, 2))
        if _build(symbols, ends, trie, single):
            break
        room = 2 * len(trie.table)
    return Terms(
        trie,
        single,
        block.longest if block else 1,
        float(block.scale) if block else 0.0,
        _array(block.idf if block else (), np.float32),
        _array(block.weights if block else np.empty((0, scores)), np.float32),
        np.zeros(count, np.int32),
        np.zeros(count, np.int32),
        np.zeros(1, np.int64),
        np.zeros(count),
    )


def _lay_out(model: Model) -> Maps:
    """Lay stage 2 out for its kernel."""
    at = columns(len(model.alone) - 1, len(CATEGORIES))
    part = {name: model.context[where] for name, where in at.items()}
    return Maps(
        *(
            _array(found, np.float32)
            for found in (
                np.hstack([part[name] for name in (*SINGLE, *MEANS)]),
                np.hstack([part[f"{name} announces"] for name in INTRODUCTIONS]),
                part["strongest"],
                model.context[at["shape"].start :],
                model.alone,
            )
        )
    )


def _free(room: int, width: int) -> NDArray[np.uint64]:
    """Make free slots, at least so many: a power of two."""
    slots = np.zeros((1 << (room - 1).bit_length(), width), np.uint64)
    slots[:, 0] = _FREE
    return slots


def _array(values: Any, dtype: type) -> NDArray[Any]:
    """Bring an array into the one form that the kernels take."""
    return np.require(values, dtype, ["C", "A", "W"])


def _codes(text: str) -> NDArray[np.uint32]:
    """Code points of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
