"""Text ops against scikit-learn's analyzers and against plain Python."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from modules.graph_ops import text as ops

UNSPACED = [(0x4E00, 0x9FFF), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x0E01, 0x0E3A), (0x0E40, 0x0E4E)]


def oracle_words(text: str) -> list[str]:
    """Lower-cased runs of letters, marks and digits; Han, kana and Thai characters stand alone."""
    found, current = [], ""
    for char in text.lower():
        alone = any(low <= ord(char) <= high for low, high in UNSPACED)
        if alone or unicodedata.category(char)[0] not in "LMN":
            found.append(current)
            current = ""
            if alone:
                found.append(char)
        else:
            current += char
    return [word for word in [*found, current] if word]


def tokens(texts: list[str]) -> tf.RaggedTensor:
    return ops.words(tf.constant([text.encode("utf-8", "surrogatepass") for text in texts]))


def decoded(ragged: tf.RaggedTensor) -> list[list[str]]:
    return [[value.decode() for value in row] for row in ragged.to_list()]


LETTERS = "abzAZßÆøİıñÑéЖяΩλאבةعहिन่ำกあアん靴鞋09٣²½"
SEPARATORS = " \t\n\x00\x07\x7f /\\>|»→·.,;:!?'\"-_()[]{}&%$€#@*+=~`^\u00a0\u200b\u200e\u202e\u2028\ufeff😀👟🏽🇩🇪"
MARKS = "\u0301\u0308\u0327\u20dd"
texts = st.lists(st.text(st.sampled_from(LETTERS + SEPARATORS + MARKS), max_size=40), min_size=1, max_size=6)


class TestWords:
    @given(texts)
    @settings(deadline=None, max_examples=150)
    def test_are_those_of_plain_python_for_hostile_text(self, given_texts):
        assert decoded(tokens(given_texts)) == [oracle_words(text) for text in given_texts]

    @given(st.lists(st.binary(max_size=30), min_size=1, max_size=4))
    @settings(deadline=None, max_examples=60)
    def test_undecodable_bytes_never_fail(self, given_bytes):
        found = ops.words(tf.constant(given_bytes))
        assert found.nrows() == len(given_bytes)
        grams = ops.character_ngrams(found, 2, 5)
        assert grams.nrows() == len(given_bytes)

    def test_category_paths_split_at_any_separator(self):
        written = ["Shoes > Sneakers", "Shoes//Sneakers", "shoes|sneakers", "Shoes → Sneakers", "SHOES >"]
        assert decoded(tokens(written)) == [["shoes", "sneakers"]] * 4 + [["shoes"]]

    def test_no_rows_and_empty_rows(self):
        assert ops.words(tf.constant([], tf.string)).nrows() == 0
        assert decoded(tokens(["", "   ", "😀"])) == [[], [], []]


WORDS = st.lists(st.lists(st.text("abcé9", min_size=1, max_size=7), max_size=6), min_size=1, max_size=5)


class TestNgrams:
    @given(WORDS, st.integers(1, 3), st.integers(0, 2))
    @settings(deadline=None, max_examples=60)
    def test_of_words_are_scikit_learns(self, rows, smallest, more):
        analyze = CountVectorizer(
            analyzer="word", ngram_range=(smallest, smallest + more), tokenizer=str.split, token_pattern=None
        ).build_analyzer()
        found = ops.word_ngrams(tf.ragged.constant(rows, tf.string, ragged_rank=1), smallest, smallest + more)
        assert [sorted(row) for row in decoded(found)] == [sorted(analyze(" ".join(row))) for row in rows]

    @given(WORDS, st.integers(1, 5), st.integers(0, 3))
    @settings(deadline=None, max_examples=60)
    def test_of_characters_are_scikit_learns_char_wb(self, rows, smallest, more):
        analyze = CountVectorizer(analyzer="char_wb", ngram_range=(smallest, smallest + more)).build_analyzer()
        ragged = tf.ragged.constant(rows, tf.string, ragged_rank=1).with_row_splits_dtype(tf.int64)
        found = ops.character_ngrams(ragged, smallest, smallest + more)
        assert [sorted(row) for row in decoded(found)] == [sorted(analyze(" ".join(row))) for row in rows]

    def test_hashes_lie_in_their_buckets_and_spread(self):
        grams = tf.ragged.constant([[f"w{i}" for i in range(2000)], []], tf.string, ragged_rank=1)
        found = ops.hashed(grams, 256)
        values = found.flat_values.numpy()
        assert values.dtype == np.int64 and values.min() >= 0 and values.max() < 256
        assert len(np.unique(values)) > 240
        assert found.row_lengths().numpy().tolist() == [2000, 0]


class TestCounted:
    @given(st.lists(st.lists(st.integers(-1, 6), max_size=12), max_size=6))
    @settings(deadline=None, max_examples=80)
    def test_is_a_count_per_row_without_negative_ids(self, rows):
        distinct, counts = ops.counted(tf.ragged.constant(rows, tf.int64, ragged_rank=1), 7)
        expected = [{i: row.count(i) for i in sorted(set(row)) if i >= 0} for row in rows]
        assert distinct.to_list() == [list(row) for row in expected]
        assert counts.numpy().tolist() == [float(n) for row in expected for n in row.values()]
        frequencies = ops.document_frequencies(distinct, 7).numpy()
        assert frequencies.tolist() == [[float(sum(i in row for row in rows)) for i in range(7)]]

    def test_rows_of_no_weight_stay_zero(self):
        found = ops.unit_length(tf.constant([0.0, 3.0, 4.0]), tf.constant([0, 2, 2], tf.int64), 4, 10.0)
        np.testing.assert_allclose(found.numpy(), [0.0, 6.0, 8.0], rtol=1e-6)
        assert ops.unit_length(tf.constant([]), tf.constant([], tf.int64), 0, 1.0).shape == (0,)


@pytest.mark.parametrize("size", [1, 3])
def test_ids_at_the_edge_of_their_range(size):
    distinct, _ = ops.counted(tf.ragged.constant([[size - 1, 0], [size - 1]], tf.int64, ragged_rank=1), size)
    assert distinct.to_list() == [sorted({0, size - 1}), [size - 1]]
