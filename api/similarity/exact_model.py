"""A SavedModel that compares a query with every product: exact search wherever TensorFlow Serving runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from modules.errors import InputError, Problem
from modules.similarity.catalogue import Catalogue
from modules.similarity.changes import Rows
from modules.similarity.folder import new_folder
from modules.similarity.items import column
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
    module: Any = tf.Module()
    module.vectors, module.ids, module.categories = _shards(rows, living, max(1, shard_bytes // (4 * dimension)))
    module.search = _search(module, dimension)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.search})
    return len(living)


def _shards(rows: Rows, living: np.ndarray, per_shard: int) -> tuple[list[Any], list[Any], list[Any]]:
    """The products as variables of at most ``per_shard`` rows each: vectors, ids, nodes of the taxonomy."""
    import pyarrow as pa
    import tensorflow as tf

    vectors, ids, categories = [], [], []
    base, dimension = len(rows.base.vectors), rows.base.dimension
    for number, start in enumerate(range(0, max(len(living), 1), per_shard)):
        chosen = living[start : start + per_shard]
        old, new = chosen[chosen < base], chosen[chosen >= base] - base
        part = np.concatenate([rows.base.vectors[old], rows.added[new]]).astype(np.float32)
        table = rows.table.take(pa.array(chosen))
        names = [name.encode() for name in column(table, "id").to_pylist()]
        nodes = column(table, "category").to_numpy().astype(np.int32)
        vectors.append(tf.Variable(part.reshape(-1, dimension), trainable=False, name=f"vectors_{number}"))
        ids.append(tf.Variable(tf.constant(names, tf.string, [len(names)]), trainable=False, name=f"ids_{number}"))
        categories.append(tf.Variable(nodes, trainable=False, name=f"categories_{number}"))
    return vectors, ids, categories


def _search(module: Any, dimension: int) -> Any:
    """The signature, over the variables of ``module``."""
    import tensorflow as tf

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
        for vectors, names, nodes in zip(module.vectors, module.ids, module.categories, strict=True):
            allowed = anything | tf.reduce_any(tf.equal(nodes[:, None], categories[None, :]), axis=1)
            cosines = tf.where(allowed[None, :], tf.matmul(queries, vectors, transpose_b=True), -np.inf)
            nearest = tf.math.top_k(cosines, tf.minimum(k, tf.shape(vectors)[0]))
            scores.append(nearest.values)
            ids.append(tf.where(tf.math.is_inf(nearest.values), "", tf.gather(names, nearest.indices)))
        # So that there are k, however few products there are.
        count = tf.shape(queries)[0]
        scores.append(tf.fill([count, k], -np.inf))
        ids.append(tf.fill([count, k], ""))
        top_k = tf.math.top_k(tf.concat(scores, 1), k)
        return {"scores": top_k.values, "ids": tf.gather(tf.concat(ids, 1), top_k.indices, batch_dims=1)}

    return search
