"""The ``preprocessing_fn`` of TFX Transform, driven by the workflow's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules.preprocessing import text as text_ops
from modules.preprocessing.price import parse_price
from modules.settings.features import (
    CategoricalFeature,
    DenseFeature,
    ImageFeature,
    PriceFeature,
    TextFeature,
    column_of,
)
from modules.settings.workflow import Workflow

MISSING = 0
"""Index of a missing categorical value; out of vocabulary is 1, the vocabulary starts at 2."""
OUT_OF_VOCABULARY = 1
FIRST_VALUE = 2


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Any]:
    """Raw product batch to model inputs, labels and evaluation weights.

    Args:
      inputs: the product schema's features, text as sparse string tensors with at most one value a row.
      custom_config: ``workflow``: the workflow as JSON.

    Returns:
      Per text feature ``<name>/ids`` (sparse int64) and ``<name>/weights`` (sparse float32) with ids of words, hashed
      word n-grams and hashed character n-grams one behind the other (``sizes.text_size`` of them), and
      ``<name>/tokens`` if a sequence is asked for (int64 of fixed length, 0 pads, 1 is out of vocabulary); per
      categorical one ``<name>/index`` (int64); per dense one ``<name>/vector`` (dimension + 1 floats, the last one
      flags presence); per price ``<name>/price`` (value and presence flag); per image ``<name>/bytes`` as they came, ""
      if there are none. Labels pass through.
    """
    workflow = Workflow.from_part(custom_config["workflow"])
    outputs: dict[str, Any] = {}
    texts = {
        name: (feature, *_parts(name, feature, one_per_row(inputs[column_of(name, feature)])))
        for name, feature in workflow.features.items()
        if isinstance(feature, TextFeature)
    }
    weighted = {name: parts for name, (feature, _, parts) in texts.items() if feature.weights == "tfidf"}
    everything = [part for parts in weighted.values() for part in parts]
    frequencies = iter(_inverse_frequencies(everything, everything[0].distinct.nrows()) if everything else [])
    for name, (text_feature, word_ids, parts) in texts.items():
        outputs.update(_text(name, text_feature, word_ids, parts, [next(frequencies) for _ in weighted.get(name, ())]))
    for name, feature in workflow.features.items():
        column = inputs[column_of(name, feature)]
        if isinstance(feature, CategoricalFeature):
            outputs[f"{name}/index"] = _categorical(name, feature, one_per_row(column))
        elif isinstance(feature, DenseFeature):
            outputs[f"{name}/vector"] = _dense(feature, column)
        elif isinstance(feature, PriceFeature):
            outputs[f"{name}/price"] = _price(one_per_row(column))
        elif isinstance(feature, ImageFeature):
            # Decoded later: pixels are many times the size of the file.
            outputs[f"{name}/bytes"] = one_per_row(column)
    for key, value in inputs.items():
        if key.startswith("label/") or key.startswith("eval_weight/"):
            outputs[key] = value
    return outputs


def one_per_row(column: tf.SparseTensor) -> tf.Tensor:
    """Sparse strings with at most one value a row to a dense (n,) tensor; "" where there is none."""
    rows = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
    return tf.sparse.to_dense(rows, default_value="")[:, 0]


@dataclass
class _Part:
    """One kind of a text feature's tokens: the distinct ids in [0, size) of each row, and how often each is there."""

    size: int
    distinct: tf.RaggedTensor
    counts: tf.Tensor


def _parts(name: str, feature: TextFeature, text: tf.Tensor) -> tuple[tf.RaggedTensor, list[_Part]]:
    """Word ids in the text's order (-1: not in the vocabulary); the parts: words, word n-grams, characters."""
    tokens = text_ops.words(text)
    known = tft.compute_and_apply_vocabulary(
        tokens.flat_values, top_k=feature.vocabulary, default_value=-1, vocab_filename=f"{name}_words"
    )
    word_ids = tokens.with_flat_values(known)
    found = [(word_ids, feature.vocabulary)]
    if feature.word_ngrams is not None:
        grams = text_ops.word_ngrams(tokens, *feature.word_ngrams.ngrams)
        found.append((text_ops.hashed(grams, feature.word_ngrams.buckets), feature.word_ngrams.buckets))
    if feature.characters is not None:
        grams = text_ops.character_ngrams(tokens, *feature.characters.ngrams)
        found.append((text_ops.hashed(grams, feature.characters.buckets), feature.characters.buckets))
    return word_ids, [_Part(size, *text_ops.counted(ids, size)) for ids, size in found]


