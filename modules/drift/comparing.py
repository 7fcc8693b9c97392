"""Compares two profiles, so that chance alone raises an alarm about as rarely as the workflow allows.

Every figure is a histogram of a retailer's products. Two histograms are as far apart as their Jensen-Shannon distance
(base 2; 0: equal, 1: nothing in common), less what chance adds to it with so few products. How likely chance alone
is to put them that far apart is told by permutations: the products of both are mixed and drawn again. Shares of two
kinds (has a value or has none) need no permutations, since binomial tails bound theirs. All p-values are held
against the significance divided by their number (Bonferroni), whatever the figures have to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats
from scipy.special import xlogy

from modules.arrays import BoolArray, Float64Array, Int64Array
from modules.drift.profile import FeedProfile, RetailerProfile, price_of

Kind = Literal["new_retailer", "gone_retailer", "products", "categories", "words", "missing", "prices", "embedding"]

FACTOR = 2.0
"""A number of products, or a category's share, that changes less than by this is no alarm by itself."""
LEAST_SHARE = 0.01
"""Categories with less in both feeds are compared in the sum of all only."""
_PERMUTATIONS = 400
_ENOUGH = 20
"""So many permutations that are as far apart tell a p-value by themselves; below, a gamma distribution's tail does."""
_PRICE_GROUPS = 10


@dataclass(frozen=True)
class Cell:
    """A part of a histogram: what it is, and its share of the products before and after, in [0, 1]."""

    label: str
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """A figure of a retailer in two feeds.

    Attributes:
      subject: the column of ``missing``; else empty.
      before, after: products; shares in [0, 1] of missing values and unknown words; the median of prices; None of
        what has no such number.
      distance: see above, in [0, 1]; None of what is no histogram.
      p_value: how likely chance alone is to make such a difference; 1 where there is nothing to compare.
      cells: of the histogram, those that changed most first; prices in their order.
      drifted: whether it is an alarm.
    """

    retailer: str
    kind: Kind
    subject: str = ""
    before: float | None = None
    after: float | None = None
    distance: float | None = None
    p_value: float = 1.0
    cells: tuple[Cell, ...] = ()
    drifted: bool = False


def compare(before: FeedProfile, after: FeedProfile, significance: float, min_distance: float) -> list[Comparison]:
    """All figures of all retailers, by retailer.

    Args:
      before: of the training feed. after: of another, made with ``before`` as its reference.
      significance: how likely at most one alarm or more may be where nothing but chance has changed anything.
      min_distance: the Jensen-Shannon distance below which a difference is no alarm, however sure it is.
    """
    shared = [name for name in before.retailers if name in after.retailers]
    tested = [row for name in shared for row in _tested(name, before.retailers[name], after.retailers[name])]
    tests = sum(1 + len(row.rare) for row in tested)
    limit = significance / max(tests, 1)
    compared = [row.judged(limit, min_distance) for row in tested]
    if before.is_whole:
        new = (name for name in after.retailers if name not in before.retailers)
        compared += [
            Comparison(name, "new_retailer", before=0, after=after.retailers[name].products, drifted=True)
            for name in new
        ]
    if after.is_whole:
        gone = (name for name in before.retailers if name not in after.retailers)
        compared += [
            Comparison(name, "gone_retailer", before=before.retailers[name].products, after=0, drifted=True)
            for name in gone
        ]
    return sorted(compared, key=lambda row: row.retailer)


def distances(first: Int64Array, second: Int64Array) -> Float64Array:
    """Jensen-Shannon divergence in bits, in [0, 1]; its square root is the distance.

    Args:
      first, second: counts, shape (..., k); no sum is 0.
    """
    p, q = (counts / counts.sum(axis=-1, keepdims=True) for counts in (first, second))
    middle = (p + q) / 2
    entropies = [-xlogy(shares, shares).sum(axis=-1) for shares in (middle, p, q)]
    bits = (entropies[0] - (entropies[1] + entropies[2]) / 2) / math.log(2)
    return np.asarray(np.clip(bits, 0.0, 1.0))


def histogram_test(first: Int64Array, second: Int64Array) -> tuple[float, float]:
    """The distance of two histograms less what chance adds, and the p-value of their difference.

    Args:
      first, second: counts, shape (k,). Where one is empty there is nothing to compare: (0, 1).
    """
    there = first + second > 0
    first, second = first[there], second[there]
    if not first.sum() or not second.sum() or len(first) < 2:
        return 0.0, 1.0
    pooled, seen = first + second, float(distances(first, second))
    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        pooled, int(second.sum()), _PERMUTATIONS, method="marginals"
    )
    by_chance = distances(pooled - drawn, drawn)
    mean, variance = float(by_chance.mean()), float(by_chance.var())
    as_far = int((by_chance >= seen).sum())
    if as_far >= _ENOUGH or variance <= 0:
        p_value = (as_far + 1) / (_PERMUTATIONS + 1)
    else:
        p_value = float(stats.gamma.sf(seen, mean**2 / variance, scale=variance / mean))
    return math.sqrt(max(0.0, seen - mean)), min(1.0, p_value)


def share_tests(first: Int64Array, second: Int64Array, of_first: int, of_second: int) -> Float64Array:
    """p-values of differences between shares, two-sided, float64 (k,).

    The hypergeometric distribution of Fisher's exact test, replaced by a binomial one that is at least as wide.

    Args:
      first, second: int64 (k,), how many products of each feed are so, of ``of_first`` and ``of_second``.
    """
    # Of the rarer of "is so" and "is not": the binomial is the closer, the rarer it is.
    pooled, total = first + second, of_first + of_second
    is_common = 2 * pooled > total
    rare, pooled = np.where(is_common, of_second - second, second), np.where(is_common, total - pooled, pooled)
    return _binomial_test(rare, pooled, of_second / total)


