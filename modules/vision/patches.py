"""Pictures described by the patches that occur in them: layers whose weights are found, not trained.

:mod:`modules.vision.patch_fit` finds them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np
from keras import ops

from modules.arrays import Float32Array
from modules.settings.image_training import PatchSettings

STILL = 0.04
"""Added to a patch's variation, as a deviation of pixels in [0, 1]: plain ground does not become a pattern."""
GROUND = 0.8
"""Subtracted from pixels in [0, 1] before squares are summed: float32 keeps small variations of light pictures."""


def patch_blocks(pixels: Any, settings: PatchSettings, seed: int) -> list[Any]:
    """Pixels (batch, height, width, 3) in [0, 255] to one block of features, rows of unit length, per scale."""
    histograms = []
    for patch, shrink in settings.scales:
        stride, name = max(1, settings.stride // shrink), f"patches_{patch}_of_{shrink}"
        layer = PatchHistogram(
            patch, stride, settings.patterns, settings.threshold, settings.cells, shrink, seed, name=name
        )
        histograms.append(layer(pixels))
    return histograms


@keras.saving.register_keras_serializable("shelfmark")
class PatchHistogram(keras.layers.Layer):
    """How much of each pattern, and of its opposite, is in each cell of a grid over the picture and its mirror image.

    Coates, Ng and Lee 2011: every patch, less its mean and by its deviation, is whitened and compared with patterns
    (k-means of such patches); threshold on both sides: Coates and Ng 2011. A patch counts for the cells about it, for
    each the more the nearer it is to its centre. A cell has the square root of the sums.

    Args:
      patch: side of a patch, in pixels. stride: from one to the next. patterns: their number.
      threshold: similarity below which a pattern is not there. cells: rows and columns of the grid.
      shrink: how many times smaller the picture is looked at.

    Call with (batch, height, width, 3) in [0, 255]; returns float32 (batch, rows * columns * 2 * patterns), rows of
    unit length (of a plain picture: zeros).
    """

    def __init__(
        self, patch: int, stride: int, patterns: int, threshold: float, cells: tuple[int, int], shrink: int = 1,
        seed: int = 0, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(**{**kwargs, "trainable": False, "autocast": False, "dtype": "float32"})
        self.patch, self.stride, self.patterns, self.threshold = patch, stride, patterns, threshold
        self.cells, self.shrink, self.seed = (int(cells[0]), int(cells[1])), shrink, seed

    def build(self, shape: Any) -> None:
        start = keras.initializers.RandomNormal(seed=self.seed)
        square = (self.patch, self.patch, 3)
        self.kernel = self.add_weight(shape=(*square, self.patterns), initializer=start, trainable=False, name="kernel")
        self.offset = self.add_weight(shape=(self.patterns,), initializer="zeros", trainable=False, name="offset")
        sides = [(side // self.shrink - self.patch) // self.stride + 1 for side in shape[1:3]]
        self.rows, self.columns = (shares(*each) for each in zip(sides, self.cells, strict=True))
        self.mean = np.full((*square, 1), 1.0 / np.prod(square), np.float32)

    def call(self, pixels: Any) -> Any:
        values = self.prepared(pixels)
        sums = self._sums(values) + self._sums(ops.flip(values, axis=2))
        rooted = ops.sqrt(ops.reshape(sums, (-1, self.compute_output_shape(pixels.shape)[1])))
        return rooted / ops.maximum(ops.norm(rooted, axis=1, keepdims=True), 1e-6)

    def prepared(self, pixels: Any) -> Any:
        """The picture that patches are cut from: smaller, in [0, 1] less ``GROUND``."""
        values = ops.cast(pixels, "float32") / 255.0 - GROUND
        if self.shrink > 1:
            values = ops.average_pool(values, self.shrink, self.shrink, "valid", "channels_last")
        return values

    def _sums(self, values: Any) -> Any:
        """The cells' sums, (batch, rows, columns, 2 * patterns); a band of patches at a time, to hold less."""
        (count, height), width = self.rows.shape, self.columns.shape[1]
        sums = [0.0] * count
        # Between the centres of two rows of cells, a band's patches count for these two.
        for first, last in pairwise(sorted({0, height, *self.rows.argmax(axis=1)})):
            near = np.flatnonzero(self.rows[:, first:last].any(axis=1))
            # (cells of these rows, patches of the band)
            share = np.einsum("rh,cw->rchw", self.rows[near, first:last], self.columns).reshape(
                -1, (last - first) * width
            )
            band = self._band(values[:, first * self.stride : (last - 1) * self.stride + self.patch], share)
            band = ops.reshape(band, (-1, len(near), self.cells[1], 2 * self.patterns))
            for at, row in enumerate(near):
                sums[row] += band[:, at]
        return ops.stack(sums, axis=1)

    def _band(self, values: Any, share: Any) -> Any:
        def slide(images: Any, kernel: Any) -> Any:
            return ops.conv(images, kernel, self.stride, "valid", "channels_last")

        mean = slide(values, self.mean)
        variance = ops.maximum(slide(ops.square(values), self.mean) - ops.square(mean), 0.0)
        # The kernel has zero mean, which takes a patch's mean away.
        similar = slide(values, self.kernel) * ops.rsqrt(variance + STILL**2) - self.offset
        similar = ops.reshape(similar, (-1, share.shape[1], self.patterns))
        activations = [ops.matmul(share, ops.relu(sign * similar - self.threshold)) for sign in (1.0, -1.0)]
        return ops.concatenate(activations, axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], self.cells[0] * self.cells[1] * 2 * self.patterns)

    def get_config(self) -> dict[str, Any]:
        names = ("patch", "stride", "patterns", "threshold", "cells", "shrink", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def shares(side: int, cells: int) -> Float32Array:
    """How much each of ``side`` places counts for each of some cells beside each other: (cells, side), in [0, 1].

    1 at a cell's centre, less in proportion to the distance, 0 from the next one's centre on.
    """
    centres = (np.arange(cells) + 0.5) * side / cells - 0.5
    return np.maximum(0.0, 1.0 - np.abs(np.arange(side) - centres[:, None]) * cells / side).astype(np.float32)
