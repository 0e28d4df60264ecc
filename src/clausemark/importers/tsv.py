"""Policies as they are written and annotated by hand: a TSV file a policy.

A line a clause: kind (H heading, S sentence, L list item), codes of its categories joined by ``|``
with the primary one first, text. Lines ``# key: value`` before the first clause describe the policy;
a blank line ends a paragraph.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from clausemark.clauses import ClauseKind
from clausemark.corpus import METADATA, AnnotatedClause, Paths, Policy, find_files, read_text
from clausemark.errors import CorpusError
from clausemark.taxonomy import CODES

__all__ = ["import_tsv"]

LICENSE: Final = "Apache-2.0"
KINDS: Final[dict[str, ClauseKind]] = {"H": "heading", "S": "sentence", "L": "item"}


def import_tsv(paths: Paths) -> tuple[list[Policy], list[str]]:
    """Read policies from TSV files.

    A heading is a paragraph of its own. The items of a list share the paragraph of the sentence
    before them; where a blank line parts the two, only if that sentence does not end with a full
    stop, as `clausemark.clauses.segment` has it. Sentences go on in one paragraph up to a blank
    line, a heading or the end of a list, so in a file without any blank line what stands between
    headings and lists is one paragraph.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        Files, or folders of .tsv files.

    Returns
    -------
    policies : list of Policy
        Sorted by id, which is the stem of the file; unit "clause", source "written".
    report : list of str
        What was read; nothing is ever dropped.

    Raises
    ------
    CorpusError
        If a file breaks the format, with the line; or two have one name.
    """
    policies = sorted(map(_read, find_files(paths, ".tsv")), key=lambda policy: policy.id)
    count = sum(len(policy.clauses) for policy in policies)
    return policies, [f"{len(policies):,} policies", f"{count:,} clauses"]


def _read(path: Path) -> Policy:
    metadata: dict[str, Any] = {
        "name": path.stem, "unit": "clause", "source": "written", "license": LICENSE,
    }  # fmt: skip
    clauses: list[AnnotatedClause] = []
    blank = False
    for number, line in enumerate(read_text(path).split("\n"), 1):
        line = line.rstrip("\r")
        try:
            if not line.strip():
                blank = True
            elif line.startswith("#") and not clauses:
                key, value = _head(line)
                metadata[key] = value
            else:
                clauses.append(_clause(line, clauses[-1] if clauses else None, blank))
                blank = False
        except ValueError as error:
            raise CorpusError(str(error), where=path, line=number) from None
    if not clauses:
        raise CorpusError("holds no clauses", where=path)
    return Policy(path.stem, tuple(clauses), metadata)


def _head(line: str) -> tuple[str, str | int]:
    key, _, value = (part.strip() for part in line.lstrip("#").partition(":"))
    if key not in METADATA or not value:
        raise ValueError(f"head line is not '# key: value' with a key of {', '.join(METADATA)}: {line!r}")
    if METADATA[key] is not int:
        return key, value
    if not value.isdecimal():
        raise ValueError(f"{key} is {value!r}, not a whole number")
    return key, int(value)


def _clause(line: str, before: AnnotatedClause | None, blank: bool) -> AnnotatedClause:
    columns = line.split("\t")
    if len(columns) != 3:
        raise ValueError(f"has {len(columns)} columns, not 3: kind, codes and text parted by tabs")
    kind, codes, text = columns[0], columns[1].split("|"), columns[2].strip()
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, not one of {', '.join(KINDS)}")
    unknown = [code for code in codes if code not in CODES]
    if unknown:
        raise ValueError(f"unknown code {unknown[0]!r}: one of {', '.join(CODES)}, joined by |")
    if len(set(codes)) < len(codes):
        raise ValueError(f"a code is given twice: {columns[1]}")
    if not text:
        raise ValueError("has no text")
    paragraph = 0
    if before is not None:
        paragraph = before.paragraph + (not _goes_on(before, KINDS[kind], blank))
    return AnnotatedClause(text, KINDS[kind], paragraph, tuple(CODES[code] for code in codes))


def _goes_on(before: AnnotatedClause, kind: ClauseKind, blank: bool) -> bool:
    """Tell whether a clause of some kind stands in the paragraph of the clause before it."""
    if before.kind == "heading" or kind == "heading":
        return False
    if before.kind == "item":
        return kind == "item"
    return not blank or (kind == "item" and not before.text.endswith((".", "!", "?")))
