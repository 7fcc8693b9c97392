"""The image tower: any backbone, its starting weights, and what of it learns."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from modules.encoders.picture_folder import read_picture_encoder
from modules.errors import InputError, Problem, reason
from modules.graph_ops.layers import UnitLength
from modules.settings.backbones import KERAS_FILE, LITE, PATCHES, PIXELS_OF, SAVED_MODEL, SMALL_CNN
from modules.vision.efficientnet_lite import efficientnet_lite, set_weights
from modules.vision.keras_internals import all_layers, automatic_name
from modules.vision.preprocess import ScalePixels
from modules.vision.regression_fit import WIDTH, regression_network
from modules.vision.small_cnn import small_cnn

if TYPE_CHECKING:
    from modules.features.image import ImageFeature

BACKBONE = "backbone"
"""Name of the nested model of a network of ``keras.applications`` or a ``.keras`` file."""


def image_tower(name: str, feature: ImageFeature, seed: int, any_size: bool = False) -> keras.Model:
    """Pixels (batch, height, width, 3), uint8 or float32 in [0, 255], to embeddings (batch, width) of unit length.

    Args:
      name: of the feature.
      any_size: takes pictures of any height and width; not of encoders that the user supplies.

    Raises:
      InputError: the weights cannot be had, or do not fit; says what to do.
    """
    pixels = keras.Input((None, None, 3) if any_size else (*feature.size, 3), dtype="float32", name=f"{name}_pixels_in")
    if feature.backbone == PATCHES:
        values = regression_network(pixels, feature.patches, feature.weights_file, feature.width or WIDTH, seed)
        return keras.Model(pixels, UnitLength(name=f"{name}_unit")(values), name=tower_name(name))
    values = _backbone(name, feature, pixels, seed)
    if feature.width is not None:
        values = keras.layers.Dense(
            feature.width, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(seed + 1),
            name=f"{name}_projection",
        )(values)  # fmt: skip
        values = keras.layers.BatchNormalization(momentum=0.9, name=f"{name}_projection_norm")(values)
    return keras.Model(pixels, UnitLength(name=f"{name}_unit")(values), name=tower_name(name))


def tower_name(name: str) -> str:
    """The layer of the model that is a feature's tower."""
    return f"{name}_tower"


def _backbone(name: str, feature: ImageFeature, pixels: Any, seed: int) -> Any:
    scaled = ScalePixels(_pixels(feature), name=f"{name}_pixels_scaled")(pixels)
    if feature.backbone == SMALL_CNN:
        values = small_cnn(scaled, feature.channels, seed=seed)
        if feature.weights_file or feature.train != "all":
            inner = keras.Model(pixels, values, name=BACKBONE)
            _load(name, feature, inner)
            _freeze(name, feature, inner)
        return values
    keras.utils.set_random_seed(seed)  # what keras.applications draws by
    if feature.backbone == SAVED_MODEL:
        return _pooled(name, _called(name, feature, _saved_model(name, feature), scaled))
    if feature.backbone in LITE:
        inner = _lite(feature, pixels.shape[1:])
    elif feature.backbone == KERAS_FILE:
        inner = _supplied(name, feature)
    else:
        inner = _application(name, feature, pixels.shape[1:])
    inner.name = BACKBONE
    _freeze(name, feature, inner)
    return _pooled(name, inner(scaled))


def _pixels(feature: ImageFeature) -> Any:
    if feature.backbone == SMALL_CNN:
        return "-1..1"
    return feature.pixels or PIXELS_OF.get(feature.backbone, "0..255")


def _pooled(name: str, values: Any) -> Any:
    if isinstance(values, (list, tuple)):
        values = values[0]
    if isinstance(values, dict):
        values = next(iter(values.values()))
    if len(values.shape) == 4:
        return keras.layers.GlobalAveragePooling2D(name=f"{name}_pooled")(values)
    if len(values.shape) != 2 or values.shape[-1] is None:
        expected = "an encoder that gives (batch, width) or (batch, height, width, channels)"
        raise InputError(Problem("", expected, key=f"features.{name}.weights", value=str(tuple(values.shape))))
    return values


def _application(name: str, feature: ImageFeature, shape: tuple[int | None, ...]) -> keras.Model:
    build = getattr(keras.applications, feature.backbone)
    weights = feature.weights_file or (None if feature.weights == "none" else feature.weights)
    if feature.weights_file:
        _must_exist(name, feature)
    try:
        with warnings.catch_warnings():
            # The weights of a network without top fit any size; Keras says so for all but some.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square")
            return build(include_top=False, weights=weights, input_shape=shape, pooling="avg")
    except Exception as error:  # what a download or a broken file raises is not documented
        if feature.weights != "imagenet":
            raise _unusable(name, feature, error) from error
        expected = f"the ImageNet weights of {feature.backbone} could not be downloaded ({_first_line(error)})"
        hint = (
            "download the file of that address (the one without top) on a machine that can, and name it here in place "
            "of imagenet; or take weights: none, or backbone: small_cnn"
        )
        raise InputError(Problem("", expected, key=f"features.{name}.weights", value="imagenet", hint=hint)) from error


