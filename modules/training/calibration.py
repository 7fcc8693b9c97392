"""Makes scores mean something, on the eval split only: one temperature, and thresholds per category."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from modules.metrics.calibration import fit_temperature
from modules.metrics.thresholds import fit_thresholds

LEAST_LABELS = 20
"""With fewer labelled eval products the temperature stays 1."""


@dataclass(frozen=True)
class Calibration:
    """What is fitted after training and exported with the model.

    Attributes:
      temperature: exclusive objective to the number that its logits are divided by.
      thresholds: multi-label objective to (classes,) probabilities from which on a category is assigned.
    """

    temperature: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, list[float]] = field(default_factory=dict)


def calibrate(predict: Callable[[], tuple[dict, dict]], kinds: Mapping[str, str], minimum: int) -> Calibration:
    """Fits temperatures and thresholds.

    Args:
      predict: gives (logits by objective, targets by objective) of the eval split as NumPy arrays.
      kinds: objective to ``exclusive`` or ``multi_label``.
      minimum: categories with fewer positive eval products share one threshold.
    """
    logits, targets = predict()
    found = Calibration()
    for name, kind in kinds.items():
        if kind == "exclusive":
            known = targets[name] >= 0
            enough = int(known.sum()) >= LEAST_LABELS
            found.temperature[name] = (
                float(fit_temperature(logits[name][known], targets[name][known])) if enough else 1.0
            )
        else:
            scores = 1.0 / (1.0 + np.exp(-logits[name].astype(np.float64)))
            labels = targets[name]
            found.thresholds[name] = [
                float(value) for value in fit_thresholds(scores, labels > 0.5, labels >= 0, minimum)
            ]
    return found
