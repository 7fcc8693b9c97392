"""What every kind of feature promises, tried on all kinds alike."""

from __future__ import annotations

import warnings
from typing import Any, get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from modules.features import Feature, without_towers
from modules.features.base import FeatureSettings, LayerSettings, ModelContext
from tests.modules.training import catalogue
from tests.modules.training.shared import ENCODED, FEATURES, Built

KINDS = get_args(get_args(Feature)[0])


def feature_of(built: Built, name: str) -> FeatureSettings:
    return built.workflow.features[name]


def inputs_of(built: Built, name: str) -> dict[str, Any]:
    """The feature's model inputs of all training products, in one batch."""
    feature = feature_of(built, name)
    records = tf.data.TFRecordDataset(built.files["train"], compression_type="GZIP").batch(10_000)
    return feature.to_inputs(name, tf.io.parse_example(next(iter(records)), feature.example_spec(name)))


def context_of(built: Built, name: str) -> ModelContext:
    learned = feature_of(built, name).learned(name, built.transform, 7)
    seeds = iter(range(100))
    return ModelContext(lambda: next(seeds), 0.0, {name: learned})


def test_every_kind_is_tried() -> None:
    assert {entry["kind"] for entry in FEATURES.values()} == {kind.model_fields["kind"].default for kind in KINDS}


@pytest.mark.parametrize("name", FEATURES)
def test_columns_go_from_transform_into_the_model(built: Built, name: str) -> None:
    feature = feature_of(built, name)
    written = built.transform.transformed_feature_spec()
    assert set(feature.example_spec(name)) <= {key for key in written if key.startswith(f"{name}/")}
    inputs, symbolic = inputs_of(built, name), feature.keras_inputs(name)
    assert set(inputs) == set(symbolic)
    for key, tensor in symbolic.items():
        assert inputs[key].dtype.name == tensor.dtype or key.endswith("/pixels")
        assert len(inputs[key].shape) == len(tensor.shape)
        assert all(have == want for have, want in zip(inputs[key].shape[1:], tensor.shape[1:], strict=True) if want)


@pytest.mark.parametrize("name", [name for name in FEATURES if FEATURES[name]["kind"] != "image"])
def test_the_graph_and_the_design_matrix_agree(built: Built, name: str) -> None:
    """A linear map in the graph is the design matrix times the layer's weights."""
    feature, context = feature_of(built, name), context_of(built, name)
    inputs, symbolic = inputs_of(built, name), feature.keras_inputs(name)
    arrays = {key: value.numpy() for key, value in inputs.items()}
    size = context.learned[name].size
    layer = LayerSettings("map", 3, keras.initializers.RandomNormal(seed=3), True)
    warnings.filterwarnings("ignore", "When providing `inputs` as a dict")
    model = keras.Model(symbolic, feature.linear_map(name, symbolic, layer, context))
    [weights] = model.get_layer("map").get_weights()
    block = feature.design_block(name, arrays, size)
    assert block.shape == (len(next(iter(arrays.values()))), size) and weights.shape == (size, 3)
    np.testing.assert_allclose(model(inputs).numpy(), block @ weights, rtol=1e-4, atol=1e-5)
    wide = keras.Model(symbolic, feature.encoded(name, symbolic, context)).output_shape
    assert len(wide) == 2 and wide[1] > 0


@pytest.mark.parametrize("name", [name for name in FEATURES if FEATURES[name]["kind"] != "image"])
def test_evidence_is_there_exactly_where_a_value_is(built: Built, name: str) -> None:
    """Of the same products with and without the feature's column, through the graph that serves."""
    feature, layer = feature_of(built, name), built.transform.transform_features_layer()
    [column], spec = feature.raw_columns(name), catalogue.RAW_SPEC

    def evidence(rows: list[dict[str, Any]]) -> np.ndarray:
        raw = tf.io.parse_example([catalogue.raw_example(row) for row in rows], spec)
        inputs = feature.to_inputs(name, layer({key: raw[key] for key in built.transform.raw_feature_spec()}))
        there = np.asarray(feature.evidence(name, {key: value.numpy() for key, value in inputs.items()})) >= 1
        return there if there.ndim == 1 else there.any(axis=1)

    values = {"price": 12.5, "rating": 3.5, "size": "large", "image_vector": [0.5] * 4, ENCODED: [0.0] * 5 + [1.0]}
    rows = [{**row, column: values.get(column, "boot leather ankle")} for row in built.rows["train"][:20]]
    assert evidence(rows).all()
    assert not evidence([{**row, column: None} for row in rows]).any()


@pytest.mark.parametrize("name", FEATURES)
def test_only_what_has_no_tower_is_asked_for_layers(built: Built, name: str) -> None:
    feature = feature_of(built, name)
    assert (name in without_towers(built.workflow.features)) == (not feature.has_tower)
    assert feature.for_transform().model_dump() == type(feature)().model_dump() or not feature.has_tower
    assert list(feature.check(built.workflow, f"features.{name}")) == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.has_tower])
def test_a_column_that_is_not_there_is_a_contradiction(built: Built, kind: type[FeatureSettings]) -> None:
    wrong = kind(column="colour_of_the_moon")
    [problem] = wrong.check(built.workflow, "features.x")
    assert (problem.key, problem.value) == ("features.x.column", "colour_of_the_moon")
    assert "a field of the product schema" in problem.expected
