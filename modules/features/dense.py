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
    """The product field or attribute; null takes the one that the feature is named after."""
    dimension: Annotated[int, Field(ge=1, le=65536)] = 2048
    """How many numbers the feed's vectors have; one of another length counts as missing."""

    @property
    def vector_length(self) -> int:
        return self.dimension

    @property
    def size(self) -> int:
        return self.dimension + 1

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/vector``: the vector and its presence flag."""
        import tensorflow as tf

        from modules.graph_ops.vectors import rows_of_length

        vectors, present = rows_of_length(columns[0], self.dimension)
        shown = tf.concat([vectors, tf.cast(present, tf.float32)[:, None]], axis=1)
        return TransformStep.of({transformed(name, VECTOR): tf.ensure_shape(shown, [None, self.size])})
