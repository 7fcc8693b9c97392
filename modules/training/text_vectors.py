"""Pretrained encoders inside the exported model, for products whose examples have no vectors yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from modules.encoders.text_encoder import TextEncoder
from modules.examples import encoding
from modules.features import encodings_of
from modules.features.base import FeatureSettings
from modules.graph_ops.text import joined_texts, one_per_row
from modules.graph_ops.vectors import rows_of_length, sparse_rows


class MissingVectors(tf.Module):
    """Encodes the texts of raw examples that have no vector of them, as ProductExampleGen would have done.

    An example that has its vectors costs nothing: the encoder runs over the rows that lack one, if there is any.

    Args:
      features: of the workflow, with the full paths of their encoders.

    Raises:
      InputError: an encoder is missing or broken.
    """

    def __init__(self, features: Mapping[str, FeatureSettings]):
        super().__init__(name="missing_vectors")
        self._wanted = {name: (own.encoder, own.columns) for name, own in encodings_of(features).items()}
        # Features may share an encoder, which is in the model once.
        self.encoders = {
            folder: TextEncoder.load(folder) for folder in sorted({folder for folder, _ in self._wanted.values()})
        }

    def filled(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The raw columns with a vector for every product that has a text."""
        columns = dict(raw)
        for name, (folder, texts) in self._wanted.items():
            encoder = self.encoders[folder]
            text = joined_texts([one_per_row(raw[column]) for column in texts])
            columns[encoding(name)] = _filled(raw[encoding(name)], text, encoder)
        return columns


def _filled(column: tf.SparseTensor, text: tf.Tensor, encoder: TextEncoder) -> tf.SparseTensor:
    given, present = rows_of_length(column, encoder.width)
    lacking = tf.where(~present & (tf.strings.length(text) > 0))

    def encode() -> tf.Tensor:
        # Vectors of examples have half precision, which centring makes visible.
        own = tf.cast(encoder(tf.gather(text, lacking[:, 0])), tf.float16)
        return tf.tensor_scatter_nd_update(given, lacking, tf.cast(own, tf.float32))

    vectors = tf.cond(tf.size(lacking) > 0, encode, lambda: given)
    vectors = tf.ensure_shape(vectors, [None, encoder.width])
    return sparse_rows(vectors, tf.reduce_any(vectors != 0.0, axis=1))
