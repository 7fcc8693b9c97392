"""Finds the weights of :mod:`modules.vision.patches`: patterns from pictures, without labels."""

from __future__ import annotations

import keras
import numpy as np

from modules.arrays import Float32Array, Uint8Array
from modules.vision.patches import STILL, PatchHistogram

PATCHES = 40_000
SAMPLE = 2_000
"""Patches drawn, and pictures they are drawn from, at most."""
ROUNDS = 10
"""The number of k-means iterations."""
WHITENING = 0.05
"""Added to the patches' variances: directions of mere noise stay small."""
PLAIN = 0.02
"""Deviation (of pixels in [0, 1]) below which a patch shows nothing."""


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
    patterns = spherical_k_means(unit((patches - mean) @ whiten), layer.patterns, rng)
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
        centres = unit(sums)
    return centres


def unit(vectors: Float32Array) -> Float32Array:
    """Rows of unit length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-6)).astype(np.float32)
