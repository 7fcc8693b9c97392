"""Predictions of a small shop as Predictor writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import softmax

from modules.query_strategies.committee import bald
from modules.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(
    [("shoes", "boots"), ("shoes", "sandals"), ("bags", "totes"), ("bags", "clutches"), ("gifts",)]
)
K = 4


def fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def write_predictions(
    folder: Path, sizes: dict[str, int], *, labelled: int = 10, members: int = 0
) -> dict[str, np.ndarray]:
    """Writes both objectives' columns; gives the exclusive probabilities over all classes, by split."""
    rng = np.random.default_rng(0)
    classes, everything = len(TREE.exclusive), len(TREE)
    written = {}
    for split, n in sizes.items():
        p = softmax(2.0 * rng.normal(size=(n, classes)), axis=1)
        order = np.argsort(-p, axis=1)[:, :K]
        top = np.take_along_axis(p, order, axis=1)
        binary = 1.0 / (1.0 + np.exp(-2.0 * rng.normal(size=(n, everything))))
        many = np.argsort(-binary, axis=1)[:, :K]
        vectors = rng.normal(size=(n, 6))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        labels = np.full(n, -1, np.int32)
        labels[:labelled] = p[:labelled].argmax(axis=1)
        table = {
            "id": pa.array([f"{split}-{i}" for i in range(n)]),
            "exclusive/category_id": pa.array([TREE.exclusive[i].id for i in order[:, 0]]),
            "exclusive/classes": fixed(order.astype(np.int32)),
            "exclusive/probabilities": fixed(top.astype(np.float32)),
            "exclusive/entropy": pa.array(-(p * np.log(p)).sum(axis=1).astype(np.float32)),
            "exclusive/margin": pa.array((top[:, 0] - top[:, 1]).astype(np.float32)),
            "exclusive/least_confidence": pa.array((1 - top[:, 0]).astype(np.float32)),
            "exclusive/label": pa.array(labels),
            "rule_based/category_id": pa.array([list(TREE)[i].id for i in many[:, 0]]),
            "rule_based/assigned": pa.array([[list(TREE)[i].id] for i in many[:, 0]], pa.list_(pa.string())),
            "rule_based/classes": fixed(many.astype(np.int32)),
            "rule_based/probabilities": fixed(np.take_along_axis(binary, many, axis=1).astype(np.float32)),
            "embedding": fixed(vectors.astype(np.float32)),
        }
        if members:
            # Members that lean to either side of the consensus, by turns.
            lean = np.linspace(-0.9, 0.9, members)[None, :, None] * rng.random((n, 1, 1))
            moved = np.minimum(top[:, 1:2], 1 - top[:, :1])[:, None] * lean * np.eye(K)[0]
            moved -= np.roll(moved, 1, axis=2)
            own = np.maximum(top[:, None] + moved, 1e-9)
            yes = np.take_along_axis(binary, many, axis=1)[:, None]
            doubt = yes + np.minimum(yes, 1 - yes) * lean
            table["exclusive/members"] = fixed(own.astype(np.float32).reshape(n, -1))
            table["rule_based/members"] = fixed(doubt.astype(np.float32).reshape(n, -1))
            whole = np.concatenate([own, np.maximum(1 - own.sum(axis=2, keepdims=True), 0)], axis=2)
            table["exclusive/bald"] = pa.array(bald(whole.transpose(1, 0, 2)).astype(np.float32))
        (folder / f"Split-{split}").mkdir(parents=True)
        pq.write_table(pa.table(table), folder / f"Split-{split}" / "part-00000.parquet")
        written[split] = p
    return written
