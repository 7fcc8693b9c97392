"""Transformed examples to batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import tensorflow as tf

from modules.examples import PRESENT, transformed
from modules.features import Feature, image_feature, without_towers
from modules.features.base import FeatureSettings
from modules.objectives import Objective
from modules.training.image_data import augmented_inputs, decoder, fits_in_memory

_P = ParamSpec("_P")
_T = TypeVar("_T")

CACHE_BYTES = 256 * 2**20
"""Files below this size in all are kept in memory (uncompressed, as serialised examples) after the first epoch."""


def input_spec(features: Mapping[str, FeatureSettings]) -> dict[str, Any]:
    """How a transformed example's model inputs are parsed."""
    return {
        key: tensor_spec
        for name, feature in features.items()
        for key, tensor_spec in feature.example_spec(name).items()
    }


def label_spec(objectives: Mapping[str, Objective]) -> dict[str, Any]:
    """How a transformed example's labels are parsed."""
    return {key: spec for name, objective in objectives.items() for key, spec in objective.label_spec(name).items()}


def dense_inputs(parsed: Mapping[str, Any], features: Mapping[str, FeatureSettings]) -> dict[str, tf.Tensor]:
    """Parsed (or freshly transformed) features as the model takes them: token ids padded with -1, pictures decoded."""
    return {
        key: tensor for name, feature in features.items() for key, tensor in feature.to_inputs(name, parsed).items()
    }


def targets(
    parsed: Mapping[str, Any], objectives: Mapping[str, Objective], classes: Mapping[str, int]
) -> dict[str, tf.Tensor]:
    """What the losses take, by objective."""
    return {name: objective.targets(name, parsed, classes[name]) for name, objective in objectives.items()}


def _as_it_is(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Of a function that does not branch on tensors: to rewrite it, and all that it calls, takes a second or two."""
    unchanged: Callable[_P, _T] = tf.autograph.experimental.do_not_convert(function)
    return unchanged


def label_batches(
    files: Sequence[str], objectives: Mapping[str, Objective], classes: Mapping[str, int], *, batch_size: int = 4096
) -> tf.data.Dataset:
    """The targets of :func:`batches` alone, without the cost of its inputs."""
    spec = label_spec(objectives)
    records = tf.data.TFRecordDataset(tf.constant(sorted(files), tf.string), compression_type="GZIP", buffer_size=2**20)

    @_as_it_is
    def parse(serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        return targets(tf.io.parse_example(serialised, spec), objectives, classes)

    return records.batch(batch_size).map(parse, num_parallel_calls=2)


def _records(
    files: Sequence[str], shuffle_seed: int | None, resample_seed: int | None, *, keep: bool
) -> tf.data.Dataset:
    """Serialised examples of all files; ``keep``: in memory after the first pass, if they are few."""
    ordered = sorted(files)
    if not ordered:
        return tf.data.Dataset.from_tensor_slices(tf.constant([], tf.string))

    @_as_it_is
    def read(name: tf.Tensor) -> Any:
        records = tf.data.TFRecordDataset(name, compression_type="GZIP", buffer_size=2**20)
        if resample_seed is None:
            return records
        # The folder's name differs from run to run; the file's own does not.
        file_seed = tf.strings.to_hash_bucket_fast(tf.strings.split(name, "/")[-1], 2**31)

        def repeat(number: tf.Tensor, block: Any) -> Any:
            seed = tf.stack([file_seed + resample_seed, number])
            return tf.repeat(block, tf.random.stateless_poisson(tf.shape(block), seed, 1.0, tf.int32))

        return records.batch(1024).enumerate().map(repeat).unbatch()

    names = tf.data.Dataset.from_tensor_slices(tf.constant(ordered))
    # gzip shrinks these files about fourfold.
    few = sum(tf.io.gfile.stat(name).length for name in ordered) * 4 <= CACHE_BYTES
    if shuffle_seed is not None and not few:
        names = names.shuffle(len(ordered), seed=shuffle_seed)
        return names.interleave(read, cycle_length=8, block_length=16, deterministic=True)
    records = names.flat_map(read)
    return records.cache() if keep and few else records


def batches(
    files: Sequence[str],
    features: Mapping[str, Feature],
    objectives: Mapping[str, Objective],
    classes: Mapping[str, int],
    *,
    batch_size: int,
    shuffle_seed: int | None = None,
    resample_seed: int | None = None,
    examples: int | None = None,
    augment_seed: int | None = None,
    pictured: bool = False,
    once: bool = False,
) -> tf.data.Dataset:
    """Batches of (model inputs, targets) out of gzipped TFRecord files.

    With ``shuffle_seed``, another order every time it is iterated, the same orders for the same seed; in a catalogue
    larger than the shuffle buffer the files are interleaved as well. With ``resample_seed`` each example occurs as
    often as a Poisson(1) number says, always the same: the bootstrap of streams, whose size differs from the
    original's by its square root (Oza, Russell 2001).

    Pictures are decoded once and kept as pixels where those of all ``examples`` fit into memory
    (:data:`modules.training.image_data.PIXEL_BYTES`), else in every epoch. With ``augment_seed`` they are changed at
    random, after that and otherwise in every epoch. ``pictured``: only products that have one.

    ``once``: for a single pass, for which nothing is kept.
    """
    image = image_feature(features)
    columns = without_towers(features)
    spec = {**input_spec(columns), **label_spec(objectives)}
    shuffled = shuffle_seed is not None
    records = _records(files, shuffle_seed, resample_seed, keep=image is None and not once)
    buffer = 100_000
    if image is None:
        records = records.map(lambda serialised: (serialised, {}))
    else:
        records = records.map(decoder(*image), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        if pictured:
            records = records.filter(lambda _, pixels: pixels[transformed(image[0], PRESENT)][0] > 0.0)
        if not fits_in_memory(image[1], examples):
            buffer = 4096
        elif not once:
            records = records.cache()
    if shuffled:
        records = records.shuffle(buffer, seed=shuffle_seed)

    @_as_it_is
    def parse(serialised: tf.Tensor, pixels: Any) -> Any:
        parsed = tf.io.parse_example(serialised, spec)
        return {**dense_inputs(parsed, columns), **pixels}, targets(parsed, objectives, classes)

    dataset = records.batch(batch_size).map(parse, num_parallel_calls=2, deterministic=True)
    if image is not None and augment_seed is not None:
        dataset = augmented_inputs(dataset, *image, augment_seed)
    return dataset.prefetch(4)
