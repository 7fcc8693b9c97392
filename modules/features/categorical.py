"""One value out of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from modules.examples import VOCABULARY_INDEX, transformed
from modules.features.base import FeatureSettings, LayerSettings, Learned, ModelContext, TransformStep

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf
    from scipy import sparse

MISSING = 0
"""Index of a missing value."""
OUT_OF_VOCABULARY = 1
FIRST_VALUE = 2


class CategoricalFeature(FeatureSettings):
    """One of top-k values, or out of vocabulary, or missing."""

    kind: Literal["categorical"] = "categorical"
    column: str | None = None
    """The product field or attribute; null takes the one that the feature is named after."""
    vocabulary: Annotated[int, Field(ge=1)] | None = None
    """Most frequent values kept; None keeps all."""
    width: Annotated[int, Field(ge=1, le=4096)] = 10
    """Width of the vector of a value in models with hidden layers."""
    embedding: Literal["learned", "random_fixed"] = "learned"
    """Whether models with hidden layers learn the vectors of values, or keep random ones as they are."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """In linear and LSA models: the input that stands for the product's value, how loud this column is beside the
    others; a text has a length of 1 unless its own ``scale`` says another."""

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/index``, int64 (n,): missing, out of vocabulary, or the value's place behind those."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from modules.graph_ops import text as text_ops

        value = tf.strings.strip(text_ops.lowered(text_ops.one_per_row(columns[0])))
        present = tf.strings.length(value) > 0
        rows = tf.where(present)
        index = tft.compute_and_apply_vocabulary(
            tf.boolean_mask(value, present),
            top_k=self.vocabulary,
            default_value=OUT_OF_VOCABULARY - FIRST_VALUE,
            vocab_filename=f"{name}_values",
        )
        shape = tf.shape(value, out_type=tf.int64)
        return TransformStep.of({transformed(name, VOCABULARY_INDEX): tf.scatter_nd(rows, index + FIRST_VALUE, shape)})

    def learned(self, name: str, transform_output: Any, seed: int) -> Learned:
        return Learned(transform_output.vocabulary_size_by_name(f"{name}_values") + FIRST_VALUE)

    def example_spec(self, name: str) -> dict[str, Any]:
        import tensorflow as tf

        return {transformed(name, VOCABULARY_INDEX): tf.io.FixedLenFeature([], tf.int64)}

    def keras_inputs(self, name: str) -> dict[str, Any]:
        import keras

        return {transformed(name, VOCABULARY_INDEX): keras.Input((), dtype="int64", name=f"{name}_index")}

    def linear_map(self, name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        rows = self._looked_up(name, inputs, layer, context)
        return rows if self.scale == 1.0 else rows * self.scale

    def encoded(self, name: str, inputs: Mapping[str, Any], context: ModelContext) -> Any:
        start = context.normal(0.05)
        layer = LayerSettings(f"{name}_embedding", self.width, start, self.embedding == "learned")
        return self._looked_up(name, inputs, layer, context)

    @staticmethod
    def _looked_up(name: str, inputs: Mapping[str, Any], layer: LayerSettings, context: ModelContext) -> Any:
        """The row of the value in a table, (batch, layer.width)."""
        import keras

        return keras.layers.Embedding(
            context.learned[name].size, layer.width, layer.initializer, name=layer.name, trainable=layer.trainable
        )(inputs[transformed(name, VOCABULARY_INDEX)])

    def evidence(self, name: str, inputs: Mapping[str, Any]) -> Any:
        return inputs[transformed(name, VOCABULARY_INDEX)]  # 0 is missing

    def design_block(self, name: str, inputs: Mapping[str, np.ndarray], size: int) -> sparse.csr_matrix:
        import numpy as np
        from scipy import sparse

        index = inputs[transformed(name, VOCABULARY_INDEX)]
        values = np.full(len(index), self.scale, np.float32)
        return sparse.csr_matrix((values, (np.arange(len(index)), index)), (len(index), size))