def _inverse_frequencies(parts: Sequence[_Part], n_rows: tf.Tensor) -> list[tf.Tensor]:
    """Of each part's ids, over the analysed split; float32 (size,) each.

    One analyzer counts for all parts of all features: each one more costs Transform a pass of its own.
    """
    counted = [text_ops.document_frequencies(part.distinct, part.size) for part in parts]
    sums = tft.sum(tf.concat([*counted, tf.reshape(n_rows, [1, 1])], axis=1), reduce_instance_dims=False)
    *frequencies, total = tf.split(sums, [*(part.size for part in parts), 1])
    return [text_ops.inverse_document_frequency(frequency, total) for frequency in frequencies]


def _text(
    name: str, feature: TextFeature, word_ids: tf.RaggedTensor, parts: Sequence[_Part], idf: Sequence[tf.Tensor]
) -> dict[str, Any]:
    all_ids, all_weights, offset = [], [], 0
    for part, inverse in zip(parts, idf or [None] * len(parts), strict=True):
        all_ids.append(tf.ragged.map_flat_values(tf.add, part.distinct, tf.constant(offset, tf.int64)))
        all_weights.append(part.distinct.with_values(_weights(part, feature, inverse)))
        offset += part.size
    outputs = {
        f"{name}/ids": _two_dimensional(tf.concat(all_ids, axis=1).to_sparse()),
        f"{name}/weights": _two_dimensional(tf.concat(all_weights, axis=1).to_sparse()),
    }
    if feature.sequence is not None:
        kept = tf.ragged.map_flat_values(tf.add, word_ids, tf.constant(2, tf.int64))  # 0 pads, 1 is out of vocabulary
        outputs[f"{name}/tokens"] = kept[:, : feature.sequence].to_tensor(0, shape=[None, feature.sequence])
    return outputs


def _two_dimensional(values: tf.SparseTensor) -> tf.SparseTensor:
    """The same with a rank that Transform's schema inference can see."""
    return tf.SparseTensor(
        tf.ensure_shape(values.indices, [None, 2]), values.values, tf.ensure_shape(values.dense_shape, [2])
    )


def _weights(part: _Part, feature: TextFeature, idf: tf.Tensor | None) -> tf.Tensor:
    """Weight of each distinct id, rows of Euclidean length ``feature.scale``; float32, in the flat order."""
    weights = part.counts
    if feature.sublinear:
        weights = 1.0 + tf.math.log(weights)
    if feature.weights == "binary":
        weights = tf.ones_like(weights)
    elif idf is not None:
        weights = weights * tf.gather(idf, part.distinct.values)
    return text_ops.unit_length(weights, part.distinct.value_rowids(), part.distinct.nrows(), feature.scale)


def _categorical(name: str, feature: CategoricalFeature, text: tf.Tensor) -> tf.Tensor:
    value = tf.strings.strip(text_ops.lowered(text))
    present = tf.strings.length(value) > 0
    rows = tf.where(present)
    index = tft.compute_and_apply_vocabulary(
        tf.boolean_mask(value, present),
        top_k=feature.vocabulary,
        default_value=OUT_OF_VOCABULARY - FIRST_VALUE,
        vocab_filename=f"{name}_values",
    )
    return tf.scatter_nd(rows, index + FIRST_VALUE, tf.shape(value, out_type=tf.int64))


def _dense(feature: DenseFeature, column: tf.SparseTensor) -> tf.Tensor:
    lengths = tf.math.bincount(
        tf.cast(column.indices[:, 0], tf.int32), minlength=tf.cast(column.dense_shape[0], tf.int32)
    )
    present = tf.equal(lengths[: column.dense_shape[0]], feature.dimension)
    vectors = tf.RaggedTensor.from_sparse(column).to_tensor(0.0, shape=[None, feature.dimension])
    present = (present & tf.reduce_all(tf.math.is_finite(vectors), axis=1))[:, None]
    shown = tf.concat([tf.where(present, vectors, 0.0), tf.cast(present, tf.float32)], axis=1)
    return tf.ensure_shape(shown, [None, feature.dimension + 1])


def _price(text: tf.Tensor) -> tf.Tensor:
    value, valid = parse_price(text)
    logged = tf.math.log1p(value)
    known = tf.boolean_mask(logged, valid)
    mean, deviation = tft.mean(known), tf.sqrt(tft.var(known))
    # A feed without any price: mean and variance of nothing are NaN.
    safe = tf.where(tf.math.is_finite(deviation) & (deviation > 1e-6), deviation, 1.0)
    centred = (logged - tf.where(tf.math.is_finite(mean), mean, 0.0)) / safe
    flag = tf.cast(valid, tf.float32)
    return tf.ensure_shape(tf.stack([centred * flag, flag], axis=1), [None, 2])
