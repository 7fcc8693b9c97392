"""A run's figures, out of the properties of its metrics artifact and what stands beside them.

:mod:`components.class_metrics.queries` answers questions over all runs; a summary needs the categories of two runs and
the overall figures of some more, and with many runs of a thousand categories it must not read them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.class_metrics.properties import CategoryFigures, figures_of, overall
from pipeline.runs import Output, Run, Runs

HISTORY = 20
"""Runs in the report's history."""


@dataclass(frozen=True)
class Measured:
    """The figures of one evaluation.

    Attributes:
      artifact: id of the artifact; runs that share it took it from the cache.
      values: objective to figure to value (``accuracy``, ``accuracy/lower``, ...).
      figures: single categories'; empty where nobody asks for them.
    """

    artifact: int
    values: Mapping[str, Mapping[str, float]]
    figures: CategoryFigures = field(default_factory=CategoryFigures)

    @classmethod
    def of(cls, output: Output, figures: CategoryFigures | None = None) -> Measured:
        """From the ``metrics`` output of a run."""
        return cls(output.id, overall(output.properties), figures or CategoryFigures())

    @property
    def failed(self) -> Mapping[str, list[dict[str, Any]]]:
        """Objective to the categories below their bounds (``path``, ``f1``, ``bound``)."""
        return self.figures.failed

    def categories(self, objective: str) -> dict[str, tuple[str, dict[str, float]]]:
        """Category id to its path and figures."""
        return self.figures.of(objective)


def metrics_until(runs: Runs, run: Run) -> list[tuple[str, Measured]]:
    """(run, metrics) of the run and those before it, the run itself last if it has any."""
    outputs = runs.until(run.id, "metrics", HISTORY)
    # Single categories are compared with those of one run before.
    records = dict(runs.until(run.id, "metrics_record", 2))
    figures: dict[int, CategoryFigures] = {}
    for name, output in outputs[-2:]:
        if output.id not in figures:
            record = records.get(name)
            figures[output.id] = figures_of(output.properties, None if record is None else record.properties)
    return [(name, Measured.of(output, figures.get(output.id))) for name, output in outputs]
