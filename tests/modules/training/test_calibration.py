"""Calibration is fitted on the right rows, and what leaves the model is calibrated."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax

from modules.models.build import build_model
from modules.objectives import ExclusiveObjective, MultiLabelObjective
from modules.objectives.base import LEAST_LABELS
from modules.training.calibration import Calibration, calibrate
from modules.training.export import ServingModule
from modules.training.gather import Committee
from modules.training.run import input_sizes
from tests.modules.training.shared import class_counts, classes

RNG = np.random.default_rng(11)
OBJECTIVES = {"exclusive": ExclusiveObjective(), "rule_based": MultiLabelObjective()}


def overconfident(n: int) -> tuple[dict, dict]:
    labels = RNG.integers(0, 4, n)
    logits = 8.0 * (np.eye(4)[labels] + RNG.normal(0, 0.8, (n, 4)))
    hidden = labels.copy()
    hidden[::3] = -1
    pairs = RNG.choice([-1.0, 0.0, 1.0], (n, 2))
    return {"exclusive": logits, "rule_based": RNG.normal(size=(n, 2))}, {"exclusive": hidden, "rule_based": pairs}


def test_temperature_is_the_one_with_the_least_cross_entropy_on_labelled_rows():
    logits, targets = overconfident(300)
    found = calibrate(logits, targets, OBJECTIVES, 10).temperature["exclusive"]
    known = targets["exclusive"] >= 0
    z, y = logits["exclusive"][known], targets["exclusive"][known]
    rows, doubt = np.arange(len(y)), 1 / (len(y) + 2)
    other = np.where(np.eye(4)[y] > 0, -np.inf, z).argmax(axis=1)

    def loss(temperature: float) -> float:
        likely = log_softmax(z / temperature, axis=1)
        return -((1 - doubt) * likely[rows, y] + doubt * likely[rows, other]).mean()

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded")
    assert found == pytest.approx(best.x, rel=1e-3) and found > 1.5


@pytest.mark.parametrize(("loss", "expected"), [("cross_entropy", 1.0), ("squared_hinge", 0.25)])
def test_too_few_labels_leave_the_temperature_of_the_loss(loss, expected):
    logits, targets = overconfident(300)
    known = np.flatnonzero(targets["exclusive"] >= 0)
    targets["exclusive"][known[LEAST_LABELS - 1 :]] = -1
    objectives = {"exclusive": ExclusiveObjective(loss=loss)}
    assert calibrate(logits, targets, objectives, 10).temperature["exclusive"] == expected
    assert Calibration.before_eval(objectives).temperature == {"exclusive": expected}


def test_thresholds_have_the_best_f1_on_known_pairs():
    n = 400
    labels = RNG.choice([-1.0, 0.0, 1.0], (n, 2))
    logits = RNG.normal(0, 1, (n, 2)) + 1.5 * (labels > 0) - 2.0
    objectives = {"rule_based": MultiLabelObjective()}
    found = calibrate({"rule_based": logits}, {"rule_based": labels}, objectives, 10).thresholds["rule_based"]
    for index, threshold in enumerate(found):
        known = labels[:, index] >= 0
        scores, yes = expit(logits[known, index]), labels[known, index] > 0

        def f1(cut, scores=scores, yes=yes):
            return 2 * ((scores >= cut) & yes).sum() / ((scores >= cut).sum() + yes.sum())

        assert f1(threshold) == pytest.approx(max(f1(score) for score in scores))


def test_no_labels_at_all():
    logits = {"exclusive": np.zeros((3, 4)), "rule_based": np.zeros((3, 2))}
    targets = {"exclusive": np.full(3, -1), "rule_based": np.full((3, 2), -1.0)}
    found = calibrate(logits, targets, OBJECTIVES, 10)
    assert found == Calibration({"exclusive": 1.0}, {"rule_based": [0.5, 0.5]})


def test_what_leaves_the_model_is_calibrated(built):
    settings = built.settings(model={"kind": "deep", "hidden": [8], "dropout": 0.0})
    keras.utils.set_random_seed(3)
    model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
    layer = built.transform.transform_features_layer()
    cuts = [0.3, 0.5, 0.999999, 0.0, 1.0, 0.52]

    def module(calibration):
        spec = built.transform.raw_feature_spec()
        return ServingModule(Committee([model], model, [0], calibration), layer, spec, settings, classes())

    raw = tf.constant(built.raw("eval"))
    plain, warm = module(Calibration()), module(Calibration({"exclusive": 4.0}, {"rule_based": cuts}))
    before, after = plain.evaluate(raw), warm.evaluate(raw)
    logits = np.log(before["exclusive/probabilities"].numpy().astype(float))
    np.testing.assert_allclose(after["exclusive/probabilities"], softmax(logits / 4.0, axis=1), atol=1e-5)
    # Shifted so that the threshold lies at 0.5.
    raw_probabilities = before["rule_based/probabilities"].numpy()
    np.testing.assert_array_equal(after["rule_based/probabilities"].numpy() >= 0.5, raw_probabilities >= cuts)
    predicted = {k: v.numpy() for k, v in warm.predict(raw).items()}
    top = predicted["rule_based/classes"]
    at = np.take_along_axis(raw_probabilities, top, axis=1)
    np.testing.assert_array_equal(predicted["rule_based/assigned"], (at >= np.array(cuts)[top]).astype(int))
    np.testing.assert_allclose(predicted["rule_based/probabilities"], at, atol=1e-6)
    # Over its threshold of 0 category 3 is always among the first.
    assert ((top == 3) & (predicted["rule_based/assigned"] == 1)).any(axis=1).all()
