"""A pushed model that predicts products as they come, with what it was trained on beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import tensorflow as tf

from modules.errors import InputError, Problem, reason
from modules.examples import TAXONOMY_FILE
from modules.predictions.answering import guessed_classes, is_taught, settings_of, untaught_objectives
from modules.predictions.predict import PredictingModel, PredictionColumns, as_arrays, devices
from modules.settings.workflow import Workflow
from modules.similarity.identity import fingerprint
from modules.taxonomy import Taxonomy


class LiveModel:
    """A SavedModel with its facts and its taxonomy, loaded.

    Attributes:
      workflow: the sections that its answers depend on. taxonomy: that it was trained on.
      guessed: objective to the classes that it knows by their names alone. fingerprint: of its files.

    Raises:
      InputError: the folder has no model that can be loaded, or one that learnt nothing.
    """

    def __init__(self, folder: Path):
        try:
            if not is_taught(str(folder)):
                expected = "expected a model that had a label to learn from"
                raise InputError(Problem(str(folder), expected, hint="add labels, and run the workflow"))
            self.workflow = Workflow.from_part(settings_of(str(folder)))
            self.taxonomy = Taxonomy.load(folder / TAXONOMY_FILE)
            self.guessed = {name: frozenset(own) for name, own in guessed_classes(str(folder)).items()}
            untaught = untaught_objectives(str(folder))
            self._model = PredictingModel(str(folder), devices()[0])
        except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
            expected = f"expected a model that this version pushed, with its facts and taxonomy ({reason(error, 200)})"
            raise InputError(Problem(str(folder), expected, hint="run the workflow again")) from None
        self.fingerprint = fingerprint(folder)
        self._columns = PredictionColumns(self.workflow, self.taxonomy, None, untaught, self.guessed)
        self._spec, self._wanted = self._columns.parsing_spec(), self._columns.outputs()

    def predict(self, examples: Sequence[bytes]) -> pa.RecordBatch | None:
        """The table of predictions (:class:`modules.predictions.predict.PredictionColumns`), without embeddings.

        Args:
          examples: serialised tf.Examples of raw products, at least one.

        Returns:
          A row per example; None if the model refuses one of them, such as a vector of another length.
        """
        serialised = tf.constant(examples, tf.string)
        try:
            outputs = self._model(serialised)
            raw = tf.io.parse_example(serialised, self._spec)
        except (tf.errors.InvalidArgumentError, tf.errors.UnknownError):
            return None
        arrays = {name: as_arrays(value) for name, value in raw.items()}
        return self._columns.record_batch(arrays, {name: outputs[name].numpy() for name in self._wanted})
