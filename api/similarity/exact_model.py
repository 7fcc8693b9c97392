"""A SavedModel that compares a query with every product: exact search wherever TensorFlow Serving runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity.folder import new_folder
from modules.similarity.loading import rows_of

SHARD_BYTES = 64 << 20


def export_exact(catalogue: Catalogue, by: str, output: str | Path, shard_bytes: int = SHARD_BYTES) -> int:
    """Writes the SavedModel of a method's vectors; products without embedding are left out.

    The vectors are float32 variables of at most ``shard_bytes`` each: a checkpoint has no limit of 2 GB, a graph has.
    Signature ``serving_default``: ``embeddings`` float32 (q, dimension), of any length; ``k`` int32 (), ``categories``
    int32 (c,): nodes of the taxonomy that products may be in, their descendants named, too; none: any. It gives ``ids``
    string (q, k) and ``scores`` float32 (q, k), best first, equal scores in the products' order; where there are fewer
    than k, the id is empty and the score -inf.

    Returns:
      The number of products.

    Raises:
      InputError: there is something at ``output``, or the method has no vectors.
    """
    if not catalogue.needs_vector(by):
        raise InputError(Problem("", "a method that compares vectors", key="--by", value=by))
    path = new_folder(output)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    rows = rows_of(catalogue.indexes[by])
    living = np.arange(len(rows.alive)) if rows.comparable is None else np.flatnonzero(rows.comparable)
    dimension = rows.base.dimension
    per_shard = max(1, shard_bytes // (4 * dimension))
    module: Any = tf.Module()
    module.vectors, module.ids, module.categories = [], [], []
    base = len(rows.base.vectors)
    for number, start in enumerate(range(0, max(len(living), 1), per_shard)):
        chosen = living[start : start + per_shard]
        old, new = chosen[chosen < base], chosen[chosen >= base] - base
        part = np.concatenate([rows.base.vectors[old], rows.added[new]]).astype(np.float32)
        table = rows.table.take(_indices(chosen))
        ids = [name.encode() for name in table.column("id").to_pylist()]
        categories = table.column("category").to_numpy().astype(np.int32)
        module.vectors.append(tf.Variable(part.reshape(-1, dimension), trainable=False, name=f"vectors_{number}"))
        module.ids.append(tf.Variable(tf.constant(ids, tf.string, [len(ids)]), trainable=False, name=f"ids_{number}"))
        module.categories.append(tf.Variable(categories, trainable=False, name=f"categories_{number}"))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, dimension], tf.float32, "embeddings"),
            tf.TensorSpec([], tf.int32, "k"),
            tf.TensorSpec([None], tf.int32, "categories"),
        ]
    )
    def search(embeddings: Any, k: Any, categories: Any) -> dict[str, Any]:
        queries = tf.math.l2_normalize(embeddings, axis=1)
        anything = tf.equal(tf.size(categories), 0)
        scores, ids = [], []
        for vectors, names, its in zip(module.vectors, module.ids, module.categories, strict=True):
            good = anything | tf.reduce_any(tf.equal(its[:, None], categories[None, :]), axis=1)
            found = tf.where(good[None, :], tf.matmul(queries, vectors, transpose_b=True), -np.inf)
            best = tf.math.top_k(found, tf.minimum(k, tf.shape(vectors)[0]))
            scores.append(best.values)
            ids.append(tf.where(tf.math.is_inf(best.values), "", tf.gather(names, best.indices)))
        # So that there are k, however few products there are.
        count = tf.shape(queries)[0]
        scores.append(tf.fill([count, k], -np.inf))
        ids.append(tf.fill([count, k], ""))
        best = tf.math.top_k(tf.concat(scores, 1), k)
        return {"scores": best.values, "ids": tf.gather(tf.concat(ids, 1), best.indices, batch_dims=1)}

    module.search = search
    tf.saved_model.save(module, str(path), signatures={"serving_default": search})
    return len(living)


def _indices(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows)
