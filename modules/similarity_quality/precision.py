"""Similarity precision and score at top K: how an embedding ranks triplets that people have judged.

Wang et al. (2014), section 6.2. With a triplet (query, better, worse): it is ranked rightly if the better product comes
before the worse one in the query's list of neighbours. Similarity precision is the share of triplets that are. Score at
top K is the number of rightly ranked triplets less that of wrongly ranked ones, among those that have the better or
the worse product within the first K.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import FloatArray, Int64Array
from modules.metrics.intervals import Interval, wilson, z_of
from modules.similarity_quality.ranking import Vectors, ranks
from modules.similarity_quality.triplets import Ranked

TOP = 30
"""The paper's K."""
TIE = 1e-6
"""Cosines that differ by no more are equal."""
_Z = z_of(0.95)


@dataclass(frozen=True)
class TripletQuality:
    """How well one embedding ranks the triplets that people judged.

    Attributes:
      triplets: how many were measured on. unknown: how many were left out, as a product has no embedding.
      precision: share ranked rightly, equal cosines counting half; 95% interval.
      top: K.
      at_top: how many triplets have a product within the first K.
      score: rightly less wrongly ranked ones among those; equal cosines count 0. 95% interval.
    """

    triplets: int
    unknown: int
    precision: Interval
    top: int
    at_top: int
    score: Interval


def triplet_quality(ids: pa.Array, vectors: Vectors, triplets: Sequence[Ranked], top: int = TOP) -> TripletQuality:
    """Measures an embedding on triplets.

    Args:
      ids: of the products that are searched.
      vectors: floats (n, d), rows of unit length; a row of zeros has no embedding.
      triplets: :func:`modules.similarity_quality.triplets.agreed`.
    """
    names = [name for triplet in triplets for name in (triplet.query, triplet.better, triplet.worse)]
    places = pc.index_in(pa.array(names, pa.string()), value_set=ids).fill_null(-1).to_numpy(zero_copy_only=False)
    rows = places.astype(np.int64).reshape(-1, 3)
    known = (rows >= 0).all(axis=1)
    known[known] = np.any(vectors[rows[known]], axis=2).all(axis=1)
    rows = rows[known]
    asked, of_query = np.unique(rows[:, 0], return_inverse=True)
    pairs = np.concatenate([of_query, of_query]), np.concatenate([rows[:, 1], rows[:, 2]])
    place, cosine = ranks(vectors[asked], vectors, *pairs, asked)
    count = len(rows)
    # Products with equal vectors have cosines that differ by rounding, by their place in a block.
    apart = cosine[:count] - cosine[count:]
    right = np.where(np.abs(apart) <= TIE, 0.0, np.sign(apart))
    at_top = np.minimum(place[:count], place[count:]) <= top
    return TripletQuality(
        count,
        int(np.count_nonzero(~known)),
        _share((right + 1.0) / 2.0, of_query),
        top,
        int(np.count_nonzero(at_top)),
        _total(right[at_top], of_query[at_top]),
    )


def _share(values: FloatArray, groups: Int64Array) -> Interval:
    """Mean of values in [0, 1] with Wilson's interval of an effective sample size.

    Triplets of one query are alike: the variance is that of a mean over clusters (Särndal, Swensson and Wretman 1992,
    eq. 5.6.10, of the queries' sums), and n* = p (1 - p) / variance stands in the place of n, never above the number of
    triplets.
    """
    n = len(values)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = float(np.mean(values, dtype=np.float64))
    sums = np.bincount(groups, values - mean)
    clusters = len(np.unique(groups))
    variance = float((sums**2).sum()) / n**2 * (clusters / (clusters - 1) if clusters > 1 else 1.0)
    binomial = mean * (1.0 - mean)
    effective = min(max(binomial / variance, 1.0), n) if variance > 0 and binomial > 0 else float(clusters)
    low, high = wilson(mean, effective, _Z)
    return Interval(mean, float(low), float(high))


def _total(values: FloatArray, groups: Int64Array) -> Interval:
    """Sum of independent groups' values, plus and minus 1.96 standard errors."""
    total = float(np.sum(values, dtype=np.float64))
    if len(values) == 0:
        return Interval(0.0, 0.0, 0.0)
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], values)
    spread = float(((sums - sums.mean()) ** 2).sum()) * (len(sums) / (len(sums) - 1) if len(sums) > 1 else 1.0)
    half = _Z * spread**0.5
    most = float(len(values))
    return Interval(total, max(total - half, -most), min(total + half, most))
