"""Keras layers that the models are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
from keras import ops

from modules.features.base import LayerSettings, ModelContext

PADDING = -1
"""Id that fills a row of token ids up to its batch's longest."""


class TokenTable(keras.layers.Layer):
    """A layer with a row of numbers for each token.

    Args:
      vocabulary: number of distinct tokens.
      width: of a row.
      initializer: of the table.
      dropout: share of the tokens left out of each text in training.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        initializer: str | keras.initializers.Initializer = "zeros",
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.vocabulary, self.width, self.dropout, self.seed = vocabulary, width, dropout, seed
        self.initializer = keras.initializers.get(initializer)

    @classmethod
    def of(cls, vocabulary: int, layer: LayerSettings, context: ModelContext) -> Self:
        """The layer of a text feature."""
        return cls(
            vocabulary, layer.width, layer.initializer, context.input_dropout, context.next_seed(), name=layer.name,
            trainable=layer.trainable,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "width": self.width,
            "initializer": keras.initializers.serialize(self.initializer),
            "dropout": self.dropout,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable("shelfmark")
class EmbeddingBag(TokenTable):
    """Weighted sum of token embeddings: the product of a sparse (batch, vocabulary) matrix with a dense one.

    Call with ``ids`` (int64, (batch, tokens), -1 pads) and ``weights`` (float32, the same shape); returns
    (batch, width).
    """

    def __init__(self, *arguments: Any, **kwargs: Any):
        # Weights come in full precision whatever the policy: 16 bits are too few for TF-IDF.
        super().__init__(*arguments, **{"autocast": False, **kwargs})
        self._drop = keras.layers.Dropout(self.dropout, seed=self.seed) if self.dropout else None

    def build(self, ids_shape: Any = None, weights_shape: Any = None) -> None:
        self.table = self.add_weight(
            shape=(self.vocabulary, self.width), initializer=self.initializer, name="table", dtype="float32",
            autocast=False,
        )  # fmt: skip

    def call(self, ids: Any, weights: Any, training: bool = False) -> Any:
        if self._drop is not None:
            weights = self._drop(weights, training=training)
        if keras.backend.backend() == "tensorflow":
            # Touches only the rows that occur, and its gradient has only those: 5 times as fast as a dense product.
            import tensorflow as tf

            batch = tf.shape(ids)[0]
            at = tf.where(ids >= 0)
            shape = tf.cast(tf.shape(ids), tf.int64)
            summed = tf.nn.embedding_lookup_sparse(
                self.table.value,
                tf.SparseTensor(at, tf.gather_nd(ids, at), shape),
                tf.SparseTensor(at, tf.gather_nd(tf.cast(weights, tf.float32), at), shape),
                combiner="sum",
                allow_fast_lookup=True,
            )
            # Rows at the end without a token are not returned: they are zeros.
            missing = batch - tf.shape(summed)[0]
            summed = tf.pad(summed, [[0, missing], [0, 0]])
            return tf.cast(tf.ensure_shape(summed, [None, self.width]), self.compute_dtype)
        rows = ops.take(self.table, ops.maximum(ids, 0), axis=0)
        kept = ops.where(ids >= 0, weights, 0.0)
        return ops.cast(ops.einsum("bt,btw->bw", kept, rows), self.compute_dtype)

    def leave_out(self, mask: np.ndarray) -> None:
        """Drops tokens for good: multiplies their rows by ``mask``, (vocabulary,)."""
        self.table.assign(self.table * mask[:, None])

    def compute_output_shape(self, ids_shape: Any, weights_shape: Any = None) -> tuple[int | None, ...]:
        return (ids_shape[0], self.width)


@keras.saving.register_keras_serializable("shelfmark")
class UnitLength(keras.layers.Layer):
    """Rows scaled to Euclidean length 1, in float32.

    Args:
      always: rows of zeros become rows of equal numbers; else they stay.
    """

    def __init__(self, always: bool = False, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.always = always

    def call(self, vectors: Any) -> Any:
        vectors = ops.cast(vectors, "float32")
        length = ops.norm(vectors, axis=-1, keepdims=True)
        unit = vectors / ops.maximum(length, 1e-12)
        if self.always:
            unit = ops.where(length > 1e-12, unit, vectors.shape[-1] ** -0.5)
        return unit

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "always": self.always}


class TableInitializer(keras.initializers.Initializer):
    """Starts from given rows (pretrained vectors); ``rest`` fills the rows beyond them."""

    def __init__(self, table: np.ndarray, rest: keras.initializers.Initializer):
        self.table, self.rest = table, rest

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        beyond = self.rest((shape[0] - len(self.table), *shape[1:]), dtype)
        return ops.concatenate([ops.convert_to_tensor(self.table, dtype=dtype), beyond], axis=0)


@keras.saving.register_keras_serializable("shelfmark")
class Bias(keras.layers.Layer):
    """Adds one learned number per output."""

    def __init__(self, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32"})

    def build(self, shape: Any) -> None:
        self.bias = self.add_weight(shape=(shape[-1],), initializer="zeros", name="bias")

    def call(self, values: Any) -> Any:
        return keras.ops.cast(values, "float32") + self.bias


@keras.saving.register_keras_serializable("shelfmark")
class CategoryNames(keras.layers.Layer):
    """What categories' names say of products (:class:`modules.models.name_prior.NamePrior`), as a part of the logits.

    Its weights come from training in closed form; until then it gives zeros.

    Args:
      classes: how many categories there are.
      least: standard deviation of a product's cosines up to which only rounding tells the categories apart.

    Call with embeddings, (batch, width); returns float32 (batch, classes).
    """

    def __init__(self, classes: int, least: float, **kwargs: Any):
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.classes, self.least = classes, least

    def build(self, shape: Any) -> None:
        self.directions = self.add_weight(shape=(shape[-1], self.classes), initializer="zeros", name="directions")
        self.spread = self.add_weight(shape=(self.classes, self.classes), initializer="zeros", name="spread")
        self.sharpness = self.add_weight(shape=(), initializer="zeros", name="sharpness")
        self.offsets = self.add_weight(shape=(self.classes,), initializer="zeros", name="offsets")

    def call(self, embeddings: Any) -> Any:
        cosines = ops.cast(embeddings, "float32") @ self.directions
        centred = cosines - ops.mean(cosines, axis=-1, keepdims=True)
        deviation = ops.sqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True))
        logits = centred / ops.maximum(deviation, self.least) * self.sharpness + self.offsets
        return ops.softmax(ops.where(deviation > self.least, logits, 0.0), axis=-1) @ self.spread

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "classes": self.classes, "least": self.least}
