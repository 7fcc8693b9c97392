"""The SavedModel: raw products in; categories, uncertainties and embedding out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from modules.predictions.columns import (
    CATEGORIES,
    CLASSES,
    MEMBERS,
    PROBABILITIES,
    REST,
    embedding_column,
    embeddings_in,
    objective_column,
)
from modules.saved_models import TABLE_SIGNATURE
from modules.settings.workflow import Workflow
from modules.training.data import dense_inputs
from modules.training.gather import Committee
from modules.training.text_vectors import MissingVectors

MEMBER_TOP = 16
"""The number of top categories for which each member's own probability is kept."""

EXAMPLES = tf.TensorSpec([None], tf.string, name="examples")
"""What every signature takes."""


class ServingModule(tf.Module):
    """Encoders of texts, Transform's graph, the model's members, their consensus, calibration and top-k as one module.

    Args:
      committee: the model; of one member, if it is single.
      transform: callable from raw feature tensors to transformed ones (Transform's own graph).
      raw_spec: feature name to parsing spec of the raw columns that the model reads.
      classes: objective to its category ids, in the head's order.

    Raises:
      InputError: an encoder that a feature names is missing or broken.
    """

    def __init__(
        self,
        committee: Committee,
        transform: Any,
        raw_spec: Mapping[str, Any],
        workflow: Workflow,
        classes: Mapping[str, Sequence[str]],
    ):
        super().__init__()
        self.committee, self.transform = committee, transform
        # One list: the embedder is a member, but of dropout's.
        self.models = [committee.embedder, *(m for m in committee.members if m is not committee.embedder)]
        self.missing_vectors = MissingVectors(workflow.features)
        used = {
            column
            for name, feature in workflow.features.items()
            for column in (*feature.columns_of(name), *feature.raw_columns(name))
        }
        self.raw_spec = {name: spec for name, spec in raw_spec.items() if name in used}
        self.workflow, self.calibration = workflow, committee.calibration
        self.classes = {name: tf.constant(list(ids), tf.string) for name, ids in classes.items()}
        # All signatures call it: an encoder and a vocabulary in the graph take seconds to trace. What a signature does
        # not need of it, TensorFlow leaves out when it runs.
        self._answers = tf.function(self._every_answer, input_signature=[EXAMPLES], autograph=False)

    def _every_answer(self, serialised: tf.Tensor) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """Logits by objective and embeddings, and each member's probabilities where there are several."""
        raw = self.missing_vectors.filled(tf.io.parse_example(serialised, self.raw_spec))
        inputs = dense_inputs(self.transform(raw), self.workflow.features)
        outputs = [member(inputs, training=False) for member in self.committee.members]
        outputs_by_name, members = {}, {}
        for name, objective in self.workflow.objectives.items():
            if len(outputs) == 1:
                outputs_by_name[name] = tf.cast(outputs[0][name], tf.float32)
            else:
                stacked = tf.stack([tf.cast(output[name], tf.float32) for output in outputs])
                members[name] = self.committee.probabilities(stacked, name, objective)
                outputs_by_name[name] = self.committee.consensus(members[name], name, objective)
        own = [o for o, m in zip(outputs, self.committee.members, strict=True) if m is self.committee.embedder]
        output = own[0] if own else self.committee.embedder(inputs, training=False)
        outputs_by_name |= {name: tf.cast(output[name], tf.float32) for name in embeddings_in(output)}
        outputs_by_name |= self._searched(inputs)
        return outputs_by_name, members

    def _searched(self, inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """By column the features that an index searches by themselves, float32 (batch, width), rows of unit length."""
        return {
            embedding_column(name): tf.math.l2_normalize(inputs[key], axis=-1)
            for name in self.workflow.searched_features
            for key in self.workflow.features[name].keras_inputs(name)
        }

    def evaluate(self, serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        """All probabilities, shifted so that a category that has a threshold has it at 0.5."""
        logits, _ = self._answers(serialised)
        return {
            objective_column(name, PROBABILITIES): objective.evaluated_probabilities(
                logits[name], self.calibration.head(name)
            )
            for name, objective in self.workflow.objectives.items()
        }

    def table(self, serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        """:meth:`predict` without the category ids, which follow from ``classes`` and cost as much as the model."""
        return self._predicted(serialised, ids=False)

    def predict(self, serialised: tf.Tensor) -> dict[str, tf.Tensor]:
        """Top categories with probabilities, the rest's mass, uncertainties, assigned categories, embedding.

        Per objective o: ``o/categories`` (batch, k) ids and ``o/probabilities`` (batch, k) float32, best first;
        ``o/classes`` (batch, k) int32 class indices; ``o/rest`` (batch,): the mass outside the k (multi-label: the
        expected number of further categories); ``o/entropy``, ``o/margin``, ``o/least_confidence`` (batch,);
        multi-label: ``o/assigned`` (batch, k) int32, 1 where the probability reaches the category's threshold;
        of a committee: ``o/vote_entropy``, ``o/kl_to_consensus``, ``o/bald`` (batch,), and ``o/members`` (batch,
        members, at most 16): each member's probabilities of the first of ``o/classes``.
        ``embedding`` (batch, width) float32, rows of unit length; with an image feature beside others also
        ``embedding_text`` and ``embedding_image``, and ``embedding_of_<feature>`` of each feature that an index
        searches by itself; rows of zeros where a product has no text or no picture.
        """
        return self._predicted(serialised, ids=True)

    def _predicted(self, serialised: tf.Tensor, ids: bool) -> dict[str, tf.Tensor]:
        logits, members = self._answers(serialised)
        outputs: dict[str, tf.Tensor] = {name: logits[name] for name in embeddings_in(logits)}
        for name, objective in self.workflow.objectives.items():
            head = self.calibration.head(name)
            probabilities = objective.probabilities(logits[name], head)
            k = min(self.workflow.prediction.top_k, int(self.classes[name].shape[0]))
            best, own_outputs = objective.top(probabilities, k, head)
            outputs |= {objective_column(name, part): value for part, value in own_outputs.items()}
            uncertainty = objective.uncertainty(probabilities)
            top = tf.gather(probabilities, best, batch_dims=1)
            outputs[objective_column(name, CLASSES)] = best
            if ids:
                outputs[objective_column(name, CATEGORIES)] = tf.gather(self.classes[name], best)
            outputs[objective_column(name, PROBABILITIES)] = top
            outputs[objective_column(name, REST)] = tf.maximum(
                tf.reduce_sum(probabilities, -1) - tf.reduce_sum(top, -1), 0.0
            )
            if name in members:
                uncertainty |= objective.disagreement(members[name])
                first = best[:, : min(k, MEMBER_TOP)]
                own = tf.gather(tf.transpose(members[name], [1, 2, 0]), first, batch_dims=1)
                outputs[objective_column(name, MEMBERS)] = tf.transpose(own, [0, 2, 1])
            outputs |= {objective_column(name, part): value for part, value in uncertainty.items()}
        return outputs


def export_model(module: ServingModule, transform_layer: Any, output: str) -> None:
    """Writes the SavedModel with Keras' ExportArchive, whose variables TF1-style loaders (RunInference) find too.

    Signatures: ``serving_default`` (:meth:`ServingModule.predict`), ``table`` and ``evaluate``; all take ``examples``,
    serialised tf.Examples of raw products, string (batch,).
    """
    archive = keras.export.ExportArchive()
    for model in module.models:
        archive.track(model)
    for part in tf.train.TrackableView(transform_layer).children(transform_layer).values():
        # The layer's vocabularies, without the layer: Keras 2 traces a layer of its own once more to save it.
        archive.track(part)
    for encoder in module.missing_vectors.encoders.values():
        archive.track(encoder.backbone)
    endpoints = {"serving_default": module.predict, TABLE_SIGNATURE: module.table, "evaluate": module.evaluate}
    for name, function in endpoints.items():
        # None branches on a tensor, and rewriting them takes seconds.
        archive.add_endpoint(name, tf.autograph.experimental.do_not_convert(function), input_signature=[EXAMPLES])
    archive.write_out(output, verbose=False)
