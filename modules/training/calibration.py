"""Makes scores mean something, on the eval split only: one temperature, and thresholds per category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from modules.losses import loss_named
from modules.metrics.calibration import fit_temperature
from modules.metrics.thresholds import fit_thresholds
from modules.settings.model import Objective

LEAST_LABELS = 20
"""With fewer labelled eval products the temperature is not fitted."""


@dataclass(frozen=True)
class Calibration:
    """What is fitted after training and exported with the model.

    Attributes:
      temperature: exclusive objective to the number that its logits are divided by.
      thresholds: multi-label objective to (classes,) probabilities from which on a category is assigned.
    """

    temperature: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def before_eval(cls, objectives: Mapping[str, Objective]) -> Calibration:
        """What holds without labelled eval products."""
        return cls({n: loss_named(o.loss).temperature for n, o in objectives.items() if o.kind == "exclusive"})


def calibrate(
    logits: Mapping[str, np.ndarray],
    targets: Mapping[str, np.ndarray],
    objectives: Mapping[str, Objective],
    minimum: int = 10,
) -> Calibration:
    """Fits temperatures and thresholds.

    Args:
      logits: of the eval split, (rows, classes) by objective.
      targets: exclusive: (rows,), classes or -1; multi-label: (rows, classes): 1 yes, 0 no, -1 unknown.
      minimum: categories with fewer positive eval products share one threshold.
    """
    found = Calibration.before_eval(objectives)
    for name, objective in objectives.items():
        if objective.kind == "exclusive":
            known = targets[name] >= 0
            enough = int(known.sum()) >= LEAST_LABELS
            if enough:
                found.temperature[name] = float(fit_temperature(logits[name][known], targets[name][known]))
        else:
            scores = 1.0 / (1.0 + np.exp(-logits[name].astype(np.float64)))
            labels = targets[name]
            found.thresholds[name] = [
                float(value) for value in fit_thresholds(scores, labels > 0.5, labels >= 0, minimum)
            ]
    return found
