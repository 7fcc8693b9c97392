"""Pixels as a network wants them."""

from __future__ import annotations

import keras
from keras import ops

from modules.settings.backbones import Pixels

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
CAFFE_MEAN = (103.939, 116.779, 123.68)
"""Of ImageNet: RGB in [0, 1], and BGR in [0, 255]."""


@keras.saving.register_keras_serializable("shelfmark")
class ScalePixels(keras.layers.Layer):
    """Pixels in [0, 255], RGB, as ``pixels`` says: what ``preprocess_input`` of ``keras.applications`` does.

    Args:
      pixels: one of :data:`modules.settings.backbones.Pixels`.
    """

    def __init__(self, pixels: Pixels, **kwargs):
        super().__init__(**{**kwargs, "trainable": False, "autocast": False})
        self.pixels = pixels

    def call(self, images):
        images = ops.cast(images, "float32")
        if self.pixels == "-1..1":
            images = images / 127.5 - 1.0
        elif self.pixels == "torch":
            images = (images / 255.0 - ops.convert_to_tensor(MEAN)) / ops.convert_to_tensor(DEVIATION)
        elif self.pixels == "caffe":
            images = ops.flip(images, axis=-1) - ops.convert_to_tensor(CAFFE_MEAN)
        return ops.cast(images, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "pixels": self.pixels}
