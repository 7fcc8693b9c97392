"""A pushed model that predicts products as they come, with what it was trained on beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from modules.arrays import Float32Array
from modules.errors import InputError, Problem, reason
from modules.examples import ID, TAXONOMY_FILE
from modules.feeds.encoding import bytes_entry, example_of
from modules.predictions.acceptance import ModelAcceptance
from modules.predictions.answering import (
    classes_of,
    features_of,
    guessed_classes,
    is_taught,
    settings_of,
    taxonomy_of,
    thresholds_of,
    untaught_objectives,
)
from modules.predictions.columns import PROBABILITIES, objective_column
from modules.predictions.predict import PredictingModel, PredictionColumns, as_arrays, devices
from modules.predictions.withdrawn import Withdrawn
from modules.settings.workflow import Workflow
from modules.similarity.identity import fingerprint
from modules.taxonomy import Taxonomy

_NOTHING = example_of([bytes_entry(ID, [b""])])


class LiveModel:
    """A SavedModel with its facts and its taxonomy, loaded.

    Attributes:
      workflow: the sections that its answers depend on. taxonomy: that it was trained on.
      features: that it reads. untaught: objectives that it learnt nothing for.
      guessed: objective to the classes that it knows by their names alone. fingerprint: of its files.
      thresholds: objective to each class's probability from which on it is assigned, of kinds that assign several.
      withdrawn: what is not accepted; of its categories nothing is, of its retailers the caller says so.

    Args:
      acceptance: what the published predictions are held to; None: no run has published any.
      taxonomy: the file with the taxonomy of a model that has none beside it.

    Raises:
      InputError: the folder has no model that can be loaded, or one that learnt nothing.
    """

    def __init__(self, folder: Path, acceptance: ModelAcceptance | None = None, taxonomy: Path | None = None):
        try:
            if not is_taught(str(folder)):
                expected = "expected a model that had a label to learn from"
                raise InputError(Problem(str(folder), expected, hint="add labels, and run the workflow"))
            self.workflow = Workflow.from_part(settings_of(str(folder)))
            self.taxonomy = Taxonomy.load(taxonomy_of(str(folder), str(taxonomy or folder / TAXONOMY_FILE)))
            self.features, self.thresholds = features_of(str(folder)), thresholds_of(str(folder))
            self.guessed = {name: frozenset(own) for name, own in guessed_classes(str(folder)).items()}
            untaught, classes = untaught_objectives(str(folder)), classes_of(str(folder))
            self._model = PredictingModel(str(folder), devices()[0])
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            expected = f"expected a model that this version pushed, with its facts and taxonomy ({reason(error, 200)})"
            raise InputError(Problem(str(folder), expected, hint="run the workflow again")) from None
        self.fingerprint = fingerprint(folder)
        self.untaught = frozenset(untaught)
        self.withdrawn = Withdrawn() if acceptance is None else acceptance.withdrawn
        accepted = {} if acceptance is None else acceptance.of(self.fingerprint, classes)
        self._columns = PredictionColumns(self.workflow, self.taxonomy, None, untaught, self.guessed, accepted)
        self._wanted = self._columns.answer_outputs()
        # What the table shows of a product itself, labels above all, is nothing here, and parsing it for each request
        # would take half as long as the model.
        nothing = tf.io.parse_example(tf.constant([_NOTHING]), self._columns.parsing_spec())
        self._nothing = {name: as_arrays(value) for name, value in nothing.items()}

    def predict(self, examples: Sequence[bytes]) -> pa.RecordBatch | None:
        """What the model says (:meth:`modules.predictions.predict.PredictionColumns.answers`).

        Args:
          examples: serialised tf.Examples of raw products, at least one.

        Returns:
          A row per example; None if the model refuses one of them, such as a vector of another length.
        """
        serialised = tf.constant(examples, tf.string)
        try:
            outputs = self._model(serialised)
        except (tf.errors.InvalidArgumentError, tf.errors.UnknownError):
            return None
        raw = {name: _repeated(value, len(examples)) for name, value in self._nothing.items()}
        return self._columns.answers(raw, {name: outputs[name].numpy() for name in self._wanted})

    def all_probabilities(self, examples: Sequence[bytes]) -> dict[str, Float32Array] | None:
        """Objective to the probabilities of all classes, (examples, classes), shifted so that a category that has a
        threshold has it at 0.5; None if the model refuses an example."""
        try:
            outputs = self._model.all_probabilities(tf.constant(examples, tf.string))
        except (tf.errors.InvalidArgumentError, tf.errors.UnknownError):
            return None
        return {name: outputs[objective_column(name, PROBABILITIES)].numpy() for name in self.workflow.objectives}


def _repeated(value: Any, count: int) -> Any:
    """One product's column ``count`` times; of a ragged one, which has no value, the offsets of so many rows."""
    if isinstance(value, tuple):
        values, offsets = value
        return values, np.zeros(count + 1, offsets.dtype)
    return np.repeat(value, count, axis=0)
