"""How the image tower starts: by heads of its own, without labels, or by its patches."""

from __future__ import annotations

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.features import image_feature
from modules.models.build import build_model
from modules.settings.image_training import AugmentationSettings
from modules.training import image_start
from modules.training.data import batches
from modules.training.image_columns import embedder
from modules.training.image_patches import changed, one_each, start_patches
from modules.training.image_start import small_size, start_images
from modules.training.run import input_sizes, train
from modules.vision.decoding import decode_picture
from modules.vision.networks import tower_name
from tests.modules.training import catalogue
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import IMAGE_KINDS, IMAGE_START, TRAINING, Built, class_counts, task_of
from tests.picture_encoders import random_weights, tiny_picture_encoder, vectors_by_numpy


def start(model, settings, built, **changes):
    """Starts the model's tower on the train split."""
    sizes = input_sizes(settings, built.transform, class_counts())
    start_images(model, settings.training, task_of(settings, sizes, [built.files["train"]], 240, **changes))


@pytest.mark.parametrize("copies", [0, 2])
def test_pictures_by_their_patches(built, tmp_path, copies):
    """Found without training; a picture alone is enough, and so is nothing."""
    patches = {"patterns": 24, "cells": [3, 3], "scales": [[6, 1], [4, 2]], "copies": copies}
    picture = {"kind": "image", "size": [16, 16], "backbone": "patches", "width": 64, "patches": patches}
    changes = {"model": IMAGE_KINDS["linear"]["model"], "training": {"solver": "liblinear", "mixed_precision": "off"}}
    settings = catalogue.workflow(features={"picture": picture}, **changes)
    train(settings, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=str(tmp_path))
    call = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    found = {k: v.numpy() for k, v in call(examples=tf.constant(built.raw("eval"))).items()}
    rows = [i for i, row in enumerate(built.rows["eval"]) if row["image_bytes"]]
    best = found["exclusive/classes"][:, 0]
    assert np.mean([best[i] == built.rows["eval"][i]["truth"] for i in rows]) > 0.9


def test_pictures_by_a_pretrained_encoder(built, tmp_path):
    """Its weights come from the encoder's folder, and the exported model has them without it."""
    encoder = tiny_picture_encoder(tmp_path / "encoder")
    picture = {"kind": "image", "size": [32, 32], "backbone": "efficientnet_lite0", "weights": str(encoder),
               "train": "frozen", "width": None}  # fmt: skip
    changes = {"model": IMAGE_KINDS["linear"]["model"], "training": {"solver": "liblinear", "mixed_precision": "off"}}
    settings = catalogue.workflow(features={"picture": picture}, **changes)
    out = tmp_path / "out"
    train(settings, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=str(out))
    shutil.rmtree(encoder)
    call = tf.saved_model.load(str(out)).signatures["serving_default"]
    given = {k: v.numpy() for k, v in call(examples=tf.constant(built.raw("eval"))).items()}
    rows = [i for i, row in enumerate(built.rows["eval"]) if row["image_bytes"]]
    pictures = [built.rows["eval"][i]["image_bytes"] for i in rows]
    pixels = np.stack([decode_picture(tf.constant(data), 32, 32)[0].numpy() for data in pictures])
    expected = vectors_by_numpy(random_weights("efficientnet_lite0"), pixels)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert (given["embedding"][rows] * expected).sum(axis=1).min() > 0.9999


