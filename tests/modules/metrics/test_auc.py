"""AUC: exact against scikit-learn, histograms against their own bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from modules.metrics import ScoreStore, auc_exclusive, auc_multi_label
from modules.metrics.auc import SCORE_BINS, score_bin


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 80), levels=st.integers(1, 40), seed=st.integers(0, 10**6), weighted=st.booleans())
def test_multi_label_auc_is_that_of_scikit_learn(n: int, levels: int, seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (n, 5)) / levels).astype(np.float32)
    labels = rng.random((n, 5)) < [0.0, 0.1, 0.5, 0.9, 1.0]
    w = rng.uniform(0.1, 5, n) if weighted else None
    found = auc_multi_label(scores, *np.nonzero(labels), w)
    for c in range(5):
        if 0 < labels[:, c].sum() < n:
            assert found[c] == pytest.approx(roc_auc_score(labels[:, c], scores[:, c], sample_weight=w), abs=1e-9)
        else:
            assert np.isnan(found[c])


def test_more_classes_than_one_block() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.random((400, 150)), rng.integers(0, 150, 400)
    found = auc_exclusive(scores, labels)
    for c in (0, 63, 64, 65, 127, 128, 149):
        assert found[c] == pytest.approx(roc_auc_score(labels == c, scores[:, c]), abs=1e-12)


def test_equal_scores_are_one_half_and_perfect_ones_are_one() -> None:
    assert auc_exclusive(np.full((6, 2), 0.5), np.array([0, 1] * 3)).tolist() == [0.5, 0.5]
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    assert auc_exclusive(scores, np.array([0, 0, 1])).tolist() == [1.0, 1.0]
    assert auc_exclusive(1 - scores, np.array([0, 0, 1])).tolist() == [0.0, 0.0]


def _store(limit: int, parts: int, seed: int = 3) -> tuple[ScoreStore, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, n_classes = 600, 20
    logits = rng.standard_normal((n, n_classes)).astype(np.float32) * 4
    labels, weights = rng.integers(0, n_classes, n), rng.choice([1.0, 2.0, 7.0], n)
    logits[np.arange(n), labels] += 5
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    stores = [ScoreStore(n_classes, limit) for _ in range(parts)]
    for i, rows in enumerate(np.array_split(np.arange(n), parts * 3)):
        stores[i % parts].add(scores[rows], np.arange(len(rows)), labels[rows], weights[rows])
    for other in stores[1:]:
        stores[0].merge(other)
    return stores[0], scores, labels, weights


@pytest.mark.parametrize("parts", [1, 4])
def test_within_the_limit_merged_scores_are_exact(parts: int) -> None:
    store, scores, labels, weights = _store(2**30, parts)
    found, error = store.auc()
    for c in range(20):
        expected = roc_auc_score(labels == c, scores[:, c], sample_weight=weights)
        assert found[c] == pytest.approx(expected, abs=1e-9)
    assert store.exact and not error.any()


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("limit", [1, 20_000, 40_000])
def test_beyond_the_limit_the_error_stays_within_its_bound_and_memory_within_its_limit(parts: int, limit: int) -> None:
    store, scores, labels, weights = _store(limit, parts)
    found, bound = store.auc()
    exact = np.array([roc_auc_score(labels == c, scores[:, c], sample_weight=weights) for c in range(20)])
    assert not store.exact and store.bytes == 0
    assert (np.abs(found - exact) <= bound + 1e-12).all()
    assert bound.max() < 0.01


def test_bins_keep_the_order_and_are_fine_at_both_ends() -> None:
    scores = np.concatenate([np.logspace(-14, -0.302, 20_000), 1 - np.logspace(-7, -0.302, 20_000)])
    scores = np.sort(scores.astype(np.float32))
    bins = score_bin(scores)
    assert (np.diff(bins) >= 0).all()
    assert bins[0] >= 0 and bins[-1] < SCORE_BINS
    assert score_bin(np.array([0.0, 1.0], np.float32)).tolist() == [0, SCORE_BINS - 1]
    below = np.array([0.001, 0.00102, 0.99898, 0.999], np.float32)
    assert len(set(score_bin(below).tolist())) == 4


def test_a_store_without_scores_knows_nothing() -> None:
    found, error = ScoreStore(3).auc()
    assert np.isnan(found).all() and np.isnan(error).all()
    with pytest.raises(ValueError, match="3 classes"):
        ScoreStore(3).add(np.zeros((2, 4), np.float32), [0], [1], [1.0, 1.0])
    with pytest.raises(ValueError, match="4 classes"):
        ScoreStore(3).merge(ScoreStore(4))


@pytest.mark.parametrize("limit", [2**30, 0])
def test_scores_of_unknown_pairs_are_left_out(limit: int) -> None:
    rng = np.random.default_rng(8)
    truth, scores = rng.random((400, 3)) < 0.3, rng.random((400, 3)).astype(np.float32)
    unknown = ~truth & (rng.random((400, 3)) < 0.5)
    store = ScoreStore(3, limit)
    store.add(np.where(unknown, np.float32(np.nan), scores), *np.nonzero(truth), np.ones(400))
    found, bound = store.auc()
    exact = [roc_auc_score(truth[~unknown[:, c], c], scores[~unknown[:, c], c]) for c in range(3)]
    assert store.exact == (limit > 0)
    np.testing.assert_array_less(np.abs(found - exact), bound + 1e-9)
