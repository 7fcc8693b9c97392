"""Probabilities over all classes, for the few products that need them: the table of predictions has the first ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import tensorflow as tf

from modules.arrays import Float32Array
from modules.counting import counted
from modules.examples import ID
from modules.predictions.columns import PROBABILITIES, objective_column
from modules.saved_models import load_saved_model

BATCH = 512


def all_probabilities(model: str, sources: Sequence[str], objective: str, ids: Sequence[str]) -> Float32Array:
    """Asks the model again about some products.

    Args:
      model: SavedModel folder.
      sources: gzipped TFRecord files of raw examples.
      ids: of products, each once.

    Returns:
      Float32 (ids, classes), calibrated as the table of predictions is.

    Raises:
      KeyError: a product is in none of the files.
    """
    loaded = load_saved_model(model)
    evaluate = loaded.signatures["evaluate"]
    place = {name.encode(): row for row, name in enumerate(ids)}
    probabilities: Float32Array | None = None
    left = len(ids)
    for names, examples in wanted_examples(sources, place):
        values = evaluate(examples=tf.constant(examples))[objective_column(objective, PROBABILITIES)].numpy()
        if probabilities is None:
            probabilities = np.empty((len(ids), values.shape[1]), np.float32)
        probabilities[[place[name] for name in names]] = values
        left -= len(names)
        if not left:
            break
    if left or probabilities is None:
        raise KeyError(counted(left, "product is in no example file", "products are in no example file"))
    return probabilities


def wanted_examples(sources: Sequence[str], wanted: Collection[bytes]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The ids and examples of some products, in batches; reads no further than to the last of them."""
    records = tf.data.TFRecordDataset(list(sources), compression_type="GZIP", buffer_size=2**20)
    spec = {ID: tf.io.FixedLenFeature([], tf.string)}

    def load(serialised: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return serialised, tf.io.parse_example(serialised, spec)[ID]

    names: list[bytes] = []
    examples: list[bytes] = []
    left = len(wanted)
    for serialised, known in records.batch(BATCH).map(load, num_parallel_calls=2).prefetch(2):
        here = [i for i, name in enumerate(known.numpy().tolist()) if name in wanted]
        if here:
            names += known.numpy()[here].tolist()
            examples += serialised.numpy()[here].tolist()
            left -= len(here)
        if len(names) >= BATCH or (names and not left):
            yield names, examples
            names, examples = [], []
        if not left:
            return
    if names:
        yield names, examples
