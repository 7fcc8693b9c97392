"""Small pools that look like a shop's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from modules.query_strategies import Pool

LEVELS = [[0, 0, 0, 1, 1, 1, -1]]
"""Seven classes: three in each of two branches, and one at the top."""

CLASSES = 7


def pool_of(n: int = 200, seed: int = 0, *, labelled: int = 20, width: int = 8, members: int = 4) -> Pool:
    """Clustered embeddings, probabilities that follow them, a committee, some labels, some rows not to be picked."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(CLASSES, size=n)
    centers = rng.normal(size=(CLASSES, width))
    vectors = centers[truth] + 0.4 * rng.normal(size=(n, width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logits = 3.0 * vectors @ centers.T
    committee = softmax(logits + rng.normal(size=(members, n, CLASSES)), axis=2).astype(np.float32)
    labels = np.full(n, -1)
    known = rng.choice(n, labelled, replace=False)
    labels[known] = truth[known]
    available = labels < 0
    available[rng.choice(np.flatnonzero(available), n // 10, replace=False)] = False
    return Pool(
        available, labels, CLASSES, committee.mean(axis=0), embeddings=vectors.astype(np.float32), levels=LEVELS,
        members=lambda rows: committee[:, rows], classes_under=lambda name: np.array([int(name)]),
    )  # fmt: skip


def most_probable(pool: Pool, k: int) -> Pool:
    """The same pool in the form of the ``k`` most probable classes; the model knows the others."""
    dense = pool.probabilities
    assert dense is not None
    order = np.argsort(-dense, axis=1, kind="stable")[:, :k]
    return replace(
        pool, probabilities=np.take_along_axis(dense, order, axis=1), categories=order.astype(np.int32),
        distributions=lambda rows: dense[rows],
    )  # fmt: skip
