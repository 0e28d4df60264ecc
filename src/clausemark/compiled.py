"""Compiled loops: numba, with what it has compiled kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(signature: Any) -> Callable[[Any], Any]:
    """Compile a function once and keep it; where no folder can be written, compile in each process.

    Parameters
    ----------
    signature : numba signature
        Types of the result and of the arguments.

    Returns
    -------
    callable
        Decorator of the function.
    """

    def compile_function(function: Any) -> Any:
        try:
            return njit(signature, cache=True, error_model="numpy")(function)
        except (RuntimeError, OSError):  # no folder, or a full one
            return njit(signature, error_model="numpy")(function)

    return compile_function