def _lite(feature: ImageFeature, shape: tuple[int | None, ...]) -> keras.Model:
    network = efficientnet_lite(feature.backbone, keras.Input(shape))
    if feature.weights_file:
        set_weights(network, feature.backbone, read_picture_encoder(feature.weights_file).weights)
    return network


def _supplied(name: str, feature: ImageFeature) -> keras.Model:
    _must_exist(name, feature)
    try:
        # In safe mode a file cannot bring code of its own.
        model = keras.saving.load_model(feature.weights, compile=False, safe_mode=True)
        shape = tuple(model.input_shape)
    except Exception as error:
        raise _unusable(name, feature, error) from error
    if len(shape) != 4 or any(own not in (None, we) for own, we in zip(shape, (None, *feature.size, 3), strict=True)):
        expected = (
            f"an encoder of pictures (batch, {feature.size[0]}, {feature.size[1]}, 3), as features.{name}.size says"
        )
        raise InputError(
            Problem("", expected, key=f"features.{name}.weights", value=f"{feature.weights} takes {shape}")
        )
    return model


def _saved_model(name: str, feature: ImageFeature) -> keras.Model:
    _must_exist(name, feature)
    problems = []
    for endpoint in ("serve", "serving_default"):
        try:
            layer = keras.layers.TFSMLayer(feature.weights, call_endpoint=endpoint, name=BACKBONE)
            layer.trainable = False
            return layer
        except Exception as error:
            problems.append(error)
    raise _unusable(name, feature, problems[-1]) from problems[-1]


def _called(name: str, feature: ImageFeature, layer: keras.layers.Layer, scaled: Any) -> Any:
    """What the network gives; it must take pictures of this size, any number of them."""
    try:
        layer(np.zeros((2, *feature.size, 3), np.float32))
        return layer(scaled)
    except Exception as error:
        raise _unusable(name, feature, error) from error


def _load(name: str, feature: ImageFeature, inner: keras.Model) -> None:
    if feature.weights_file:
        _must_exist(name, feature)
        try:
            inner.load_weights(feature.weights)
        except Exception as error:
            raise _unusable(name, feature, error) from error


def layer_names(network: keras.Model) -> list[str]:
    """Names of the network's layers as in a process that builds nothing else.

    Keras numbers layers without a name over all networks of a process: the same layer has another name in each.
    """
    numbered = [re.fullmatch(r"(.+?)(?:_(\d+))?", layer.name) for layer in network.layers]
    unnamed = [
        match is not None and match[1] == automatic_name(layer)
        for match, layer in zip(numbered, network.layers, strict=True)
    ]
    first: dict[str, int] = {}
    for match, counts in zip(numbered, unnamed, strict=True):
        if match is not None and counts:
            first[match[1]] = min(first.get(match[1], 1 << 30), int(match[2] or 0))
    names = []
    for match, counts, layer in zip(numbered, unnamed, network.layers, strict=True):
        if match is None or not counts:
            names.append(layer.name)
        else:
            number = int(match[2] or 0) - first[match[1]]
            names.append(f"{match[1]}_{number}" if number else match[1])
    return names


def _freeze(name: str, feature: ImageFeature, inner: keras.Model) -> None:
    """Marks what does not learn; Keras runs a batch normalisation that does not learn in inference mode."""
    if feature.train == "frozen":
        inner.trainable = False
        for layer in all_layers(inner):
            # EfficientNet drops whole blocks in training, also of a network that does not learn.
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        return
    if feature.train != "all":
        names = layer_names(inner)
        if feature.train not in names:
            with_weights = [layer_name for layer_name, layer in zip(names, inner.layers, strict=True) if layer.weights]
            expected = f"all, frozen, or a layer of {feature.backbone}, such as {', '.join(with_weights[-6:])}"
            raise InputError(Problem("", expected, key=f"features.{name}.train", value=feature.train))
        for layer in inner.layers[: names.index(feature.train)]:
            layer.trainable = False
    if feature.weights != "none":
        for layer in all_layers(inner):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False


def _must_exist(name: str, feature: ImageFeature) -> None:
    if not Path(feature.weights).exists():
        kind = "a SavedModel folder" if feature.backbone == SAVED_MODEL else "a file"
        expected = f"expected {kind}: nothing is there"
        raise InputError(Problem("", expected, key=f"features.{name}.weights", value=feature.weights))


def _unusable(name: str, feature: ImageFeature, error: Exception) -> InputError:
    expected = f"does not fit backbone: {feature.backbone} ({_first_line(error)})"
    return InputError(Problem("", expected, key=f"features.{name}.weights", value=feature.weights))


def _first_line(error: Exception) -> str:
    return reason(error, 200)