@pytest.mark.parametrize("scales", [[], [[6, 1]]], ids=["encoder", "encoder and patches"])
def test_pictures_by_the_depths_of_an_encoder(built, tmp_path, scales):
    """The exported model embeds as the tower did in training, without the encoder's folder."""
    folder = tiny_picture_encoder(tmp_path / "encoder")
    patches = {"patterns": 24, "cells": [3, 3], "scales": scales, "ridge": 0.1}
    picture = {"kind": "image", "size": [32, 32], "backbone": "patches", "weights": str(folder), "patches": patches}
    changes = {"model": IMAGE_KINDS["linear"]["model"], "training": {"solver": "liblinear", "mixed_precision": "off"}}
    settings = catalogue.workflow(features={"picture": picture}, **changes)
    out = tmp_path / "out"
    train(settings, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=str(out))
    model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
    start(model, settings, built)
    shutil.rmtree(folder)
    call = tf.saved_model.load(str(out)).signatures["serving_default"]
    given = {k: v.numpy() for k, v in call(examples=tf.constant(built.raw("eval"))).items()}
    rows = [i for i, row in enumerate(built.rows["eval"]) if row["image_bytes"]]
    best = given["exclusive/classes"][:, 0]
    assert np.mean([best[i] == built.rows["eval"][i]["truth"] for i in rows]) > 0.9
    pictures = [built.rows["eval"][i]["image_bytes"] for i in rows]
    pixels = np.stack([decode_picture(tf.constant(data), 32, 32)[0].numpy() for data in pictures])
    vectors = embedder(model, "picture")(pixels)
    np.testing.assert_allclose(given["embedding"][rows] @ given["embedding"][rows].T, vectors @ vectors.T, atol=1e-3)


def test_pictures_that_occur_twice_are_left_out_twice(built):
    patches = {"patterns": 24, "cells": [3, 3], "scales": [[6, 1]]}
    picture = {"kind": "image", "size": [16, 16], "backbone": "patches", "width": 64, "patches": patches}
    changes = {"model": IMAGE_KINDS["linear"]["model"], "training": {"solver": "liblinear", "mixed_precision": "off"}}
    settings = catalogue.workflow(features={"picture": picture}, **changes)
    counts = class_counts()
    data = batches([built.files["train"]], settings.features, settings.objectives, counts, batch_size=50, pictured=True)
    pixels = np.concatenate([inputs["picture/pixels"] for inputs, _ in data.as_numpy_iterator()])
    found = []
    for shown in (data, data.concatenate(data)):
        sizes = input_sizes(settings, built.transform, counts)
        model = build_model(settings, sizes)
        task = task_of(settings, sizes, [built.files["train"]], 240)
        embed = start_patches(model, task, shown)
        found.append(embed(pixels))
    np.testing.assert_allclose(found[1] @ found[1].T, found[0] @ found[0].T, atol=1e-3)


def test_copies_are_changed_by_the_seed_and_their_number():
    pictures = np.random.default_rng(1).integers(0, 256, (300, 8, 8, 3), dtype=np.uint8)
    settings = AugmentationSettings(shift=0.3)
    first = changed(pictures, settings, 5, 0)
    np.testing.assert_array_equal(first, changed(pictures, settings, 5, 0))
    for other in (changed(pictures, settings, 5, 1), changed(pictures, settings, 6, 0), pictures):
        assert (first != other).any(axis=(1, 2, 3)).mean() > 0.9
    still = AugmentationSettings(flip=False, shift=0, zoom=0, brightness=0, contrast=0, saturation=0)
    np.testing.assert_array_equal(changed(pictures, still, 5, 0), pictures)


def test_a_picture_that_occurs_twice_has_the_mean_of_what_is_known():
    pictures = np.arange(4, dtype=np.uint8)[[2, 0, 2, 1, 0]].reshape(5, 1, 1, 1) * np.ones((1, 2, 2, 3), np.uint8)
    nan = np.nan
    targets = np.array([[1, nan, nan], [0, 1, nan], [0, nan, nan], [nan, 0, 1], [0, nan, nan]], np.float32)
    once, means = one_each(pictures, targets)
    assert once[:, 0, 0, 0].tolist() == [2, 0, 1]
    np.testing.assert_array_equal(means, [[0.5, nan, nan], [0, 1, nan], [nan, 0, 1]])


