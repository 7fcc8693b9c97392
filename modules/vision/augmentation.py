"""Random changes of training images that leave a product what it is. Stateless: a seed and an image decide."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from modules.settings.image_training import AugmentationSettings


def augmented(images: tf.Tensor, settings: AugmentationSettings, seed: tf.Tensor) -> tf.Tensor:
    """Each image of a batch flipped, shifted, zoomed, turned, and changed in brightness, contrast and saturation.

    What moves into the picture repeats its border (products mostly stand on a plain ground).

    Args:
      images: (batch, height, width, 3), uint8 or float32 in [0, 255].
      seed: int (2,); the same seed gives the same images.

    Returns:
      float32 of the same shape, in [0, 255].
    """
    images = tf.cast(images, tf.float32)
    batch = tf.shape(images)[0]

    def uniform(number: int, low: float, high: float) -> tf.Tensor:
        return tf.random.stateless_uniform([batch], seed + tf.constant([0, number], seed.dtype), low, high)

    if settings.flip or settings.shift or settings.zoom or settings.rotation:
        images = _moved(images, settings, uniform)
    return _coloured(images, settings, uniform)


def _moved(images: tf.Tensor, settings: AugmentationSettings, uniform: Callable[..., tf.Tensor]) -> tf.Tensor:
    """One projective transformation per image: all moves cost one resampling."""
    height, width = float(images.shape[1]), float(images.shape[2])
    ones = tf.ones([tf.shape(images)[0]])
    flip = tf.where(uniform(0, 0.0, 1.0) < 0.5, -1.0, 1.0) if settings.flip else ones
    scale = tf.exp(-uniform(1, 0.0, 1.0) * tf.math.log(1.0 + settings.zoom))
    angle = uniform(2, -1.0, 1.0) * settings.rotation * (3.14159265 / 180.0)
    down, right = uniform(3, -1.0, 1.0) * settings.shift * height, uniform(4, -1.0, 1.0) * settings.shift * width
    # Output pixel (x, y) reads input pixel (a x + b y + c, d x + e y + f), about the centre.
    a, b = scale * flip * tf.cos(angle), -scale * tf.sin(angle)
    d, e = scale * flip * tf.sin(angle), scale * tf.cos(angle)
    x, y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    zero = tf.zeros_like(ones)
    transforms = tf.stack([a, b, x - a * x - b * y + right, d, e, y - d * x - e * y + down, zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images, transforms=transforms, output_shape=tf.shape(images)[1:3], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )  # fmt: skip


def _coloured(images: tf.Tensor, settings: AugmentationSettings, uniform: Callable[..., tf.Tensor]) -> tf.Tensor:
    def wide(values: tf.Tensor) -> tf.Tensor:
        return values[:, None, None, None]

    if settings.saturation:
        grey = tf.reduce_mean(images, axis=3, keepdims=True)
        images = grey + (images - grey) * wide(uniform(5, 1.0 - settings.saturation, 1.0 + settings.saturation))
    if settings.contrast:
        mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
        images = mean + (images - mean) * wide(uniform(6, 1.0 - settings.contrast, 1.0 + settings.contrast))
    if settings.brightness:
        images = images + wide(uniform(7, -settings.brightness, settings.brightness)) * 255.0
    return tf.clip_by_value(images, 0.0, 255.0)
