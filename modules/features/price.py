"""A product's price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from modules.examples import PRICE, Holds, transformed
from modules.features.base import TransformStep
from modules.features.numeric import NumericFeature

if TYPE_CHECKING:
    import tensorflow as tf


class PriceFeature(NumericFeature):
    """The logarithm of 1 + price, standardised, and a flag for a missing price."""

    suffix: ClassVar[str] = PRICE
    reads: ClassVar[Holds] = "price"

    kind: Literal["price"] = "price"
    column: str | None = PRICE
    """The product field or attribute with the price; null takes the one that the feature is named after."""

    @property
    def size(self) -> int:
        return 2

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/price``: value and presence flag."""
        import tensorflow as tf

        from modules.graph_ops.numbers import mean_and_deviation, moments
        from modules.graph_ops.text import one_per_row

        value = one_per_row(columns[0], missing=float("nan"))
        # Whoever asks the served model may send any number.
        valid = tf.math.is_finite(value) & (value >= 0.0)
        logged = tf.math.log1p(tf.where(valid, value, 0.0))

        def outputs(sums: Sequence[tf.Tensor], boundaries: Sequence[tf.Tensor]) -> dict[str, Any]:
            mean, deviation = mean_and_deviation(sums[0])
            flag = tf.cast(valid, tf.float32)
            price = tf.stack([(logged - mean) / deviation * flag, flag], axis=1)
            return {transformed(name, PRICE): tf.ensure_shape(price, [None, self.size])}

        return TransformStep(outputs, [moments(logged, valid)])
