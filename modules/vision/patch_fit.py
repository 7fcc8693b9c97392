"""Finds the weights of :mod:`modules.vision.patches` in closed form: patterns from pictures, a regression on labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from modules.arrays import Float16Array, Float32Array, Uint8Array
from modules.vision.patches import PROJECTION, STILL, PatchHistogram
from modules.vision.ridge import regression

PATCHES = 40_000
SAMPLE = 2_000
"""Patches drawn, and pictures they are drawn from, at most."""
ROUNDS = 10
"""The number of k-means iterations."""
WHITENING = 0.05
"""Added to the patches' variances: directions of mere noise stay small."""
PLAIN = 0.02
"""Deviation (of pixels in [0, 1]) below which a patch shows nothing."""

Report = Callable[[str], None]


def fit_patch_network(
    tower: keras.Model,
    pictures: Uint8Array,
    targets: Float32Array,
    *,
    ridge: float,
    seed: int,
    copies: Sequence[Uint8Array] = (),
    report: Report | None = None,
) -> Float32Array:
    """Sets the weights of a tower of ``backbone: patches``, in place.

    The regression fits the pictures that it has seen almost exactly, so their embeddings promise more than those of
    other pictures hold. What learns from them should take the returned ones, each as if its picture had been left out.

    Args:
      pictures: uint8 (n, height, width, 3).
      targets: (n, columns), what to regress on; its mean is taken away.
      copies: of all pictures in their order, changed at random, to learn from as well.

    Returns:
      float32 (n, width), rows of unit length: the pictures' leave-one-out embeddings.
    """
    rng = np.random.default_rng(seed)
    say = report or (lambda _: None)
    parts: list[Float16Array] = []
    rows = len(pictures) * (1 + len(copies))
    kernel = np.zeros((rows, rows), np.float32)
    for layer in tower.layers:
        if isinstance(layer, PatchHistogram):
            layer.set_weights(dictionary(pictures, layer, rng))
            patch_histograms = np.concatenate(
                [histograms(layer, copy).astype(np.float16) for copy in (pictures, *copies)]
            )
            _add_products(kernel, patch_histograms)
            parts.append(patch_histograms)
            say(layer.name.replace("_", " "))
    dual, left_out = regression(kernel, targets - targets.mean(axis=0), ridge * len(parts))
    del kernel
    projection = tower.get_layer(PROJECTION)
    rotation = _rotation(left_out, projection.kernel.shape[1])
    turned = dual @ rotation
    weights = [part[:, at : at + 8192].astype(np.float32).T @ turned for part in parts for at in _blocks(part.shape[1])]
    projection.set_weights([np.concatenate(weights)])
    say("regression")
    return _unit(left_out @ rotation)


def _rotation(values: Float32Array, width: int) -> Float32Array:
    """Orthonormal columns that keep what varies most: (columns, width), zeros beyond the columns."""
    directions = np.linalg.eigh(values.T.astype(np.float64) @ values)[1][:, ::-1]
    rotation = np.zeros((values.shape[1], width), np.float32)
    rotation[:, : min(width, directions.shape[1])] = directions[:, :width]
    return rotation


def _add_products(kernel: Float32Array, rows: Float16Array) -> None:
    """Adds all inner products of rows."""
    for at in _blocks(rows.shape[1]):
        some = rows[:, at : at + 8192].astype(np.float32)
        kernel += some @ some.T


def _blocks(size: int) -> range:
    return range(0, size, 8192)


def histograms(layer: PatchHistogram, pictures: Uint8Array, batch: int = 64) -> Float32Array:
    """What the layer makes of all pictures; float32 (pictures, inputs)."""
    call = tf.function(layer.__call__, reduce_retracing=True)
    values = np.empty((len(pictures), layer.compute_output_shape(pictures.shape)[1]), np.float32)
    for at in range(0, len(pictures), batch):
        values[at : at + batch] = call(tf.constant(pictures[at : at + batch])).numpy()
    return values


def dictionary(pictures: Uint8Array, layer: PatchHistogram, rng: np.random.Generator) -> list[np.ndarray]:
    """Kernel and offset of the layer: whitening and the patterns in one linear map."""
    patches = _drawn(pictures, layer, rng)
    patches = patches[patches.std(axis=1) > PLAIN]
    if len(patches) == 0:  # every picture is plain
        return [np.zeros(weight.shape, np.float32) for weight in layer.weights]
    patches -= patches.mean(axis=1, keepdims=True)
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + STILL**2)
    mean = patches.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(patches - mean, rowvar=False))
    whiten = ((directions / np.sqrt(np.maximum(variances, 0.0) + WHITENING)) @ directions.T).astype(np.float32)
    patterns = spherical_k_means(_unit((patches - mean) @ whiten), layer.patterns, rng)
    kernel = whiten @ patterns.T
    offset = mean @ kernel
    kernel -= kernel.mean(axis=0)
    return [kernel.reshape(layer.kernel.shape).astype(np.float32), offset.astype(np.float32)]


def _drawn(pictures: Uint8Array, layer: PatchHistogram, rng: np.random.Generator) -> Float32Array:
    """Patches from anywhere in some pictures, as the layer prepares them; float32 (patches, side * side * 3)."""
    some = pictures[rng.permutation(len(pictures))[:SAMPLE]]
    batches = [some[at : at + 256] for at in range(0, len(some), 256)]
    values = np.concatenate([keras.ops.convert_to_numpy(layer.prepared(batch)) for batch in batches])
    count, height, width, _ = values.shape
    side = layer.patch
    which = rng.integers(0, count, PATCHES)[:, None, None]
    top = rng.integers(0, height - side + 1, PATCHES)[:, None, None] + np.arange(side)[:, None]
    left = rng.integers(0, width - side + 1, PATCHES)[:, None, None] + np.arange(side)
    return values[which, top, left].reshape(PATCHES, -1)


def spherical_k_means(vectors: Float32Array, count: int, rng: np.random.Generator) -> Float32Array:
    """Directions (count, width) of unit length, each the mean of the vectors nearest to it by cosine."""
    centres = vectors[rng.choice(len(vectors), count, replace=len(vectors) < count)]
    for _ in range(ROUNDS):
        nearest = (vectors @ centres.T).argmax(axis=1)
        order = np.argsort(nearest, kind="stable")
        first = np.flatnonzero(np.diff(nearest[order], prepend=-1))
        sums = np.zeros_like(centres)
        sums[nearest[order][first]] = np.add.reduceat(vectors[order], first, axis=0)
        empty = np.linalg.norm(sums, axis=1) < 1e-6
        sums[empty] = vectors[rng.choice(len(vectors), int(empty.sum()))]
        centres = _unit(sums)
    return centres


def _unit(vectors: Float32Array) -> Float32Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-6)).astype(np.float32)