def vectors_of(model: keras.Model, built: Built, settings) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings and categories of the eval products that have a picture."""
    rows = [row for row in built.rows["eval"] if row["image_bytes"]]
    features, objectives = settings.features, settings.objectives
    data = batches([built.files["eval"]], features, objectives, class_counts(), batch_size=80, pictured=True)
    pixels = [inputs["picture/pixels"] for inputs, _ in data]
    return embedder(model, "picture")(np.concatenate(pixels)), np.array([row["truth"] for row in rows])


def neighbours(vectors: np.ndarray, truth: np.ndarray) -> float:
    similarity = vectors @ vectors.T - 2 * np.eye(len(vectors))
    return float((truth[similarity.argmax(axis=1)] == truth).mean())


@pytest.mark.parametrize(
    "changes",
    [
        {"image_start": {**IMAGE_START, "epochs": 4}},
        {"image_start": IMAGE_START, "metric_learning": {"kind": "supervised_contrastive", "weight": 1.0}},
        {"self_supervised": {"epochs": 3, "batch_size": 64}},
    ],
    ids=["heads", "metric", "without labels"],
)
def test_the_towers_start(built, changes):
    settings = built.settings(("picture",), model={"kind": "deep", "hidden": [8]}, training={**TRAINING, **changes})
    model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
    before = vectors_of(model, built, settings)
    seen: list[str] = []
    start(model, settings, built, report=lambda done, total, text: seen.append(text))
    vectors, truth = vectors_of(model, built, settings)
    assert np.abs(vectors - before[0]).max() > 0.1 and np.isfinite(vectors).all()
    assert neighbours(vectors, truth) > (0.7 if "self_supervised" in changes else 0.9)
    assert len(seen) == (4 if changes.get("image_start", {}).get("epochs") == 4 else 3)


def test_a_tower_without_labels_is_the_same_whatever_the_solver(built):
    """``image_start.epochs: 0``: liblinear's heads are fitted on what was found without labels."""
    found, seen = [], []
    for training in (TRAINING, {"solver": "liblinear", "mixed_precision": "off", "image_start": {"epochs": 0}}):
        training = {**training, "self_supervised": {"epochs": 1, "batch_size": 64}}
        settings = built.settings(("picture",), model={"kind": "linear"}, training=training)
        model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
        start(model, settings, built, report=lambda done, total, text: seen.append(text))
        found.append(vectors_of(model, built, settings)[0])
    assert len(seen) == 2 and all(text.startswith("pictures without labels") for text in seen)
    np.testing.assert_allclose(*found, atol=1e-3)


@pytest.mark.parametrize("phase", ["heads", "without labels"])
def test_the_learning_rate_falls_over_the_steps_that_there_are(built, monkeypatch, phase):
    changes = {"image_start": IMAGE_START} if phase == "heads" else {"self_supervised": {"epochs": 3, "batch_size": 32}}
    settings = built.settings(("picture",), model={"kind": "deep", "hidden": [8]}, training={**TRAINING, **changes})
    steps = []
    rate = image_start._rate
    monkeypatch.setattr(image_start, "_rate", lambda highest, count: steps.append(count) or rate(highest, count))
    model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
    start(model, settings, built)
    pictured = sum(bool(row["image_bytes"]) for row in built.rows["train"])
    assert pictured <= 7 * 32 < 240
    assert steps == [3 * -(-pictured // 32)]


def test_a_frozen_tower_without_projection_has_nothing_to_learn(built):
    settings = built.settings(("picture",), **IMAGE_KINDS["linear"])
    name, feature = image_feature(settings.features)
    frozen = feature.model_copy(update={"train": "frozen", "width": None})
    plain = settings.training.model_copy(update={"image_start": None})
    settings = settings.model_copy(update={"features": {name: frozen}, "training": plain})
    model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
    before = [w.copy() for w in model.get_layer(tower_name(name)).get_weights()]
    start(model, settings, built)
    for one, other in zip(before, model.get_layer(tower_name(name)).get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert small_size(frozen) == (10, 10)


def test_a_killed_start_goes_on_where_it_stopped(built, tmp_path):
    settings = built.settings(("picture",), **IMAGE_KINDS["linear"])
    sizes = input_sizes(settings, built.transform, class_counts())

    class Killed(Exception):
        pass

    def killed(done, total, text):
        if done == 2:
            raise Killed

    whole = build_model(settings, sizes)
    start(whole, settings, built)
    with pytest.raises(Killed):
        start(build_model(settings, sizes), settings, built, checkpoints=tmp_path, report=killed)
    resumed = build_model(settings, sizes)
    epochs: list[int] = []
    start(resumed, settings, built, checkpoints=tmp_path, report=lambda done, *_: epochs.append(done))
    assert epochs == [3]
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
