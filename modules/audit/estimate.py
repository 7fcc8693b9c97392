"""The precision of what was accepted, from the labels of an audit: overall, per category and per retailer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from modules.arrays import BoolArray, Float64Array, Int64Array
from modules.metrics.acceptance import pools_of
from modules.predictions.columns import CATEGORY, RETAILER

LEAST = 20
"""Judged products of a category or a retailer; those with fewer are judged together."""
OVERALL = "overall"


@dataclass(frozen=True)
class Estimate:
    """Of the products of one domain.

    Attributes:
      kind: :data:`OVERALL`, :data:`CATEGORY` or :data:`RETAILER`. name: id of the category under which, or the
        retailer; empty: the whole taxonomy, or the retailers with few products together.
      members: ids of the categories, or the retailers, that it is about.
      judged, right: products. value: the estimated precision; NaN where nothing was judged. lower, upper: its interval.
    """

    kind: str
    name: str
    members: tuple[str, ...]
    judged: int
    right: int
    value: float
    lower: float
    upper: float

    def has_fallen(self, precision: float) -> bool:
        """Whether the labels show that the precision is not reached: the whole interval lies below it."""
        return self.judged > 0 and self.upper < precision

    def has_passed(self, precision: float) -> bool:
        """Whether enough products were judged, and so many were right; all products together say nothing of a part."""
        return self.kind != OVERALL and self.judged >= LEAST and self.value >= precision


def precision_of(right: BoolArray, weight: Float64Array, confidence: float) -> tuple[float, float, float]:
    """Hajek's estimate of the share that is right, and Clopper and Pearson's two-sided interval.

    With unequal weights the interval is that of the effective number of products, (sum w)^2 / sum w^2 (Korn and
    Graubard 1998), an approximation; with equal ones it is exact.

    Args:
      right: (n,). weight: (n,) 1 / inclusion probability. confidence: that the interval holds the share.
    """
    if not len(right):
        return np.nan, 0.0, 1.0
    total = weight.sum()
    value = float(weight[right].sum() / total)
    n = float(total * total / (weight * weight).sum())
    hits, level = value * n, (1.0 - confidence) / 2.0
    lower = float(beta.ppf(level, hits, n - hits + 1.0)) if hits > 0.0 else 0.0
    upper = float(beta.ppf(1.0 - level, hits + 1.0, n - hits)) if value < 1.0 else 1.0
    return value, lower, upper


def estimates(
    categories: Int64Array, retailers: Sequence[str], right: BoolArray, weight: Float64Array,
    lineages: Sequence[Sequence[str]], confidence: float,
) -> list[Estimate]:  # fmt: skip
    """Overall first, then per category and per retailer.

    A category with fewer than :data:`LEAST` judged products is put together with its siblings under their parent, and
    so on up to the whole taxonomy; retailers with fewer are put together. Whether products are right has no say in it.

    Args:
      categories: (n,) accepted category of each judged product, an index of ``lineages``.
      retailers: (n,). right: (n,). weight: (n,) 1 / inclusion probability.
      lineages: per category the ids of its ancestors, root first, and its own.
    """

    def estimate(kind: str, name: str, members: Sequence[str], rows: BoolArray) -> Estimate:
        figures = precision_of(right[rows], weight[rows], confidence)
        return Estimate(kind, name, tuple(members), int(rows.sum()), int(right[rows].sum()), *figures)

    ids = [lineage[-1] for lineage in lineages]
    rows = [estimate(OVERALL, "", ids, np.ones(len(right), bool))]
    for pool in pools_of(np.bincount(categories, minlength=len(lineages)), lineages, LEAST):
        own = np.isin(categories, pool.classes)
        rows.append(estimate(CATEGORY, pool.node, [ids[index] for index in pool.classes], own))
    names = np.array(retailers, object)
    few: list[str] = []
    for name in sorted(set(retailers)):
        if (names == name).sum() < LEAST:
            few.append(name)
        else:
            rows.append(estimate(RETAILER, name, [name], names == name))
    if few:
        rows.append(estimate(RETAILER, "", few, np.isin(names, few)))
    return rows


def verdict_of(
    rows: Sequence[Estimate], precision: float, chosen: Callable[[Estimate, float], bool]
) -> Mapping[str, list[str]]:
    """Categories and retailers of the estimates that are ``chosen``; of an estimate of everything, all categories."""
    members: dict[str, set[str]] = {CATEGORY: set(), RETAILER: set()}
    for row in rows:
        if chosen(row, precision):
            members[CATEGORY if row.kind == OVERALL else row.kind].update(row.members)
    return {kind: sorted(names) for kind, names in members.items()}
