"""The best of many scores against a full stable sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modules.similarity.top_k import compacted, kth_highest, top_k

# Few values, so that many are equal; some are nothing.
SCORES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
    elements=st.sampled_from([-np.inf, -1.0, -0.25, 0.0, 0.25, 0.5, 1.0]),
)


@given(SCORES, st.integers(1, 45))
@settings(deadline=None)
def test_equals_a_stable_sort(scores: np.ndarray, k: int) -> None:
    rows = np.random.default_rng(0).permutation(scores.size).reshape(scores.shape)
    found, values = top_k(rows, scores, k)
    assert found.shape == values.shape == (len(scores), min(k, scores.shape[1]))
    for mine, its, own, right in zip(found, values, scores, rows, strict=True):
        order = sorted(range(len(own)), key=lambda place, own=own: -own[place])[:k]
        np.testing.assert_array_equal(its, own[order])
        # What has no score is nothing, whatever its row.
        np.testing.assert_array_equal(mine[its > -np.inf], right[order][its > -np.inf])


@given(SCORES, st.data())
@settings(deadline=None)
def test_what_is_kept_stays_in_order(scores: np.ndarray, data) -> None:
    keep = data.draw(hnp.arrays(bool, scores.shape))
    numbers = np.arange(scores.shape[1]) * 3
    rows, values = compacted(keep, numbers, scores)
    wide, same = compacted(keep, np.broadcast_to(numbers, scores.shape), scores)
    np.testing.assert_array_equal(rows, wide)
    np.testing.assert_array_equal(values, same)
    for one, some, value, own in zip(keep, rows, values, scores, strict=True):
        count = int(one.sum())
        assert some[:count].tolist() == numbers[one].tolist() and (some[count:] == -1).all()
        assert value[:count].tolist() == own[one].tolist() and np.isneginf(value[count:]).all()


@given(SCORES, st.data())
@settings(deadline=None)
def test_the_floor_is_the_kth_score(scores: np.ndarray, data) -> None:
    k = data.draw(st.integers(1, scores.shape[1]))
    np.testing.assert_array_equal(kth_highest(scores, k)[:, 0], np.sort(scores, axis=1)[:, -k])
