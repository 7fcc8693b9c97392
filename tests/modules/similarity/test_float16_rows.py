"""Every half beside NumPy's cast."""

from __future__ import annotations

import numpy as np
import pytest

from modules.similarity.float16_rows import to_float32

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = EVERY[np.isfinite(EVERY)]


def test_every_finite_half_is_what_numpy_makes_of_it():
    widened = to_float32(FINITE)
    np.testing.assert_array_equal(widened.view(np.uint32), FINITE.astype(np.float32).view(np.uint32))


@pytest.mark.parametrize("shape", [(62, 1024), (1024, 62), (0, 7), (1, 63488)])
def test_rows_are_widened_block_by_block(shape):
    halves = np.resize(FINITE, shape)
    np.testing.assert_array_equal(to_float32(halves), halves.astype(np.float32))


def test_rows_that_do_not_lie_side_by_side():
    halves = np.random.default_rng(3).normal(size=(40, 30)).astype(np.float16)
    np.testing.assert_array_equal(to_float32(halves[::3, 1:25]), halves[::3, 1:25].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8])
def test_out_is_filled(dtype):
    values = np.arange(-12, 12).reshape(4, 6).astype(dtype)
    out = np.empty((4, 6), np.float32)
    assert to_float32(values, out) is out
    np.testing.assert_array_equal(out, np.arange(-12, 12).reshape(4, 6))


def test_single_precision_is_not_copied():
    values = np.ones((3, 2), np.float32)
    assert to_float32(values) is values
