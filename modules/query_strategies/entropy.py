"""Entropy of the predicted distribution."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import ENTROPY
from modules.query_strategies.base import ScoreStrategy
from modules.query_strategies.pool import Pool, per_row


class Entropy(ScoreStrategy):
    """Most entropy first (Shannon 1948; the thesis's 2.5): the whole distribution is uncertain."""

    kind: Literal["entropy"] = "entropy"
    needs: ClassVar[frozenset[str]] = frozenset({"probabilities"})

    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """Nats. Where only the most probable classes are known and the model gave no entropy, the rest counts as spread
        evenly: the upper bound."""
        if ENTROPY in pool.scores:
            return pool.scores[ENTROPY][rows]
        assert pool.probabilities is not None
        width = pool.probabilities.shape[1]
        others = max(pool.classes - width, 1)

        def entropy(some: FloatArray) -> FloatArray:
            known = np.asarray(some, np.float32)
            entropies = entropy_of(known)
            if pool.categories is not None:
                rest = np.maximum(1.0 - known.sum(axis=1), 0.0)
                entropies -= rest * np.log(np.maximum(rest / others, 1e-30))
            return entropies

        return per_row(pool.probabilities, rows, entropy)


def entropy_of(probabilities: FloatArray) -> FloatArray:
    """Entropy in nats over the last axis; 0 log 0 is 0."""
    logarithms = np.maximum(probabilities, 1e-30)
    np.log(logarithms, out=logarithms)
    return -np.einsum("...c,...c->...", probabilities, logarithms)
