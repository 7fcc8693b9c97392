"""A small residual network that trains from scratch on two cores in minutes."""

from __future__ import annotations

from typing import Any

import keras


def small_cnn(inputs: Any, widths: tuple[int, ...], *, seed: int, name: str = "small_cnn") -> Any:
    """Pixels to one vector per image: a stem and a residual stage per further width, each halving height and width.

    Stages have one block of two 3 x 3 convolutions with batch normalisation (He et al. 2016; D variant of the
    shortcut: He et al. 2019, figure 2c).

    Args:
      inputs: (batch, height, width, 3), float32, about -1 to 1.
      widths: channels of the stem and of each stage.

    Returns:
      (batch, 2 * widths[-1]): the last stage's mean and maximum over the picture.
    """
    seeds = iter(range(seed, seed + 10_000))

    def convolution(values: Any, width: int, layer: str, size: int = 3, stride: int = 1, start: str = "ones") -> Any:
        kernel = keras.initializers.HeNormal(next(seeds))
        values = keras.layers.Conv2D(
            width, size, stride, "same", use_bias=False, kernel_initializer=kernel, name=f"{name}_{layer}"
        )(values)
        return keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-5, gamma_initializer=start, name=f"{name}_{layer}_norm"
        )(values)

    def active(values: Any, layer: str) -> Any:
        return keras.layers.Activation("relu", name=f"{name}_{layer}_active")(values)

    values = active(convolution(inputs, widths[0], "stem", stride=2), "stem")
    for stage, width in enumerate(widths[1:], 1):
        layer = f"stage{stage}"
        shortcut = keras.layers.AveragePooling2D(2, padding="same", name=f"{name}_{layer}_pool")(values)
        shortcut = convolution(shortcut, width, f"{layer}_shortcut", size=1)
        inner = active(convolution(values, width, f"{layer}_a", stride=2), f"{layer}_a")
        # Starts as the shortcut alone.
        inner = convolution(inner, width, f"{layer}_b", start="zeros")
        values = active(keras.layers.Add(name=f"{name}_{layer}_sum")([shortcut, inner]), layer)
    mean = keras.layers.GlobalAveragePooling2D(name=f"{name}_mean")(values)
    peak = keras.layers.GlobalMaxPooling2D(name=f"{name}_peak")(values)
    return keras.layers.Concatenate(name=f"{name}_out")([mean, peak])
