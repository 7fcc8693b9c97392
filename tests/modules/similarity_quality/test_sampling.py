"""Triplets to judge: where they come from, evenly and repeatably."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from modules.similarity_quality.sampling import sample_triplets

IDS = pa.array([f"p{i}" for i in range(500)])
QUERIES = np.arange(0, 500, 5)


def near(start: int, k: int = 10) -> np.ndarray:
    """A method's neighbours: rows that only it proposes."""
    return (QUERIES[:, None] + start + np.arange(k)) % 500


def test_sides_come_from_different_methods_evenly():
    neighbours = {"text": near(50), "image": near(100), "joint": near(150)}
    found = sample_triplets(IDS, QUERIES, neighbours, 3000, np.random.default_rng(1))
    assert len(found) == len({one.key for one in found}) == 3000
    for one in found:
        assert len({one.query, one.a, one.b}) == 3 and one.methods[0] != one.methods[1]
        for name, method in zip((one.a, one.b), one.methods, strict=True):
            row = QUERIES.tolist().index(int(one.query[1:]))
            assert method == "random" or int(name[1:]) in neighbours[method][row]
    sides = Counter(one.methods for one in found)
    assert len(sides) == 3 * 2 + 3 * 2
    pairs = [count for methods, count in sides.items() if "random" not in methods]
    assert max(pairs) < 1.3 * min(pairs)
    assert 220 < sum(count for methods, count in sides.items() if "random" in methods) < 380
    assert len({one.query for one in found}) == len(QUERIES)
    again = sample_triplets(IDS, QUERIES, neighbours, 3000, np.random.default_rng(1))
    assert again == found


def test_one_method_is_compared_with_itself():
    found = sample_triplets(IDS, QUERIES, {"text": near(50)}, 50, np.random.default_rng(0), random_share=0)
    assert len(found) == 50 and all(one.methods == ("text", "text") for one in found)


def test_no_more_than_there_are():
    rows = np.array([[1, 2, -1], [0, -1, -1]])
    found = sample_triplets(IDS, np.array([0, 0]), {"x": rows}, 100, np.random.default_rng(0), random_share=0)
    assert [one.key for one in found] == [("p0", "p1", "p2")]
    assert sample_triplets(IDS, np.zeros(0, np.int64), {"x": rows[:0]}, 5, np.random.default_rng(0)) == []
    with pytest.raises(ValueError, match="shape"):
        sample_triplets(IDS, QUERIES, {"x": rows}, 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one method"):
        sample_triplets(IDS, QUERIES, {}, 5, np.random.default_rng(0))
