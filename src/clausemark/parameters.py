"""Parameters of training: a YAML file, with single values over it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clausemark.errors import InputError, MissingExtraError

SECTION = "train"


def read_parameters(path: Path | None, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Read the parameters of a training.

    Parameters
    ----------
    path : pathlib.Path, optional
        YAML file; its section ``train`` counts.
    settings : sequence of str
        ``name=value``, the value in YAML; ``weights.chars=0`` sets an entry of a mapping.

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If the file or a setting cannot be read.
    MissingExtraError
        If PyYAML is not installed.
    """
    if path is None and not settings:
        return {}
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("reading parameters", "train") from None
    parameters: dict[str, Any] = {}
    if path is not None:
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", where=path) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            raise InputError("is not YAML", where=path, line=mark.line + 1 if mark else None) from None
        section = content.get(SECTION, {}) if isinstance(content, dict) else None
        if not isinstance(section, dict):
            raise InputError(f"needs a section {SECTION!r} of names and values", where=path)
        parameters.update(section)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise InputError(f"--set wants NAME=VALUE, not {setting!r}")
        place = parameters
        *outer, last = name.split(".")
        for key in outer:
            inner = place.get(key)
            place[key] = dict(inner) if isinstance(inner, dict) else {}
            place = place[key]
        try:
            place[last] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(f"--set {name}: {value!r} is not a value") from None
    return parameters
