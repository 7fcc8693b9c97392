"""Partial whitening: what all products of a shop share becomes less loud, and what few have louder.

A pretrained encoder puts most of what it says of one shop's products into few directions, which tell its categories
apart no better than the others do. With S the second moments of the products' vectors and s the mean of S's
eigenvalues, vectors are multiplied by (S + s I)^(-p/2), p = 1/4. Whole whitening, p = 1 and no s (Su et al., Whitening
sentence representations for better semantics and faster retrieval, 2021), would make noise as loud as the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.arrays import Float32Array, IntpArray

POWER = 0.25
_ROWS = 65_536
"""Rows whose products are summed at once."""


@dataclass(frozen=True)
class Whitening:
    """A symmetric linear map of some columns of an embedding; the others stay.

    Attributes:
      columns: which ones. matrix: float32 (columns, columns).
    """

    columns: IntpArray
    matrix: Float32Array

    @classmethod
    def of(cls, embeddings: Float32Array, columns: IntpArray) -> Whitening:
        """From a catalogue's embeddings, float32 (n, width), whose mean squared length it keeps."""
        second = np.zeros((len(columns), len(columns)))
        for start in range(0, len(embeddings), _ROWS):
            part = embeddings[start : start + _ROWS][:, columns]
            second += part.T @ part
        values, vectors = np.linalg.eigh(second / max(len(embeddings), 1))
        values = np.maximum(values, 0.0)
        total = values.sum()
        if total < 1e-12:
            return cls(columns, np.eye(len(columns), dtype=np.float32))
        factors = (values + total / len(columns)) ** (-POWER / 2.0)
        factors *= np.sqrt(total / (values * factors**2).sum())
        return cls(columns, ((vectors * factors) @ vectors.T).astype(np.float32))

    def __call__(self, rows: Float32Array) -> Float32Array:
        """float32 (n, width), the rows mapped.

        Since the map is symmetric, it also takes weights of mapped embeddings, one row per output, to the weights that
        give the same of embeddings as they were.
        """
        mapped = rows.copy()
        mapped[:, self.columns] = rows[:, self.columns] @ self.matrix
        return mapped
