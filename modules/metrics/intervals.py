"""Confidence intervals for weighted proportions and ratios.

Products are labelled with known inclusion probabilities and weigh their inverse. A share among them (accuracy,
precision, recall) is Hajek's ratio estimate ``p = sum(w x) / sum(w)``; its variance is linearised,
``v = sum(w^2 (x - p)^2) / sum(w)^2`` (Särndal, Swensson and Wretman 1992, eq. 5.6.10, for independent draws). The
interval is Wilson's score interval with the effective sample size ``n* = p (1 - p) / v`` in the place of n (Dean and
Pagano 2015, "Evaluating confidence interval methods for binomial proportions in clustered surveys", find that it
keeps its coverage near 0 and 1, where p plus and minus two standard errors does not). With equal weights n* is n and
the interval is Wilson's own. Chosen over a bootstrap because it needs only sums: exact merging, no seed, no resampling
of a thousand classes. There is no finite population correction: products that are yet to come are meant too.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from modules.arrays import Float64Array

LOWER, UPPER = "/lower", "/upper"
"""After a figure's name: the ends of its interval."""


@dataclass(frozen=True)
class Interval:
    """A figure and where it may lie; all three NaN where nothing defines it."""

    value: float
    lower: float
    upper: float

    def named(self, name: str) -> dict[str, float]:
        """The value and the ends under the names that figures have in an evaluation."""
        return {name: self.value, name + LOWER: self.lower, name + UPPER: self.upper}

    @property
    def defined(self) -> bool:
        return bool(np.isfinite(self.value))


def z_of(confidence: float) -> float:
    """Half-width of a two-sided normal interval in standard errors: 1.96 for 0.95.

    Raises:
      ValueError: ``confidence`` does not lie between 0 and 1.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf(0.5 + confidence / 2.0)


def divide(numerator: Any, denominator: Any) -> Float64Array:
    """Elementwise quotient, NaN where the denominator is 0."""
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    shape = np.broadcast_shapes(numerator.shape, denominator.shape)
    return np.divide(numerator, denominator, out=np.full(shape, np.nan), where=denominator != 0)


def proportion_interval(
    hits: Any, total: Any, hits_squared: Any, total_squared: Any, n: Any, z: float
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Hajek's estimate of a share and Wilson's interval with the effective sample size.

    Args:
      hits, total: sums of weights over the hits and over the domain; any one shape.
      hits_squared, total_squared: the same sums of squared weights.
      n: number of products in the domain; the effective sample size is never taken to be larger.
      z: half-width in standard errors (:func:`z_of`).

    Returns:
      value, lower, upper: float64 arrays of that shape, NaN where ``total`` is 0.
    """
    hits, total = np.asarray(hits, np.float64), np.asarray(total, np.float64)
    value = np.clip(divide(hits, total), 0.0, 1.0)
    spread = np.asarray(hits_squared) * (1.0 - 2.0 * value) + value * value * np.asarray(total_squared)
    variance = divide(np.maximum(spread, 0.0), total * total)
    binomial = value * (1.0 - value)
    kish = divide(total * total, total_squared)
    with np.errstate(invalid="ignore"):
        known = (variance > 0.0) & (binomial > 0.0)
        effective = np.where(known, divide(binomial, np.where(known, variance, 1.0)), kish)
        effective = np.minimum(effective, n)
        # Rounding errors must not push a lone hit's n* below what one product is worth.
        effective = np.maximum(effective, np.minimum(1.0, n))
    return (value, *wilson(value, effective, z))


def wilson(value: Any, n: Any, z: float) -> tuple[Float64Array, Float64Array]:
    """Wilson's score interval of a share ``value`` seen among ``n`` (which need not be whole)."""
    value, n = np.asarray(value, np.float64), np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (value + z * z / (2.0 * n)) / (1.0 + z * z / n)
        half = z / (1.0 + z * z / n) * np.sqrt(value * (1.0 - value) / n + z * z / (4.0 * n * n))
    # value itself always lies inside; min and max only take rounding away.
    return np.minimum(np.maximum(centre - half, 0.0), value), np.maximum(np.minimum(centre + half, 1.0), value)


def ratio_interval(value: float, variance: float, z: float) -> Interval:
    """A figure in [0, 1] with plus and minus ``z`` linearised standard errors, cut to [0, 1]."""
    if not np.isfinite(value):
        return Interval(float("nan"), float("nan"), float("nan"))
    half = z * float(np.sqrt(max(variance, 0.0)))
    return Interval(float(value), max(float(value) - half, 0.0), min(float(value) + half, 1.0))


def one_interval(hits: float, total: float, hits_squared: float, total_squared: float, n: float, z: float) -> Interval:
    """:func:`proportion_interval` of single numbers."""
    value, lower, upper = proportion_interval(hits, total, hits_squared, total_squared, n, z)
    return Interval(float(value), float(lower), float(upper))
