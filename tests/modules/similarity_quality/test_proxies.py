"""Proxies against loops over whole sorted lists, and scikit-learn's average precision."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from modules.similarity.changes import unit
from modules.similarity_quality import proxies
from modules.similarity_quality.proxies import linked, mean_interval, same_cluster, same_leaf


def catalogue(seed: int, count: int = 150, labels: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Vectors near their label's centre; some labels have one product, some products none."""
    rng = np.random.default_rng(seed)
    clusters = rng.integers(-1, labels, count)
    centres = rng.normal(size=(labels + 1, 6))
    return unit(centres[clusters] + 0.8 * rng.normal(size=(count, 6))), clusters


def asked(labels: np.ndarray) -> list[int]:
    return [i for i, label in enumerate(labels) if label >= 0 and (labels == label).sum() > 1]


@pytest.mark.parametrize("seed", range(3))
def test_same_cluster(seed: int):
    vectors, clusters = catalogue(seed)
    queries, known = asked(clusters), np.flatnonzero(clusters >= 0)
    precision, average, recalls = [], [], {1: [], 5: []}
    for q in queries:
        others = known[known != q]
        scores = vectors[others] @ vectors[q]
        relevant = (clusters[others] == clusters[q])[np.argsort(-scores)]
        count = relevant.sum()
        precision.append(relevant[:count].mean())
        average.append(average_precision_score(relevant, -np.arange(len(relevant))))
        for k, values in recalls.items():
            values.append(relevant[:k].sum() / min(count, k))
    found = same_cluster(vectors, clusters, ks=(1, 5), seed=seed)
    assert (found.queries, found.products) == (len(queries), len(known))
    assert found.figures["R-precision"].value == pytest.approx(np.mean(precision))
    assert found.figures["MAP"].value == pytest.approx(np.mean(average))
    for k, values in recalls.items():
        assert found.figures[f"recall at {k}"].value == pytest.approx(np.mean(values))


@pytest.mark.parametrize("seed", range(3))
def test_same_leaf(seed: int):
    vectors, leaves = catalogue(seed, labels=8)
    known = np.flatnonzero(leaves >= 0)
    expected = {1: [], 10: [], 100: []}
    for q in asked(leaves):
        others = known[known != q]
        near = others[np.argsort(-(vectors[others] @ vectors[q]))]
        same = leaves[near] == leaves[q]
        for k, values in expected.items():
            values.append(same[:k].sum() / min(k, same.sum()))
    found = same_leaf(vectors, leaves, seed=seed)
    assert found.queries == len(asked(leaves)) and found.products == len(known)
    for k, values in expected.items():
        assert found.figures[f"at {k}"].value == pytest.approx(np.mean(values))


def test_photos_find_their_product():
    rng = np.random.default_rng(0)
    products = unit(rng.normal(size=(40, 5)))
    truth = rng.integers(40, size=90)
    photos = unit(products[truth] + 0.4 * rng.normal(size=(90, 5)))
    places = [np.argsort(-(products @ photo)).tolist().index(t) + 1 for photo, t in zip(photos, truth, strict=True)]
    found = linked(photos, products, truth)
    assert found.figures["recall at 1"].value == pytest.approx(np.mean(np.array(places) <= 1))
    assert found.figures["recall at 5"].value == pytest.approx(np.mean(np.array(places) <= 5))
    assert found.figures["mean reciprocal rank"].value == pytest.approx(np.mean(1 / np.array(places)))


def test_equal_vectors_are_worth_what_chance_is():
    """Clusters stand beside each other in the feed: with no information at all, that must not help."""
    vectors, clusters = np.tile(np.float32([1, 0]), (2000, 1)), np.repeat(np.arange(1000), 2)
    assert same_cluster(vectors, clusters).figures["recall at 10"].value < 0.02
    assert same_leaf(vectors, clusters).figures["at 10"].value < 0.02
    assert linked(vectors[:50], vectors, np.arange(50)).figures["recall at 5"].value < 0.1


def test_many_products_are_asked_about_in_part(monkeypatch):
    vectors, clusters = catalogue(1)
    monkeypatch.setattr(proxies, "MOST_QUERIES", 20)
    found = same_cluster(vectors, clusters)
    assert found.queries == 20 and found.products == (clusters >= 0).sum()
    assert found == same_cluster(vectors, clusters) != same_cluster(vectors, clusters, seed=1)


@pytest.mark.parametrize("labels", [np.full(4, -1), np.arange(4), np.zeros(0, np.int64)])
def test_nothing_to_measure_on(labels):
    vectors = np.ones((len(labels), 2), np.float32)
    for found in (same_cluster(vectors, labels), same_leaf(vectors, labels)):
        assert found.queries == 0 and not any(figure.defined for figure in found.figures.values())


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_the_interval_covers_the_mean(share: float):
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(1000):
        found = mean_interval((rng.random(400) < share).astype(float))
        inside += found.lower <= share <= found.upper
    assert inside > 920
