"""The exported model answers raw text as it answers the vector that ProductExampleGen has made of that text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from modules.encoders.text_encoder import TextEncoder
from modules.examples import encoding
from modules.features import encodings_of
from modules.feeds.cleaning import clean
from modules.feeds.mapping import Product
from modules.feeds.text_vectors import TextVectors
from modules.graph_ops.vectors import rows_of_length, sparse_rows
from modules.predictions.columns import embedding_column
from modules.saved_models import load_saved_model
from modules.settings.workflow import Workflow
from modules.training.run import train
from modules.training.text_vectors import MissingVectors
from tests.encoders import tiny_encoder
from tests.modules.training import catalogue

HALF = 1e-3
"""Vectors have half precision, and what lies between two such numbers may be rounded to either."""

ODD = [
    {"title": "Boot leather ankle", "brand": "Brand1"},
    {"title": "靴 ботинок ΣΊΣΥΦΟΣ e\u0301cole", "brand": None},
    {"title": None, "brand": "Straße"},
    {"title": "\u00a0 \t", "brand": ""},
    {"title": None, "brand": None},
    {"title": "a" * 5000 + " boot", "brand": "#!?"},
    {"title": "👢👜", "brand": "x"},
    {"title": "boot\nboot", "brand": " leather "},
]


def settings(folder: Path) -> Workflow:
    encoder = str(tiny_encoder(folder / "tiny"))
    width = TextEncoder.load(encoder).width
    meaning = {"kind": "encoded", "encoder": encoder, "columns": ["title", "brand"], "width": width}
    return catalogue.workflow(
        features={"title": {"kind": "text", "vocabulary": 50}, "meaning": meaning},
        model={"kind": "linear", "embedding_width": 8},
        training={"solver": "liblinear", "liblinear_c": 1.0, "mixed_precision": "off"},
        similarity={"indexes": {"joint": {}, "by_meaning": {"embedding": "meaning"}}},
    )


def product(row: dict[str, Any]) -> Product:
    texts = {name: clean(row[name]) for name in ("title", "brand") if row.get(name)}
    return Product(row.get("id", "x"), {name: text for name, text in texts.items() if text}, {})


def with_vectors(rows: list[dict[str, Any]], workflow: Workflow) -> list[dict[str, Any]]:
    """The rows with cleaned texts and what ProductExampleGen would add."""
    products = [product(row) for row in rows]
    vectors = TextVectors(encodings_of(workflow.features)).of(products)
    without = [{**row, encoding("meaning"): None, "title": None, "brand": None} for row in rows]
    return [
        {**row, **own.text, **{name: vector.tolist() for name, vector in added.items()}}
        for row, own, added in zip(without, products, vectors, strict=True)
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workflow, str]:
    folder = tmp_path_factory.mktemp("encoded")
    workflow = settings(folder)
    rows = {
        split: with_vectors(catalogue.products(count, seed), workflow)
        for split, count, seed in (("train", 160, 1), ("eval", 60, 2))
    }
    transform, files = catalogue.transformed(folder, workflow, rows)
    output = str(folder / "model")
    train(workflow, catalogue.TREE, tft.TFTransformOutput(transform), [files["train"]], [files["eval"]], output=output)
    return workflow, output


@pytest.mark.parametrize("signature", ["serving_default", "table", "evaluate"])
def test_raw_text_is_answered_as_its_vector(exported: tuple[Workflow, str], signature: str) -> None:
    workflow, output = exported
    model = load_saved_model(output)
    full = with_vectors([{**row, "id": str(i)} for i, row in enumerate([*ODD, *catalogue.products(40, 9)])], workflow)
    bare = [{**row, encoding("meaning"): None} for row in full]
    mixed = [row if i % 2 else without for i, (row, without) in enumerate(zip(full, bare, strict=True))]
    other = [{**row, encoding("meaning"): catalogue.unit(np.ones(workflow.features["meaning"].width))} for row in full]
    answers = [
        model.signatures[signature](examples=tf.constant(list(map(catalogue.raw_example, rows))))
        for rows in (full, bare, mixed, other)
    ]
    for name in (name for name, value in answers[0].items() if value.dtype.is_floating):
        np.testing.assert_allclose(answers[1][name], answers[0][name], atol=HALF, err_msg=name)
        np.testing.assert_allclose(answers[2][name], answers[0][name], atol=HALF, err_msg=name)
    # The vectors matter, so that equal answers say something.
    probabilities = next(name for name in answers[0] if name.endswith("probabilities"))
    assert np.abs(answers[3][probabilities].numpy() - answers[0][probabilities].numpy()).max() > 0.01


@pytest.mark.parametrize("signature", ["serving_default", "table"])
def test_the_feature_that_an_index_searches_is_given_out(exported: tuple[Workflow, str], signature: str) -> None:
    workflow, output = exported
    given = embedding_column("meaning")
    full = with_vectors([{**row, "id": str(i)} for i, row in enumerate([*ODD, *catalogue.products(40, 9)])], workflow)
    own = (
        load_saved_model(output)
        .signatures[signature](
            examples=tf.constant([catalogue.raw_example({**row, encoding("meaning"): None}) for row in full])
        )[given]
        .numpy()
    )
    raw = np.array([row[encoding("meaning")] or [0.0] * own.shape[1] for row in full])
    there = raw.any(axis=1)
    assert not there.all() and not own[~there].any()
    np.testing.assert_allclose(np.linalg.norm(own[there], axis=1), 1.0, atol=1e-6)
    # What Transform does, by another way: the mean of the train split's vectors moves the corner to the origin.
    learnt = [row.get(encoding("meaning")) for row in with_vectors(catalogue.products(160, 1), workflow)]
    centred = raw[there] - np.mean([vector for vector in learnt if vector], axis=0)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(own[there], expected, atol=0.02)


def test_the_graphs_vectors_are_those_of_product_example_gen(tmp_path: Path) -> None:
    workflow = settings(tmp_path)
    width = workflow.features["meaning"].size  # type: ignore[union-attr]
    full = with_vectors([{**row, "id": str(i)} for i, row in enumerate(ODD)], workflow)
    assert [encoding("meaning") in row and row[encoding("meaning")] is not None for row in full[2:5]] == [
        True, False, False,
    ]  # fmt: skip
    spec = {name: tf.io.VarLenFeature(tf.string) for name in ("title", "brand")}
    spec[encoding("meaning")] = tf.io.VarLenFeature(tf.float32)
    missing = MissingVectors(workflow.features)
    filled = tf.function(lambda raw: missing.filled(raw)[encoding("meaning")])
    bare = [catalogue.raw_example({**row, encoding("meaning"): None}) for row in full]
    graph, present = rows_of_length(filled(tf.io.parse_example(bare, spec)), width)
    expected = np.array([row[encoding("meaning")] or [0.0] * width for row in full])
    np.testing.assert_allclose(graph, expected, atol=HALF)
    np.testing.assert_array_equal(present, expected.any(axis=1))


def test_only_texts_without_a_vector_are_encoded(tmp_path: Path) -> None:
    workflow = settings(tmp_path)
    missing = MissingVectors(workflow.features)
    [folder] = missing.encoders
    width, seen = missing.encoders[folder].width, []

    class Recorder(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = width

        def __call__(self, texts: tf.Tensor) -> tf.Tensor:
            seen.append(texts.numpy().tolist())
            return tf.ones([tf.size(texts), width]) / width**0.5

    missing.encoders = {folder: Recorder()}
    given = tf.constant([[0.0] * width, [1.0] + [0.0] * (width - 1), [0.0] * width])
    raw = {
        "title": tf.sparse.from_dense([["a"], ["b"], [""]]),
        "brand": tf.sparse.from_dense([[""], [""], [""]]),
        encoding("meaning"): sparse_rows(given, tf.constant([False, True, False])),
    }
    vectors, present = rows_of_length(missing.filled(raw)[encoding("meaning")], width)
    assert seen == [[b"a"]] and present.numpy().tolist() == [True, True, False]
    np.testing.assert_allclose(vectors[1], given[1])


def test_vectors_of_products_repeat_with_their_texts_alone(tmp_path: Path) -> None:
    workflow = settings(tmp_path)
    rows = [ODD[i] for i in (0, 1, 0, 4, 1, 2)]
    vectors = TextVectors(encodings_of(workflow.features)).of([product(row) for row in rows])
    name = encoding("meaning")
    assert [name in own for own in vectors] == [True, True, True, False, True, True]
    np.testing.assert_array_equal(vectors[0][name], vectors[2][name])
    np.testing.assert_array_equal(vectors[1][name], vectors[4][name])
    encoder = TextEncoder.load(workflow.features["meaning"].encoder)  # type: ignore[union-attr]
    np.testing.assert_allclose(vectors[0][name], encoder(tf.constant(["Boot leather ankle\nBrand1"]))[0], atol=HALF)


def test_tfx_run_inference_answers_raw_text(exported: tuple[Workflow, str]) -> None:
    workflow, output = exported
    full = with_vectors([{**row, "id": str(i)} for i, row in enumerate(ODD)], workflow)
    examples = [catalogue.raw_example({**row, encoding("meaning"): None}) for row in full]
    answers = load_saved_model(output).signatures["serving_default"](examples=tf.constant(examples))
    expected = answers["exclusive/entropy"].numpy()
    spec = model_spec_pb2.InferenceSpecType(saved_model_spec=model_spec_pb2.SavedModelSpec(model_path=output))

    def same(logs: list[Any]) -> None:
        values = [tf.make_ndarray(log.predict_log.response.outputs["exclusive/entropy"]).ravel()[0] for log in logs]
        np.testing.assert_allclose(sorted(values), sorted(expected), atol=HALF)

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        inferred = pipeline | beam.Create(examples) | beam.Map(tf.train.Example.FromString) | RunInference(spec)
        assert_that(inferred, same)
