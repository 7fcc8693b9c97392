"""Example file in, Parquet file out, in one batched loop over the SavedModel's signature."""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from modules import progress
from modules.counting import counted
from modules.objectives.class_tables import ClassTables
from modules.predictions.acceptance import accepted_column
from modules.predictions.columns import (
    ACCEPTED,
    ANCESTORS,
    AVAILABILITY,
    CATEGORY,
    CATEGORY_ID,
    CLASSES,
    DISAGREEMENT,
    ID,
    MEMBERS,
    PRICE,
    PROBABILITIES,
    PROBABILITY,
    REST,
    RETAILER,
    RULES,
    SOURCE,
    TITLE,
    UNCERTAINTIES,
    embeddings_in,
    objective_column,
)
from modules.predictions.guesses import source_column, with_guessed_classes
from modules.predictions.table import TableWriter, as_written
from modules.saved_models import TABLE_SIGNATURE, load_saved_model
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

WORKERS = max(1, min(4, os.cpu_count() or 1))
"""Batches that are worked on at the same time."""

SCORES = (REST, *UNCERTAINTIES)
"""Outputs that are one number per product."""

SHOWN = (TITLE, RETAILER, AVAILABILITY)
"""Raw columns that are kept beside a prediction, so that people can look at it without a join."""


def devices() -> list[str | None]:
    """Where batches are predicted in turn: the machine's GPUs, or wherever TensorFlow likes."""
    return [gpu.name for gpu in tf.config.list_logical_devices("GPU")] or [None]


