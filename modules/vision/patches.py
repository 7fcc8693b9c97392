"""Pictures described by the patches that occur in them: a network whose weights are found, not trained.

:mod:`modules.vision.patch_fit` finds them.
"""

from __future__ import annotations

from itertools import pairwise

import keras
import numpy as np
from keras import ops

from modules.settings.image_training import PatchSettings

PROJECTION = "patch_projection"
PATCH_WIDTH = 128
"""Of the embedding, where the feature names none."""
STILL = 0.04
"""Added to a patch's variation, as a deviation of pixels in [0, 1]: plain ground does not become a pattern."""
GROUND = 0.8
"""Subtracted from pixels in [0, 1] before squares are summed: float32 keeps small variations of light pictures."""


def patch_network(pixels, settings: PatchSettings, width: int, seed: int):
    """Pixels (batch, height, width, 3) in [0, 255] to embeddings (batch, width)."""
    found = []
    for patch, shrink in settings.scales:
        stride, name = max(1, settings.stride // shrink), f"patches_{patch}_of_{shrink}"
        layer = PatchHistogram(
            patch, stride, settings.patterns, settings.threshold, settings.cells, shrink, seed, name=name
        )
        found.append(layer(pixels))
    if settings.thumbnail is not None:
        found.append(Thumbnail(settings.thumbnail, name="thumbnail")(pixels))
    values = found[0] if len(found) == 1 else keras.layers.Concatenate(name="patch_histograms")(found)
    start = keras.initializers.GlorotNormal(seed)
    return keras.layers.Dense(
        width, use_bias=False, kernel_initializer=start, trainable=False, dtype="float32", name=PROJECTION
    )(values)


@keras.saving.register_keras_serializable("shelfmark")
class PatchHistogram(keras.layers.Layer):
    """How much of each pattern, and of its opposite, is in each cell of a grid over the picture and its mirror image.

    Coates, Ng and Lee 2011: every patch, less its mean and by its deviation, is whitened and compared with patterns
    (k-means of such patches); threshold on both sides: Coates and Ng 2011. A cell has the square root of the sums.

    Args:
      patch: side of a patch, in pixels. stride: from one to the next. patterns: their number.
      threshold: similarity below which a pattern is not there. cells: rows and columns of the grid.
      shrink: how many times smaller the picture is looked at.

    Call with (batch, height, width, 3) in [0, 255]; returns float32 (batch, rows * columns * 2 * patterns), rows of
    unit length (of a plain picture: zeros).
    """

    def __init__(
        self, patch: int, stride: int, patterns: int, threshold: float, cells: tuple[int, int], shrink: int = 1,
        seed: int = 0, **kwargs,
    ):  # fmt: skip
        super().__init__(**{**kwargs, "trainable": False, "autocast": False, "dtype": "float32"})
        self.patch, self.stride, self.patterns, self.threshold = patch, stride, patterns, threshold
        self.cells, self.shrink, self.seed = (int(cells[0]), int(cells[1])), shrink, seed

    def build(self, shape):
        start = keras.initializers.RandomNormal(seed=self.seed)
        square = (self.patch, self.patch, 3)
        self.kernel = self.add_weight(shape=(*square, self.patterns), initializer=start, trainable=False, name="kernel")
        self.offset = self.add_weight(shape=(self.patterns,), initializer="zeros", trainable=False, name="offset")
        sides = [(side // self.shrink - self.patch) // self.stride + 1 for side in shape[1:3]]
        self.rows = tuple(edges(sides[0], self.cells[0]))
        columns = edges(sides[1], self.cells[1])
        at = np.arange(sides[1])
        self.columns = np.array([(at >= a) & (at < b) for a, b in pairwise(columns)], np.float32)
        self.mean = np.full((*square, 1), 1.0 / np.prod(square), np.float32)

    def call(self, pixels):
        values = self.prepared(pixels)
        sums = self._sums(values) + self._sums(ops.flip(values, axis=2))
        found = ops.sqrt(ops.reshape(sums, (-1, self.compute_output_shape(pixels.shape)[1])))
        return found / ops.maximum(ops.norm(found, axis=1, keepdims=True), 1e-6)

    def prepared(self, pixels):
        """The picture that patches are cut from: smaller, in [0, 1] less ``GROUND``."""
        values = ops.cast(pixels, "float32") / 255.0 - GROUND
        if self.shrink > 1:
            values = ops.average_pool(values, self.shrink, self.shrink, "valid", "channels_last")
        return values

    def _sums(self, values):
        """The cells' sums, (batch, rows, columns, 2 * patterns); one row after the other, to hold less at a time."""
        bands = [
            self._band(values[:, first * self.stride : (last - 1) * self.stride + self.patch])
            for first, last in pairwise(self.rows)
        ]
        return ops.stack(bands, axis=1)

    def _band(self, values):
        def slide(images, kernel):
            return ops.conv(images, kernel, self.stride, "valid", "channels_last")

        mean = slide(values, self.mean)
        variance = ops.maximum(slide(ops.square(values), self.mean) - ops.square(mean), 0.0)
        # The kernel has zero mean, which takes a patch's mean away.
        similar = slide(values, self.kernel) * ops.rsqrt(variance + STILL**2) - self.offset
        parts = [ops.sum(ops.relu(sign * similar - self.threshold), axis=1) for sign in (1.0, -1.0)]
        return ops.matmul(self.columns, ops.concatenate(parts, axis=-1))

    def compute_output_shape(self, shape):
        return (shape[0], self.cells[0] * self.cells[1] * 2 * self.patterns)

    def get_config(self):
        names = ("patch", "stride", "patterns", "threshold", "cells", "shrink", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("shelfmark")
class Thumbnail(keras.layers.Layer):
    """How dark each colour is in a smaller picture and its mirror image: patches know little of plain colour.

    Args:
      shrink: how many times smaller.

    Call with (batch, height, width, 3) in [0, 255]; returns float32 (batch, smaller height * width * 3): square roots,
    rows of unit length (of a white picture: zeros).
    """

    def __init__(self, shrink: int, **kwargs):
        super().__init__(**{**kwargs, "trainable": False, "autocast": False, "dtype": "float32"})
        self.shrink = shrink

    def call(self, pixels):
        values = 1.0 - ops.cast(pixels, "float32") / 255.0
        values = ops.average_pool(values, self.shrink, self.shrink, "valid", "channels_last")
        both = ops.maximum(values + ops.flip(values, axis=2), 0.0)
        found = ops.sqrt(ops.reshape(both, (-1, int(np.prod(values.shape[1:])))))
        return found / ops.maximum(ops.norm(found, axis=1, keepdims=True), 1e-6)

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] // self.shrink * (shape[2] // self.shrink) * 3)

    def get_config(self):
        return {**super().get_config(), "shrink": self.shrink}


def edges(side: int, count: int) -> list[int]:
    """Where each of ``count`` stretches of about equal length begins, and the end."""
    return [side * number // count for number in range(count + 1)]
