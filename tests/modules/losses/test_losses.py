"""Losses by hand, against NumPy and scikit-learn; unlabelled examples add nothing."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, log_softmax
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight

from modules.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from modules.losses.cross_entropy import CrossEntropyLoss
from modules.losses.squared_hinge import SquaredHingeLoss
from modules.training.fit import balanced_weights
from modules.training.masked_metrics import MaskedAccuracy, MaskedMean

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(0, 3, (8, 4)).astype(np.float32)
LABELS = np.array([0, 3, -1, 2, 2, -1, 1, 0])
KNOWN = LABELS >= 0
PAIRS = RNG.choice([-1.0, 0.0, 1.0], (8, 4)).astype(np.float32)
PAIRS[2] = -1.0


def test_cross_entropy_is_scikit_learns_log_loss():
    probabilities = np.exp(log_softmax(LOGITS[KNOWN].astype(float), axis=1))
    expected = log_loss(LABELS[KNOWN], probabilities, labels=range(4))
    assert float(CrossEntropyLoss()(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_class_weights_make_a_weighted_mean_however_small_they_are():
    weights = [0.01, 0.02, 0.05, 0.03]
    probabilities = np.exp(log_softmax(LOGITS[KNOWN].astype(float), axis=1))
    each = np.array(weights)[LABELS[KNOWN]]
    expected = log_loss(LABELS[KNOWN], probabilities, labels=range(4), sample_weight=each)
    assert float(CrossEntropyLoss(class_weights=weights)(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_spreads_the_target():
    logs = log_softmax(LOGITS[KNOWN].astype(float), axis=1)
    target = np.eye(4)[LABELS[KNOWN]] * 0.8 + 0.2 / 4
    expected = -(target * logs).sum(axis=1).mean()
    assert float(CrossEntropyLoss(label_smoothing=0.2)(LABELS, LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_squared_hinge_by_hand():
    logits = np.array([[2.0, -0.5, 0.0], [0.5, 0.5, -3.0]], np.float32)
    # (1 - 2 < 0), (1 - 0.5)^2, 1^2; then (1 + 0.5)^2, (1 - 0.5)^2, 0
    expected = ((0 + 0.25 + 1.0) + (2.25 + 0.25 + 0)) / 2
    assert float(SquaredHingeLoss()(np.array([0, 1]), logits)) == pytest.approx(expected)


def test_multi_label_by_hand():
    yes, no = PAIRS > 0.5, np.abs(PAIRS) < 0.5
    z = LOGITS.astype(float)
    weights = np.array([1.0, 2.0, 0.5, 4.0])
    pairs = -np.log(expit(z)) * yes * weights - 0.3 * np.log(expit(-z)) * no
    expected = pairs.sum() / (PAIRS >= 0).any(axis=1).sum()
    found = BinaryCrossEntropyLoss(negative_weight=0.3, class_weights=weights.tolist())(PAIRS, LOGITS)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_far_logits_stay_finite():
    logits = np.array([[3e4, -3e4, 0.0]], np.float32)
    hinge = SquaredHingeLoss()
    for loss, labels in ((CrossEntropyLoss(), [1]), (hinge, [1]), (BinaryCrossEntropyLoss(), [[0, 1, 1]])):
        assert np.isfinite(float(loss(np.array(labels), logits)))


LOSSES = {
    "cross_entropy": (CrossEntropyLoss(), LABELS),
    "smoothed": (CrossEntropyLoss(label_smoothing=0.1, class_weights=[1.0, 2.0, 3.0, 4.0]), LABELS),
    "squared_hinge": (SquaredHingeLoss(), LABELS),
    "multi_label": (BinaryCrossEntropyLoss(0.5, [1.0, 2.0, 3.0, 4.0]), PAIRS),
}


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_unlabelled_examples_add_nothing_and_get_no_gradient(self, name):
        loss, labels = LOSSES[name]
        known = np.all(labels.reshape(8, -1) != -1, axis=1) if labels.ndim == 1 else (labels >= 0).any(axis=1)
        assert 0 < known.sum() < 8
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        gradient = tape.gradient(value, logits).numpy()
        assert float(value) == pytest.approx(float(loss(labels[known], LOGITS[known])), rel=1e-6)
        assert (gradient[~known] == 0).all() and (gradient[known] != 0).any(axis=1).all()
        if labels.ndim == 2:
            assert (gradient[labels < 0] == 0).all()

    def test_a_batch_without_labels_is_zero_with_zero_gradient(self, name):
        loss, labels = LOSSES[name]
        logits = tf.constant(LOGITS)
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(np.full_like(labels, -1), logits)
        assert float(value) == 0.0
        assert (tape.gradient(value, logits).numpy() == 0).all()

    def test_metric_is_the_exact_mean_whatever_the_batches(self, name):
        loss, labels = LOSSES[name]
        metric = MaskedMean(loss)
        for rows in (slice(0, 3), slice(3, 4), slice(4, 8)):
            metric.update_state(labels[rows], LOGITS[rows])
        assert float(metric.result()) == pytest.approx(float(loss(labels, LOGITS)), rel=1e-5)

    def test_comes_back_from_its_configuration(self, name):
        loss, labels = LOSSES[name]
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert float(again(labels, LOGITS)) == float(loss(labels, LOGITS))


@given(
    hnp.arrays(np.float32, (5, 3), elements=st.floats(-50, 50, width=32)),
    hnp.arrays(np.int64, (5,), elements=st.integers(-1, 2)),
)
@settings(deadline=None, max_examples=40)
def test_gradient_of_cross_entropy_is_softmax_minus_target(logits, labels):
    known = labels >= 0
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = CrossEntropyLoss()(labels, logits)
    found = tape.gradient(value, logits).numpy()
    expected = np.zeros((5, 3))
    if known.any():
        softmax = np.exp(log_softmax(logits.numpy().astype(float), axis=1))
        expected[known] = (softmax - np.eye(3)[np.maximum(labels, 0)])[known] / known.sum()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_accuracy_counts_labelled_examples_only():
    metric = MaskedAccuracy()
    metric.update_state(LABELS[:4], LOGITS[:4])
    metric.update_state(LABELS[4:], LOGITS[4:])
    assert float(metric.result()) == pytest.approx((LOGITS.argmax(1) == LABELS)[KNOWN].mean())
    empty = MaskedAccuracy()
    empty.update_state(np.array([-1, -1]), LOGITS[:2])
    assert float(empty.result()) == 0.0


def test_balanced_weights_are_scikit_learns():
    labels = np.array([0] * 10 + [2] * 3 + [3])
    expected = compute_class_weight("balanced", classes=np.array([0, 2, 3]), y=labels)
    found = balanced_weights(np.bincount(labels, minlength=5))
    np.testing.assert_allclose(np.array(found)[[0, 2, 3]], expected)
    assert found[1] == found[4] == 1.0
