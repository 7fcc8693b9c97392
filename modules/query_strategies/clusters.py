"""k-means over embeddings, as several strategies need it."""

from __future__ import annotations

import numpy as np

from modules.arrays import Float32Array, FloatArray, Int64Array
from modules.query_strategies.pool import blocks

SAMPLE = 50_000
"""Centers are found on so many random rows at most."""


def centers_of(embeddings: FloatArray, rows: Int64Array, count: int, rng: np.random.Generator) -> Float32Array:
    """Cluster centers, (count, d); of fewer rows than ``count`` one for each."""
    from sklearn.cluster import KMeans, MiniBatchKMeans

    if len(rows) > SAMPLE:
        rows = np.sort(rng.choice(rows, SAMPLE, replace=False))
    count = min(count, len(rows))
    vectors = np.asarray(embeddings[rows], np.float32)
    seed = int(rng.integers(2**31))
    # With few members per center mini-batches leave many centers where they were.
    small = len(rows) * count <= 2_000_000
    method = KMeans(count, n_init=1, random_state=seed) if small else MiniBatchKMeans(
        count, n_init=1, batch_size=max(4096, 4 * count), random_state=seed
    )  # fmt: skip
    return method.fit(vectors).cluster_centers_.astype(np.float32)


def assigned(embeddings: FloatArray, rows: Int64Array, centers: Float32Array) -> Int64Array:
    """The nearest center of each row."""
    lengths = np.einsum("kd,kd->k", centers, centers) / 2.0
    parts = [
        (np.asarray(embeddings[part], np.float32) @ centers.T - lengths).argmax(axis=1)
        for part in blocks(rows, len(centers) + embeddings.shape[1])
    ]
    return np.concatenate([np.zeros(0, np.int64), *parts])
