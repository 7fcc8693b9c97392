"""A pretrained network's features of several depths, against the same by NumPy from the tensors alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from modules.encoders.picture_folder import read_picture_encoder
from modules.features import ImageFeature
from modules.vision.depths import CentredUnit, RootMeans, cells
from modules.vision.networks import image_tower
from modules.vision.patches import PatchHistogram
from modules.vision.regression_fit import block_shares, fit_by_regression
from tests.picture_encoders import maps_by_numpy, tiny_picture_encoder

PATCHES = {"patterns": 8, "cells": (2, 2), "scales": ((6, 1),), "encoder": {"share": 0.7}}
SIZE = (48, 33)
RNG = np.random.default_rng(4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_picture_encoder(tmp_path_factory.mktemp("encoders") / "tiny")


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    coarse = RNG.integers(0, 256, (24, 6, 3, 3))
    return np.clip(coarse.repeat(8, 1).repeat(11, 2) + RNG.integers(-9, 9, (24, *SIZE, 3)), 0, 255).astype(np.uint8)


def tower(folder: Path, **changes) -> keras.Model:
    patches = {**PATCHES, **changes}
    feature = ImageFeature(size=SIZE, backbone="patches", weights=str(folder), width=5, patches=patches)
    return image_tower("picture", feature, 3)


def layers(network: keras.Model, kind: type) -> list:
    return [layer for layer in network.layers if isinstance(layer, kind)]


def root_means(values: np.ndarray, grid: int) -> np.ndarray:
    """(batch, height, width, channels): the whole picture, then cell after cell."""
    height, width = values.shape[1:3]
    parts = [values]
    for row in range(grid if grid > 1 else 0):
        top, bottom = row * height / grid, (row + 1) * height / grid
        for column in range(grid):
            left, right = column * width / grid, (column + 1) * width / grid
            # Each place that the cell touches.
            down = [y for y in range(height) if y + 1 > top and y < bottom]
            across = [x for x in range(width) if x + 1 > left and x < right]
            parts.append(values[:, down][:, :, across])
    return np.sqrt(np.concatenate([part.mean(axis=(1, 2)) for part in parts], axis=1))


def blocks_by_numpy(folder: Path, data: np.ndarray, outputs: tuple[str, ...], grid: int) -> list[np.ndarray]:
    stored = {name: values.astype(np.float32) for name, values in read_picture_encoder(folder).weights.items()}
    maps = maps_by_numpy(stored, data)
    blocks = []
    for output in outputs:
        rows = root_means(maps[output], 1 if output == "head" else grid)
        rows -= rows.mean(axis=0)
        blocks.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return blocks


@given(st.integers(1, 40), st.integers(1, 8))
def test_cells_cover_the_picture(side, grid):
    places = [range(side)[cell] for cell in cells(side, grid)]
    assert all(len(cell) >= 1 for cell in places) and len(places) == grid
    assert sorted({place for cell in places for place in cell}) == list(range(side))
    assert len({len(cell) for cell in places}) == 1 or side % grid


@pytest.mark.parametrize("grid", [1, 2, 3])
def test_means_of_cells(grid):
    values = RNG.uniform(0, 6, (3, 5, 4, 7))
    layer = RootMeans(grid)
    given_means = keras.ops.convert_to_numpy(layer(values))
    np.testing.assert_allclose(given_means, root_means(values, grid), atol=1e-5)
    assert layer.compute_output_shape(values.shape) == given_means.shape


@pytest.mark.parametrize(
    ("outputs", "grid", "scales"),
    [(("stage1", "stage4", "head"), 2, []), (("stage7",), 1, []), (("stage5", "head"), 2, [(6, 1)])],
    ids=["depths", "one output", "beside patches"],
)
def test_the_tower_is_a_regression_on_centred_depths(encoder, data, outputs, grid, scales):
    network = tower(encoder, scales=scales, encoder={"outputs": outputs, "grid": grid, "share": 0.7})
    targets = RNG.normal(size=(24, 5)).astype(np.float32)
    said: list[str] = []
    vectors = fit_by_regression(network, data, targets, ridge=0.1, seed=1, encoder_share=0.7, report=said.append)
    assert said == ["patches 6 of 1"] * bool(scales) + ["encoder", "regression"]
    blocks = blocks_by_numpy(encoder, data, outputs, grid)
    weights = [(0.7 if scales else 1.0) / len(blocks)] * len(blocks)
    if scales:
        blocks.append(np.asarray(layers(network, PatchHistogram)[0](data)))
        weights.append(0.3)
    inputs = np.concatenate([np.sqrt(weight) * block for weight, block in zip(weights, blocks, strict=True)], axis=1)
    centred = targets - targets.mean(axis=0)

    def cosines(values: np.ndarray) -> np.ndarray:
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
        return values @ values.T

    fitted = Ridge(0.1, fit_intercept=False).fit(inputs, centred).predict(inputs)
    embeddings = network(data).numpy()
    np.testing.assert_allclose(embeddings @ embeddings.T, cosines(fitted), atol=0.01)
    without = []
    for row in range(24):
        others = np.arange(24) != row
        without.append(Ridge(0.1, fit_intercept=False).fit(inputs[others], centred[others]).predict(inputs[[row]])[0])
    np.testing.assert_allclose(vectors @ vectors.T, cosines(np.array(without)), atol=0.01)


def test_the_mean_is_that_of_the_pictures_without_their_copies(encoder, data):
    targets = RNG.normal(size=(24, 5)).astype(np.float32)
    means = []
    for copies in ([], [255 - data]):
        network = tower(encoder, scales=[])
        vectors = fit_by_regression(network, data, targets, ridge=0.1, seed=1, copies=copies)
        assert vectors.shape == (24, 5) and not network.trainable_variables
        means.append([layer.get_weights()[0] for layer in layers(network, CentredUnit)])
    for alone, beside in zip(*means, strict=True):
        np.testing.assert_array_equal(alone, beside)
        assert alone.any()


def test_blocks_have_their_share(encoder):
    both = tower(encoder, scales=[(6, 1), (4, 2)])
    np.testing.assert_allclose(block_shares(both, 0.6), [0.2, 0.2, 0.15, 0.15, 0.15, 0.15])
    np.testing.assert_allclose(block_shares(tower(encoder, scales=[]), 0.6), [0.25] * 4)


def test_a_tower_with_an_encoder_is_saved_and_read(encoder, data, tmp_path):
    network = tower(encoder)
    fit_by_regression(network, data, RNG.normal(size=(24, 5)).astype(np.float32), ridge=0.1, seed=1)
    network.save(tmp_path / "tower.keras")
    again = keras.saving.load_model(tmp_path / "tower.keras", safe_mode=True)
    np.testing.assert_allclose(again(data).numpy(), network(data).numpy(), atol=1e-5)
