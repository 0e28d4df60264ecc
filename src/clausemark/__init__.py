"""clausemark: what a privacy policy says, clause by clause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clausemark.classifier import ClauseClassifier
    from clausemark.predict import LabeledClause, LabeledPolicy, Labeler

__version__ = "0.1.0"
__all__ = ["ClauseClassifier", "LabeledClause", "LabeledPolicy", "Labeler", "__version__"]

_HOMES = {
    "ClauseClassifier": "clausemark.classifier",
    "LabeledClause": "clausemark.predict",
    "LabeledPolicy": "clausemark.predict",
    "Labeler": "clausemark.predict",
}


def __getattr__(name: str) -> Any:
    # Loaded on demand: `clausemark --version` need not wait for scikit-learn.
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'clausemark' has no attribute {name!r}")
