"""What each kind of text encoder makes of words, against NumPy and against the same words in another batch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from modules.features import text_encoders
from modules.features.base import LayerSettings, Learned, ModelContext
from modules.features.text import TextFeature
from modules.features.text_encoders.base import Text
from modules.graph_ops.word_sequences import WordVectors
from modules.settings.workflow import Workflow
from tests.modules.training import catalogue

VOCABULARY, SIZE, WIDTH = 7, 9, 5
CASES: dict[str, dict[str, Any]] = {
    "bag": {},
    "mean": {},
    "tfidf_mean": {},
    "cnn": {"widths": (1, 2, 4), "filters": 3},
    "gru": {"units": 4, "bidirectional": True},
    "lstm": {"units": 4},
}
ORDERED = ("mean", "cnn", "gru", "lstm")
TEXTS = [[2, 3, 1, 4], [5], [], [8, 8, 2, 6, 7, 3, 2]]
"""Tokens: 1 is an unknown word, word i is i + 2."""


def padded(rows: list[list[Any]], filler: float, length: int = 0) -> np.ndarray:
    longest = max(length, 1, *map(len, rows))
    return np.array([[*row, *[filler] * (longest - len(row))] for row in rows])


def bags(texts: list[list[int]]) -> tuple[list[list[int]], list[list[float]]]:
    """Distinct ids with weights; an n-gram, id 8, in each text that has a word."""
    ids = [[*sorted({token - 2 for token in text if token > 1}), *([8] if text else [])] for text in texts]
    return ids, [[0.5 + 0.25 * own for own in row] for row in ids]


def model_of(encoder: text_encoders.TextEncoderSettings, dropout: float = 0.0) -> keras.Model:
    """The encoder by itself, from ids, weights and tokens."""
    keras.utils.set_random_seed(3)
    seeds = iter(range(100))
    context = ModelContext(lambda: next(seeds), dropout, {"title": Learned(SIZE)})
    shapes = {"ids": "int64", "weights": "float32", "tokens": "int64"}
    inputs = {name: keras.Input((None,), dtype=kind, name=name) for name, kind in shapes.items()}
    layer = LayerSettings("title_embedding", WIDTH, keras.initializers.RandomNormal(stddev=1.0, seed=5), True)
    text = Text("title", **inputs, size=SIZE, vocabulary=VOCABULARY, layer=layer, context=context)
    return keras.Model(inputs, encoder.encoded(text))


def encoded(model: keras.Model, texts: list[list[int]], length: int = 0, **call: Any) -> np.ndarray:
    ids, weights = bags(texts)
    inputs = {
        "ids": padded(ids, -1, length).astype(np.int64), "weights": padded(weights, 0.0, length).astype(np.float32),
        "tokens": padded(texts, 0, length).astype(np.int64),
    }  # fmt: skip
    return model(inputs, **call).numpy()


def encoder_of(name: str) -> text_encoders.TextEncoderSettings:
    kind = next(kind for kind in text_encoders.KINDS if kind.model_fields["kind"].default == name)
    return kind(**CASES[name])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def gru(vectors: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The last state (Cho et al. 2014, the reset gate behind the matrix product)."""
    n = recurrent.shape[0]
    state = np.zeros(n)
    for vector in vectors:
        x, h = vector @ kernel + bias[0], state @ recurrent + bias[1]
        update, reset = sigmoid(x[:n] + h[:n]), sigmoid(x[n : 2 * n] + h[n : 2 * n])
        state = update * state + (1 - update) * np.tanh(x[2 * n :] + reset * h[2 * n :])
    return state


