"""EfficientNet-Lite: Tan and Le 2019 (EfficientNet) without squeeze-and-excite, with ReLU6, as made for small devices.

Weights come by the names and shapes of PyTorch's files of these networks: kernels (outputs, inputs, height, width),
four vectors per batch normalisation. They were trained with TensorFlow, hence ``same`` padding as TensorFlow has it
(at the right and the bottom where it is uneven), and pixels x as (x - 127) / 128.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from modules.settings.backbones import HEAD_OUTPUT

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    WeightArray = npt.NDArray[np.floating]

HEAD = 1280
"""Channels of the last layer, of every variant."""
STEM = 32
EPSILON = 1e-3
"""Of each batch normalisation."""
_DIVISOR = 8


@dataclass(frozen=True)
class Variant:
    """How a network is scaled: times the channels of its stages, and times their blocks."""

    width: float
    depth: float


VARIANTS = {
    "efficientnet_lite0": Variant(1.0, 1.0),
    "efficientnet_lite1": Variant(1.0, 1.1),
    "efficientnet_lite2": Variant(1.1, 1.2),
}


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: 1 x 1 to more channels, a convolution of each channel, 1 x 1 to fewer."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    expansion: int

    @property
    def inner(self) -> int:
        return self.inputs * self.expansion


_STAGES = (  # blocks, kernel, stride, expansion, channels: Tan and Le 2019, table 1
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def blocks(variant: str) -> Iterator[Block]:
    """The blocks of a network; the first and the last stage keep their one block, stem and head their channels."""
    scaling, inputs = VARIANTS[variant], STEM
    stages = zip(_STAGES, _repeats(variant), strict=True)
    for (_, kernel, stride, expansion, channels), repeats in stages:
        outputs = _rounded(channels * scaling.width)
        for repeat in range(repeats):
            yield Block(inputs, outputs, kernel, 1 if repeat else stride, expansion)
            inputs = outputs


def _repeats(variant: str) -> Iterator[int]:
    """The number of blocks of each stage."""
    for stage, (count, *_) in enumerate(_STAGES):
        yield count if stage in (0, len(_STAGES) - 1) else math.ceil(count * VARIANTS[variant].depth)


def _rounded(channels: float) -> int:
    """The nearest multiple of eight, unless that takes more than a tenth away."""
    nearest = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return nearest + _DIVISOR if nearest < 0.9 * channels else nearest


def efficientnet_lite(variant: str, pixels: Any) -> keras.Model:
    """The network without its last, classifying layer.

    Args:
      variant: of :data:`VARIANTS`.
      pixels: the input, (batch, height, width, 3), [0, 255]; height and width may be unknown.

    Returns:
      A model of the pixels; it gives (batch, height / 32, width / 32, 1280), rounded up, in [0, 6].
    """
    values = keras.layers.Rescaling(1 / 128, -127 / 128, name="rescaled")(pixels)
    values = _normal(keras.layers.Conv2D(STEM, 3, 2, "same", use_bias=False, name="stem")(values), "stem")
    for number, block in enumerate(blocks(variant)):
        values = _block(values, block, f"block{number}")
    values = _normal(keras.layers.Conv2D(HEAD, 1, use_bias=False, name="head")(values), "head")
    return keras.Model(pixels, values, name=variant)


def output_layer(variant: str, output: str) -> str:
    """The layer that gives an output of :data:`modules.settings.backbones.Output`.

    Of a stage it is the activated convolution of each channel in its last block: those are the most channels of the
    stage, in [0, 6], and sparse.
    """
    if output == HEAD_OUTPUT:
        return "head_active"
    counts = list(_repeats(variant))
    last = sum(counts[: int(output.removeprefix("stage"))]) - 1
    return f"block{last}_depthwise_active"


def _normal(values: Any, layer: str, active: bool = True) -> Any:
    values = keras.layers.BatchNormalization(epsilon=EPSILON, name=f"{layer}_norm")(values)
    return keras.layers.ReLU(6.0, name=f"{layer}_active")(values) if active else values


def _block(inputs: Any, block: Block, name: str) -> Any:
    values = inputs
    if block.expansion > 1:
        values = keras.layers.Conv2D(block.inner, 1, use_bias=False, name=f"{name}_expand")(values)
        values = _normal(values, f"{name}_expand")
    values = keras.layers.DepthwiseConv2D(
        block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise"
    )(values)  # fmt: skip
    values = _normal(values, f"{name}_depthwise")
    values = keras.layers.Conv2D(block.outputs, 1, use_bias=False, name=f"{name}_project")(values)
    values = _normal(values, f"{name}_project", active=False)
    if block.stride == 1 and block.inputs == block.outputs:
        values = keras.layers.Add(name=f"{name}_sum")([inputs, values])
    return values


_VECTORS = ("weight", "bias", "running_mean", "running_var")
"""Of a batch normalisation, in Keras's order: gamma, beta, mean, variance."""


@dataclass(frozen=True)
class _Convolution:
    """A convolution and the normalisation behind it.

    Attributes:
      layer: of the Keras model; its normalisation is ``<layer>_norm``.
      kernel, norm: what their tensors' names begin with.
      shape: of the kernel, (outputs, inputs of each, height, width).
    """

    layer: str
    kernel: str
    norm: str
    shape: tuple[int, int, int, int]


def _convolutions(variant: str) -> Iterator[_Convolution]:
    yield _Convolution("stem", "_conv_stem", "_bn0", (STEM, 3, 3, 3))
    last = STEM
    for number, block in enumerate(blocks(variant)):
        own, name = f"_blocks.{number}.", f"block{number}"
        if block.expansion > 1:
            yield _Convolution(
                f"{name}_expand", f"{own}_expand_conv", f"{own}_bn0", (block.inner, block.inputs, 1, 1)
            )  # fmt: skip
        shape = (block.inner, 1, block.kernel, block.kernel)
        yield _Convolution(f"{name}_depthwise", f"{own}_depthwise_conv", f"{own}_bn1", shape)
        yield _Convolution(
            f"{name}_project", f"{own}_project_conv", f"{own}_bn2", (block.outputs, block.inner, 1, 1)
        )  # fmt: skip
        last = block.outputs
    yield _Convolution("head", "_conv_head", "_bn1", (HEAD, last, 1, 1))


def weight_shapes(variant: str) -> dict[str, tuple[int, ...]]:
    """Name of each tensor of the weights to its shape."""
    shapes: dict[str, tuple[int, ...]] = {}
    for part in _convolutions(variant):
        shapes[f"{part.kernel}.weight"] = part.shape
        shapes |= {f"{part.norm}.{vector}": part.shape[:1] for vector in _VECTORS}
    return shapes


def set_weights(network: keras.Model, variant: str, weights: Mapping[str, WeightArray]) -> None:
    """Puts weights of :func:`weight_shapes` into a network of :func:`efficientnet_lite`."""
    for part in _convolutions(variant):
        # Depthwise kernels are (height, width, channels, 1) in Keras, and (channels, 1, height, width) here.
        axes = (2, 3, 0, 1) if part.layer.endswith("_depthwise") else (2, 3, 1, 0)
        kernel = weights[f"{part.kernel}.weight"].transpose(axes)
        network.get_layer(part.layer).set_weights([kernel.astype("float32")])
        vectors = [weights[f"{part.norm}.{vector}"].astype("float32") for vector in _VECTORS]
        network.get_layer(f"{part.layer}_norm").set_weights(vectors)
