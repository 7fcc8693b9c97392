"""Files of word vectors: what they hold, what is wrong with them, and where their rows stand in the model."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from modules.errors import InputError
from modules.features import word_vectors
from modules.features.base import ModelContext
from modules.features.text import TextFeature
from modules.features.word_vectors import check_word_vectors, read_word_vectors
from tests.modules.training.shared import Built

WORDS = ["shoe", "hat", "boot"]


def write(folder: Path, text: str) -> str:
    path = folder / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("header", ["", "3 2\n"], ids=["GloVe", "word2vec and fastText"])
@pytest.mark.parametrize("width", [None, 2])
def test_known_words_get_their_vectors(tmp_path: Path, caplog, header: str, width: int | None) -> None:
    path = write(tmp_path, f"{header}boot 1 2 \n\nother x y\n. . . 1 2\nshoe 3.5 -4e-1\n")
    with caplog.at_level(logging.INFO):
        table = read_word_vectors(path, WORDS, width, seed=1)
    assert table.shape == (3, 2) and table.dtype == np.float32
    np.testing.assert_allclose(table[[0, 2]], [[3.5, -0.4], [1, 2]], rtol=1e-6)
    assert (table[1] != 0).all() and np.abs(table[1]).max() < 0.5
    np.testing.assert_array_equal(table, read_word_vectors(path, WORDS, width, seed=1))
    assert "has vectors of 2 of 3 words" in caplog.text


def test_a_compressed_file_gives_the_same(tmp_path: Path) -> None:
    plain = write(tmp_path, "shoe 1 2\nboot 3 4\nhat 5 6\n")
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    np.testing.assert_array_equal(read_word_vectors(str(packed), WORDS, 2, 1), [[1, 2], [5, 6], [3, 4]])


def test_the_word_in_lower_case_counts_before_others_of_its_case(tmp_path: Path) -> None:
    table = read_word_vectors(write(tmp_path, "Shoe 1 1\nSHOE 2 2\nHat 3 3\nshoe 4 4\nHAT 5 5\n"), WORDS, 2, 1)
    np.testing.assert_array_equal(table[:2], [[4, 4], [3, 3]])


def test_a_word_of_several_is_none_of_the_vocabulary(tmp_path: Path) -> None:
    table = read_word_vectors(write(tmp_path, "hat 1 2\nshoe name@shop 3 4\nshoe 5 6\n"), WORDS, 2, 1)
    np.testing.assert_array_equal(table[:2], [[5, 6], [1, 2]])


@pytest.mark.parametrize("line", ["boot 1 2 3", "boot 1", "boot", "boot 1 zwei", "boot 1 nan"])
def test_a_wrong_vector_names_file_line_and_word(tmp_path: Path, line: str) -> None:
    with pytest.raises(InputError, match=r"vectors\.txt:2.*boot.*2 finite numbers"):
        read_word_vectors(write(tmp_path, f"shoe 1 2\n{line}\n"), WORDS, 2, seed=1)
    with pytest.raises(InputError, match=r"vectors\.txt:1.*boot"):
        check_word_vectors(write(tmp_path, f"{line}\n"), 2)


def test_what_is_no_such_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, message in (("", "it is empty"), ("word zwei\n", "finite numbers")):
        with pytest.raises(InputError, match=message):
            check_word_vectors(write(tmp_path, text), None)
    with pytest.raises(InputError, match="none of the vocabulary, which is 3 words"):
        read_word_vectors(write(tmp_path, "wort 1 2\n"), WORDS, 2, seed=1)
    with pytest.raises(InputError, match="cannot be read"):
        read_word_vectors(str(tmp_path / "missing.txt"), WORDS, 2, seed=1)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"shoe 1 2\n" * 1000)[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        read_word_vectors(str(tmp_path / "cut.gz"), WORDS, 2, seed=1)
    monkeypatch.setattr(word_vectors, "LONGEST", 100)
    with pytest.raises(InputError, match=r"vectors\.txt:2.*over 100 bytes"):
        read_word_vectors(write(tmp_path, "shoe 1 2\n" + "x" * 101), WORDS, 2, seed=1)


def test_validation_looks_at_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "2 3\nshoe 1 2 3\n")
    settings = {"embedding": "pretrained", "pretrained": "vectors.txt"}
    assert TextFeature(**settings).with_weights({"pretrained": Path(path)}).pretrained == path
    with pytest.raises(InputError, match=r"vectors\.txt:2.*expected 4 finite numbers"):
        TextFeature(**settings, width=4).with_weights({"pretrained": Path(path)})


@pytest.mark.parametrize("kind", ["bag", "mean", "tfidf_mean", "cnn", "gru"])
@pytest.mark.parametrize("embedding", ["pretrained", "pretrained_fixed"])
def test_each_word_starts_from_its_vector(built: Built, tmp_path: Path, kind: str, embedding: str) -> None:
    words = [word.decode() for word in built.transform.vocabulary_by_name("title_words")]
    vectors = np.random.default_rng(1).normal(size=(len(words), 3)).astype(np.float32)
    lines = [f"{word} {' '.join(map(str, row))}" for word, row in zip(words, vectors.tolist(), strict=True)]
    feature = TextFeature(
        vocabulary=200, characters={"buckets": 4096}, encoder={"kind": kind}, embedding=embedding,
        pretrained=write(tmp_path, "\n".join(lines)),
    )  # fmt: skip
    layer = table_of(feature, built)
    np.testing.assert_allclose(layer.get_weights()[0][: len(words)], vectors, rtol=1e-6)
    assert layer.trainable == (embedding == "pretrained")


@pytest.mark.parametrize(("vocabulary", "width"), [(1, 1), (2, 1), (200, 8), (256, 8), (257, 9), (8000, 13)])
def test_fixed_random_vectors_are_as_wide_as_the_logarithm_of_the_vocabulary(
    built: Built, vocabulary: int, width: int
) -> None:
    layer = table_of(TextFeature(vocabulary=vocabulary, embedding="random_fixed", encoder={"kind": "cnn"}), built)
    assert layer.width == width and not layer.trainable
    assert table_of(TextFeature(vocabulary=vocabulary), built).width == 64


def table_of(feature: TextFeature, built: Built) -> Any:
    """The layer with the table of word vectors."""
    seeds = iter(range(100))
    context = ModelContext(lambda: next(seeds), 0.0, {"title": feature.learned("title", built.transform, 7)})
    inputs = feature.keras_inputs("title")
    model = keras.Model(list(inputs.values()), feature.encoded("title", inputs, context))
    return model.get_layer("title_embedding")
