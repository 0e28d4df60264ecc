"""Importers: annotated policies in other formats as `clausemark.corpus.Policy`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from clausemark.corpus import Paths, Policy, Unit
from clausemark.errors import CorpusError
from clausemark.importers.mousavi import import_mousavi
from clausemark.importers.opp115 import import_opp115
from clausemark.importers.tsv import import_tsv

__all__ = ["import_corpus", "import_mousavi", "import_opp115", "import_tsv"]

_Importer = Callable[[Path], tuple[list[Policy], list[str]]]

#: Format -> unit -> importer; the first unit is what a format gives unless told otherwise.
_FORMATS: Final[dict[str, dict[Unit, _Importer]]] = {
    "opp115": {
        "sentence": partial(import_opp115, unit="sentence"),
        "segment": partial(import_opp115, unit="segment"),
    },
    "tsv": {"clause": import_tsv},
    "mousavi2020": {"segment": import_mousavi},
}


def import_corpus(paths: Paths, *, unit: Unit | None = None) -> tuple[list[Policy], list[str]]:
    """Read annotated policies of any known format.

    Parameters
    ----------
    paths : str, pathlib.Path or several of them
        A folder with annotations/ is read as OPP-115, .tsv files as policies annotated by hand, .csv
        files as the split of Mousavi Nejad et al. (2020); a folder by the files in it.
    unit : {"clause", "sentence", "segment"}, optional
        What a line of a policy shall be. By default sentences of OPP-115; the other formats have one
        unit each.

    Returns
    -------
    policies : list of Policy
        Sorted by id.
    report : list of str
        What was read, and what was dropped and why.

    Raises
    ------
    CorpusError
        If a path is of no known format, its format has no such unit, two policies have one id, or a
        file breaks its format.
    """
    policies: dict[str, Policy] = {}
    report: list[str] = []
    for path in [Path(paths)] if isinstance(paths, (str, Path)) else map(Path, paths):
        found = _format(path)
        units = _FORMATS[found]
        wanted = unit or next(iter(units))
        if wanted not in units:
            raise CorpusError(f"{found} has no unit {wanted!r}, only {', '.join(units)}", where=path)
        read, notes = units[wanted](path)
        for policy in read:
            if policy.id in policies:
                raise CorpusError(f"policy {policy.id!r} comes twice: ids are unique, rename one", where=path)
            policies[policy.id] = policy
        report += notes
    if not policies:
        raise CorpusError("no policies to import: name files or folders")
    return [policies[key] for key in sorted(policies)], report


def _format(path: Path) -> str:
    if (path / "annotations").is_dir():
        return "opp115"
    if not path.exists():
        raise CorpusError("no such file or folder", where=path)
    for suffix, name in ((".tsv", "tsv"), (".csv", "mousavi2020")):
        if path.suffix == suffix or (path.is_dir() and any(path.glob(f"*{suffix}"))):
            return name
    raise CorpusError(
        "of no known format: a folder with annotations/ (OPP-115), .tsv files, or .csv files", where=path
    )
