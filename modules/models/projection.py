"""Latent semantic analysis: the embedding that a truncated SVD finds in unlabelled products.

Deerwester et al., Indexing by latent semantic analysis, 1990; the SVD by random projections and power iterations
(Halko, Martinsson, Tropp, Finding structure with randomness, 2011, algorithm 4.4).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from modules.arrays import Float32Array

ROWS = 100_000
"""Products that the SVD is found on, at most: beyond this it costs minutes and changes nothing that one would see."""

POWER_ITERATIONS = 3


def fit_projection(matrix: sparse.csr_matrix, width: int, seed: int) -> Float32Array:
    """The right singular vectors of the ``width`` largest singular values.

    Args:
      matrix: shape (products, inputs), not centred, as is usual for sparse text.

    Returns:
      float32 array of shape (inputs, width). A matrix of smaller rank leaves the last columns zero.
    """
    from sklearn.utils.extmath import randomized_svd

    rank = min(width, *matrix.shape)
    table = np.zeros((matrix.shape[1], width), np.float32)
    if rank:
        _, values, rows = randomized_svd(
            matrix, rank, n_iter=POWER_ITERATIONS, random_state=seed, power_iteration_normalizer="QR"
        )
        # Directions without any variance are noise.
        kept = values > 1e-6 * max(values[0], 1e-12)
        table[:, : kept.sum()] = rows[kept].T
    return table


def embed(matrix: sparse.csr_matrix, projection: Float32Array) -> Float32Array:
    """Rows of unit length (rows of zeros stay), float32 (products, width): what the model's graph computes."""
    vectors = np.asarray(matrix @ projection, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
