"""Errors that a user can act on: what is wrong, where, and what to do."""

from __future__ import annotations

from pathlib import Path


class ClausemarkError(Exception):
    """Base of all errors that clausemark raises on purpose.

    Parameters
    ----------
    message : str
        What is wrong and, where there is one, the remedy; one line.
    where : str or pathlib.Path, optional
        File, URL or parameter that is at fault.
    line : int, optional
        Line in that file, counted from 1.

    Attributes
    ----------
    exit_code : int
        What the command line ends with: 2 for bad usage or input, 1 for failure.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | Path | None = None, line: int | None = None) -> None:
        self.message, self.where, self.line = message, where, line
        place = "" if where is None else f"{where}: " if line is None else f"{where}:{line}: "
        super().__init__(f"{place}{message}".replace("\n", " "))


class InputError(ClausemarkError):
    """A document, option or argument that cannot be used."""

    exit_code = 2


class LanguageError(InputError):
    """A document in a language that the model does not read."""


class CorpusError(InputError):
    """A corpus file that breaks the schema."""


class ModelError(InputError):
    """A model folder that is missing, truncated, altered or of an unknown format."""


class MissingExtraError(ClausemarkError):
    """A feature whose optional dependency is not installed."""

    exit_code = 2

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an extra: pip install 'clausemark[{extra}]'")