def _binomial_test(hits: Int64Array, trials: Int64Array, share: float) -> Float64Array:
    tails = np.minimum(stats.binom.cdf(hits, trials, share), stats.binom.sf(hits - 1, trials, share))
    return np.asarray(np.minimum(1.0, 2.0 * tails))


@dataclass(frozen=True)
class _Tested:
    """A comparison before it is judged.

    Attributes:
      wanted: whether the difference is large enough, where that is not told by the distance.
      rare: p-values of shares of single categories, of which one by itself is an alarm where ``moved`` says so.
    """

    comparison: Comparison
    wanted: bool = True
    rare: Sequence[float] = ()
    moved: Sequence[bool] = ()

    def judged(self, limit: float, min_distance: float) -> Comparison:
        row = self.comparison
        is_far = row.distance is None or row.distance >= min_distance
        drifted = self.wanted and is_far and row.p_value <= limit
        drifted |= any(moved and p_value <= limit for p_value, moved in zip(self.rare, self.moved, strict=True))
        return replace(row, drifted=drifted)


def _tested(name: str, before: RetailerProfile, after: RetailerProfile) -> Iterator[_Tested]:
    yield _products(name, before, after)
    yield _categories(name, before, after)
    yield _words(name, before, after)
    yield from _missing(name, before, after)
    yield _prices(name, before, after)
    distance, p_value = histogram_test(before.cells, after.cells)
    yield _Tested(Comparison(name, "embedding", distance=distance, p_value=p_value))


def _products(name: str, before: RetailerProfile, after: RetailerProfile) -> _Tested:
    old, new = before.products, after.products
    p_value = float(_binomial_test(np.array([new]), np.array([old + new]), 0.5)[0])
    is_other = max(old, new) >= FACTOR * min(old, new)
    return _Tested(Comparison(name, "products", before=old, after=new, p_value=p_value), is_other)


def _categories(name: str, before: RetailerProfile, after: RetailerProfile) -> _Tested:
    ids = sorted({*before.categories, *after.categories})
    old, new = (np.array([own.categories.get(identity, 0) for identity in ids], np.int64) for own in (before, after))
    distance, p_value = histogram_test(old, new)
    of_old, of_new = int(old.sum()), int(new.sum())
    if not of_old or not of_new:
        return _Tested(Comparison(name, "categories"))
    shares = old / of_old, new / of_new
    moved: BoolArray = (np.maximum(*shares) >= LEAST_SHARE) & (np.maximum(*shares) >= FACTOR * np.minimum(*shares))
    p_values = share_tests(old, new, of_old, of_new)
    order = np.argsort(-np.abs(shares[1] - shares[0]), kind="stable")
    cells = tuple(Cell(ids[i], float(shares[0][i]), float(shares[1][i])) for i in order)
    row = Comparison(name, "categories", distance=distance, p_value=p_value, cells=cells)
    return _Tested(row, True, p_values.tolist(), moved.tolist())


def _words(name: str, before: RetailerProfile, after: RetailerProfile) -> _Tested:
    if not before.words or not after.words:
        return _Tested(Comparison(name, "words"))
    old, new = before.unknown_words / before.words, after.unknown_words / after.words
    if new <= old:
        # Products that were there in training have no unknown word, so that fewer than of fresh products is the rule.
        return _Tested(Comparison(name, "words", before=old, after=new, distance=0.0))
    known = (np.array([own.words - own.unknown_words, own.unknown_words]) for own in (before, after))
    # The words of a title come together, so products are what is permuted.
    p_value = histogram_test(before.unknown, after.unknown)[1]
    distance = math.sqrt(float(distances(*known)))
    return _Tested(Comparison(name, "words", before=old, after=new, distance=distance, p_value=p_value))


def _missing(name: str, before: RetailerProfile, after: RetailerProfile) -> Iterator[_Tested]:
    if not before.counted or not after.counted:
        return
    columns = sorted({*before.present, *after.present})
    old, new = (np.array([own.present.get(column, 0) for column in columns], np.int64) for own in (before, after))
    p_values = share_tests(old, new, before.counted, after.counted)
    for i, column in enumerate(columns):
        counts = [np.array([has[i], of - has[i]]) for has, of in ((old, before.counted), (new, after.counted))]
        before_share, after_share = (float(pair[1] / pair.sum()) for pair in counts)
        distance = math.sqrt(float(distances(*counts)))
        yield _Tested(Comparison(name, "missing", column, before_share, after_share, distance, float(p_values[i])))


def _prices(name: str, before: RetailerProfile, after: RetailerProfile) -> _Tested:
    old, new = before.prices, after.prices
    if not old.sum() or not new.sum():
        return _Tested(Comparison(name, "prices"))
    # Groups of about as many products of both: which prices they hold does not depend on which feed is which.
    reached = np.cumsum(old + new)
    ends = np.unique(np.searchsorted(reached, reached[-1] * np.arange(1, _PRICE_GROUPS) / _PRICE_GROUPS) + 1)
    starts = np.concatenate([[0], ends[ends < len(old)]])
    groups = [np.add.reduceat(counts, starts) for counts in (old, new)]
    distance, p_value = histogram_test(*groups)
    ends_before = (f"from {price_of(int(start)):.3g}" if start else "lowest" for start in starts)
    shares = [group / group.sum() for group in groups]
    cells = tuple(Cell(text, float(p), float(q)) for text, p, q in zip(ends_before, *shares, strict=True))
    return _Tested(Comparison(name, "prices", "", _median(old), _median(new), distance, p_value, cells))


def _median(counts: Int64Array) -> float:
    return price_of(int(np.searchsorted(np.cumsum(counts), (counts.sum() + 1) // 2)))
