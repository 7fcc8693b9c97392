"""The networks of ``keras.applications`` that a workflow may name, and what each wants to be fed."""

from __future__ import annotations

from typing import Literal

Pixels = Literal["0..255", "-1..1", "torch", "caffe"]
"""How pixels are scaled. ``torch``: [0, 1], less ImageNet's mean, by its deviation; ``caffe``: BGR less the mean."""

_FAMILIES: dict[Pixels, tuple[str, ...]] = {
    # These scale what they are given themselves.
    "0..255": (
        "ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge",
        *(f"EfficientNetB{n}" for n in range(8)),
        *(f"EfficientNetV2{n}" for n in ("B0", "B1", "B2", "B3", "S", "M", "L")),
        "MobileNetV3Small", "MobileNetV3Large",
    ),
    "-1..1": (
        "InceptionV3", "InceptionResNetV2", "MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge",
        "ResNet50V2", "ResNet101V2", "ResNet152V2", "Xception",
    ),
    "torch": ("DenseNet121", "DenseNet169", "DenseNet201"),
    "caffe": ("ResNet50", "ResNet101", "ResNet152", "VGG16", "VGG19"),
}  # fmt: skip

PIXELS_OF: dict[str, Pixels] = {name: pixels for pixels, names in _FAMILIES.items() for name in names}
"""Network of ``keras.applications`` to the scaling that its weights were trained with."""

LEAST_SIZE = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
"""The smallest height and width that a network takes; the others take 32."""

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Networks whose weights ``shelfmark encoder add`` brings."""

HEAD_OUTPUT = "head"
Output = Literal["stage1", "stage2", "stage3", "stage4", "stage5", "stage6", "stage7", "head"]
"""Of a network of :data:`LITE`: what its last block of a stage makes of each channel, and its last layer."""

SMALL_CNN = "small_cnn"
PATCHES = "patches"
"""Nothing of it is trained: its weights are found from the pictures."""
KERAS_FILE = "keras"
SAVED_MODEL = "savedmodel"
SUPPLIED = (KERAS_FILE, SAVED_MODEL)
"""Encoders that the user supplies as a file."""

BACKBONES = (SMALL_CNN, PATCHES, *LITE, *SUPPLIED, *sorted(PIXELS_OF))


def least_size(backbone: str) -> int:
    """Pixels of the smaller side that the network needs."""
    return LEAST_SIZE.get(backbone, 32) if backbone in (*PIXELS_OF, *LITE) else 8


def encoder_of(backbone: str) -> str:
    """What ``shelfmark encoder add`` calls the weights of a network of :data:`LITE`."""
    return backbone.replace("_", "-")
