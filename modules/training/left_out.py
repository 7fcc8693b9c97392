"""Least squares whose answers for each row, without that row, follow from one fit (leave-one-out).

With X the inputs, H = X X' (X X' + noise I)^-1 is what a ridge regression makes of the targets, and the errors without
a row are (t - H t) / (1 - h) (Rasmussen, Williams, Gaussian Processes for Machine Learning, 2006, section 5.4.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from modules.arrays import Float32Array, Float64Array, IntpArray

NOISE = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Variances of a label around what its inputs say."""

TEMPERATURES = (0.32, 0.16, 0.08, 0.04)
"""Each half of the one before: the exponentials of one are the squares of the last one's."""


@dataclass(frozen=True)
class Smoother:
    """X X' by its eigenvectors: from it all fits follow, for any noise.

    Attributes:
      vectors: float32 (n, rank), orthonormal columns. values: (rank,), the eigenvalues, positive.
    """

    vectors: Float32Array
    values: Float64Array

    @classmethod
    def of(cls, inputs: Float64Array) -> Smoother:
        """By the smaller one of the two matrices of products."""
        rows, columns = inputs.shape
        if rows <= columns:
            return cls.of_pairs(inputs @ inputs.T)
        other = cls.of_pairs(inputs.T @ inputs)
        return cls((inputs @ (other.vectors / np.sqrt(other.values))).astype(np.float32), other.values)

    @classmethod
    def of_pairs(cls, kernel: Float64Array) -> Smoother:
        """Of a kernel's values for all pairs of rows, in place of X X'."""
        values, vectors = np.linalg.eigh(kernel)
        kept = values > 1e-9 * max(float(values[-1]), 1e-12)
        return cls(vectors[:, kept].astype(np.float32), values[kept])

    def left_out(self, targets: Float32Array, noises: Iterable[float], groups: IntpArray) -> Iterator[Float32Array]:
        """For each noise what the targets of the first rows differ by from a fit without their group; (rows, outputs).

        With the fit H t, that is (I - H_gg)^-1 (t - H t)_g for the rows g of a group.

        Args:
          targets: (n, outputs); all that is wanted side by side, since what does not hang on them is found once.
          groups: of the first rows; the others are never left out.
        """
        vectors, projected = self.vectors[: len(groups)], self.vectors.T @ targets
        by_size = list(_by_size(groups))
        for noise in noises:
            shrunk = (self.values / (self.values + noise)).astype(np.float32)
            errors = targets[: len(groups)] - vectors @ (shrunk[:, None] * projected)
            for rows in by_size:
                of_group = vectors[rows]
                own = (of_group * shrunk) @ of_group.transpose(0, 2, 1)
                left = np.eye(rows.shape[1], dtype=np.float32) - own
                # Most groups are single rows, for which a division does.
                errors[rows] = errors[rows] / left if rows.shape[1] == 1 else np.linalg.solve(left, errors[rows])
            yield errors


def _by_size(groups: IntpArray) -> Iterator[IntpArray]:
    """The rows of all groups of the same size, (groups, size), for each size."""
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    for size in np.unique(sizes):
        yield order[starts[sizes == size][:, None] + np.arange(size)]


def log_likelihoods(scores: Float32Array, labels: IntpArray) -> Iterator[Float32Array]:
    """Of each row's label at each of :data:`TEMPERATURES`; the exponentials are taken once, for the flattest."""
    scores = scores - scores.max(axis=1, keepdims=True)
    own = scores[np.arange(len(labels)), labels]
    shares = np.exp(scores / np.float32(TEMPERATURES[0]))
    for temperature in TEMPERATURES:
        if temperature != TEMPERATURES[0]:
            np.square(shares, out=shares)
        yield np.maximum(own / np.float32(temperature) - np.log(shares.sum(axis=1)), np.log(1e-12))


def equal_rows(embeddings: Float32Array, rows: IntpArray) -> IntpArray:
    """A number per row, the same for equal ones: a product that a resample has drawn twice, or a variant."""
    numbers: dict[bytes, int] = {}
    digests = (hashlib.blake2b(embeddings[row].tobytes(), digest_size=16).digest() for row in rows)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.intp)
