"""Decoding and augmentation of pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from modules.features import ImageFeature
from modules.settings.image_training import AugmentationSettings
from modules.training.image_data import fits_in_memory
from modules.vision.augmentation import augmented
from modules.vision.decoding import decode_pictures
from tests.modules.training.catalogue import picture

NOTHING = AugmentationSettings(flip=False, shift=0.0, zoom=0.0, brightness=0.0, contrast=0.0, saturation=0.0)


def only(**changes) -> AugmentationSettings:
    return NOTHING.model_copy(update=changes)


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


def test_pictures_are_decoded_as_others_decode_them():
    rng = np.random.default_rng(1)
    files = [picture(i, rng, (32, 24)) for i in range(4)]
    found, present = decode_pictures(tf.constant(files), 32, 24)
    assert found.dtype == tf.uint8 and present.numpy().tolist() == [[1.0]] * 4
    for file, own in zip(files, found.numpy().astype(np.float32), strict=True):
        difference = np.abs(own - pixels_of(file))
        assert difference.mean() < 1.5 and difference.max() <= 12


def test_pictures_of_any_size_are_brought_to_one():
    flat = tf.io.encode_jpeg(np.full((50, 90, 3), (200, 100, 50), np.uint8), quality=100).numpy()
    found, present = decode_pictures(tf.constant([flat]), 16, 12)
    assert found.shape == (1, 16, 12, 3) and present.numpy()[0, 0] == 1.0
    assert np.abs(found.numpy().astype(float) - (200, 100, 50)).max() <= 3


def test_a_missing_picture_is_zeros_and_known_to_be():
    file = picture(0, np.random.default_rng(2))
    found, present = decode_pictures(tf.constant([b"", file, b"GIF89a"]), 24, 20)
    assert present.numpy().tolist() == [[0.0], [1.0], [0.0]]
    assert not found.numpy()[[0, 2]].any() and found.numpy()[1].any()
    empty, flags = decode_pictures(tf.constant([], tf.string), 24, 20)
    assert empty.shape == (0, 24, 20, 3) and flags.shape == (0, 1)


def test_a_truncated_picture_is_decoded_as_far_as_it_goes():
    file = picture(0, np.random.default_rng(3), (64, 64))
    found, present = decode_pictures(tf.constant([file[: len(file) // 2]]), 64, 64)
    assert present.numpy()[0, 0] == 1.0 and found.numpy()[0, :16].any()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (32, 12, 10, 3)).astype(np.uint8)


def change(images: np.ndarray, settings: AugmentationSettings, seed: int = 1) -> np.ndarray:
    return augmented(tf.constant(images), settings, tf.constant([seed, 0], tf.int64)).numpy()


def test_no_change_leaves_pixels_as_they_are(images):
    np.testing.assert_array_equal(change(images, NOTHING), images.astype(np.float32))


def test_the_seed_decides(images):
    first = change(images, AugmentationSettings(rotation=20.0))
    np.testing.assert_array_equal(first, change(images, AugmentationSettings(rotation=20.0)))
    assert np.abs(first - change(images, AugmentationSettings(rotation=20.0), seed=2)).mean() > 1
    assert first.shape == images.shape and first.min() >= 0.0 and first.max() <= 255.0


def test_flips_about_half(images):
    found = change(images, only(flip=True))
    flipped = [np.allclose(a, b[:, ::-1], atol=1e-3) for a, b in zip(found, images.astype(np.float32), strict=True)]
    same = [np.allclose(a, b, atol=1e-3) for a, b in zip(found, images.astype(np.float32), strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True)) and 8 <= sum(flipped) <= 24


def test_a_shift_moves_at_most_its_share_and_repeats_the_border():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.float32)[None, None, :, None], (64, 20, 20, 3))
    found = change(ramp, only(shift=0.2))
    moved = (found - ramp)[:, 10, 10, 0] / 10.0  # pixels to the right that are read
    assert np.abs(moved).max() <= 4.0 + 1e-3 and moved.min() < -1 and moved.max() > 1
    assert found.min() >= 0.0 and found.max() <= 190.0  # nothing but what the picture shows


def test_a_zoom_shows_a_part_of_the_middle():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.float32)[None, None, :, None], (64, 20, 20, 3))
    found = change(ramp, only(zoom=1.0))
    width = (found[:, 10, -1, 0] - found[:, 10, 0, 0]) / 190.0
    assert width.min() >= 0.5 - 1e-3 and width.max() <= 1.0 + 1e-3 and width.min() < 0.7 and width.max() > 0.8
    np.testing.assert_allclose((found[:, 10, -1, 0] + found[:, 10, 0, 0]) / 2, 95.0, atol=0.1)


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_colours_change_by_one_factor_per_picture(images, name):
    middle = np.clip(images, 100, 150)
    found, before = change(middle, only(**{name: 0.3})), middle.astype(np.float32)
    grey = before.mean(axis=3, keepdims=True)
    mean = before.mean(axis=(1, 2, 3), keepdims=True)
    if name == "brightness":
        amount = found - before
        bound = 0.3 * 255
    else:
        centre = grey if name == "saturation" else mean
        with np.errstate(divide="ignore", invalid="ignore"):
            amount = (found - centre) / (before - centre) - 1.0
        amount[np.abs(before - centre) < 5] = np.nan
        bound = 0.3
    low, high = np.nanmin(amount, axis=(1, 2, 3)), np.nanmax(amount, axis=(1, 2, 3))
    np.testing.assert_allclose(low, high, atol=1e-3 * max(1, bound))
    assert np.abs(low).max() <= bound + 1e-3 and low.min() < -bound / 3 and low.max() > bound / 3


def test_pixels_are_kept_only_where_they_fit():
    feature = ImageFeature(size=(64, 64))
    assert fits_in_memory(feature, 80_000) and not fits_in_memory(feature, 90_000)
    assert not fits_in_memory(feature, None)
