"""Products with vectors for the tests of the indexes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from modules.similarity.changes import unit
from modules.similarity.items import Embedding, Items

NODES = 12


def clustered(count: int, dimension: int, seed: int, clusters: int = 40) -> np.ndarray:
    """Unit vectors around centres, float32 (count, dimension)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(clusters, dimension))
    return unit(centres[rng.integers(clusters, size=count)] + 0.7 * rng.normal(size=(count, dimension)))


def shop(count: int, dimension: int = 16, seed: int = 0, first: int = 0, model: str = "m") -> Items:
    """Items with every attribute; ids ``p<first>`` and on; some attributes missing."""
    rng = np.random.default_rng(seed)
    price = np.round(rng.lognormal(3, 1, count), 2)
    price[rng.random(count) < 0.1] = np.nan
    retailers = [None if i % 13 == 0 else f"shop {i % 5}" for i in range(count)]
    return Items.of(
        pa.array([f"p{first + i}" for i in range(count)], pa.string()),
        clustered(count, dimension, seed),
        titles=[f"product number {i}" for i in range(count)],
        category=rng.integers(-1, NODES, count),
        retailer=retailers,
        price=price,
        availability=["in stock" if i % 3 else "sold out" for i in range(count)],
        embedding=Embedding(model),
    )


def oracle(queries: np.ndarray, vectors: np.ndarray, k: int, allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and scores by a full sort in float64, -1 and -inf padded; equal scores by row."""
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    scores[:, ~allowed] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, 1)
    rows = np.where(np.isneginf(best), -1, order)
    if (short := k - rows.shape[1]) > 0:
        rows = np.pad(rows, ((0, 0), (0, short)), constant_values=-1)
        best = np.pad(best, ((0, 0), (0, short)), constant_values=-np.inf)
    return rows, best
