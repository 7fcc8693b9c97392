"""Latent semantic analysis: the embedding that a truncated SVD finds in unlabelled products.

Deerwester et al., Indexing by latent semantic analysis, 1990; the SVD by random projections and power iterations
(Halko, Martinsson, Tropp, Finding structure with randomness, 2011, algorithm 4.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from modules.arrays import Float32Array, IntpArray

ROWS = 100_000
"""Products that the SVD is found on, at most: beyond this it costs minutes and changes nothing that one would see."""

POWER_ITERATIONS = 3

EXACT_ROWS = 1500
"""Products up to which the matrix of all pairs is solved in its place: that is exact, and many times as fast."""


def fit_projection(matrix: sparse.csr_matrix, width: int, seed: int) -> Float32Array:
    """The right singular vectors of the ``width`` largest singular values.

    Args:
      matrix: shape (products, inputs), not centred, as is usual for sparse text.

    Returns:
      float32 array of shape (inputs, width). A matrix of smaller rank leaves the last columns zero.
    """
    # Most of the hashed columns are empty in a small catalogue, and cost as much as others do.
    used = np.flatnonzero(matrix.getnnz(axis=0))
    rank = min(width, matrix.shape[0], len(used))
    table = np.zeros((matrix.shape[1], width), np.float32)
    if rank:
        values, rows = _leading(matrix[:, used], rank, seed)
        # Directions without any variance are noise.
        kept = values > 1e-6 * max(values[0], 1e-12)
        table[np.ix_(used, np.flatnonzero(kept))] = rows[kept].T
    return table


def _leading(matrix: sparse.csr_matrix, rank: int, seed: int) -> tuple[Float32Array, Float32Array]:
    """The largest singular values, the greatest first, and their right singular vectors as rows."""
    if matrix.shape[0] > EXACT_ROWS:
        from sklearn.utils.extmath import randomized_svd

        _, values, rows = randomized_svd(
            matrix, rank, n_iter=POWER_ITERATIONS, random_state=seed, power_iteration_normalizer="QR"
        )
        return values, rows
    from scipy import linalg

    pairs = (matrix @ matrix.T).toarray().astype(np.float64)
    squares, left = linalg.eigh(pairs, subset_by_index=[len(pairs) - rank, len(pairs) - 1])
    values = np.sqrt(np.maximum(squares[::-1], 0.0)).astype(np.float32)
    rows = np.asarray(matrix.T @ left[:, ::-1].astype(np.float32)).T
    return values, rows / np.maximum(values, np.finfo(np.float32).tiny)[:, None]


def embed(matrix: sparse.csr_matrix, projection: Float32Array) -> Float32Array:
    """Rows of unit length (rows of zeros stay), float32 (products, width): what the model's graph computes."""
    return unit_rows(np.asarray(matrix @ projection, np.float32))


def unit_rows(vectors: Float32Array) -> Float32Array:
    """Each row scaled to Euclidean length 1; a row of zeros stays."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class EmbeddingColumns:
    """Which columns of a design matrix the SVD reads, and which are embeddings already.

    Attributes:
      projected: columns of features that the SVD reads.
      beside: columns of features that are embeddings themselves, in the order in which they stand beside the SVD's.
    """

    projected: IntpArray
    beside: IntpArray

    @classmethod
    def of(cls, ranges: Mapping[str, tuple[int, int]], embeddings: Iterable[str], columns: int) -> EmbeddingColumns:
        """From the features' ranges of columns, among the first ``columns``."""
        beside = [np.arange(*ranges[name]) for name in ranges if name in set(embeddings)]
        own = np.concatenate([np.zeros(0, np.intp), *beside])
        return cls(np.setdiff1d(np.arange(columns), own), own)

    def embed(self, matrix: sparse.csr_matrix, projection: Float32Array) -> Float32Array:
        """What the SVD makes of its columns, of unit length, beside the other embeddings; the whole of unit length.

        Args:
          matrix: the design matrix, float32 (rows, columns).
          projection: of the columns in ``projected``, float32 (projected, width).

        Returns:
          float32 (rows, width and the columns ``beside``).
        """
        parts = [embed(matrix[:, self.projected], projection)] if len(self.projected) else []
        if len(self.beside):
            parts.append(np.asarray(matrix[:, self.beside].todense(), np.float32))
        return parts[0] if len(parts) == 1 and len(self.projected) else unit_rows(np.concatenate(parts, axis=1))
