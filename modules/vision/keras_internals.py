"""What the image tower needs of Keras and Keras does not promise to keep; nothing else imports ``keras.src``."""

from __future__ import annotations

import keras
from keras.src.utils.naming import to_snake_case


def automatic_name(layer: keras.layers.Layer) -> str:
    """The name that Keras gives the first layer of this class that has none, such as ``batch_normalization``."""
    return to_snake_case(type(layer).__name__)


def all_layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The network and every layer in it, those of nested models and of composite layers included."""
    return list(network._flatten_layers())
