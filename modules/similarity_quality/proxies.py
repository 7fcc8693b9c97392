"""Labels that stand in for people's verdicts: what a catalogue already says about which products belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modules.arrays import Float64Array, Int64Array
from modules.metrics.intervals import Interval, wilson, z_of
from modules.similarity_quality.ranking import Vectors, nearest, ranks

MOST_QUERIES = 5_000
"""The number of query products at most; of more, a random sample is drawn."""
_Z = z_of(0.95)


@dataclass(frozen=True)
class Proxy:
    """Figures of one embedding.

    Attributes:
      queries: the number of query products. products: the number of products that were searched.
      figures: name (``at 10``) to its mean over the queries, with its 95% interval.
      values: name to float64 (queries,), each query's own; the same queries in the same order for every embedding of
        the same products.
    """

    queries: int
    products: int
    figures: dict[str, Interval]
    values: dict[str, Float64Array] = field(compare=False, repr=False)

    @classmethod
    def of(cls, products: int, values: dict[str, Float64Array]) -> Proxy:
        """Averages every query's own values."""
        queries = max((len(per_query) for per_query in values.values()), default=0)
        return cls(queries, products, {name: mean_interval(per_query) for name, per_query in values.items()}, values)


def same_leaf(vectors: Vectors, leaves: Int64Array, ks: Sequence[int] = (1, 10, 100), seed: int = 0) -> Proxy:
    """Share of the first k neighbours that are in the query's leaf category.

    The search covers all products with a leaf. Queries are those whose leaf has another product.
    Where fewer than k products share the leaf, the share of those that there are.

    Args:
      vectors: floats (n, d), rows of unit length.
      leaves: int64 (n,), -1 where there is none.
    """
    vectors, leaves, asked = _prepared(vectors, leaves, seed)
    most = max(ks)
    neighbours = nearest(vectors[asked], vectors, most, asked)
    same = (neighbours >= 0) & (leaves[neighbours] == leaves[asked][:, None])
    others = np.bincount(leaves)[leaves[asked]] - 1 if len(leaves) else np.zeros(0, np.int64)
    hits = np.cumsum(same, axis=1)
    return Proxy.of(len(vectors), {f"at {k}": hits[:, k - 1] / np.minimum(others, k) for k in ks})


def same_cluster(vectors: Vectors, clusters: Int64Array, ks: Sequence[int] = (1, 10), seed: int = 0) -> Proxy:
    """How well a product finds the others of its cluster (the same product at other merchants) among all products.

    With R others in the cluster: R-precision, the share of them among the first R; MAP, the mean over them of the
    precision at each one's rank; and recall at k, the share of them among the first k (of k, if there are more).

    Args:
      vectors: floats (n, d), rows of unit length.
      clusters: int64 (n,), -1 where there is none.
    """
    vectors, clusters, asked = _prepared(vectors, clusters, seed)
    of_query, of_product = _pairs(clusters, asked)
    places, _ = ranks(vectors[asked], vectors, of_query, of_product, asked)
    counts = np.bincount(of_query, minlength=len(asked))
    figures = {"R-precision": _shares(places <= counts[of_query], of_query, counts)}
    order = np.lexsort((places, of_query))
    nth = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    figures["MAP"] = _shares(nth / places[order], of_query[order], counts)
    for k in ks:
        figures[f"recall at {k}"] = _shares(places <= k, of_query, np.minimum(counts, k))
    return Proxy.of(len(vectors), figures)


def linked(photos: Vectors, products: Vectors, truth: Int64Array, ks: Sequence[int] = (1, 5), seed: int = 0) -> Proxy:
    """Share of photos whose own catalogue product is among the first k.

    Args:
      photos: floats (q, d), rows of unit length.
      products: floats (n, d), the same.
      truth: int64 (q,), row of the photo's product.
    """
    # Of equal cosines the lower row counts as nearer: the order of the rows must not be one that helps.
    order = np.random.default_rng(seed).permutation(len(products))
    at = np.empty_like(order)
    at[order] = np.arange(len(order))
    places, _ = ranks(photos, products[order], np.arange(len(photos)), at[truth])
    figures = {f"recall at {k}": (places <= k).astype(np.float64) for k in ks}
    return Proxy.of(len(products), {**figures, "mean reciprocal rank": 1.0 / places})


def difference(values: Float64Array, base: Float64Array) -> Interval:
    """Mean of ``values - base`` over the same queries and its normal 95% interval; NaN where there are none."""
    n = len(values)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    less = values - base
    mean, half = float(less.mean()), _Z * float(less.std()) / max(n - 1, 1) ** 0.5
    return Interval(mean, mean - half, mean + half)


def mean_interval(values: Float64Array) -> Interval:
    """Mean of independent values in [0, 1] and its 95% interval; NaN where there are none.

    Wilson's, with the number of yes-or-no values in the place of n that would spread as much as these do.
    """
    n = len(values)
    if n == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    mean = min(max(float(values.mean()), 0.0), 1.0)
    variance = float(values.var())
    effective = n * mean * (1.0 - mean) / variance if variance > 0 else float(n)
    low, high = wilson(mean, max(effective, float(n)), _Z)
    return Interval(mean, float(low), float(high))


def _prepared(vectors: Vectors, labels: Int64Array, seed: int) -> tuple[Vectors, Int64Array, Int64Array]:
    """The labelled products in a drawn order, their labels numbered from 0, and the rows of the queries.

    Drawn, as feeds often have products of one cluster beside each other, and of equal cosines the lower row counts as
    nearer.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(labels >= 0))
    codes = np.unique(labels[rows], return_inverse=True)[1].astype(np.int64)
    several = np.flatnonzero(np.bincount(codes)[codes] > 1) if len(codes) else np.zeros(0, np.int64)
    return np.asarray(vectors[rows], np.float32), codes, several[:MOST_QUERIES]


def _pairs(labels: Int64Array, asked: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Every query with every other product of its label: places in ``asked``, and rows; by query."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    starts = np.cumsum(sizes) - sizes
    counts = sizes[labels[asked]]
    of_query = np.repeat(np.arange(len(asked)), counts)
    within = np.arange(len(of_query)) - np.repeat(np.cumsum(counts) - counts, counts)
    of_product = order[starts[labels[asked]][of_query] + within]
    other = of_product != asked[of_query]
    return of_query[other], of_product[other]


def _shares(values: npt.NDArray[np.generic], of_query: Int64Array, counts: Int64Array) -> Float64Array:
    """Per query the sum of its pairs' values, divided by ``counts``."""
    return np.bincount(of_query, values, len(counts)) / counts
