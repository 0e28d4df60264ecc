"""The published split of OPP-115's segments: two-column CSV files (Mousavi Nejad et al. 2020).

A row is a text and one of its categories; a text with several has as many rows.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final

from clausemark.corpus import AnnotatedClause, Paths, Policy, find_files, read_rows
from clausemark.errors import CorpusError
from clausemark.taxonomy import CATEGORIES

__all__ = ["import_mousavi"]

LICENSE: Final = "research, teaching and scholarship only (Carnegie Mellon University)"
#: What a spreadsheet makes of a text that begins with "-" or "=".
_ARTEFACT: Final = re.compile(r"#(?:NAME\?|REF!|VALUE!|N/A|NULL!|NUM!|DIV/0!)")


def import_mousavi(paths: Paths) -> tuple[list[Policy], list[str]]:
    """Read segments with their categories.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        Files, or folders of .csv files.

    Returns
    -------
    policies : list of Policy
        One for each file, sorted by id, ``mousavi2020-`` and the stem of the file. Its clauses are
        the distinct texts in order of first appearance, white space collapsed; the primary category
        is that of the first row. What the segments stood next to is not known, so each is a
        paragraph of its own.
    report : list of str
        What was read and what was dropped: texts that a spreadsheet made an error of, and empty ones.

    Raises
    ------
    CorpusError
        If a row has not two columns or a category is unknown, with the line.
    """
    policies = []
    report = []
    for path in find_files(paths, ".csv"):
        labels, dropped = _read(path)
        if not labels:
            raise CorpusError("holds no segments", where=path)
        clauses = tuple(
            AnnotatedClause(text, "sentence", number, tuple(names))
            for number, (text, names) in enumerate(labels.items())
        )
        metadata = {
            "name": f"{path.stem}, segments of OPP-115", "unit": "segment", "source": "mousavi2020",
            "license": LICENSE, "country": "US",
        }  # fmt: skip
        policies.append(Policy(f"mousavi2020-{path.stem}", clauses, metadata))
        report.append(f"{path.name}: {len(clauses):,} segments")
        report += [
            f"{path.name}: {count:,} rows with text {text!r}: dropped" for text, count in dropped.items()
        ]
    return sorted(policies, key=lambda policy: policy.id), report


def _read(path: Path) -> tuple[dict[str, dict[str, None]], Counter[str]]:
    """Read text -> its categories (an ordered set), and the texts dropped."""
    found: dict[str, dict[str, None]] = {}
    dropped: Counter[str] = Counter()
    for line, row in read_rows(path):
        if len(row) != 2:
            raise CorpusError(f"has {len(row)} columns, not 2: text and category", where=path, line=line)
        text, name = " ".join(row[0].split()), row[1].strip()
        if name not in CATEGORIES:
            raise CorpusError(f"unknown category {name!r}", where=path, line=line)
        if not text or _ARTEFACT.fullmatch(text):
            dropped[text] += 1
        else:
            found.setdefault(text, {})[name] = None
    return found, dropped
