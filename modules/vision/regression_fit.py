"""Towers whose last layer is a ridge regression on labels, found in closed form, on blocks of fixed features.

A block is what a layer gives for a picture: rows of unit length. Its own weights come from the pictures without labels:
patterns of patches (:mod:`modules.vision.patch_fit`), or the mean of a pretrained network's features
(:mod:`modules.vision.depths`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from modules.arrays import Float16Array, Float32Array, Uint8Array
from modules.settings.image_training import PatchSettings
from modules.vision.depths import CentredUnit, centre, encoder_blocks
from modules.vision.patch_fit import dictionary, unit
from modules.vision.patches import PatchHistogram, patch_blocks
from modules.vision.ridge import regression

PROJECTION = "regression"
WIDTH = 128
"""The width of the embedding where the feature sets none."""
BATCH = 64
BLOCK = 8192
"""Columns of features that are in float32 at a time."""

Report = Callable[[str], None]


def regression_network(pixels: Any, settings: PatchSettings, encoder: str | None, width: int, seed: int) -> Any:
    """Pixels (batch, height, width, 3) in [0, 255] to embeddings (batch, width): patches, an encoder, or both.

    Args:
      encoder: its folder, if there is one.

    Raises:
      InputError: the encoder cannot be read.
    """
    blocks = patch_blocks(pixels, settings, seed)
    if encoder is not None:
        blocks += encoder_blocks(pixels, encoder, settings.encoder)
    values = blocks[0] if len(blocks) == 1 else keras.layers.Concatenate(name="blocks")(blocks)
    start = keras.initializers.GlorotNormal(seed)
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer=start, trainable=False, dtype="float32", name=PROJECTION
    )(values)


def fit_by_regression(
    tower: keras.Model,
    pictures: Uint8Array,
    targets: Float32Array,
    *,
    ridge: float,
    seed: int,
    encoder_share: float = 0.3,
    copies: Sequence[Uint8Array] = (),
    report: Report | None = None,
) -> Float32Array:
    """Sets the weights of a tower with :func:`regression_network` in it, in place.

    The kernel is the weighted mean of the blocks' inner products. The regression fits the pictures that it has seen
    almost exactly, so their embeddings promise more than those of other pictures hold. What learns from them should
    take the returned ones, each as if its picture had been left out.

    Args:
      pictures: uint8 (n, height, width, 3).
      targets: (n, columns), what to regress on; its mean is taken away.
      encoder_share: weight of an encoder's blocks together, where there are patches as well; in (0, 1).
      copies: of all pictures in their order, changed at random, to learn from as well.
      report: told of each part that is done: each scale of patches, the encoder, the regression.

    Returns:
      float32 (n, width), rows of unit length: the pictures' leave-one-out embeddings.
    """
    say = report or (lambda _: None)
    shares = block_shares(tower, encoder_share)
    rows = len(pictures) * (1 + len(copies))
    kernel = np.zeros((rows, rows), np.float32)
    parts: list[Float16Array] = []
    blocks = chain(_patch_rows(tower, pictures, copies, seed, say), _encoder_rows(tower, pictures, copies, say))
    for share, values in zip(shares, blocks, strict=True):
        _add_products(kernel, values, share)
        parts.append(values)
    dual, left_out = regression(kernel, targets - targets.mean(axis=0), ridge)
    del kernel
    projection = tower.get_layer(PROJECTION)
    rotation = _rotation(left_out, projection.kernel.shape[1])
    turned = dual @ rotation
    weights = [
        share * (part[:, at : at + BLOCK].astype(np.float32).T @ turned)
        for share, part in zip(shares, parts, strict=True)
        for at in range(0, part.shape[1], BLOCK)
    ]
    projection.set_weights([np.concatenate(weights)])
    say("regression")
    return unit(left_out @ rotation)


def block_shares(tower: keras.Model, encoder_share: float) -> list[float]:
    """The weight of each block in the kernel, in their order; their sum is 1."""
    patches, centred = _layers(tower, PatchHistogram), _layers(tower, CentredUnit)
    share = encoder_share if patches and centred else float(bool(centred))
    return [(1 - share) / len(patches) for _ in patches] + [share / len(centred) for _ in centred]


def _layers(tower: keras.Model, kind: type) -> list[Any]:
    return [layer for layer in tower.layers if isinstance(layer, kind)]


def _patch_rows(
    tower: keras.Model, pictures: Uint8Array, copies: Sequence[Uint8Array], seed: int, say: Report
) -> Iterator[Float16Array]:
    """Finds each scale's patterns; yields its features of the pictures and their copies."""
    rng = np.random.default_rng(seed)
    for layer in _layers(tower, PatchHistogram):
        layer.set_weights(dictionary(pictures, layer, rng))
        yield np.concatenate([rows_of(layer, some)[0] for some in (pictures, *copies)])
        say(layer.name.replace("_", " "))


def _encoder_rows(
    tower: keras.Model, pictures: Uint8Array, copies: Sequence[Uint8Array], say: Report
) -> Iterator[Float16Array]:
    """Finds the mean of each output's features; yields them centred, of the pictures and their copies.

    The network looks at each picture once, for all outputs.
    """
    layers: list[CentredUnit] = _layers(tower, CentredUnit)
    if not layers:
        return
    network = keras.Model(tower.input, [layer.input for layer in layers])
    # What is left when the mean is gone is too little for float16.
    rows = [rows_of(network, some, np.float32) for some in (pictures, *copies)]
    centre(layers, rows[0])
    say("encoder")
    for number, layer in enumerate(layers):
        yield np.concatenate([rows_of(layer, some[number])[0] for some in rows])


def rows_of(network: Any, values: np.ndarray, dtype: type = np.float16) -> list[Any]:
    """What a layer or network makes of all rows of ``values``, in batches: (rows, width) of the dtype per output."""
    call = tf.function(lambda some: network(some, training=False), reduce_retracing=True)
    outputs: list[np.ndarray] = []
    for at in range(0, len(values), BATCH):
        given = call(tf.cast(values[at : at + BATCH], tf.float32))
        given = given if isinstance(given, (list, tuple)) else [given]
        if not outputs:
            outputs = [np.empty((len(values), some.shape[1]), dtype) for some in given]
        for output, some in zip(outputs, given, strict=True):
            output[at : at + BATCH] = some.numpy()
    return outputs


def _add_products(kernel: Float32Array, rows: Float16Array, share: float) -> None:
    """Adds all inner products of rows, times ``share``."""
    for at in range(0, rows.shape[1], BLOCK):
        some = rows[:, at : at + BLOCK].astype(np.float32)
        some *= np.float32(np.sqrt(share))
        kernel += some @ some.T


def _rotation(values: Float32Array, width: int) -> Float32Array:
    """Orthonormal columns that keep what varies most: (columns, width), zeros beyond the columns."""
    directions = np.linalg.eigh(values.T.astype(np.float64) @ values)[1][:, ::-1]
    rotation = np.zeros((values.shape[1], width), np.float32)
    rotation[:, : min(width, directions.shape[1])] = directions[:, :width]
    return rotation
