"""A vector that comes with the feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from modules.examples import VECTOR, Holds, transformed
from modules.features.base import TransformStep
from modules.features.numeric import NumericFeature

if TYPE_CHECKING:
    import tensorflow as tf


class DenseFeature(NumericFeature):
    """A vector that comes with the feed; one that is missing, of another length or not finite is zeros and a flag."""

    suffix: ClassVar[str] = VECTOR
    reads: ClassVar[Holds] = "vector"

    kind: Literal["dense"] = "dense"
    column: str | None = None
    dimension: Annotated[int, Field(ge=1, le=65536)] = 2048

    @property
    def vector_length(self) -> int:
        return self.dimension

    @property
    def size(self) -> int:
        return self.dimension + 1

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/vector``: the vector and its presence flag."""
        import tensorflow as tf

        [column] = columns
        lengths = tf.math.bincount(
            tf.cast(column.indices[:, 0], tf.int32), minlength=tf.cast(column.dense_shape[0], tf.int32)
        )
        present = tf.equal(lengths[: column.dense_shape[0]], self.dimension)
        vectors = tf.RaggedTensor.from_sparse(column).to_tensor(0.0, shape=[None, self.dimension])
        present = (present & tf.reduce_all(tf.math.is_finite(vectors), axis=1))[:, None]
        shown = tf.concat([tf.where(present, vectors, 0.0), tf.cast(present, tf.float32)], axis=1)
        return TransformStep.without_counts({transformed(name, VECTOR): tf.ensure_shape(shown, [None, self.size])})
