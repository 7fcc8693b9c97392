"""The ``preprocessing_fn`` of TFX Transform, driven by the workflow's features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from modules.preprocessing import text as text_ops
from modules.settings.features import (
    CategoricalFeature,
    DenseFeature,
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
      flags presence); per price ``<name>/price`` (value and presence flag). Labels pass through.
    """
    workflow = Workflow.from_part(custom_config["workflow"])
    outputs: dict[str, Any] = {}
    for name, feature in workflow.features.items():
        column = inputs[column_of(name, feature)]
        if isinstance(feature, TextFeature):
            outputs.update(_text(name, feature, one_per_row(column)))
        elif isinstance(feature, CategoricalFeature):
            outputs[f"{name}/index"] = _categorical(name, feature, one_per_row(column))
        elif isinstance(feature, DenseFeature):
            outputs[f"{name}/vector"] = _dense(feature, column)
        elif isinstance(feature, PriceFeature):
            outputs[f"{name}/price"] = _price(one_per_row(column))
    for key, value in inputs.items():
        if key.startswith("label/") or key.startswith("eval_weight/"):
            outputs[key] = value
    return outputs


def one_per_row(column: tf.SparseTensor) -> tf.Tensor:
    """Sparse strings with at most one value a row to a dense (n,) tensor; "" where there is none."""
    rows = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
    return tf.sparse.to_dense(rows, default_value="")[:, 0]


def _text(name: str, feature: TextFeature, text: tf.Tensor) -> dict[str, Any]:
    tokens = text_ops.non_empty(text_ops.words(text))
    known = tft.compute_and_apply_vocabulary(
        tokens.flat_values, top_k=feature.vocabulary, default_value=-1, vocab_filename=f"{name}_words"
    )
    word_ids = tokens.with_flat_values(known)
    parts = [(word_ids, feature.vocabulary)]
    if feature.word_ngrams is not None:
        grams = text_ops.word_ngrams(tokens, *feature.word_ngrams.ngrams)
        parts.append((text_ops.hashed(grams, feature.word_ngrams.buckets), feature.word_ngrams.buckets))
    if feature.characters is not None:
        grams = text_ops.character_ngrams(tokens, *feature.characters.ngrams)
        parts.append((text_ops.hashed(grams, feature.characters.buckets), feature.characters.buckets))
    n_rows = tf.size(text, out_type=tf.int64)
    all_ids, all_weights, offset = [], [], 0
    for ids, size in parts:
        distinct, weights = _weighted(ids, size, feature, n_rows)
        all_ids.append(tf.ragged.map_flat_values(tf.add, distinct, tf.constant(offset, tf.int64)))
        all_weights.append(distinct.with_values(weights))
        offset += size
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


def _weighted(
    ids: tf.RaggedTensor, size: int, feature: TextFeature, n_rows: tf.Tensor
) -> tuple[tf.RaggedTensor, tf.Tensor]:
    distinct, counts = text_ops.counted(ids, size)
    weights = counts
    if feature.sublinear:
        weights = 1.0 + tf.math.log(counts)
    if feature.weights == "binary":
        weights = tf.ones_like(counts)
    elif feature.weights == "tfidf":
        frequency = tft.sum(text_ops.document_frequencies(distinct, size), reduce_instance_dims=False)
        total = tft.sum(tf.expand_dims(tf.cast(n_rows, tf.float32), 0), reduce_instance_dims=False)
        idf = text_ops.inverse_document_frequency(frequency, total)
        weights = weights * tf.gather(idf, distinct.values)
    return distinct, text_ops.unit_length(weights, distinct.value_rowids(), n_rows, feature.scale)


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


def parse_price(text: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first number in a price text ("EUR 1.234,50", "1,234.50", "49"), and whether there was one.

    A separator with one or two digits behind it at the end is the decimal one; all others group thousands.
    """
    number = tf.strings.regex_replace(text, r"(?s)^[^0-9]*([0-9][0-9.,]*)?.*$", r"\1")
    number = tf.strings.regex_replace(number, r"[.,]+$", "")
    decimal = tf.strings.regex_full_match(number, r".*[.,][0-9]{1,2}")
    whole = tf.strings.regex_replace(tf.strings.regex_replace(number, r"[.,][0-9]{1,2}$", ""), r"[.,]", "")
    cents = tf.strings.regex_replace(number, r"^.*[.,]([0-9]{1,2})$", r"\1")
    plain = tf.where(decimal, tf.strings.join([whole, ".", cents]), tf.strings.regex_replace(number, r"[.,]", ""))
    valid = tf.strings.regex_full_match(plain, r"[0-9]{1,15}(\.[0-9]{1,2})?")
    return tf.strings.to_number(tf.where(valid, plain, tf.fill(tf.shape(plain), "0"))), valid


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
