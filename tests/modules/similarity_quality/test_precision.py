"""Similarity precision and score at top K, worked out by hand and by loops."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modules.similarity.changes import unit
from modules.similarity_quality.precision import triplet_quality
from modules.similarity_quality.triplets import Ranked


def world(seed: int, products: int = 60, triplets: int = 200) -> tuple[pa.Array, np.ndarray, list[Ranked]]:
    rng = np.random.default_rng(seed)
    ids = pa.array([f"p{i}" for i in range(products)])
    rows = [rng.choice(products, 3, replace=False).tolist() for _ in range(triplets)]
    return ids, unit(rng.normal(size=(products, 4))), [Ranked(*(f"p{i}" for i in row)) for row in rows]


@pytest.mark.parametrize("top", [1, 10, 1000])
def test_follows_the_definition(top: int):
    ids, vectors, triplets = world(0)
    vectors[3] = 0
    right = score = counted = at_top = 0
    for one in triplets:
        q, better, worse = (int(name[1:]) for name in (one.query, one.better, one.worse))
        if 3 in (q, better, worse):
            continue
        order = [row for row in np.argsort(-(vectors @ vectors[q]), kind="stable").tolist() if row != q]
        counted += 1
        before = order.index(better) < order.index(worse)
        right += before
        if min(order.index(better), order.index(worse)) < top:
            at_top += 1
            score += 1 if before else -1
    found = triplet_quality(ids, vectors, [*triplets, Ranked("p1", "p2", "nobody")], top)
    assert (found.triplets, found.at_top, found.unknown) == (counted, at_top, len(triplets) + 1 - counted)
    assert found.precision.value == pytest.approx(right / counted)
    assert found.score.value == score
    assert found.precision.lower < found.precision.value < found.precision.upper
    assert found.score.lower <= found.score.value <= found.score.upper


def test_equal_cosines_count_half():
    vectors = unit(np.array([[1, 0], [1, 1], [1, -1], [0, 1]]))
    ids = pa.array(["q", "x", "y", "z"])
    found = triplet_quality(ids, vectors, [Ranked("q", "x", "y")])
    assert found.precision.value == 0.5 and found.score.value == 0
    found = triplet_quality(ids, vectors, [Ranked("q", "y", "z"), Ranked("q", "z", "x")])
    assert found.precision.value == 0.5 and found.score.value == 0 and found.at_top == 2


def test_equal_products_are_equal_wherever_they_stand():
    """A matrix' product rounds its columns differently, by their place in a block."""
    for count in (37, 41, 67, 130):
        vectors = unit(np.random.default_rng(count).normal(size=(count, 16)))
        vectors[count - 1] = vectors[count // 2]
        ids = pa.array([str(i) for i in range(count)])
        twins = str(count - 1), str(count // 2)
        asked = [Ranked(str(i), *twins) for i in range(count) if str(i) not in twins]
        found = triplet_quality(ids, vectors, asked, top=count)
        assert found.precision.value == 0.5 and found.score.value == 0


def test_nothing_to_measure_on():
    ids, vectors, _ = world(1)
    found = triplet_quality(ids, vectors, [])
    assert found.triplets == 0 and not found.precision.defined and found.score.value == 0


def test_triplets_of_one_query_count_for_less():
    """Two hundred verdicts on five queries are no two hundred draws: the interval must cover the share over all."""
    inside = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        products = 30
        vectors = unit(rng.normal(size=(products, 3)))
        ids = pa.array([f"p{i}" for i in range(products)])
        triplets = []
        # A query's triplets are ranked rightly as a whole or not at all, as its embedding is good or bad.
        for q in rng.choice(products, 12, replace=False).tolist():
            good = rng.random() < 0.7
            for _ in range(20):
                x, y = rng.choice([i for i in range(products) if i != q], 2, replace=False).tolist()
                if (vectors[x] @ vectors[q] > vectors[y] @ vectors[q]) != good:
                    x, y = y, x
                triplets.append(Ranked(f"p{q}", f"p{x}", f"p{y}"))
        interval = triplet_quality(ids, vectors, triplets).precision
        inside += interval.lower <= 0.7 <= interval.upper
    assert inside > 70
