"""Which categories fall short: the part of a model's blessing that looks at single categories.

A category with few labelled products jumps by chance. Those with fewer than a minimum are therefore pooled: their
products are counted together and have one F1, which is held against one bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from modules.arrays import Float64Array
from modules.metrics.intervals import divide

REST = -1
"""Stands for the pooled categories in place of a class index."""


@dataclass(frozen=True)
class CategoryChecks:
    """What categories must reach.

    Attributes:
      f1: class index to the F1 that it must reach.
      every_f1: the F1 that every other category with enough labels must reach.
      rest_f1: what the pooled categories must reach together.
      max_drop: how far a category's F1 (and the pooled) may fall below the last blessed model's.
      minimum: labelled products below which a category is pooled.
    """

    f1: Mapping[int, float] = field(default_factory=dict)
    every_f1: float | None = None
    rest_f1: float | None = None
    max_drop: float | None = None
    minimum: int = 20

    def __bool__(self) -> bool:
        return bool(self.f1) or any(bound is not None for bound in (self.every_f1, self.rest_f1, self.max_drop))


@dataclass(frozen=True)
class FailedCategory:
    """A category (``REST``: the pooled ones) whose F1 is below its bound; NaN: no product to judge by."""

    category: int
    f1: float
    bound: float


def pooled_f1(
    tp: Float64Array, predicted: Float64Array, support: Float64Array, examples: Float64Array, minimum: int
) -> float:
    """Micro-F1 of the categories with at least one and fewer than ``minimum`` labelled products; NaN if none.

    All arrays float64 of shape (n_classes,): sums of weights, and numbers of labelled products.
    """
    few = (examples > 0) & (examples < minimum)
    return float(divide(2.0 * tp[few].sum(), (predicted[few] + support[few]).sum()))


def check_categories(
    checks: CategoryChecks, f1: Float64Array, examples: Float64Array, rest: float
) -> list[FailedCategory]:
    """Categories below their bound, worst first. ``f1`` and ``examples`` have shape (n_classes,), NaN as undefined.

    A category named in ``checks.f1`` that has too few labels is judged with the pooled ones.
    """
    failed = []
    for category in np.flatnonzero(examples >= checks.minimum):
        bound = checks.f1.get(int(category), checks.every_f1)
        if bound is not None and not f1[category] >= bound:
            failed.append(FailedCategory(int(category), float(f1[category]), bound))
    if checks.rest_f1 is not None and rest < checks.rest_f1:
        failed.append(FailedCategory(REST, rest, checks.rest_f1))
    return sorted(failed, key=lambda item: item.f1 - item.bound)


def check_change(
    checks: CategoryChecks,
    f1: Float64Array,
    rest: float,
    before: Float64Array,
    rest_before: float,
    examples: Float64Array,
) -> list[FailedCategory]:
    """Categories that fell more than ``checks.max_drop`` below the model before, both measured on the same products."""
    if checks.max_drop is None:
        return []
    failed = [
        FailedCategory(int(category), float(f1[category]), float(before[category]) - checks.max_drop)
        for category in np.flatnonzero((examples >= checks.minimum) & (f1 < before - checks.max_drop))
    ]
    if rest < rest_before - checks.max_drop:
        failed.append(FailedCategory(REST, rest, rest_before - checks.max_drop))
    return sorted(failed, key=lambda item: item.f1 - item.bound)
