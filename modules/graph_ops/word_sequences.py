"""Keras layers that read words in their order."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from modules.features.base import ModelContext
from modules.features.text_encoders.base import FIRST_WORD, UNKNOWN
from modules.graph_ops.layers import TokenTable


@keras.saving.register_keras_serializable("shelfmark")
class WordVectors(TokenTable):
    """The vector of each word, zeros where a text has ended.

    The words have the table's first rows, and unknown words its last one: training takes the dropped ones for unknown.

    Call with int64 tokens, (batch, words); returns (batch, words, width).
    """

    def __init__(self, *arguments: Any, **kwargs: Any):
        super().__init__(*arguments, **kwargs)
        self._seeds = keras.random.SeedGenerator(self.seed) if self.dropout else None

    def build(self, tokens_shape: Any = None) -> None:
        self.table = self.add_weight(
            shape=(self.vocabulary + FIRST_WORD, self.width), initializer=self.initializer, name="table"
        )

    def call(self, tokens: Any, training: bool = False) -> Any:
        if self._seeds is not None and training:
            kept = keras.random.uniform(ops.shape(tokens), seed=self._seeds) >= self.dropout
            tokens = ops.where(kept | (tokens == 0), tokens, UNKNOWN)
        # Padding and unknown words, which come before the words, come behind them.
        rows = ops.mod(tokens - FIRST_WORD, self.vocabulary + FIRST_WORD)
        return ops.where(ops.expand_dims(tokens > 0, -1), ops.take(self.table, rows, axis=0), 0.0)

    def leave_out(self, mask: np.ndarray) -> None:
        """Drops words for good: those where ``mask``, (vocabulary,), is zero are unknown ones from now on."""
        table = ops.convert_to_numpy(self.table).copy()
        table[: self.vocabulary][mask == 0] = table[-1]
        self.table.assign(table)

    def compute_output_shape(self, tokens_shape: Any) -> tuple[int | None, ...]:
        return (*tokens_shape, self.width)


@keras.saving.register_keras_serializable("shelfmark")
class MeanWeights(keras.layers.Layer):
    """Weights scaled so that those of each row's ids sum to 1.

    Call with ``ids`` (int64, (batch, tokens); negative ones count nothing) and ``weights`` (the same shape, not
    negative); returns float32 of that shape, zeros where a row has no id.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def call(self, ids: Any, weights: Any) -> Any:
        kept = ops.where(ids >= 0, ops.cast(weights, "float32"), 0.0)
        return kept / ops.maximum(ops.sum(kept, axis=-1, keepdims=True), 1e-12)

    def compute_output_shape(self, ids_shape: Any, weights_shape: Any = None) -> Any:
        return ids_shape


@keras.saving.register_keras_serializable("shelfmark")
class MaxOverTime(keras.layers.Layer):
    """Of each filter the largest value of the windows that hold a word of the text; zeros where there is no word.

    Args:
      width: how many words a window holds.

    Call with the values of filters, none of them negative, (batch, words + width - 1, filters), window i of which ends
    with word i, and int64 tokens, (batch, words); returns (batch, filters).
    """

    def __init__(self, width: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.width = width

    def call(self, values: Any, tokens: Any) -> Any:
        # A window of a text of n words holds one of them until it ends with word n + width - 2.
        reached = ops.concatenate([ops.repeat(tokens[:, :1], self.width - 1, axis=1), tokens], axis=1) > 0
        return ops.max(ops.where(ops.expand_dims(reached, -1), values, 0.0), axis=1)

    def compute_output_shape(self, values_shape: Any, tokens_shape: Any = None) -> tuple[int | None, ...]:
        return (values_shape[0], values_shape[2])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "width": self.width}


def dropped(values: Any, share: float, name: str, context: ModelContext) -> Any:
    """A dropout layer on ``values`` where there is a share to drop."""
    return keras.layers.Dropout(share, seed=context.next_seed(), name=name)(values) if share else values
