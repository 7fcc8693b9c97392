"""Kernel ridge regression against scikit-learn's, fitted anew without each example."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from modules.vision import ridge
from modules.vision.ridge import cholesky, regression

RNG = np.random.default_rng(5)


def test_leaving_an_example_out_is_fitting_without_it():
    vectors, targets = RNG.normal(size=(20, 8)).astype(np.float32), RNG.normal(size=(20, 3)).astype(np.float32)
    dual, left_out = regression(vectors @ vectors.T, targets, 0.5)
    expected = Ridge(0.5, fit_intercept=False).fit(vectors, targets).predict(vectors)
    np.testing.assert_allclose(vectors @ (vectors.T @ dual), expected, atol=1e-4)
    for row in (0, 7, 19):
        others = np.arange(20) != row
        alone = Ridge(0.5, fit_intercept=False).fit(vectors[others], targets[others]).predict(vectors[[row]])
        np.testing.assert_allclose(left_out[row], alone[0], atol=1e-4)


def test_leaving_an_example_out_leaves_out_its_copies():
    count = 12
    vectors, targets = RNG.normal(size=(36, 8)).astype(np.float32), RNG.normal(size=(12, 3)).astype(np.float32)
    repeated = np.tile(targets, (3, 1))
    dual, left_out = regression(vectors @ vectors.T, targets, 0.5)
    expected = Ridge(0.5, fit_intercept=False).fit(vectors, repeated).predict(vectors)
    np.testing.assert_allclose(vectors @ (vectors.T @ dual), expected, atol=1e-4)
    assert left_out.shape == targets.shape
    for row in (0, 5, 11):
        others = np.arange(36) % count != row
        alone = Ridge(0.5, fit_intercept=False).fit(vectors[others], repeated[others]).predict(vectors[[row]])
        np.testing.assert_allclose(left_out[row], alone[0], atol=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 30])
def test_the_cholesky_factor_by_blocks(monkeypatch, rows):
    monkeypatch.setattr(ridge, "BLOCK", 8)
    values = RNG.normal(size=(rows, 40))
    matrix = np.asfortranarray(values @ values.T)
    expected = np.linalg.cholesky(matrix)
    cholesky(matrix)
    np.testing.assert_allclose(np.tril(matrix), expected, rtol=1e-9, atol=1e-9)


def test_a_matrix_without_a_factor():
    with pytest.raises(np.linalg.LinAlgError):
        cholesky(np.asfortranarray([[1.0, 2.0], [2.0, 1.0]]))
