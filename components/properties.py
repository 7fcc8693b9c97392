"""What components note on their artifacts, for ML Metadata."""

from __future__ import annotations

from typing import Any

NOT_COMPARED = "not_compared_with"
"""Of a blessing: the address of the last blessed model, where that one tells other categories apart."""


def set_property(artifact: Any, name: str, value: int | float | str) -> None:
    """Sets a custom property of the value's type."""
    if isinstance(value, float):
        artifact.set_float_custom_property(name, value)
    elif isinstance(value, int):
        artifact.set_int_custom_property(name, value)
    else:
        artifact.set_string_custom_property(name, value)
