"""What is least like the labelled products."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modules.arrays import Int64Array
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.pool import Pool, Selection, blocks, top_k


class Discriminative(QueryStrategy):
    """A logistic regression tells labelled from unlabelled products; the surest unlabelled ones are picked, in turns
    after each of which the picks count as labelled (Gissin, Shalev-Shwartz 2019)."""

    kind: Literal["discriminative"] = "discriminative"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings", "labels"})

    turns: Annotated[int, Field(ge=1, le=100)] = 10
    """How many times the regression is fitted anew within a batch. More turns make picks more diverse, and cost
    more."""
    sample: Annotated[int, Field(ge=100, le=1_000_000)] = 20_000
    """Random unlabelled products that the regression learns from."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        from sklearn.linear_model import LogisticRegression

        assert pool.embeddings is not None
        known, left = pool.labelled, pool.candidates
        picked: list[Int64Array] = []
        values: list[np.ndarray] = []
        turns = min(self.turns, n)
        for turn in range(turns):
            some = left if len(left) <= self.sample else rng.choice(left, self.sample, replace=False)
            vectors = np.concatenate([pool.vectors(known), pool.vectors(some)])
            unlabelled = np.repeat([0, 1], [len(known), len(some)])
            classifier = LogisticRegression(C=10.0, class_weight="balanced", max_iter=200).fit(vectors, unlabelled)
            parts = [
                classifier.decision_function(pool.vectors(part)) for part in blocks(left, pool.embeddings.shape[1])
            ]
            scores = np.concatenate(parts)
            share = n * (turn + 1) // turns - n * turn // turns
            chosen = top_k(scores, share, rng)
            picked.append(left[chosen])
            values.append(1.0 / (1.0 + np.exp(-scores[chosen])))
            known = np.concatenate([known, left[chosen]])
            left = np.delete(left, chosen)
        return Selection(np.concatenate(picked), np.concatenate(values).astype(np.float64), self.kind)
