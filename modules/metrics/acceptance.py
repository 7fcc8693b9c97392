"""From which probability on predictions are accepted without a look, so that their precision is guaranteed.

Selective classification with guaranteed risk (Geifman and El-Yaniv 2017, "Selective Classification for Deep Neural
Networks", algorithm SGR): on m audited products the lowest threshold is looked for at which the exact lower bound of
the precision (Clopper and Pearson 1934), each time at the level delta / ceil(log2(m)), is the precision that is asked
for. Two things differ from the paper. Its binary search goes where the labels lead it, which the sum of the levels does
not strictly cover, and ends at a first wrong product. Here ceil(log2(m)) starting points are fixed by the number of
products alone, evenly spaced; from each that passes, the threshold is lowered product by product until one fails, which
costs no further level (fixed sequence testing with several starts: Angelopoulos, Bates, Candes, Jordan and Lei 2021,
"Learn then Test"). And a threshold lies just above the first product that is left out, so that those above it are an
independent sample of what the threshold accepts.

Products that were drawn with different probabilities weigh the inverse. The bound is then that of the effective number
of products, (sum w)^2 / sum w^2 (Korn and Graubard 1998), an approximation; with equal weights it is exact.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import beta

from modules.arrays import BoolArray, Float32Array, Float64Array, Int64Array

WHOLE = ""
"""The pool of the categories that have no parent left to share a threshold under."""


@dataclass(frozen=True)
class Pool:
    """Categories that share a threshold.

    Attributes:
      node: id of the category under which they lie; :data:`WHOLE`: the whole taxonomy.
      classes: their indices.
    """

    node: str
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Fit:
    """A pool's threshold.

    Attributes:
      threshold: probability from which on predictions are accepted; None: no threshold reaches the precision.
      lower: bound of the accepted products' precision, at the confidence that was asked for; NaN without a threshold.
      audited: audited products of the pool. accepted: those of them that the threshold accepts.
    """

    threshold: float | None
    lower: float
    audited: int
    accepted: int


def lower_bound(right: npt.ArrayLike, n: npt.ArrayLike, level: float) -> Float64Array:
    """Clopper and Pearson's lower bound of a share: it lies above the true share with probability ``level`` at most.

    Args:
      right, n: of products; neither has to be whole. Any one shape.
    """
    right, n = np.asarray(right, np.float64), np.asarray(n, np.float64)
    with np.errstate(invalid="ignore"):
        bound = beta.ppf(level, right, n - right + 1.0)
    return np.where(right > 0.0, bound, 0.0)


def steps_of(audited: int) -> int:
    """How many starting points there are, by which the level is divided."""
    return max(1, math.ceil(math.log2(max(audited, 1))))


def needed(precision: float, confidence: float) -> int:
    """How many audited products of one pool show the precision where all of them are right."""
    n = 1
    while lower_bound(n, n, (1.0 - confidence) / steps_of(n)) < precision:
        n = max(n + 1, math.ceil(math.log((1.0 - confidence) / steps_of(n)) / math.log(precision)))
    return n


def pools_of(audited: Int64Array, lineages: Sequence[Sequence[str]], least: int) -> list[Pool]:
    """Each class in exactly one pool: its own, or that of those below the nearest ancestor which are enough together.

    Whether a prediction was right has no say in it.

    Args:
      audited: (classes,) audited products that are predicted to be in a class.
      lineages: per class the ids of its ancestors, root first, and its own.
      least: audited products of a pool, but for the last one, of the whole taxonomy.
    """
    waiting: dict[tuple[str, ...], list[int]] = {(): []}
    for index, lineage in enumerate(lineages):
        for depth in range(1, len(lineage) + 1):
            waiting.setdefault(tuple(lineage[:depth]), [])
        waiting[tuple(lineage)].append(index)
    pools = []
    for path in sorted(waiting, key=len, reverse=True):
        classes = waiting[path]
        if path and audited[classes].sum() < least:
            waiting[path[:-1]] += classes
        elif classes:
            pools.append(Pool(path[-1] if path else WHOLE, tuple(sorted(classes))))
    return pools[::-1]


def fit_threshold(
    probability: Float32Array, right: BoolArray, weight: Float64Array, precision: float, confidence: float
) -> Fit:
    """The lowest threshold whose accepted products have the precision.

    Args:
      probability: (n,) of the predicted categories of a pool's audited products.
      right: (n,) whether the category is the product's.
      weight: (n,) 1 / inclusion probability, up to a factor.
    """
    n = len(probability)
    order = np.argsort(-probability, kind="stable")
    values, w = probability[order], np.asarray(weight, np.float64)[order]
    # Equal probabilities are accepted together or not at all.
    ends = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if n else np.zeros(0, np.int64)
    hits, total, squares = (np.cumsum(terms)[ends] for terms in (w * right[order], w, w * w))
    is_equal = bool(n) and bool((w == w[0]).all())
    counted = ends + 1.0 if is_equal else np.minimum(total * total / squares, ends + 1.0)
    share = np.clip(hits / total, 0.0, 1.0)
    steps = steps_of(n)
    bounds = lower_bound(np.rint(hits / w[0]) if is_equal else share * counted, counted, (1.0 - confidence) / steps)
    passes = bounds >= precision
    starts = np.unique(np.searchsorted(ends, [math.ceil(j * n / steps) - 1 for j in range(1, steps + 1)])) if n else ()
    failures = np.append(np.flatnonzero(~passes), len(ends))
    best = max((int(failures[np.searchsorted(failures, at)]) - 1 for at in starts if passes[at]), default=-1)
    if best < 0:
        return Fit(None, math.nan, n, 0)
    last = int(ends[best])
    # All of them are accepted: so is what lies below them, of which they are a sample.
    threshold = 0.0 if last + 1 == n else float(np.nextafter(values[last + 1], np.float32(np.inf)))
    return Fit(threshold, float(bounds[best]), n, last + 1)
