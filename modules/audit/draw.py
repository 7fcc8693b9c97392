"""Which accepted products an audit asks about, each with a known probability."""

from __future__ import annotations

import numpy as np

from modules.arrays import Float64Array, Int64Array, IntArray


def inclusion_probabilities(strata: IntArray, n: int) -> Float64Array:
    """The probability with which each product is drawn; they sum up to ``n``, or to all products.

    A stratum of N products gets a share in proportion to sqrt(N) (power allocation: Bankier 1988, "Power allocations:
    determining sample sizes for subnational areas"), so that small ones are seen and large ones are known better. What
    would be drawn more than once is drawn for certain, and leaves its part to the others.

    Args:
      strata: (N,) number of each product's stratum.
    """
    total = len(strata)
    if n >= total:
        return np.ones(total)
    sizes = np.bincount(strata).astype(np.float64)
    share = 1.0 / np.sqrt(sizes[strata])
    probability = np.zeros(total)
    certain = np.zeros(total, bool)
    while True:
        left = n - int(certain.sum())
        probability[~certain] = left * share[~certain] / share[~certain].sum()
        over = ~certain & (probability >= 1.0)
        if not over.any():
            return probability
        certain |= over
        probability[certain] = 1.0


def drawn(strata: IntArray, probability: Float64Array, rng: np.random.Generator) -> Int64Array:
    """A systematic sample with these probabilities (Madow 1949), in random order within the strata.

    Returns:
      Positions, in random order: as many as the probabilities' sum, to within one, and of each stratum its share.
    """
    order = np.lexsort((rng.random(len(strata)), strata))
    ends = np.cumsum(probability[order])
    count = int(np.rint(ends[-1])) if len(ends) else 0
    # The last end is a whole number but for rounding.
    places = np.searchsorted(ends, rng.random() + np.arange(count), side="right")
    picked: Int64Array = rng.permutation(order[np.minimum(places, len(order) - 1)])
    return picked
