"""EfficientNet-Lite gives what the paper's table and the weights' names say, computed by NumPy alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from modules.vision.efficientnet_lite import VARIANTS, blocks, efficientnet_lite, set_weights, weight_shapes
from tests.picture_encoders import random_weights, vectors_by_numpy

PICTURES = np.random.default_rng(1).integers(0, 256, (2, 37, 50, 3)).astype(np.float32)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_network_computes_what_its_weights_say(variant: str) -> None:
    weights = random_weights(variant)
    network = efficientnet_lite(variant, keras.Input((None, None, 3)))
    set_weights(network, variant, weights)
    values = np.asarray(network(PICTURES, training=False))
    assert values.shape == (2, 2, 2, 1280) and values.min() >= 0 and values.max() <= 6
    np.testing.assert_allclose(values.mean(axis=(1, 2)), vectors_by_numpy(weights, PICTURES), atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "count", "channels"),
    [
        ("efficientnet_lite0", 16, [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite1", 21, [16, 24, 40, 80, 112, 192, 320]),
        ("efficientnet_lite2", 21, [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_networks_are_scaled_but_for_their_ends(variant: str, count: int, channels: list[int]) -> None:
    made = list(blocks(variant))
    assert len(made) == count
    assert list(dict.fromkeys(block.outputs for block in made)) == channels
    assert np.prod([block.stride for block in made]) == 16
    shapes = weight_shapes(variant)
    assert shapes["_conv_stem.weight"] == (32, 3, 3, 3) and shapes["_conv_head.weight"] == (1280, channels[-1], 1, 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variable_of_the_network_has_a_weight(variant: str) -> None:
    network = efficientnet_lite(variant, keras.Input((32, 32, 3)))
    shapes = weight_shapes(variant)
    assert len(network.variables) == len(shapes)
    assert network.count_params() == sum(int(np.prod(shape)) for shape in shapes.values())
