"""Two ways of doing the same, each tried with the same random seeds: what lies between them, and by what chance.

A seed draws the held-out products and the first labels of all ways alike, so differences are taken seed by seed: what a
seed makes easy is easy for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95

_ROUNDING = 1e-9

LEAST_SEEDS = 3
"""With fewer an interval says nothing."""


@dataclass(frozen=True)
class Difference:
    """A figure of one way less that of the other, over the seeds of both.

    Attributes:
      mean: of the differences. seeds: how many there are. ahead: those in which it is above 0.
      half: half the width of the mean's 95% interval (Student's t); None with fewer than three seeds.
      p: of the paired t-test, two-sided; None as before.
    """

    mean: float
    seeds: int
    ahead: int
    half: float | None
    p: float | None

    @classmethod
    def of(cls, values: Mapping[int, float], others: Mapping[int, float]) -> Difference | None:
        """None where no seed has both.

        Args:
          values: seed to the figure of the one. others: of the other.
        """
        seeds = sorted(values.keys() & others.keys())
        if not seeds:
            return None
        differences = np.array([values[seed] - others[seed] for seed in seeds])
        # What two sums in another order differ by is no difference, and would be the same one in all seeds.
        differences[np.abs(differences) < _ROUNDING] = 0.0
        mean, ahead = float(differences.mean()), int((differences > 0).sum())
        if len(seeds) < LEAST_SEEDS:
            return cls(mean, len(seeds), ahead, None, None)
        error = float(differences.std(ddof=1)) / len(seeds) ** 0.5
        if not error:
            return cls(mean, len(seeds), ahead, 0.0, 0.0 if mean else 1.0)
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1)) * error
        return cls(mean, len(seeds), ahead, half, float(2 * stats.t.sf(abs(mean) / error, len(seeds) - 1)))


def holm(chances: Sequence[float]) -> list[float]:
    """The p-values of several tests, such that all together are wrong as seldom as each says (Holm 1979)."""
    adjusted, largest = [0.0] * len(chances), 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        largest = max(largest, min(1.0, (len(chances) - rank) * chances[place]))
        adjusted[place] = largest
    return adjusted


def mean_height(labels: Sequence[int], values: Sequence[float], first: int, last: int) -> float:
    """The area under a curve between two numbers of labels, divided by their distance.

    Args:
      labels: ascending. values: at each, straight lines between them.
      first: not before the first of ``labels``. last: not behind the last.
    """
    if first == last:
        return float(np.interp(first, labels, values))
    places = [first, *(at for at in labels if first < at < last), last]
    heights = np.interp(places, labels, values)
    return float(np.trapezoid(heights, places) / (last - first))
