"""Core-set: greedy k-center."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.pool import Floats, Integers, Pool, Selection, blocks

LOOKED_AT = 4096


class KCenter(QueryStrategy):
    """Always the product that is farthest from all labelled and picked ones (Gonzalez 1985; as active learning: Sener,
    Savarese 2018). At most twice the smallest covering radius."""

    kind: Literal["k_center"] = "k_center"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        assert pool.embeddings is not None
        picked, radii = greedy_k_center(pool.embeddings, pool.candidates, pool.labelled, n, rng)
        return Selection(picked, radii, self.kind)


def greedy_k_center(
    embeddings: Floats, candidates: Integers, centers: Integers, n: int, rng: np.random.Generator
) -> tuple[Integers, npt.NDArray[np.float64]]:
    """Farthest-first traversal, exact and lazy.

    A distance to the nearest center only falls as centers are added, so that an old one is an upper bound. The products
    of the largest old distances are brought up to date; as long as the largest of them is no smaller than any old one
    outside, it is the farthest of all, and nothing else needs to be looked at.

    Args:
      embeddings: (n, d), rows of unit length.
      candidates: rows that may be picked.
      centers: rows of the centers so far; without any the first pick is random.
      n: how many rows to pick.
      rng: draws the first pick.

    Returns:
      ``n`` rows in the order of the picks, and each one's Euclidean distance to the nearest center when it was picked.
    """
    width = embeddings.shape[1]
    picked: list[int] = []
    radii: list[float] = []
    if len(centers) == 0:
        first = int(rng.integers(len(candidates)))
        picked.append(int(candidates[first]))
        radii.append(float("inf"))
        centers = candidates[first : first + 1]
    nearest = _nearest(embeddings, candidates, centers)  # It never becomes smaller.
    if picked:
        nearest[first] = np.inf
    # How many of the picks each candidate was compared with.
    seen = np.zeros(len(candidates), np.int64)
    added = np.zeros((n, width), np.float32)
    count = 0
    while len(picked) < n:
        look = min(LOOKED_AT, len(candidates))
        order = np.argpartition(nearest, look - 1)
        places = order[:look]
        outside = float(nearest[order[look:]].min()) if look < len(candidates) else np.inf
        vectors = np.asarray(embeddings[candidates[places]], np.float32)
        stale = seen[places] < count
        if stale.any():
            oldest = int(seen[places[stale]].min())
            fresh = (vectors[stale] @ added[oldest:count].T).max(axis=1)
            nearest[places[stale]] = np.maximum(nearest[places[stale]], fresh)
        own = nearest[places]
        while len(picked) < n:
            farthest = int(own.argmin())
            if own[farthest] > outside:
                break
            picked.append(int(candidates[places[farthest]]))
            radii.append(float(np.sqrt(max(2.0 - 2.0 * own[farthest], 0.0))))
            added[count] = vectors[farthest]
            count += 1
            np.maximum(own, vectors @ vectors[farthest], out=own)
            own[farthest] = np.inf
        nearest[places] = own
        seen[places] = count
    return np.array(picked, np.int64), np.array(radii)


def _nearest(embeddings: Floats, candidates: Integers, centers: Integers) -> npt.NDArray[np.float32]:
    """Each candidate's largest cosine to a center: that of the nearest one, as the vectors have unit length."""
    center_vectors = np.asarray(embeddings[centers], np.float32)
    nearest = np.empty(len(candidates), np.float32)
    start = 0
    for part in blocks(candidates, embeddings.shape[1] + len(centers)):
        vectors = np.asarray(embeddings[part], np.float32)
        nearest[start : start + len(part)] = (vectors @ center_vectors.T).max(axis=1)
        start += len(part)
    return nearest
