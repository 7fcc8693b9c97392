"""A pretrained text encoder in the graph: strings in, vectors out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from modules.arrays import Float32Array
from modules.encoders.check_sentences import SENTENCES
from modules.encoders.folder import EncoderFolder, read_encoder
from modules.encoders.wordpiece import WordPieces

if TYPE_CHECKING:
    from modules.encoders.files import WeightArray


class TextEncoder(tf.Module):
    """Word pieces, a BERT network and pooling. The weights are frozen.

    Args:
      encoder: what its folder holds.

    Attributes:
      width: length of a vector.
      fingerprint: SHA-256 of all that a vector depends on.
      backbone: the Keras model, which an export archive has to track so that its variables are found.
    """

    def __init__(self, encoder: EncoderFolder):
        super().__init__(name=_scope(encoder.settings.name))
        self._settings = encoder.settings
        self.width = encoder.settings.width
        self.fingerprint = encoder.fingerprint
        self.tokenize = WordPieces(encoder.vocabulary, encoder.settings)
        self.backbone = _network(encoder)

    @property
    def name(self) -> str:
        """What the encoder is called where it is installed."""
        return self._settings.name

    @classmethod
    def load(cls, folder: str | Path) -> TextEncoder:
        """Reads an encoder's folder.

        Raises:
          InputError: it is no encoder, damaged, or of another form.
        """
        return cls(read_encoder(folder))

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Vectors of texts, string (n,): float32 (n, width), rows of unit length; zeros for a text that is blank."""
        return self.of_tokens(self.tokenize(texts))

    def of_tokens(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """The same of tokenized texts, int32 ragged (n, pieces), each padded to the longest of them."""
        rows = tf.cast(tokens.nrows(), tf.int32)
        # The network needs one row of one piece at least; a row without any piece becomes zeros.
        ids = tokens.to_tensor(self.tokenize.padding)
        missing = tf.cast(tf.equal(tf.shape(ids), 0), tf.int32)
        ids = tf.pad(ids, tf.stack([tf.zeros_like(missing), missing], axis=1))
        lengths = tf.pad(tf.cast(tokens.row_lengths(), tf.int32), [[0, missing[0]]])
        return self.of_padded(ids, lengths)[:rows]

    def of_padded(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """The same of padded ids, int32 (n, longest), whose first ``lengths``, int32 (n,), count."""
        mask = tf.sequence_mask(lengths, tf.shape(ids)[1], tf.int32)
        outputs = self.backbone(
            {"token_ids": ids, "segment_ids": tf.zeros_like(ids), "padding_mask": mask}, training=False
        )
        outputs = tf.cast(outputs, tf.float32)
        if self._settings.pooling == "cls":
            pooled = outputs[:, 0]
        else:
            # The sum's direction is the mean's.
            pooled = tf.einsum("nlw,nl->nw", outputs, tf.cast(mask, tf.float32))
        return tf.where((lengths > 0)[:, None], tf.math.l2_normalize(pooled, axis=-1), 0.0)


def _scope(name: str) -> str:
    """``name`` as a TensorFlow module may be called."""
    return "encoder_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in name)


def _network(encoder: EncoderFolder) -> keras.Model:
    import keras_hub

    settings = encoder.settings
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(encoder.vocabulary),
        num_layers=settings.layers,
        num_heads=settings.heads,
        hidden_dim=settings.width,
        intermediate_dim=settings.intermediate_width,
        max_sequence_length=settings.positions,
        num_segments=settings.segments,
        dropout=0.0,
        dtype="float32",
    )
    # Without the backbone's dense layer for a pooled output, which encoders of sentences have no weights for.
    network = keras.Model(backbone.input, backbone.output["sequence_output"], name=_scope(settings.name))
    variables = {variable.path: variable for variable in network.variables}
    for path, value in _values(encoder.weights, settings.layers, settings.heads):
        variables.pop(path).assign(value.astype("float32"))
    assert not variables, f"the network has variables without weights: {sorted(variables)}"
    network.trainable = False
    return network


def _values(weights: Mapping[str, WeightArray], layers: int, heads: int) -> list[tuple[str, WeightArray]]:
    """Path of each variable of the network to its value."""

    def split(matrix: WeightArray) -> WeightArray:
        """(outputs, inputs) to (inputs, heads, outputs of a head)."""
        return matrix.T.reshape(matrix.shape[1], heads, -1)

    def joined(matrix: WeightArray) -> WeightArray:
        """(outputs, inputs) to (heads, inputs of a head, outputs)."""
        return matrix.T.reshape(heads, -1, matrix.shape[0])

    pairs = [
        ("token_embedding/embeddings", weights["embeddings.word_embeddings.weight"]),
        ("position_embedding/embeddings", weights["embeddings.position_embeddings.weight"]),
        ("segment_embedding/embeddings", weights["embeddings.token_type_embeddings.weight"]),
        ("embeddings_layer_norm/gamma", weights["embeddings.LayerNorm.weight"]),
        ("embeddings_layer_norm/beta", weights["embeddings.LayerNorm.bias"]),
    ]
    for layer in range(layers):
        old, new = f"encoder.layer.{layer}.", f"transformer_layer_{layer}/"
        for part in ("query", "key", "value"):
            matrix, bias = (weights[f"{old}attention.self.{part}.{kind}"] for kind in ("weight", "bias"))
            pairs.append((f"{new}self_attention_layer/{part}/kernel", split(matrix)))
            pairs.append((f"{new}self_attention_layer/{part}/bias", bias.reshape(heads, -1)))
        pairs += [
            (
                f"{new}self_attention_layer/attention_output/kernel",
                joined(weights[f"{old}attention.output.dense.weight"]),
            ),
            (f"{new}self_attention_layer/attention_output/bias", weights[f"{old}attention.output.dense.bias"]),
            (f"{new}self_attention_layer_norm/gamma", weights[f"{old}attention.output.LayerNorm.weight"]),
            (f"{new}self_attention_layer_norm/beta", weights[f"{old}attention.output.LayerNorm.bias"]),
            (f"{new}feedforward_intermediate_dense/kernel", weights[f"{old}intermediate.dense.weight"].T),
            (f"{new}feedforward_intermediate_dense/bias", weights[f"{old}intermediate.dense.bias"]),
            (f"{new}feedforward_output_dense/kernel", weights[f"{old}output.dense.weight"].T),
            (f"{new}feedforward_output_dense/bias", weights[f"{old}output.dense.bias"]),
            (f"{new}feedforward_layer_norm/gamma", weights[f"{old}output.LayerNorm.weight"]),
            (f"{new}feedforward_layer_norm/beta", weights[f"{old}output.LayerNorm.bias"]),
        ]
    return pairs


def check_vectors(encoder: TextEncoder) -> Float32Array:
    """Vectors of the check sentences, float32 (sentences, width)."""
    return encoder(tf.constant(SENTENCES)).numpy()
