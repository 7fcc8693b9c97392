"""Strategies that look at the batch as a whole, beside brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import euclidean_distances

from modules.query_strategies import Pool, k_center
from modules.query_strategies.badge import seeds
from modules.query_strategies.clustered_margin import ClusteredMargin
from modules.query_strategies.combined import Combined
from modules.query_strategies.discriminative import Discriminative
from modules.query_strategies.entropy import Entropy
from modules.query_strategies.facility_location import FacilityLocation, greedy
from modules.query_strategies.k_center import KCenter, greedy_k_center
from modules.query_strategies.probcover import ProbCover
from modules.query_strategies.typiclust import TypiClust
from tests.modules.query_strategies.pools import pool_of


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12), st.booleans())
def test_lazy_greedy_is_plain_greedy(seed, candidates, targets, weighted):
    rng = np.random.default_rng(seed)
    similarity = rng.random((candidates, targets)).astype(np.float32)
    weights = rng.random(targets).astype(np.float32) if weighted else np.ones(targets, np.float32)
    covered = rng.random(targets).astype(np.float32) * 0.5
    picked, gains = greedy(similarity, weights, covered, candidates)
    now = covered.copy()
    for place, gain in zip(picked, gains, strict=True):
        left = [i for i in range(candidates) if i not in picked[: list(picked).index(place)]]
        all_gains = {i: float(np.maximum(similarity[i] - now, 0) @ weights) for i in left}
        assert gain == pytest.approx(all_gains[place], abs=1e-5)
        assert gain >= max(all_gains.values()) - 1e-5
        now = np.maximum(now, similarity[place])


def test_facility_location_covers_what_is_uncertain_and_not_covered():
    pool = pool_of(150)
    found = FacilityLocation(candidates=1000).query(pool, 5, np.random.default_rng(0))
    weights = 1 - (np.sort(pool.probabilities, axis=1)[:, -1] - np.sort(pool.probabilities, axis=1)[:, -2])
    kernel = np.maximum(pool.embeddings @ pool.embeddings.T, 0) ** 3
    covered = kernel[pool.labelled].max(axis=0)
    for row, gain in zip(found.rows, found.utility, strict=True):
        gains = np.maximum(kernel[pool.candidates] - covered, 0) @ weights
        assert gain == pytest.approx(gains.max(), rel=1e-4)
        covered = np.maximum(covered, kernel[row])


@pytest.mark.parametrize("looked_at", [1, 8, 5000])
@pytest.mark.parametrize("labelled", [0, 1, 20])
def test_k_center_is_farthest_first(monkeypatch, looked_at, labelled):
    monkeypatch.setattr(k_center, "LOOKED_AT", looked_at)
    pool = pool_of(300, labelled=max(labelled, 1))
    centers = pool.labelled[:labelled]
    found, radii = greedy_k_center(pool.embeddings, pool.candidates, centers, 25, np.random.default_rng(2))
    distances = euclidean_distances(pool.embeddings.astype(float))
    chosen = list(centers)
    for row, radius in zip(found, radii, strict=True):
        if chosen:
            nearest = distances[:, chosen].min(axis=1)
            assert nearest[row] == pytest.approx(nearest[pool.candidates].max(), abs=1e-3)
            assert radius == pytest.approx(nearest[row], abs=1e-3)
        chosen.append(row)


def test_badge_seeds_are_those_of_gradients_that_are_written_down():
    rng = np.random.default_rng(0)
    residuals, vectors = rng.normal(size=(80, 5)), rng.normal(size=(80, 6))
    gradients = np.einsum("rc,rd->rcd", residuals, vectors).reshape(80, -1)
    picked, distances = seeds(residuals, vectors, 12, np.random.default_rng(7))
    draws = np.random.default_rng(7)
    expected = [int(np.linalg.norm(gradients, axis=1).argmax())]
    while len(expected) < 12:
        squares = (euclidean_distances(gradients, gradients[expected]) ** 2).min(axis=1)
        squares[expected] = 0
        cumulated = np.cumsum(squares)
        expected.append(int(np.searchsorted(cumulated, draws.random() * cumulated[-1], side="right")))
    assert picked.tolist() == expected
    np.testing.assert_allclose(distances[0], (gradients[expected[0]] ** 2).sum())


def test_badge_of_equal_products_picks_each_once():
    picked, _ = seeds(np.ones((6, 2)), np.ones((6, 3)), 6, np.random.default_rng(0))
    assert sorted(picked.tolist()) == list(range(6))


def clustered(sizes: list[int], labelled: list[int] = ()) -> tuple[Pool, np.ndarray]:
    """Tight clusters on the axes; which cluster each product is in."""
    rng = np.random.default_rng(0)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes))[cluster] + rng.normal(scale=0.02, size=(len(cluster), len(sizes)))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.full(len(cluster), -1)
    for one in labelled:
        labels[np.flatnonzero(cluster == one)[0]] = one
    return Pool(labels < 0, labels, len(sizes), embeddings=vectors.astype(np.float32)), cluster


def test_typiclust_picks_the_most_typical_of_each_cluster_the_largest_first():
    pool, cluster = clustered([40, 25, 60, 30])
    found = TypiClust().query(pool, 4, np.random.default_rng(0))
    assert cluster[found.rows].tolist() == [2, 0, 3, 1]
    for row in found.rows:
        own = np.flatnonzero(cluster == cluster[row])
        distances = euclidean_distances(pool.embeddings[own].astype(float))
        mean = np.sort(distances, axis=1)[:, 1:21].mean(axis=1)
        assert mean[own.tolist().index(row)] == pytest.approx(mean.min(), abs=1e-3)


def test_typiclust_passes_clusters_that_have_labels():
    pool, cluster = clustered([40, 25, 60, 30], labelled=[2, 0])
    found = TypiClust().query(pool, 2, np.random.default_rng(0))
    assert sorted(cluster[found.rows].tolist()) == [1, 3]


def test_probcover_is_greedy_maximum_coverage():
    pool = replace(pool_of(120), probabilities=None)
    found = ProbCover(radius=0.5).query(pool, 15, np.random.default_rng(0))
    near = euclidean_distances(pool.embeddings.astype(float)) <= 0.5
    covered = near[pool.labelled].any(axis=0)
    rows = pool.candidates
    for row, gain in zip(found.rows, found.utility, strict=True):
        new = near[np.ix_(rows, rows)] & ~covered[rows]
        assert gain == new.sum(axis=1).max()
        covered |= near[row]


def test_probcover_finds_a_radius_that_keeps_clusters_apart():
    pool, cluster = clustered([40, 40, 40])
    found = ProbCover().query(pool, 3, np.random.default_rng(0))
    assert sorted(cluster[found.rows].tolist()) == [0, 1, 2]
    assert 0.05 < found.parts["radius"][0] < np.sqrt(2)


def test_discriminative_picks_what_is_unlike_the_labelled():
    pool, cluster = clustered([30, 30, 30], labelled=[0, 1])
    at_once = Discriminative(turns=1).query(pool, 10, np.random.default_rng(0))
    assert (cluster[at_once.rows] == 2).all()
    # In turns the picks count as labelled, after which the third cluster is one like the others.
    in_turns = Discriminative(turns=10).query(pool, 10, np.random.default_rng(0))
    assert cluster[in_turns.rows[0]] == 2 and set(cluster[in_turns.rows]) == {0, 1, 2}


def test_clustered_margin_goes_round_the_clusters_the_smallest_first():
    pool, cluster = clustered([10, 20, 40])
    rng = np.random.default_rng(0)
    first = rng.uniform(0.4, 0.6, size=70)
    pool = replace(pool, probabilities=np.stack([first, 1 - first, np.zeros(70)], axis=1).astype(np.float32))
    found = ClusteredMargin(prefilter=10, clusters=3 / 7).query(pool, 7, rng)
    assert cluster[found.rows].tolist() == [0, 1, 2, 0, 1, 2, 0]
    margins = abs(2 * first - 1)
    for one, count in ((0, 3), (1, 2), (2, 2)):
        own = np.flatnonzero(cluster == one)
        assert set(found.rows[cluster[found.rows] == one]) == set(own[np.argsort(margins[own])[:count]])


def test_combined_diversifies_among_the_highest_scores_only():
    pool = pool_of(300)
    found = Combined(score=Entropy(), prefilter=40, diversify=KCenter()).query(pool, 10, np.random.default_rng(0))
    utility = Entropy().utilities(pool, pool.candidates)
    assert (found.parts["entropy"] >= np.sort(utility)[-40]).all()
    assert found.strategy == "entropy+k_center"
    alone = pool.only(pool.candidates[np.argsort(-utility)[:40]])
    spread = KCenter().query(alone, 10, np.random.default_rng(0))
    np.testing.assert_allclose(found.utility[1:].min(), spread.utility[1:].min(), rtol=0.5)
