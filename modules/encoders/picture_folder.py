"""A picture encoder on disk: a folder with its settings, weights and check vectors.

``encoder.json`` holds the settings, ``weights.safetensors`` the network's tensors by the names of PyTorch's files
(:func:`modules.vision.efficientnet_lite.weight_shapes`), and ``check.safetensors`` the vectors of the pictures of
``check_pictures.py``. None of these files can hold code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from modules.arrays import Float32Array
from modules.encoders.check_pictures import COUNT, check_pictures
from modules.encoders.files import (
    CHECK_FILE,
    CHECK_TENSOR,
    SETTINGS_FILE,
    WEIGHTS_FILE,
    Checksum,
    check_weights,
    load_settings,
    read_check,
    read_weights,
    tensor_bytes,
    write_files,
)

if TYPE_CHECKING:
    from modules.encoders.files import WeightArray

TYPE: Literal["efficientnet_lite"] = "efficientnet_lite"


class PictureSettings(pydantic.BaseModel):
    """Everything of a picture encoder but its numbers."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    """Version of the folder's form, and of the way from pixels to a vector."""
    type: Literal["efficientnet_lite"]
    name: str = pydantic.Field(min_length=1, max_length=100)
    licence: str = pydantic.Field(max_length=200)
    """SPDX identifier, or what is known of it."""
    origin: str = pydantic.Field(max_length=1000)
    """What the folder was made of."""
    network: str = pydantic.Field(pattern=r"^efficientnet_lite[0-2]$")
    """What an image feature calls the backbone."""
    layers: int = pydantic.Field(ge=1, le=1000)
    """Blocks of the network."""
    width: int = pydantic.Field(ge=1, le=8192)
    """Length of a vector."""
    weights_checksum: Checksum
    """SHA-256 of ``weights.safetensors``."""


@dataclass(frozen=True)
class PictureEncoder:
    """What a folder holds.

    Attributes:
      settings: of the network.
      weights: tensors by name, as they are stored: float16 or float32.
      check: vectors of the check pictures, float32 (pictures, width), rows of unit length; None before they were
        computed.
    """

    settings: PictureSettings
    weights: Mapping[str, WeightArray]
    check: Float32Array | None


def read_picture_settings(folder: str | Path) -> PictureSettings:
    """``encoder.json`` alone.

    Raises:
      InputError: there is no encoder, it reads something else, or its settings cannot be read.
    """
    return load_settings(folder, {TYPE: PictureSettings}, "pictures")


def read_picture_encoder(folder: str | Path) -> PictureEncoder:
    """Reads and checks a folder: checksums, names and shapes of all tensors, finite numbers.

    Raises:
      InputError: it is no picture encoder, damaged, or of another form.
    """
    from modules.vision.efficientnet_lite import weight_shapes

    folder = Path(folder)
    settings = read_picture_settings(folder)
    weights = read_weights(folder, settings.weights_checksum, weight_shapes(settings.network))
    return PictureEncoder(settings, weights, read_check(folder, COUNT, settings.width))


def write_picture_encoder(encoder: PictureEncoder, folder: str | Path) -> PictureSettings:
    """Writes a folder, which is there as a whole or not at all; returns its settings with the weights' checksum.

    Args:
      encoder: its ``check`` has to be there; the checksum of its settings is not looked at.
      folder: must not exist yet, or be empty.

    Raises:
      InputError: the folder holds something, or cannot be written, or the encoder does not fit together.
    """
    from modules.vision.efficientnet_lite import weight_shapes

    assert encoder.check is not None, "check vectors are worked out before a folder is written"
    check_weights(str(folder), encoder.weights, weight_shapes(encoder.settings.network))
    weights = tensor_bytes(encoder.weights)
    settings = encoder.settings.model_copy(update={"weights_checksum": hashlib.sha256(weights).hexdigest()})
    document = settings.model_dump_json(indent=2) + "\n"
    check = tensor_bytes({CHECK_TENSOR: encoder.check.astype("float32")})
    write_files(Path(folder), {WEIGHTS_FILE: weights, CHECK_FILE: check, SETTINGS_FILE: document.encode()})
    return settings


def check_vectors(encoder: PictureEncoder) -> Float32Array:
    """Vectors of the check pictures, float32 (pictures, width): means over the picture, of unit length."""
    import keras
    import numpy as np

    from modules.vision.efficientnet_lite import efficientnet_lite, set_weights

    pictures: Any = check_pictures().astype(np.float32)
    network = efficientnet_lite(encoder.settings.network, keras.Input(pictures.shape[1:]))
    set_weights(network, encoder.settings.network, encoder.weights)
    means = np.asarray(network(pictures, training=False), np.float32).mean(axis=(1, 2))
    return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.float32(1e-12))


def with_weights(encoder: PictureEncoder, weights: Mapping[str, WeightArray]) -> PictureEncoder:
    """The encoder with other numbers, and no check vectors yet."""
    return replace(encoder, weights=weights, check=None)
