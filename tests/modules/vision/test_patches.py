"""Pictures by their patches: against patches cut out one by one, and ridge regressions fitted anew."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from modules.features import ImageFeature
from modules.vision.networks import image_tower
from modules.vision.patch_fit import spherical_k_means
from modules.vision.patches import STILL, PatchHistogram, shares
from modules.vision.regression_fit import fit_by_regression

RNG = np.random.default_rng(5)
SMALL = {"patterns": 12, "cells": (3, 2), "scales": ((6, 1), (4, 2))}


def pictures(count: int = 60) -> np.ndarray:
    """Drawn in coarse blocks, so that patches have structure; the first is plain."""
    blocks = RNG.integers(0, 256, (count, 5, 4, 3))
    found = np.clip(blocks.repeat(4, 1).repeat(5, 2) + RNG.integers(-20, 20, (count, 20, 20, 3)), 0, 255)
    found[0] = 200
    return found.astype(np.uint8)


def by_hand(picture: np.ndarray, kernel: np.ndarray, offset: np.ndarray, threshold: float, cells=(3, 2)) -> np.ndarray:
    """Patch by patch: a picture's histogram before the square root, (rows, columns, 2 * patterns)."""
    side, stride, count = kernel.shape[0], 2, kernel.shape[-1]
    places = (20 - side) // stride + 1
    found = np.zeros((*cells, 2 * count))
    centres = [[(number + 0.5) * places / n - 0.5 for number in range(n)] for n in cells]
    for row in range(places):
        for column in range(places):
            patch = picture[row * stride : row * stride + side, column * stride : column * stride + side] / 255.0
            patch = (patch - patch.mean()) / np.sqrt(patch.var() + STILL**2)
            similar = np.tensordot(patch, kernel, 3) - offset
            counted = np.maximum(np.concatenate([similar, -similar]) - threshold, 0.0)
            for down, of_row in enumerate(centres[0]):
                for right, of_column in enumerate(centres[1]):
                    near = max(0.0, 1.0 - abs(row - of_row) * cells[0] / places)
                    found[down, right] += counted * near * max(0.0, 1.0 - abs(column - of_column) * cells[1] / places)
    return found


@pytest.mark.parametrize("cells", [(3, 2), (8, 8), (1, 1), (5, 3)])
def test_histograms_are_those_of_patches_cut_out_one_by_one(cells):
    layer = PatchHistogram(6, 2, 5, 0.3, cells)
    layer.build((None, 20, 20, 3))
    kernel = RNG.normal(size=(6, 6, 3, 5)).astype(np.float32)
    kernel -= kernel.mean(axis=(0, 1, 2))
    offset = RNG.normal(size=5).astype(np.float32)
    layer.set_weights([kernel, offset])
    some = pictures(4)
    expected = [by_hand(p, kernel, offset, 0.3, cells) + by_hand(p[:, ::-1], kernel, offset, 0.3, cells) for p in some]
    expected = np.sqrt(np.array(expected)).reshape(4, -1)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(layer(some)), expected, atol=2e-3)