def lstm(vectors: np.ndarray, kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> np.ndarray:
    n = recurrent.shape[0]
    state, cell = np.zeros(n), np.zeros(n)
    for vector in vectors:
        gates = vector @ kernel + state @ recurrent + bias
        enter, forget, new, leave = (gates[i * n : (i + 1) * n] for i in range(4))
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
        state = sigmoid(leave) * np.tanh(cell)
    return state


def oracle(name: str, model: keras.Model, text: list[int]) -> np.ndarray:
    """What the encoder's definition says of one text."""
    [table] = model.get_layer("title_embedding").get_weights()
    [ids], [weights] = bags([text])
    words = [token - 2 for token in text if token > 1]
    if name == "bag":
        return np.array(weights) @ table[ids] if ids else np.zeros(WIDTH)
    if name == "mean":
        return table[words].mean(axis=0) if words else np.zeros(WIDTH)
    if name == "tfidf_mean":
        known = [(own, weight) for own, weight in zip(ids, weights, strict=True) if own < VOCABULARY]
        total = sum(weight for _, weight in known)
        return sum((weight / total * table[own] for own, weight in known), np.zeros(WIDTH))
    vectors = table[np.array(text, int) - 2]
    if name == "cnn":
        return np.concatenate([_filtered(model, number, vectors) for number in range(3)])
    if name == "lstm":
        return lstm(vectors, *model.get_layer("title_lstm").get_weights())
    both = model.get_layer("title_gru_both").get_weights()
    return np.concatenate([gru(vectors, *both[:3]), gru(vectors[::-1], *both[3:])])


def _filtered(model: keras.Model, number: int, vectors: np.ndarray) -> np.ndarray:
    """Each filter's largest value over all windows with a word of the text, rectified."""
    kernel, bias = model.get_layer(f"title_cnn_{number}").get_weights()
    if not len(vectors):
        return np.zeros(len(bias))
    around = np.zeros((len(kernel) - 1, WIDTH))
    whole = np.concatenate([around, vectors, around])
    windows = [whole[i : i + len(kernel)] for i in range(len(whole) - len(kernel) + 1)]
    return np.maximum([np.einsum("wd,wdf->f", window, kernel) + bias for window in windows], 0).max(axis=0)


def test_every_kind_is_tried() -> None:
    assert set(CASES) == {kind.model_fields["kind"].default for kind in text_encoders.KINDS}


@pytest.mark.parametrize("name", CASES)
def test_follows_its_definition(name: str) -> None:
    model = model_of(encoder_of(name))
    for layer in model.layers:  # biases start from 0, and would show nothing
        rng = np.random.default_rng(1)
        layer.set_weights([w + rng.normal(0, 0.3, w.shape) for w in layer.get_weights()])
    expected = [oracle(name, model, text) for text in TEXTS]
    np.testing.assert_allclose(encoded(model, TEXTS), expected, atol=1e-5)
    assert (expected[2] == 0).all()


@pytest.mark.parametrize("name", CASES)
def test_a_text_does_not_feel_its_batch(name: str) -> None:
    """Neither longer texts beside it nor any padding."""
    model = model_of(encoder_of(name))
    together = encoded(model, TEXTS, length=20)
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(encoded(model, [text])[0], together[row], atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_order_counts_where_it_is_said_to(name: str) -> None:
    first, second = encoded(model_of(encoder_of(name)), [[2, 3, 4, 5, 6], [5, 6, 4, 2, 3]])
    assert np.allclose(first, second, atol=1e-6) == (name in ("bag", "mean", "tfidf_mean"))


@pytest.mark.parametrize("name", CASES)
def test_words_are_dropped_in_training_only(name: str) -> None:
    encoder = encoder_of(name)
    if "dropout" in type(encoder).model_fields:
        encoder = encoder.model_copy(update={"dropout": 0.0})
    model = model_of(encoder, dropout=0.5)
    plain = encoded(model, [[2, 3, 4, 5]])
    np.testing.assert_array_equal(plain, encoded(model, [[2, 3, 4, 5]]))
    trained = encoded(model, [[2, 3, 4, 5]] * 50, training=True)
    assert len(np.unique(trained.round(5), axis=0)) > 5


def test_dropped_words_are_unknown_ones_and_words_left_out_stay_so() -> None:
    layer = WordVectors(VOCABULARY, WIDTH, "normal", dropout=0.5, seed=1)
    tokens = np.array([[2, 3, 4, 0]] * 300)
    drawn = layer(tokens, training=True).numpy()
    [table] = layer.get_weights()
    unknown = (drawn == table[-1]).all(axis=2)
    assert (drawn[:, 3] == 0).all() and 0.4 < unknown[:, :3].mean() < 0.6
    np.testing.assert_array_equal(drawn[:, 1][~unknown[:, 1]], np.tile(table[1], ((~unknown[:, 1]).sum(), 1)))
    layer.leave_out(np.array([2.0, 0.0, 2.0, 2.0, 2.0, 2.0, 2.0]))
    np.testing.assert_array_equal(layer(tokens[:1]).numpy()[0], [table[0], table[-1], table[2], np.zeros(WIDTH)])


def test_only_the_words_of_a_batch_have_a_gradient() -> None:
    layer = WordVectors(VOCABULARY, WIDTH, "normal")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(np.array([[2, 5, 0]])) ** 2)
    gradient = tape.gradient(loss, layer.table.value)
    assert isinstance(gradient, tf.IndexedSlices) and set(gradient.indices.numpy()) == {0, 3, VOCABULARY}
    rows = tf.convert_to_tensor(gradient).numpy()
    assert (rows[VOCABULARY] == 0).all() and (rows[[0, 3]] != 0).all()


DEEP = {"kind": "deep"}
LIBLINEAR = {"solver": "liblinear"}


@pytest.mark.parametrize(
    ("feature", "model", "keys"),
    [
        ({"encoder": {"kind": "cnn"}, "sequence": 9}, {"kind": "linear"}, ["sequence", "encoder"]),
        ({"embedding": "random_fixed"}, {"kind": "lsa"}, ["embedding"]),
        ({"encoder": {"kind": "gru"}}, {**DEEP, "text_input": "histogram"}, ["encoder"]),
        ({"sequence": 9}, DEEP, ["sequence"]),
        ({"sequence": 9, "encoder": {"kind": "tfidf_mean"}}, {"kind": "wide_deep"}, ["sequence"]),
        ({"encoder": {"kind": "cnn"}, "characters": {}, "scale": 2.0}, DEEP, ["characters", "scale"]),
        ({"encoder": {"kind": "tfidf_mean"}, "weights": "count", "sublinear": True}, DEEP, ["weights"]),
    ],
)
def test_a_setting_that_nothing_reads_is_an_error(feature: dict, model: dict, keys: list[str]) -> None:
    training = {"training": LIBLINEAR} if model["kind"] == "lsa" else {}
    with pytest.raises(ValidationError) as caught:
        catalogue.workflow(features={"title": {"kind": "text", **feature}}, model=model, **training)
    text = str(caught.value)
    assert [key for key in TextFeature.model_fields if f"features.title.{key}: expected no such key" in text] == keys


@pytest.mark.parametrize(
    ("feature", "model"),
    [
        ({"encoder": {"kind": "cnn"}, "sequence": 9, "characters": {}, "scale": 2.0}, {"kind": "wide_deep"}),
        ({"encoder": {"kind": "tfidf_mean"}, "sublinear": True}, DEEP),
        ({"embedding": "random_fixed", "characters": {}, "weights": "count"}, DEEP),
        ({"characters": {}, "scale": 2.0}, {**DEEP, "text_input": "histogram"}),
    ],
)
def test_a_setting_that_something_reads_is_taken(feature: dict, model: dict) -> None:
    workflow = catalogue.workflow(features={"title": {"kind": "text", **feature}}, model=model)
    assert Workflow.from_part(workflow.model_dump_json()) == workflow


def test_one_member_of_a_committee_that_reads_it_is_enough() -> None:
    features = {"title": {"kind": "text", "encoder": {"kind": "cnn"}}}
    committee = {"by": "kinds", "kinds": [{"model": DEEP}]}
    assert catalogue.workflow(features=features, model={"kind": "linear"}, committee=committee)


@pytest.mark.parametrize("name", CASES)
def test_transform_does_not_depend_on_what_only_the_model_reads(name: str) -> None:
    vectors = {"width": 9, "embedding": "pretrained", "pretrained": "vectors.txt"}
    feature, plain = TextFeature(encoder=encoder_of(name), **vectors), TextFeature(encoder={"kind": name})
    assert feature.for_transform() == plain.for_transform()
    assert feature.for_transform().ordered_words == feature.ordered_words == (64 if name in ORDERED else None)