class PredictingModel:
    """A SavedModel's signature for predictions, on one device."""

    def __init__(self, folder: str, device: str | None):
        self.device = device
        with tf.device(device):
            # The loaded object must stay alive as long as its signature is used.
            self._loaded = load_saved_model(folder)
        name = TABLE_SIGNATURE if TABLE_SIGNATURE in self._loaded.signatures else "serving_default"
        self._signature = self._loaded.signatures[name]
        self.outputs = set(self._signature.structured_outputs)

    def __call__(self, serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.device(self.device):
            outputs: dict[str, tf.Tensor] = self._signature(examples=serialised)
        return outputs

    def all_probabilities(self, serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        """Of every class, by column (:meth:`modules.training.export.ServingModule.evaluate`)."""
        with tf.device(self.device):
            outputs: dict[str, tf.Tensor] = self._loaded.signatures["evaluate"](examples=serialised)
        return outputs


@functools.lru_cache(maxsize=1)
def models_of(folder: str) -> list[PredictingModel]:
    """A folder's model on each device."""
    return [PredictingModel(folder, device) for device in devices()]


def predict_file(
    source: str,
    target: str,
    *,
    model: str,
    taxonomy: str,
    workflow: str,
    files: int = 1,
    labels_taxonomy: str | None = None,
    untaught: Sequence[str] = (),
    guessed: Mapping[str, Collection[int]] | None = None,
    accepted: Mapping[str, Sequence[float]] | None = None,
) -> int:
    """Predicts every product of one TFRecord file of raw examples.

    Args:
      source: gzipped TFRecord file.
      target: the Parquet file to write.
      model: SavedModel folder.
      taxonomy: file with the taxonomy that the model was trained on.
      workflow: the workflow that the model was trained by, as JSON.
      files: how many files there are in all (for progress only).
      labels_taxonomy: file with the taxonomy of the examples' labels; None: the model's.
      untaught: objectives that the model learnt nothing for; no product gets a category of theirs.
      guessed: objective to the classes that the model knows by their names alone.
      accepted: objective to each class's threshold, see :class:`modules.predictions.acceptance.Acceptance`.

    Returns:
      The number of products.
    """
    settings = Workflow.from_part(workflow)
    columns = PredictionColumns(
        settings, Taxonomy.load(taxonomy), Taxonomy.load(labels_taxonomy) if labels_taxonomy else None, untaught,
        guessed, accepted,
    )  # fmt: skip
    models = models_of(model)
    spec = columns.parsing_spec()

    def load(serialised: tf.Tensor) -> tuple[tf.Tensor, dict[str, Any]]:
        raw = tf.io.parse_example(serialised, spec)
        return serialised, raw

    records = tf.data.TFRecordDataset(source, compression_type="GZIP", buffer_size=2**20)
    data = records.batch(settings.prediction.batch_size).map(load, num_parallel_calls=2).prefetch(2)
    wanted = [*columns.outputs(), *embeddings_in(models[0].outputs)]

    def batch_of(serialised: tf.Tensor, raw: dict[str, Any], on: PredictingModel) -> pa.RecordBatch:
        outputs = on(serialised)
        return columns.record_batch(
            {name: as_arrays(value) for name, value in raw.items()}, {name: outputs[name].numpy() for name in wanted}
        )

    done = 0
    with TableWriter(target, batch_of(*load(_empty_product()), models[0]).schema) as writer:
        for batch in _in_order(batch_of, ((*item, on) for item, on in zip(data, cycle(models), strict=False))):
            writer.add(batch)
            done += batch.num_rows
            progress.report(done, 0, f"{counted(done, 'product')} of {counted(files, 'file')}")
    return done


def _empty_product() -> tf.Tensor:
    """A batch of one product with nothing but an id: oneDNN's convolutions answer an empty batch in another shape."""
    feature = {ID: tf.train.Feature(bytes_list=tf.train.BytesList(value=[b""]))}
    return tf.constant([tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()])


def as_arrays(value: Any) -> Any:
    """A tensor as an array; a ragged one as (values, offsets)."""
    if isinstance(value, tf.RaggedTensor):
        return value.values.numpy(), value.row_splits.numpy()
    return value.numpy()


def _in_order(work: Callable[..., pa.RecordBatch], data: Iterable[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    """``work(*item)`` of each item, in the items' order, a few at a time.

    Most of a signature's time goes into text ops that use one core each, and both they and Arrow leave Python alone.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[pa.RecordBatch]] = deque()
        for item in data:
            waiting.append(pool.submit(work, *item))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class PredictionColumns:
    """The Parquet table's layout.

    Per product ``id``, ``title``, ``retailer``, ``availability`` (empty where missing), ``price`` (float64;
    NaN where there is none), ``embedding`` (float32 list of fixed length, of unit length), of a
    model with an image feature beside others also ``embedding_text`` and ``embedding_image``, of each feature that an
    index searches by itself ``embedding_of_<feature>`` (zeros where a product has none), and with an objective that
    learns from rules ``rules`` (ids of those that fired). Per objective o:
    ``o/category`` (path as text) and ``o/category_id``, ``o/ancestors`` (ids, root first, the category included),
    ``o/probability``, and where a product has one category ``o/source``, which says whether it is a guess
    (:mod:`modules.predictions.guesses`); where the workflow asks for it ``o/accepted``, which says whether it needs no
    look (:mod:`modules.predictions.acceptance`); ``o/classes`` and ``o/probabilities`` (the top k, best first),
    ``o/rest``, ``o/entropy``, ``o/margin``, ``o/least_confidence``; of a committee ``o/vote_entropy``,
    ``o/kl_to_consensus``, ``o/bald`` and ``o/members`` (each member's probabilities of the first of ``o/classes``,
    member after member); and what the objective's kind adds (``prediction_columns`` of :mod:`modules.objectives`).
    """

    def __init__(
        self, workflow: Workflow, taxonomy: Taxonomy, labels_taxonomy: Taxonomy | None = None,
        untaught: Sequence[str] = (), guessed: Mapping[str, Collection[int]] | None = None,
        accepted: Mapping[str, Sequence[float]] | None = None,
    ):  # fmt: skip
        """The columns for one model.

        Args:
          taxonomy: the model's. labels_taxonomy: of the examples' labels, where it is another one.
          untaught: objectives whose category, ancestors and probability are null.
          guessed: objective to the classes whose source is their name.
          accepted: objective to each class's threshold, of the objectives that ask for it.
        """
        self.untaught = frozenset(untaught)
        self.guessed = dict(guessed or {})
        self.accepted = dict(accepted or {})
        self.objectives = workflow.objectives
        committee = workflow.committee
        self.scores = (*SCORES, *DISAGREEMENT) if committee and committee.answers else SCORES
        self.has_rules = any(objective.learns_from_rules for objective in self.objectives.values())
        self.tables = {
            name: ClassTables(objective.classes(taxonomy), taxonomy, objective.classes(labels_taxonomy or taxonomy))
            for name, objective in self.objectives.items()
        }

    def parsing_spec(self) -> dict[str, Any]:
        """What of a raw example the table is made of, for ``tf.io.parse_example``."""
        spec: dict[str, Any] = {ID: tf.io.FixedLenFeature([], tf.string)}
        spec |= {name: tf.io.FixedLenFeature([], tf.string, "") for name in SHOWN}
        spec[PRICE] = tf.io.FixedLenFeature([], tf.float32, np.nan)
        for name, objective in self.objectives.items():
            spec |= objective.prediction_spec(name)
        if self.has_rules:
            spec[RULES] = tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)
        return spec

    def outputs(self) -> list[str]:
        """Names of the signature's outputs that the table is made of."""
        parts = [*self.scores, *((MEMBERS,) if len(self.scores) > len(SCORES) else ())]
        return self.answer_outputs() + [objective_column(name, part) for name in self.objectives for part in parts]

    def answer_outputs(self) -> list[str]:
        """Of these outputs those that :meth:`answers` is made of."""
        return [
            objective_column(name, part)
            for name, objective in self.objectives.items()
            for part in (CLASSES, PROBABILITIES, *objective.head_outputs)
        ]

    def answers(self, raw: dict[str, Any], outputs: dict[str, np.ndarray]) -> pa.RecordBatch:
        """Of :meth:`record_batch` what says which categories the products are in: no scores, and nothing of the
        products themselves."""
        arrays: dict[str, pa.Array] = {}
        for name, objective in self.objectives.items():
            arrays |= self._answer_columns(name, outputs)
            arrays |= objective.prediction_columns(name, self.tables[name], raw, outputs)
        return with_guessed_classes(pa.RecordBatch.from_pydict(arrays), self.guessed)

    def record_batch(self, raw: dict[str, Any], outputs: dict[str, np.ndarray]) -> pa.RecordBatch:
        """One batch of signature outputs as a record batch."""
        arrays: dict[str, pa.Array] = {name: _text(raw[name]) for name in (ID, *SHOWN)}
        arrays[PRICE] = pa.array(as_written(raw[PRICE]))
        for name, objective in self.objectives.items():
            arrays |= self._answer_columns(name, outputs)
            for score in self.scores:
                arrays[objective_column(name, score)] = pa.array(outputs[objective_column(name, score)])
            if objective_column(name, MEMBERS) in outputs:
                members = outputs[objective_column(name, MEMBERS)]
                arrays[objective_column(name, MEMBERS)] = _fixed(
                    members.reshape(len(members), members.shape[1] * members.shape[2])
                )
            arrays |= objective.prediction_columns(name, self.tables[name], raw, outputs)
        if self.has_rules:
            values, offsets = raw[RULES]
            arrays[RULES] = pa.ListArray.from_arrays(offsets.astype(np.int32), _text(values))
        for name in embeddings_in(outputs):
            arrays[name] = _fixed(outputs[name].astype(np.float32))
        return with_guessed_classes(pa.RecordBatch.from_pydict(arrays), self.guessed)

    def _answer_columns(self, name: str, outputs: dict[str, np.ndarray]) -> dict[str, pa.Array]:
        """An objective's best categories, whether they are guesses, and whether they are accepted."""
        tables, classes = self.tables[name], outputs[objective_column(name, CLASSES)].astype(np.int32)
        probabilities = outputs[objective_column(name, PROBABILITIES)]
        null = np.full(len(classes), name in self.untaught)
        best = pa.array(classes[:, 0], mask=null)
        columns = {
            CATEGORY: pa.DictionaryArray.from_arrays(best, tables.paths),
            CATEGORY_ID: pa.DictionaryArray.from_arrays(best, tables.ids),
            ANCESTORS: tables.lineages.take(best),
            PROBABILITY: pa.array(probabilities[:, 0], mask=null),
        }
        if self.objectives[name].single_label:
            columns[SOURCE] = source_column(classes[:, 0], self.guessed.get(name, ()), null)
        if name in self.accepted:
            columns[ACCEPTED] = accepted_column(classes[:, 0], probabilities[:, 0], self.accepted[name])
        columns |= {CLASSES: _fixed(classes), PROBABILITIES: _fixed(probabilities)}
        return {objective_column(name, part): array for part, array in columns.items()}


def _text(values: np.ndarray) -> pa.Array:
    try:
        return pa.array(values, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:  # not UTF-8
        return pa.array([value.decode("utf-8", "replace") for value in values.tolist()], pa.string())


def _fixed(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
