"""The random part of a batch: what the evaluation stands on."""

from __future__ import annotations

import numpy as np

from modules.arrays import Int64Array, IntArray


def systematic(strata: IntArray, n: int, rng: np.random.Generator) -> tuple[Int64Array, float]:
    """A systematic sample of fixed size, ordered by stratum (Madow 1949).

    Products are put in random order within their stratum (the predicted category), the strata one after the other, and
    every N/n-th is taken from a random start. Each stratum gets its share to within one, also where there are more
    strata than picks, and each product is picked with probability n/N exactly.

    Args:
      strata: (N,).

    Returns:
      ``n`` positions in random order, and the inclusion probability.
    """
    total = len(strata)
    n = min(n, total)
    if n == 0:
        return np.zeros(0, np.int64), 0.0
    order = np.lexsort((rng.random(total), strata))
    places = np.minimum(np.floor((rng.random() + np.arange(n)) * total / n).astype(np.int64), total - 1)
    return rng.permutation(order[places]), n / total
