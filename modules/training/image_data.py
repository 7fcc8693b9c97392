"""Pictures in the input pipeline: decoded in parallel, kept as pixels where they fit, changed at random after that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from modules.examples import PICTURE_BYTES, PIXELS, PRESENT, transformed
from modules.features.image import ImageFeature
from modules.vision.augmentation import augmented
from modules.vision.decoding import decode_picture, is_picture

PIXEL_BYTES = 2**30
"""Decoded pictures below this size in all are kept in memory after the first epoch."""


def fits_in_memory(feature: ImageFeature, examples: int | None) -> bool:
    """Whether the pixels of so many products are kept; not if their number is not known."""
    height, width = feature.size
    return examples is not None and examples * height * width * 3 <= PIXEL_BYTES


def count_pictures(files: Sequence[str], name: str) -> int:
    """How many of the transformed examples have a picture; nothing is decoded."""
    spec = {transformed(name, PICTURE_BYTES): tf.io.FixedLenFeature([], tf.string)}

    def count(serialised: tf.Tensor) -> tf.Tensor:
        pictures = is_picture(tf.io.parse_example(serialised, spec)[transformed(name, PICTURE_BYTES)])
        return tf.math.count_nonzero(pictures)

    records = tf.data.TFRecordDataset(tf.constant(sorted(files), tf.string), compression_type="GZIP", buffer_size=2**20)
    counts = records.batch(256).map(count, num_parallel_calls=2)
    return int(counts.reduce(np.int64(0), lambda total, batch_count: total + batch_count))


def decoder(name: str, feature: ImageFeature) -> Callable[[tf.Tensor], tuple[tf.Tensor, dict[str, Any]]]:
    """Maps a serialised transformed example to itself and its decoded picture, which are the model's inputs."""
    spec = {transformed(name, PICTURE_BYTES): tf.io.FixedLenFeature([], tf.string)}

    def decode(serialised: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        pixels, present = decode_picture(
            tf.io.parse_single_example(serialised, spec)[transformed(name, PICTURE_BYTES)], *feature.size
        )
        return serialised, {transformed(name, PIXELS): pixels, transformed(name, PRESENT): present}

    return decode


def with_seeds(data: tf.data.Dataset, seed: int) -> tf.data.Dataset:
    """Pairs of a random seed, int64 (2,), and an element; each epoch has its own, the same for the same ``seed``."""
    seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)
    return tf.data.Dataset.zip(seeds, data)


def augmented_inputs(data: tf.data.Dataset, name: str, feature: ImageFeature, seed: int) -> tf.data.Dataset:
    """The same batches of (inputs, ...) with their pictures changed at random; a missing one stays zeros."""
    settings = feature.augmentation
    if settings is None:
        return data

    def change(seeds: tf.Tensor, batch: tuple[dict[str, Any], ...]) -> tuple[Any, ...]:
        inputs, *rest = batch
        present = inputs[transformed(name, PRESENT)][:, :, None, None]
        pixels = augmented(inputs[transformed(name, PIXELS)], settings, seeds) * present
        return ({**inputs, transformed(name, PIXELS): pixels}, *rest)

    return with_seeds(data, seed).map(change, num_parallel_calls=2, deterministic=True)
