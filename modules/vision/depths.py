"""What a pretrained network makes of a picture at several depths, as blocks of features for one linear regression."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops

from modules.encoders.picture_folder import read_picture_encoder
from modules.settings.backbones import HEAD_OUTPUT
from modules.settings.image_training import DepthSettings
from modules.vision.efficientnet_lite import efficientnet_lite, output_layer, set_weights

EPSILON = 1e-6


def encoder_blocks(pixels: Any, folder: str, settings: DepthSettings) -> list[Any]:
    """Pixels (batch, height, width, 3) in [0, 255] to one block of features, rows of unit length, per output.

    Args:
      folder: of a picture encoder; its weights do not learn.

    Raises:
      InputError: there is no encoder, or it is damaged.
    """
    encoder = read_picture_encoder(folder)
    with _float32():
        whole = efficientnet_lite(encoder.settings.network, keras.Input(pixels.shape[1:], dtype="float32"))
    set_weights(whole, encoder.settings.network, encoder.weights)
    layers = [output_layer(encoder.settings.network, output) for output in settings.outputs]
    network = keras.Model(whole.input, [whole.get_layer(layer).output for layer in layers], name="encoder")
    network.trainable = False
    maps = network(pixels)
    blocks = []
    for output, values in zip(settings.outputs, maps if isinstance(maps, (list, tuple)) else [maps], strict=True):
        # The head's channels stand for things, wherever they are.
        grid = 1 if output == HEAD_OUTPUT else settings.grid
        roots = RootMeans(grid, name=f"{output}_means")(values)
        blocks.append(CentredUnit(name=f"{output}_centred")(roots))
    return blocks


@contextmanager
def _float32() -> Iterator[None]:
    """Layers made inside compute in float32 also in training: the regression has to see what is exported."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def cells(side: int, grid: int) -> Iterator[slice]:
    """Places of each of ``grid`` cells beside each other; neighbours share one where it does not come out even."""
    for cell in range(grid):
        yield slice(cell * side // grid, -(-(cell + 1) * side // grid))


class _FrozenLayer(keras.layers.Layer):
    """A layer in float32 that gradients do not change."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "trainable": False, "autocast": False, "dtype": "float32"})


@keras.saving.register_keras_serializable("shelfmark")
class RootMeans(_FrozenLayer):
    """Square roots of each channel's mean over the picture, and over each cell of a grid.

    Means over cells: Lazebnik, Schmid and Ponce 2006 (spatial pyramid); square roots, so that few strong channels do
    not hide the others: Perronnin, Sanchez and Mensink 2010.

    Args:
      grid: rows and columns; 1: the whole picture alone.

    Call with (batch, height, width, channels), not negative, of any height and width; returns float32 (batch,
    (1 + grid * grid) * channels), or (batch, channels) if ``grid`` is 1: the whole first, then rows of cells.
    """

    def __init__(self, grid: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.grid = grid

    def call(self, values: Any) -> Any:
        values = ops.cast(values, "float32")
        parts = [values]
        if self.grid > 1:
            rows, columns = (list(cells(side, self.grid)) for side in values.shape[1:3])
            parts += [values[:, row, column] for row in rows for column in columns]
        means = [ops.mean(part, axis=(1, 2)) for part in parts]
        return ops.sqrt(ops.maximum(ops.concatenate(means, axis=1), 0.0))

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[-1] * (1 + self.grid**2 if self.grid > 1 else 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "grid": self.grid}


@keras.saving.register_keras_serializable("shelfmark")
class CentredUnit(_FrozenLayer):
    """Rows less a mean that is found once, of unit length: what all pictures share says nothing of any.

    Call with (batch, width); returns float32 of the same shape. The weight ``mean`` (width,) starts as zeros.
    """

    def build(self, shape: Any) -> None:
        self.mean = self.add_weight(shape=(shape[-1],), initializer="zeros", trainable=False, name="mean")

    def call(self, values: Any) -> Any:
        values = ops.cast(values, "float32") - self.mean
        return values / ops.maximum(ops.norm(values, axis=1, keepdims=True), EPSILON)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def centre(layers: list[CentredUnit], rows: list[np.ndarray]) -> None:
    """Sets each layer's mean to that of its rows, (pictures, width)."""
    for layer, values in zip(layers, rows, strict=True):
        layer.set_weights([values.mean(axis=0, dtype=np.float64).astype(np.float32)])
