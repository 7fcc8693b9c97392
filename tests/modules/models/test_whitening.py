"""Partial whitening beside what it is by its formula."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from modules.models.whitening import POWER, Whitening


def vectors(seed: int, rows: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(rows, width)) * rng.uniform(0.1, 3.0, width) + 0.3).astype(np.float32)


@given(seed=st.integers(0, 2**31), rows=st.integers(1, 60), width=st.integers(1, 12), before=st.integers(0, 5))
def test_it_is_the_power_of_the_second_moments(seed: int, rows: int, width: int, before: int) -> None:
    both = vectors(seed, rows, before + width)
    columns = np.arange(before, before + width)
    whitening = Whitening.of(both, columns)
    second = both[:, before:].astype(float).T @ both[:, before:] / rows
    power = linalg.fractional_matrix_power(second + np.trace(second) / width * np.eye(width), -POWER / 2)
    mapped = both[:, before:] @ power
    expected = mapped * np.linalg.norm(both[:, before:]) / np.linalg.norm(mapped)
    np.testing.assert_allclose(whitening(both)[:, before:], expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(whitening(both)[:, :before], both[:, :before])


@given(seed=st.integers(0, 2**31), width=st.integers(1, 12))
def test_weights_of_mapped_vectors_are_taken_to_weights_of_the_vectors(seed: int, width: int) -> None:
    embeddings, weights = vectors(seed, 30, width), vectors(seed + 1, 4, width)
    whitening = Whitening.of(embeddings, np.arange(width))
    np.testing.assert_allclose(
        embeddings @ whitening(weights).T, whitening(embeddings) @ weights.T, rtol=1e-3, atol=1e-3
    )


def test_loud_directions_become_less_loud_and_keep_their_order() -> None:
    rng = np.random.default_rng(3)
    embeddings = (rng.normal(size=(4000, 3)) * [10.0, 1.0, 0.1]).astype(np.float32)
    mapped = Whitening.of(embeddings, np.arange(3))(embeddings)
    loud, middle, quiet = np.linalg.norm(mapped, axis=0) / np.linalg.norm(embeddings, axis=0)
    assert 0.99 < loud < 1.05 * loud < middle < quiet
    after = np.linalg.norm(mapped, axis=0)
    assert after[0] > after[1] > after[2]


def test_a_catalogue_without_vectors_changes_nothing() -> None:
    for embeddings in (np.zeros((0, 4), np.float32), np.zeros((5, 4), np.float32)):
        rows = vectors(1, 6, 4)
        np.testing.assert_array_equal(Whitening.of(embeddings, np.arange(4))(rows), rows)
        np.testing.assert_array_equal(Whitening.of(rows, np.arange(0))(rows), rows)
