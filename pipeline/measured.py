"""A run's figures out of the properties of its metrics artifact.

:mod:`components.class_metrics.queries` answers questions over all runs; a summary needs the categories of two runs and
the overall figures of some more, and with many runs of a thousand categories it must not read them all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.class_metrics.properties import FAILED, split_category_name, unpack
from pipeline.runs import Output


@dataclass(frozen=True)
class Measured:
    """What one evaluation measured.

    Attributes:
      artifact: id of the artifact; runs that share it took it from the cache.
      values: objective to figure to value (``accuracy``, ``accuracy/lower``, ...).
      failed: objective to the categories below their bounds (``path``, ``f1``, ``bound``).
    """

    artifact: int
    values: Mapping[str, Mapping[str, float]]
    failed: Mapping[str, list[dict[str, Any]]]
    _properties: Mapping[str, object]

    @classmethod
    def of(cls, output: Output) -> Measured:
        """From the ``metrics`` output of a run."""
        values: dict[str, dict[str, float]] = {}
        failed = {}
        for name, value in output.properties.items():
            if isinstance(value, float) and "/" in name:
                objective, _, figure = name.partition("/")
                values.setdefault(objective, {})[figure] = value
            elif isinstance(value, str) and name.startswith(FAILED):
                failed[name.removeprefix(FAILED)] = json.loads(value)
        return cls(output.id, values, failed, output.properties)

    def categories(self, objective: str) -> dict[str, tuple[str, dict[str, float]]]:
        """Category id to its path and figures."""
        found = {}
        for name, value in self._properties.items():
            place = split_category_name(name)
            if place is not None and place[0] == objective and isinstance(value, str):
                found[place[1]] = unpack(value)
        return found
