"""A number that is no price: a rating, a weight, a length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from modules.examples import NUMBER, Holds, transformed
from modules.features.base import Quantiles, TransformStep
from modules.features.numeric import NumericFeature

if TYPE_CHECKING:
    import tensorflow as tf

FARTHEST = 5.0
"""Standard deviations: what lies farther out says no more, and would outweigh all other features."""


class NumberFeature(NumericFeature):
    """The standardised number, which of ``buckets`` quantiles of the training products it is in, and a flag for a
    missing one."""

    suffix: ClassVar[str] = NUMBER
    reads: ClassVar[Holds] = "number"

    kind: Literal["number"] = "number"
    column: str | None = None
    """The attribute; default: the feature's own name."""
    buckets: Annotated[int, Field(ge=2, le=256)] = 10
    """Quantiles: a linear model learns a weight for each, and so more than "the larger, the likelier"."""
    scale: Annotated[float, Field(gt=0.0)] = 1.0
    """What the number and its bucket are multiplied by: how loud this column is beside the others."""

    @property
    def size(self) -> int:
        return self.buckets + 2

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/number``: standardised value and one-hot bucket, both times ``scale``, then a presence flag; zeros
        for a missing number."""
        import tensorflow as tf

        from modules.graph_ops.numbers import mean_and_deviation, moments
        from modules.graph_ops.text import one_per_row

        value = one_per_row(columns[0], missing=float("nan"))
        # Whoever asks the served model may send any number.
        valid = tf.math.is_finite(value)
        known = tf.where(valid, value, float("nan"))[:, None]

        def outputs(sums: Sequence[tf.Tensor], boundaries: Sequence[tf.Tensor]) -> dict[str, Any]:
            mean, deviation = mean_and_deviation(sums[0])
            safe_value = tf.where(valid, value, mean)
            centred = tf.clip_by_value((safe_value - mean) / deviation, -FARTHEST, FARTHEST)
            bucket = tf.reduce_sum(tf.cast(safe_value[:, None] >= boundaries[0][None, :], tf.int32), axis=1)
            flag = tf.cast(valid, tf.float32)[:, None]
            loud = self.scale * flag
            parts = [centred[:, None] * loud, tf.one_hot(bucket, self.buckets) * loud, flag]
            return {transformed(name, NUMBER): tf.ensure_shape(tf.concat(parts, axis=1), [None, self.size])}

        return TransformStep(outputs, [moments(value, valid)], [Quantiles(known, self.buckets)])
