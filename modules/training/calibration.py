"""Makes scores mean something, on the eval split only: one temperature, and thresholds per category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from modules.objectives.base import LEAST_POSITIVES, HeadCalibration, ObjectiveSettings


@dataclass(frozen=True)
class Calibration:
    """What is fitted after training and exported with the model.

    Attributes:
      temperature: objective to the number that its logits are divided by, of kinds that have one.
      thresholds: objective to (classes,) probabilities from which on a category is assigned, of kinds that assign.
    """

    temperature: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, heads: Mapping[str, HeadCalibration]) -> Calibration:
        """From what was fitted for each objective."""
        return cls(
            {name: head.temperature for name, head in heads.items() if head.temperature is not None},
            {name: list(head.thresholds) for name, head in heads.items() if head.thresholds is not None},
        )

    @classmethod
    def before_eval(cls, objectives: Mapping[str, ObjectiveSettings]) -> Calibration:
        """What holds without labelled eval products."""
        return cls.of({name: objective.uncalibrated() for name, objective in objectives.items()})

    def head(self, name: str) -> HeadCalibration:
        """The part of one objective."""
        return HeadCalibration(self.temperature.get(name), self.thresholds.get(name))


def calibrate(
    logits: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    objectives: Mapping[str, ObjectiveSettings],
    minimum: int = LEAST_POSITIVES,
) -> Calibration:
    """Fits temperatures and thresholds.

    Args:
      logits: of the eval split, (rows, classes) by objective.
      targets: of the same rows, as the objective's kind has them.
      minimum: categories with fewer positive eval products share one threshold.
    """
    return Calibration.of(
        {name: objective.calibrated(logits[name], targets[name], minimum) for name, objective in objectives.items()}
    )
