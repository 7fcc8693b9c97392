"""Triplets worth judging: where the embeddings that are compared propose different products."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from modules.arrays import Int64Array
from modules.similarity_quality.triplets import Question

RANDOM = "random"
"""The method of a product that was drawn from all."""


def sample_triplets(
    ids: pa.Array,
    queries: Int64Array,
    neighbours: Mapping[str, Int64Array],
    count: int,
    rng: np.random.Generator,
    random_share: float = 0.1,
) -> list[Question]:
    """Draws triplets whose A and B different methods hold for near, so that a verdict tells them apart.

    Each has a query, two methods (with one method, that one twice) and a neighbour of each, all drawn evenly; which one
    is A is drawn as well. In ``random_share`` of them one side is any product instead: easy ones, which show whether an
    annotator looks. No triplet comes twice; fewer than ``count`` come where there are no more.

    Args:
      ids: of all products.
      queries: int64 (q,), rows of products to ask about.
      neighbours: method to int64 (q, k), rows of each query's nearest products, -1 where there are none.

    Raises:
      ValueError: no method, or a shape that does not fit.
    """
    if not neighbours:
        raise ValueError("neighbours of at least one method")
    for name, rows in neighbours.items():
        if rows.ndim != 2 or len(rows) != len(queries):
            raise ValueError(f"neighbours of {name} of shape ({len(queries)}, k), not {rows.shape}")
    if not len(queries):
        return []
    names = list(neighbours)
    questions: dict[tuple[str, str, str], Question] = {}
    for _ in range(20):  # draws that fail, or come twice, are drawn again
        missing = count - len(questions)
        if missing <= 0:
            break
        at = rng.integers(len(queries), size=2 * missing)
        first = rng.integers(len(names), size=len(at))
        # Another one than the first, where there is another.
        second = (first + rng.integers(1, max(len(names), 2), size=len(at))) % len(names)
        sides = np.stack([_drawn(neighbours, names, at, first, rng), _drawn(neighbours, names, at, second, rng)], 1)
        methods = np.stack([first, second], 1)
        any_one = np.flatnonzero(rng.random(len(at)) < random_share)
        sides[any_one, 1], methods[any_one, 1] = rng.integers(len(ids), size=len(any_one)), len(names)
        swap = rng.random(len(at)) < 0.5
        sides[swap], methods[swap] = sides[swap, ::-1], methods[swap, ::-1]
        asked = queries[at]
        good = (sides >= 0).all(axis=1) & (sides[:, 0] != sides[:, 1]) & (sides != asked[:, None]).all(axis=1)
        labels = [*names, RANDOM]
        texts = ids.take(pa.array(np.column_stack([asked, sides])[good].reshape(-1))).to_pylist()
        for i, pair in enumerate(methods[good].tolist()):
            query, a, b = texts[3 * i : 3 * i + 3]
            question = Question(query, a, b, (labels[pair[0]], labels[pair[1]]))
            if len(questions) < count:
                questions.setdefault(question.key, question)
    return list(questions.values())


def _drawn(
    neighbours: Mapping[str, Int64Array], names: list[str], at: Int64Array, method: Int64Array, rng: np.random.Generator
) -> Int64Array:
    """For each draw one of the method's neighbours of its query; -1 where it hits an empty place."""
    rows = np.full(len(at), -1, np.int64)
    for i, name in enumerate(names):
        mine = np.flatnonzero(method == i)
        if len(mine) and neighbours[name].shape[1]:
            rows[mine] = neighbours[name][at[mine], rng.integers(neighbours[name].shape[1], size=len(mine))]
    return rows
