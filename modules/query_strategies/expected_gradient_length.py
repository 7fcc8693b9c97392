"""Expected length of the gradient that a label would cause."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import FloatArray, Int64Array
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, Selection, blocks, top_k


class ExpectedGradientLength(ScoreStrategy):
    """Longest expected gradient of the last layer first (Settles, Craven, Ray 2008).

    With softmax p, one-hot label e_y and last-layer input h (the embedding and a constant for the bias) the gradient is
    (p - e_y) h^T. Its length over the model's own labels is sum_y p_y |p - e_y| |h|, with
    |p - e_y|^2 = |p|^2 - 2 p_y + 1: no gradient is ever formed.
    """

    kind: Literal["expected_gradient_length"] = "expected_gradient_length"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities", "embeddings"})

    candidates: Annotated[int, Field(ge=1)] = 5_000
    """The longest by the most probable classes alone, of which all classes' probabilities are looked up."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        if pool.distributions is not None:
            rows = pool.candidates
            kept = top_k(self.utilities(pool.listed(), rows), max(n, self.candidates), rng)
            pool = pool.only(np.sort(rows[kept]))
        return super()._pick(pool, n, rng)

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        gradient_lengths = np.empty(len(rows), np.float32)
        # Each look-up loads the model and reads the examples again: one for all rows.
        known = None if pool.distributions is None else pool.distributions(rows)
        for at in blocks(np.arange(len(rows)), pool.classes):
            p, h = pool.full(rows[at]) if known is None else known[at], pool.vectors(rows[at])
            squares = np.einsum("rc,rc->r", p, p)
            lengths = np.sqrt(np.maximum(squares[:, None] - 2.0 * p + 1.0, 0.0))
            width = np.sqrt(np.einsum("rd,rd->r", h, h) + 1.0)
            gradient_lengths[at] = np.einsum("rc,rc->r", p, lengths) * width
        return gradient_lengths
