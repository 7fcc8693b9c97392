"""A product's price."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from modules.examples import PRICE, Holds, transformed
from modules.features.base import TransformStep
from modules.features.numeric import NumericFeature

if TYPE_CHECKING:
    import tensorflow as tf


class PriceFeature(NumericFeature):
    """log(1 + price), standardised, and a flag for a missing one."""

    suffix: ClassVar[str] = PRICE
    reads: ClassVar[Holds] = "price"

    kind: Literal["price"] = "price"
    column: str | None = PRICE

    @property
    def size(self) -> int:
        return 2

    def transform(self, name: str, columns: Sequence[tf.SparseTensor]) -> TransformStep:
        """``<name>/price``: value and presence flag."""
        import tensorflow as tf
        import tensorflow_transform as tft

        from modules.graph_ops.text import one_per_row

        value = one_per_row(columns[0], missing=float("nan"))
        # Whoever asks the served model may send any number.
        valid = tf.math.is_finite(value) & (value >= 0.0)
        logged = tf.math.log1p(tf.where(valid, value, 0.0))
        known = tf.boolean_mask(logged, valid)
        mean, deviation = tft.mean(known), tf.sqrt(tft.var(known))
        # A feed without any price: mean and variance of nothing are NaN.
        safe = tf.where(tf.math.is_finite(deviation) & (deviation > 1e-6), deviation, 1.0)
        centred = (logged - tf.where(tf.math.is_finite(mean), mean, 0.0)) / safe
        flag = tf.cast(valid, tf.float32)
        price = tf.ensure_shape(tf.stack([centred * flag, flag], axis=1), [None, self.size])
        return TransformStep.without_counts({transformed(name, PRICE): price})
