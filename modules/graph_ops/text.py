"""Text to weighted token ids, in TensorFlow ops, so that the same graph runs in Transform and in serving."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

# Whatever is no letter, mark or digit separates words: spaces, slashes and arrows of category paths alike.
_SEPARATORS = r"[^\p{L}\p{M}\p{N}]+"
# Scripts without spaces are cut into single characters, or a whole title would be one word.
_UNSPACED = r"([\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"


def one_per_row(column: tf.SparseTensor, missing: str | float = "") -> tf.Tensor:
    """Sparse values with at most one a row to a dense (n,) tensor; ``missing`` where there is none."""
    rows = tf.SparseTensor(column.indices, column.values, [column.dense_shape[0], tf.maximum(column.dense_shape[1], 1)])
    return tf.sparse.to_dense(rows, default_value=missing)[:, 0]


def joined(columns: Sequence[tf.SparseTensor]) -> tf.Tensor:
    """Sparse strings with at most one value a row as one text per row, the columns' texts on a line each; (n,)."""
    return joined_lines([one_per_row(column) for column in columns])


def joined_lines(texts: Sequence[tf.Tensor]) -> tf.Tensor:
    """Strings (n,) of several columns as one text per row, the columns' texts on a line each; (n,)."""
    return texts[0] if len(texts) == 1 else tf.strings.join(texts, separator="\n")


def joined_texts(texts: Sequence[tf.Tensor]) -> tf.Tensor:
    """The text of each product that an encoder reads: :func:`joined_lines` without white space around it; empty where
    all columns are blank."""
    return tf.strings.strip(joined_lines(texts))


def lowered(text: tf.Tensor) -> tf.Tensor:
    """Unicode lower case; undecodable bytes become U+FFFD, and NUL, where TensorFlow's own op would stop, a blank."""
    return tf.strings.lower(tf.strings.regex_replace(text, r"\x00", " "), encoding="utf-8")


def words(text: tf.Tensor) -> tf.RaggedTensor:
    """Lower-cased Unicode words of each text; none of them is empty.

    Args:
      text: string tensor of shape (n,), UTF-8.

    Returns:
      Ragged string tensor (n, words).
    """
    # Two expressions without groups to keep: in one, with a group for the character, they take twice as long.
    spaced = tf.strings.regex_replace(tf.strings.regex_replace(text, _UNSPACED, r" \1 "), _SEPARATORS, " ")
    # Lower case comes last: the separators have taken the NULs, at which it would stop.
    return tf.strings.split(tf.strings.lower(spaced, encoding="utf-8")).with_row_splits_dtype(tf.int64)


def word_ngrams(tokens: tf.RaggedTensor, smallest: int, largest: int) -> tf.RaggedTensor:
    """Word n-grams, joined by a space; ragged string tensor (n, n-grams)."""
    return tf.strings.ngrams(tokens, tuple(range(smallest, largest + 1)), separator=" ")


def character_ngrams(tokens: tf.RaggedTensor, smallest: int, largest: int) -> tf.RaggedTensor:
    """Character n-grams inside word borders, as ``analyzer="char_wb"`` in scikit-learn; ragged (n, n-grams)."""
    bordered = tf.strings.join([" ", tokens.flat_values, " "])
    characters = tf.strings.unicode_split(bordered, "UTF-8").with_row_splits_dtype(tf.int64)
    # A word shorter than the smallest n-gram is one n-gram itself, as in scikit-learn.
    grams = tf.strings.ngrams(
        characters, tuple(range(smallest, largest + 1)), separator="", preserve_short_sequences=True
    )
    # Words' rows merged into products' rows: only the outer splits move.
    splits = tf.gather(grams.row_splits, tokens.row_splits)
    return tf.RaggedTensor.from_row_splits(grams.flat_values, splits, validate=False)


def hashed(tokens: tf.RaggedTensor, buckets: int) -> tf.RaggedTensor:
    """Token to bucket, int64 in [0, buckets)."""
    return tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, tokens, buckets)


def counted(ids: tf.RaggedTensor, size: int) -> tuple[tf.RaggedTensor, tf.Tensor]:
    """Distinct ids of each row with their counts.

    Args:
      ids: ragged int64 (n, tokens); negative ids are dropped.
      size: ids are below it.

    Returns:
      Ragged int64 (n, distinct ids), ascending within a row, and their counts, float32, in the flat order.
    """
    # What is dropped counts as one id too many, which bincount leaves out. It fails without any row: hence one more.
    kept = tf.where(ids.values < 0, tf.constant(size, tf.int64), ids.values)
    one_more = tf.RaggedTensor.from_row_splits(
        kept, tf.concat([ids.row_splits, ids.row_splits[-1:]], axis=0), validate=False
    )
    counts = tf.sparse.bincount(one_more, axis=-1, minlength=size, maxlength=size)
    distinct = tf.RaggedTensor.from_value_rowids(
        counts.indices[:, 1], counts.indices[:, 0], nrows=ids.nrows(), validate=False
    )
    return distinct, tf.cast(counts.values, tf.float32)


def document_frequencies(distinct: tf.RaggedTensor, size: int) -> tf.Tensor:
    """How many of the batch's rows hold each id; int64 of shape (1, size)."""
    counts = tf.math.bincount(tf.cast(distinct.values, tf.int32), minlength=size, maxlength=size, dtype=tf.int64)
    return tf.ensure_shape(tf.expand_dims(counts, 0), [1, size])


def rows_of(tokens: tf.RaggedTensor) -> tf.Tensor:
    """How many rows the batch has; int64 of shape (1, 1)."""
    return tf.reshape(tokens.nrows(), [1, 1])


def inverse_document_frequency(frequency: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """ln((1 + rows) / (1 + frequency)) + 1, the smoothed form that scikit-learn uses."""
    return tf.math.log((1.0 + tf.cast(rows, tf.float32)) / (1.0 + tf.cast(frequency, tf.float32))) + 1.0


def unit_length(weights: tf.Tensor, rows: tf.Tensor, n_rows: tf.Tensor, scale: float) -> tf.Tensor:
    """Each row's weights scaled to Euclidean length ``scale``."""
    squares = tf.math.unsorted_segment_sum(tf.square(weights), rows, n_rows)
    return scale * weights * tf.gather(tf.math.rsqrt(tf.maximum(squares, 1e-12)), rows)
