"""What every loss promises, tried on all of them alike."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import modules.losses
from modules.losses import loss_named
from modules.objectives import ExclusiveObjective, MultiLabelObjective
from modules.settings.losses import LOSSES

CLASSES = 3
OBJECTIVES = {
    name: ExclusiveObjective(loss=name) if facts.single_label else MultiLabelObjective(loss=name)
    for name, facts in LOSSES.items()
}


def labels_of(name: str, rng: np.random.Generator) -> np.ndarray:
    shape = (8, CLASSES) if OBJECTIVES[name].kind == "multi_label" else (8,)
    return rng.integers(0, 2, shape) if len(shape) == 2 else rng.integers(0, CLASSES, shape)


def test_every_loss_is_a_file_of_its_name() -> None:
    files = {file.stem for file in Path(str(modules.losses.__file__)).parent.glob("*.py")}
    assert files - {"__init__", "base"} == set(LOSSES)
    with pytest.raises(KeyError):
        loss_named("os")


@pytest.mark.parametrize("name", LOSSES)
def test_what_has_no_label_adds_nothing_and_moves_nothing(name: str) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(3)
    loss, labels = loss_named(name).keras_loss(OBJECTIVES[name]), labels_of(name, rng)
    logits = tf.Variable(rng.normal(size=(8, CLASSES)).astype(np.float32))
    some = labels.copy()
    some[5:] = -1
    with tf.GradientTape() as tape:
        value = loss(some, logits)
    gradient = tape.gradient(value, logits).numpy()
    assert np.isfinite(gradient).all() and not gradient[5:].any() and gradient[:5].any(axis=1).all()
    np.testing.assert_allclose(value, loss(labels[:5], logits[:5]), rtol=1e-6)
    assert float(loss(np.full_like(labels, -1), logits)) == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_it_is_written_and_read_back(name: str) -> None:
    rng = np.random.default_rng(4)
    loss = loss_named(name).keras_loss(OBJECTIVES[name], [1.0, 2.0, 0.5])
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    labels, logits = labels_of(name, rng), rng.normal(size=(8, CLASSES)).astype(np.float32)
    assert float(again(labels, logits)) == float(loss(labels, logits))


@pytest.mark.parametrize("name", [name for name, facts in LOSSES.items() if facts.exact])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_exact_solver_separates_what_can_be_separated(name: str, classes: int) -> None:
    if OBJECTIVES[name].kind == "multi_label":
        classes = 2
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(classes), 20)
    matrix = (np.eye(classes)[labels] * 4 + rng.normal(size=(len(labels), classes)) * 0.3).astype(np.float32)
    weights, intercepts = loss_named(name).fit_liblinear(matrix, labels, balanced=False, c=1.0, seed=1)
    assert weights.shape == (1 if classes == 2 else classes, classes) and intercepts.shape == (len(weights),)
    scores = matrix @ weights.T + intercepts
    answers = scores.argmax(axis=1) if classes > 2 else (scores[:, 0] > 0).astype(int)
    assert (answers == labels).all()
