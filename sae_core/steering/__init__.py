"""Edits of a code, and what they do: the names that people and exported recipes import.

>>> from sae_core.steering import Edit, steer
>>> steer(sae, x, {17: 0.0, 30: Edit("scale", 2.0)}).steered

Each is imported on first use, from the file that says it.
"""

from importlib import import_module
from typing import Any

_WHERE = {
    "edits": "ERROR_PRESERVING PLAIN MODES SET SCALE CLAMP Edit Edits Steered Steering edit_code scaled checked "
    "check_reach checked_features finite steer REACH",
    "sliders": "slider_bounds slider_ranges slider_range used top_by_importance",
    "asking": "logits_of opinion",
    "mind": "CANDIDATES STEPS MindStep MindChange change_mind random_edits likely",
    "many": "SCALES ManyResult apply_to_many",
}
_FILES = {name: file for file, names in _WHERE.items() for name in names.split()}
__all__ = list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module 'sae_core.steering' has no attribute {name!r}")
    return getattr(import_module(f"sae_core.steering.{_FILES[name]}"), name)
