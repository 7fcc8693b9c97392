"""Example file in, Parquet file out, in one batched loop over the SavedModel's signature."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from modules import progress
from modules.objectives import classes_of
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

SHOWN = ("title", "retailer")
"""Raw columns that are kept beside a prediction, so that people can look at it without a join."""


@functools.lru_cache(maxsize=1)
def _signature(model: str) -> tuple[Any, Any]:
    # The loaded object must stay alive as long as its signature is used.
    loaded = tf.saved_model.load(model)
    return loaded, loaded.signatures["serving_default"]


def predict_file(source: str, target: str, *, model: str, taxonomy: str, workflow: str, files: int = 1) -> int:
    """Predicts every product of one TFRecord file of raw examples.

    Args:
      source: gzipped TFRecord file. target: the Parquet file to write.
      model: SavedModel folder. taxonomy: taxonomy file. workflow: the workflow as JSON.
      files: how many files there are in all (for progress only).

    Returns:
      The number of products.
    """
    settings = Workflow.from_part(workflow)
    columns = PredictionColumns(settings, Taxonomy.load(taxonomy))
    _, signature = _signature(model)
    spec: dict[str, Any] = {"id": tf.io.FixedLenFeature([], tf.string)}
    spec |= {name: tf.io.FixedLenFeature([], tf.string, "") for name in SHOWN}
    spec |= {
        f"label/{name}": tf.io.FixedLenFeature([], tf.int64, -1)
        for name, objective in settings.objectives.items()
        if objective.kind == "exclusive"
    }

    def load(serialised):
        return serialised, tf.io.parse_example(serialised, spec)

    records = tf.data.TFRecordDataset(source, compression_type="GZIP", buffer_size=2**20)
    data = records.batch(settings.prediction.batch_size).map(load, num_parallel_calls=2).prefetch(2)
    done, writer = 0, None
    try:
        for serialised, raw in data:
            outputs = {name: value.numpy() for name, value in signature(examples=serialised).items()}
            batch = columns.record_batch({name: value.numpy() for name, value in raw.items()}, outputs)
            if writer is None:
                writer = pq.ParquetWriter(target, batch.schema, compression="zstd", use_dictionary=True)
            writer.write_batch(batch)
            done += batch.num_rows
            progress.report(done, 0, f"{done:,} products of {files} file{'s' if files > 1 else ''}")
        if writer is None:  # an empty split: a table without rows
            outputs = {name: value.numpy() for name, value in signature(examples=tf.constant([], tf.string)).items()}
            raw = load(tf.constant([], tf.string))[1]
            batch = columns.record_batch({name: value.numpy() for name, value in raw.items()}, outputs)
            writer = pq.ParquetWriter(target, batch.schema, compression="zstd", use_dictionary=True)
    finally:
        if writer is not None:
            writer.close()
    return done


class PredictionColumns:
    """The Parquet table's layout.

    Per product ``id``, ``title``, ``retailer`` and ``embedding`` (float32 list of fixed length). Per objective o:
    ``o/category`` (path as text) and ``o/category_id``, ``o/ancestors`` (ids, root first, the category included),
    ``o/probability``; ``o/classes`` and ``o/probabilities`` (the top k, best first), ``o/rest``, ``o/entropy``,
    ``o/margin``, ``o/least_confidence``; ``o/label`` (exclusive: class index or -1); ``o/assigned`` (multi-label: ids
    of all categories over their thresholds, ancestors included).
    """

    def __init__(self, workflow: Workflow, taxonomy: Taxonomy):
        self.kinds = {name: objective.kind for name, objective in workflow.objectives.items()}
        self.paths: dict[str, pa.Array] = {}
        self.ids: dict[str, pa.Array] = {}
        self.ancestors: dict[str, list[list[str]]] = {}
        for name, objective in workflow.objectives.items():
            classes = classes_of(objective, taxonomy)
            self.paths[name] = pa.array([taxonomy.path_text(c) for c in classes], pa.string())
            self.ids[name] = pa.array([c.id for c in classes], pa.string())
            self.ancestors[name] = [[a.id for a in taxonomy.ancestors(c)] + [c.id] for c in classes]

    def record_batch(self, raw: dict[str, np.ndarray], outputs: dict[str, np.ndarray]) -> pa.RecordBatch:
        """One batch of signature outputs as a record batch."""
        arrays: dict[str, pa.Array] = {name: _text(raw[name]) for name in ("id", *SHOWN)}
        for name, kind in self.kinds.items():
            classes = outputs[f"{name}/classes"].astype(np.int32)
            best = classes[:, 0]
            arrays[f"{name}/category"] = pa.DictionaryArray.from_arrays(pa.array(best), self.paths[name])
            arrays[f"{name}/category_id"] = pa.DictionaryArray.from_arrays(pa.array(best), self.ids[name])
            arrays[f"{name}/ancestors"] = self._lineages(name, best)
            arrays[f"{name}/probability"] = pa.array(outputs[f"{name}/probabilities"][:, 0])
            arrays[f"{name}/classes"] = _fixed(classes)
            arrays[f"{name}/probabilities"] = _fixed(outputs[f"{name}/probabilities"])
            for score in ("rest", "entropy", "margin", "least_confidence"):
                arrays[f"{name}/{score}"] = pa.array(outputs[f"{name}/{score}"])
            if kind == "exclusive":
                arrays[f"{name}/label"] = pa.array(raw[f"label/{name}"].astype(np.int32))
            else:
                arrays[f"{name}/assigned"] = self._assigned(name, classes, outputs[f"{name}/assigned"])
        arrays["embedding"] = _fixed(outputs["embedding"].astype(np.float32))
        return pa.RecordBatch.from_pydict(arrays)

    def _lineages(self, name: str, classes: np.ndarray) -> pa.Array:
        known = self.ancestors[name]
        return pa.array([known[c] for c in classes.tolist()], pa.list_(pa.string()))

    def _assigned(self, name: str, classes: np.ndarray, assigned: np.ndarray) -> pa.Array:
        known = self.ancestors[name]
        rows: list[list[str]] = []
        for row, over in zip(classes.tolist(), assigned.tolist(), strict=True):
            # dict keeps the order: most probable lineage first, each category once.
            rows.append(list(dict.fromkeys(a for c, hit in zip(row, over, strict=True) if hit for a in known[c])))
        return pa.array(rows, pa.list_(pa.string()))


def _text(values: np.ndarray) -> pa.Array:
    return pa.array([value.decode("utf-8", "replace") for value in values.tolist()], pa.string())


def _fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