def test_a_smaller_picture_is_the_mean_of_its_pixels():
    own, small = PatchHistogram(4, 1, 5, 0.3, (3, 2)), PatchHistogram(4, 1, 5, 0.3, (3, 2), shrink=2)
    own.build((None, 10, 10, 3))
    small.build((None, 20, 20, 3))
    small.set_weights(own.get_weights())
    some = pictures(3).astype(np.float32)
    means = some.reshape(3, 10, 2, 10, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(np.asarray(small(some)), np.asarray(own(means)), atol=1e-4)


def test_a_place_counts_for_the_cells_about_it():
    np.testing.assert_allclose(shares(4, 2), [[0.75, 0.75, 0.25, 0.0], [0.0, 0.25, 0.75, 0.75]], atol=1e-6)
    for side, cells in ((28, 5), (7, 7), (38, 6), (5, 1)):
        found = shares(side, cells)
        centres = [(number + 0.5) * side / cells - 0.5 for number in range(cells)]
        between = (np.arange(side) >= centres[0]) & (np.arange(side) <= centres[-1])
        assert found.shape == (cells, side) and (found.max(axis=1) > 0.5).all()
        np.testing.assert_allclose(found.sum(axis=0)[between], 1.0, atol=1e-5)


def test_k_means_finds_directions_far_apart():
    centres = np.eye(6, 20, dtype=np.float32)
    vectors = centres[RNG.integers(0, 6, 600)] + RNG.normal(scale=0.05, size=(600, 20)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = spherical_k_means(vectors, 30, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-5)
    assert ((found @ centres.T).max(axis=0) > 0.95).all()


def feature(width: int | None = 24) -> ImageFeature:
    return ImageFeature(size=(20, 20), backbone="patches", width=width, patches=SMALL)


def test_the_tower_is_a_regression_on_histograms():
    towers = [image_tower("picture", feature(), 3) for _ in range(2)]
    said: list[str] = []
    data, targets = pictures(), RNG.normal(size=(60, 5)).astype(np.float32)
    first, second = (fit_by_regression(t, data, targets, ridge=0.1, seed=1, report=said.append) for t in towers)
    assert len(said) == 6 and not towers[0].trainable_variables
    np.testing.assert_allclose(first, second, atol=1e-4)
    assert first.shape == (60, 24) and not first[:, 5:].any()
    layers = [layer for layer in towers[0].layers if isinstance(layer, PatchHistogram)]
    inputs = np.concatenate([np.asarray(layer(data)) for layer in layers], axis=1)
    model = Ridge(0.2, fit_intercept=False).fit(inputs, targets - targets.mean(axis=0))
    expected = model.predict(inputs)
    found = towers[0](data).numpy()
    assert not found[0].any()  # a plain picture
    np.testing.assert_allclose(np.linalg.norm(found[1:], axis=1), 1.0, atol=1e-5)
    # Up to a rotation.
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)
    np.testing.assert_allclose(found, towers[0](data[:, :, ::-1].copy()).numpy(), atol=1e-3)


def test_copies_are_learnt_from():
    """A ridge regression by scikit-learn on the histograms of pictures and copies."""
    tower, data, targets = image_tower("picture", feature(), 3), pictures(), RNG.normal(size=(60, 5)).astype(np.float32)
    copies = [np.roll(data, 2, axis=1), np.roll(data, -2, axis=2)]
    vectors = fit_by_regression(tower, data, targets, ridge=0.1, seed=1, copies=copies)
    layers = [layer for layer in tower.layers if isinstance(layer, PatchHistogram)]
    everything = np.concatenate([data, *copies])
    inputs = np.concatenate([np.asarray(layer(everything)) for layer in layers], axis=1)
    centred = targets - targets.mean(axis=0)
    model = Ridge(0.2, fit_intercept=False).fit(inputs, np.tile(centred, (3, 1)))
    expected = model.predict(inputs[1:60])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = tower(data[1:]).numpy()
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=0.02)

    def without(row: int) -> np.ndarray:
        others = np.arange(180) % 60 != row
        one = Ridge(0.2, fit_intercept=False).fit(inputs[others], np.tile(centred, (3, 1))[others])
        return one.predict(inputs[[row]])[0]

    cosine = without(7) @ without(9) / np.linalg.norm(without(7)) / np.linalg.norm(without(9))
    assert vectors[7] @ vectors[9] == pytest.approx(cosine, abs=0.02)


@pytest.mark.parametrize("count", [3, 1])
def test_plain_and_few_pictures_do_no_harm(count):
    tower = image_tower("picture", feature(None), 3)
    vectors = fit_by_regression(tower, np.full((count, 20, 20, 3), 255, np.uint8), np.eye(count), ridge=0.1, seed=1)
    assert np.isfinite(vectors).all() and np.isfinite(tower(pictures(2)).numpy()).all()
    assert tower(pictures(2)).shape == (2, 128)
