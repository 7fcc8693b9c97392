"""Pixels as a network wants them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops
from keras.applications import imagenet_utils

from modules.settings.backbones import Pixels

_MODES = {"-1..1": "tf", "torch": "torch", "caffe": "caffe"}
"""The names that ``keras.applications`` has for these ranges."""


@keras.saving.register_keras_serializable("shelfmark")
class ScalePixels(keras.layers.Layer):
    """Pixels in [0, 255], RGB, as ``pixels`` says: what ``preprocess_input`` of ``keras.applications`` does.

    Args:
      pixels: one of :data:`modules.settings.backbones.Pixels`.
    """

    def __init__(self, pixels: Pixels, **kwargs: Any):
        super().__init__(**{**kwargs, "trainable": False, "autocast": False})
        self.pixels = pixels

    def call(self, images: Any) -> Any:
        images = ops.cast(images, "float32")
        if self.pixels in _MODES:
            images = imagenet_utils.preprocess_input(images, data_format="channels_last", mode=_MODES[self.pixels])
        return ops.cast(images, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pixels": self.pixels}
