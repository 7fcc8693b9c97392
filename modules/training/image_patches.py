"""The image tower of ``backbone: patches``: its weights found, and what heads learn from the same pictures."""

from __future__ import annotations

import hashlib

import keras
import numpy as np
import tensorflow as tf

from modules.examples import PIXELS, transformed
from modules.features import image_feature
from modules.settings.image_training import AugmentationSettings
from modules.training.image_columns import Embed, embedder
from modules.training.task import TrainingTask
from modules.vision.augmentation import augmented
from modules.vision.networks import tower_name
from modules.vision.regression_fit import fit_by_regression


def start_patches(model: keras.Model, task: TrainingTask, data: tf.data.Dataset) -> Embed | None:
    """Finds the weights of the model's image tower, in place, from the labelled pictures of ``data``.

    Args:
      data: batches of (inputs, targets) in random order, all with a picture.

    Returns:
      How to embed these pictures for what learns from them: as if each had been left out. None without any label.
    """
    image = image_feature(task.features)
    assert image is not None
    (name, feature), classes, report = image, task.sizes.classes, task.report
    pictures: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    count, limit = 0, feature.patches.pictures
    for inputs, labels in data.as_numpy_iterator():
        rows = np.concatenate(
            [_indicators(labels[objective], classes[objective]) for objective in task.objectives], axis=1
        )
        known = ~np.isnan(rows).all(axis=1)
        pictures.append(inputs[transformed(name, PIXELS)][known].astype(np.uint8))
        targets.append(rows[known])
        count += int(known.sum())
        if count >= limit:
            break
    if not count:
        return None
    pixels, wanted = one_each(np.concatenate(pictures)[:limit], np.concatenate(targets)[:limit])
    # What is not known is the mean, which says nothing.
    counts = np.maximum((~np.isnan(wanted)).sum(axis=0), 1)
    wanted = np.where(np.isnan(wanted), np.nansum(wanted, axis=0) / counts, wanted).astype(np.float32)
    copies: list[np.ndarray] = []
    if feature.augmentation is not None:
        copies = [changed(pixels, feature.augmentation, task.seed, copy) for copy in range(feature.patches.copies)]
    total = len(feature.patches.scales) + 1 + (feature.weights_file is not None)
    steps = iter(range(1, total + 1))
    vectors = fit_by_regression(
        model.get_layer(tower_name(name)), pixels, wanted, ridge=feature.patches.ridge, seed=task.seed,
        encoder_share=feature.patches.encoder.share, copies=copies,
        report=None if report is None else lambda text: report(next(steps), total, f"pictures: {text}"),
    )  # fmt: skip
    return left_out(embedder(model, name), pixels, vectors)


def changed(pictures: np.ndarray, settings: AugmentationSettings, seed: int, number: int) -> np.ndarray:
    """Copies of all pictures, uint8, changed at random; another ``number``, other changes."""
    copies = np.empty_like(pictures)
    for at in range(0, len(pictures), 256):
        some = augmented(tf.constant(pictures[at : at + 256]), settings, tf.constant([seed + at, number], tf.int64))
        copies[at : at + 256] = tf.cast(tf.round(some), tf.uint8)
    return copies


def one_each(pictures: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each different picture once, in order of appearance, with the mean of what is known of it.

    Shops share pictures, and a bootstrap resample repeats them: what is left out has to be left out everywhere.

    Args:
      pictures: uint8 (n, height, width, 3).
      targets: float32 (n, columns), NaN where not known.
    """
    place: dict[bytes, int] = {}
    which = np.array([place.setdefault(_digest(picture), len(place)) for picture in pictures])
    first = np.unique(which, return_index=True)[1]
    known = ~np.isnan(targets)
    sums, counts = (np.zeros((len(place), targets.shape[1]), np.float32) for _ in range(2))
    np.add.at(sums, which, np.where(known, targets, 0.0))
    np.add.at(counts, which, known)
    return pictures[first], np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def left_out(embed: Embed, pictures: np.ndarray, vectors: np.ndarray) -> Embed:
    """Known pictures to their vectors (rows of ``vectors``), all others by ``embed``."""
    known = {_digest(picture): row for row, picture in enumerate(pictures)}

    def call(pixels: np.ndarray) -> np.ndarray:
        rows = np.array([known.get(_digest(picture), -1) for picture in pixels.astype(np.uint8)], np.int64)
        vectors_of_pixels = vectors[np.maximum(rows, 0)]
        if (rows < 0).any():
            vectors_of_pixels[rows < 0] = embed(pixels[rows < 0])
        return vectors_of_pixels

    return call


def _digest(picture: np.ndarray) -> bytes:
    return hashlib.blake2b(picture.tobytes(), digest_size=16).digest()


def _indicators(labels: np.ndarray, count: int) -> np.ndarray:
    """Targets of one objective as (batch, classes): 1 yes, 0 no, NaN not known."""
    if labels.ndim == 2:
        return np.where(labels < 0, np.nan, labels).astype(np.float32)
    rows = (labels[:, None] == np.arange(count)).astype(np.float32)
    rows[labels < 0] = np.nan
    return rows
