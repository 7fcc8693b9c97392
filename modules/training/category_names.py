"""What features make of categories' names, synonyms and descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_transform as tft
from scipy import sparse

from modules.arrays import Float32Array
from modules.features import embedding_features, without_towers
from modules.features.base import FeatureSettings, Learned
from modules.models.build import NameInputs
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy
from modules.training.data import dense_inputs

TITLE = "title"
"""The column of a product in which a name stands, if features read it."""

_BATCH = 1024


def encoded_names(workflow: Workflow, taxonomy: Taxonomy) -> dict[str, dict[str, Float32Array]]:
    """Of each objective with one category a product: what each feature with an encoder makes of its classes' texts."""
    encoders = embedding_features(workflow.features)
    return {
        objective: {
            name: feature.name_vectors([category.texts for category in classes], workflow.encodings)
            for name, feature in encoders.items()
        }
        for objective in workflow.single_label_objectives
        for classes in (workflow.objectives[objective].classes(taxonomy),)
    }


def name_inputs(
    workflow: Workflow, taxonomy: Taxonomy, transform_output: tft.TFTransformOutput, learned: Mapping[str, Learned]
) -> dict[str, NameInputs]:
    """The names of all classes of each objective with one category a product; empty where no model would read them.

    Args:
      learned: of each feature but those with a tower, what Transform has found.
    """
    kinds = [workflow.model, *(member.model for member in (workflow.committee.kinds if workflow.committee else ()))]
    if not workflow.reads_names or not any(kind.knows_names or kind.chooses for kind in kinds):
        return {}
    reader = _Reader(workflow, transform_output, learned)
    return {
        name: NameInputs(encoded, reader.rows([c.words for c in workflow.objectives[name].classes(taxonomy)]))
        for name, encoded in encoded_names(workflow, taxonomy).items()
    }


class _Reader:
    """Texts as rows of the design matrix: those of products with a title alone."""

    def __init__(
        self, workflow: Workflow, transform_output: tft.TFTransformOutput, learned: Mapping[str, Learned]
    ) -> None:
        self.features: Mapping[str, FeatureSettings] = without_towers(workflow.features)
        self.sizes = {name: learned[name].size for name in self.features}
        self.read = {
            name: feature for name, feature in self.features.items() if feature.reads_names and not feature.is_embedding
        }
        columns = [column for name, feature in self.read.items() for column in feature.raw_columns(name)]
        self.column = TITLE if TITLE in columns else next(iter(columns), None)
        if self.column is None:
            return
        self.transform, used = transform_output.transform_features_layer(), set(columns)
        self.spec = {name: own for name, own in transform_output.raw_feature_spec().items() if name in used}

    def rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """float32 (texts, columns)."""
        parts = [self._rows(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
        if not parts:
            return sparse.csr_matrix((0, sum(self.sizes.values())), dtype="float32")
        return sparse.vstack(parts, format="csr")

    def _rows(self, texts: Sequence[str]) -> sparse.csr_matrix:
        inputs = {}
        if self.column is not None:
            raw = tf.io.parse_example([_example(self.column, text) for text in texts], self.spec)
            # A function of its own would be traced for seconds, for one call or two.
            inputs = {key: value.numpy() for key, value in dense_inputs(self.transform(raw), self.read).items()}
        blocks = [
            feature.design_block(name, inputs, self.sizes[name])
            if name in self.read
            else sparse.csr_matrix((len(texts), self.sizes[name]), dtype="float32")
            for name, feature in self.features.items()
        ]
        return sparse.hstack(blocks, format="csr", dtype="float32")


def _example(column: str, text: str) -> bytes:
    value = tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    return tf.train.Example(features=tf.train.Features(feature={column: value})).SerializeToString()
