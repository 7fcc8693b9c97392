"""The losses against their formulas, written out pair by pair."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from modules.settings.image_training import MetricLearningSettings
from modules.vision.losses import ContrastiveLoss, SupervisedContrastiveLoss, TripletLoss, metric_loss


def unit(rng: np.random.Generator, n: int, width: int = 5) -> np.ndarray:
    vectors = rng.normal(size=(n, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def value(loss: keras.losses.Loss, labels, vectors) -> float:
    return float(loss(np.asarray(labels), np.asarray(vectors, np.float32)))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_contrastive_is_equation_1(temperature):
    n, vectors = 4, unit(np.random.default_rng(1), 8)
    expected = 0.0
    for i in range(2 * n):
        other = (i + n) % (2 * n)
        scores = {k: np.exp(vectors[i] @ vectors[k] / temperature) for k in range(2 * n) if k != i}
        expected -= np.log(scores[other] / sum(scores.values()))
    assert value(ContrastiveLoss(temperature), np.zeros(2 * n), vectors) == pytest.approx(expected / (2 * n), rel=1e-5)


def supervised(labels, vectors, temperature: float) -> float:
    known = [i for i, label in enumerate(labels) if label >= 0]
    losses = []
    for i in known:
        positives = [p for p in known if p != i and labels[p] == labels[i]]
        if positives:
            total = sum(np.exp(vectors[i] @ vectors[a] / temperature) for a in known if a != i)
            shares = [np.exp(vectors[i] @ vectors[p] / temperature) / total for p in positives]
            losses.append(-np.mean(np.log(shares)))
    return float(np.mean(losses)) if losses else 0.0


def triplets(labels, vectors, margin: float) -> float:
    known = [i for i, label in enumerate(labels) if label >= 0]

    def distance(i, j) -> float:
        return float(((vectors[i] - vectors[j]) ** 2).sum())

    losses = [
        max(0.0, distance(a, p) - distance(a, n) + margin)
        for a in known
        for p in known
        for n in known
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]
    ]
    broken = [loss for loss in losses if loss > 0]
    return float(np.mean(broken)) if broken else 0.0


LABELS = [[0, 1, 0, 2, -1, 1, 0, -1], [3, 3, 3, 3, 3, 3, 3, 3], [0, 1, 2, 3, 4, 5, 6, 7], [-1] * 8]


@pytest.mark.parametrize("labels", LABELS)
def test_supervised_contrastive_is_equation_2(labels):
    vectors = unit(np.random.default_rng(2), 8)
    expected = supervised(labels, vectors, 0.2)
    assert value(SupervisedContrastiveLoss(0.2), labels, vectors) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("margin", [0.1, 1.5])
@pytest.mark.parametrize("labels", LABELS)
def test_triplet_is_the_mean_of_the_broken_ones(labels, margin):
    vectors = unit(np.random.default_rng(3), 8)
    expected = triplets(labels, vectors, margin)
    assert value(TripletLoss(margin), labels, vectors) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("loss", [SupervisedContrastiveLoss(0.2), TripletLoss(0.5)])
def test_a_product_without_an_embedding_is_left_out(loss):
    vectors = unit(np.random.default_rng(4), 6)
    labels = np.array([0, 1, 0, 1, 0, 1])
    vectors[2] = 0.0
    kept = np.array([0, 1, 3, 4, 5])
    assert value(loss, labels, vectors) == pytest.approx(value(loss, labels[kept], vectors[kept]), rel=1e-5)


@pytest.mark.parametrize("kind", ["triplet", "supervised_contrastive"])
def test_the_workflow_names_the_loss(kind):
    loss = metric_loss(MetricLearningSettings(kind=kind, margin=0.7, temperature=0.3))
    again = type(loss).from_config(loss.get_config())
    vectors, labels = unit(np.random.default_rng(5), 8), [0, 0, 1, 1, 2, 2, 0, 1]
    expected = triplets(labels, vectors, 0.7) if kind == "triplet" else supervised(labels, vectors, 0.3)
    assert value(again, labels, vectors) == pytest.approx(expected, rel=1e-5)
