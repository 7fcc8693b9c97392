"""One contract for every kind of model: it builds, trains, exports, and its signatures say what they promise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, logit, xlogy

from modules import models
from modules.examples import MODEL_FACTS
from modules.features import text_encoders
from modules.models.build import build_model
from modules.settings.workflow import Workflow
from modules.training.data import batches
from modules.training.fit import compile_model
from modules.training.run import input_sizes, train
from tests.modules.training import shared
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import TRAINING, WIDE_DEEP, Built, class_counts, classes, heads_of

KINDS = {
    "linear": {"kind": "linear", "embedding_width": 12},
    "deep histogram": {"kind": "deep", "text_input": "histogram", "hidden": [24, 12], "normalization": "batch"},
    "wide & deep": WIDE_DEEP,
    "deep bag": {"kind": "deep", "text_input": "embedding_bag", "hidden": [24, 12]},
    "wide & deep histogram": {"kind": "wide_deep", "text_input": "histogram", "hidden": [12], "normalization": "batch"},
}
ENCODERS = {
    "mean": {"kind": "mean"},
    "tfidf_mean": {"kind": "tfidf_mean"},
    "cnn": {"kind": "cnn", "widths": [1, 2, 4], "filters": 4},
    "gru": {"kind": "gru", "units": 6, "bidirectional": True},
    "lstm": {"kind": "lstm", "units": 6},
}
"""What reads the title's words in models of kind deep, named so."""
KINDS |= {name: {"kind": "deep", "hidden": [12], "input_dropout": 0.1, "l2": 1e-4} for name in ENCODERS}
SLOW = {"deep bag", "wide & deep histogram", "mean", "tfidf_mean", "lstm"}
CASES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in KINDS]
FEATURES = ("title", "brand", "price", "image")


def test_every_kind_is_tried() -> None:
    """But LSA, which has no gradients: ``test_lsa.py`` holds it against SciPy."""
    assert {case["kind"] for case in KINDS.values()} == {
        kind.model_fields["kind"].default for kind in models.KINDS if kind.by_gradient
    }
    assert {"bag", *ENCODERS} == {kind.model_fields["kind"].default for kind in text_encoders.KINDS}


def settings_of(built: Built, name: str, **changes: Any) -> Workflow:
    """The workflow of a case."""
    if name not in ENCODERS:
        return built.settings(FEATURES, model=KINDS[name], **changes)
    encoder = ENCODERS[name]
    ordered = {**shared.FEATURES["ordered"], "encoder": encoder}
    if encoder["kind"] == "tfidf_mean":
        del ordered["sequence"]
    features = {"ordered": ordered, **{other: shared.FEATURES[other] for other in FEATURES[1:]}}
    return shared.tiny(FEATURES, features=features, model=KINDS[name], **changes)


@dataclass
class Trained:
    """One kind, trained and loaded again, with the outputs of both signatures on the eval products."""

    workflow: Workflow
    facts: dict
    predicted: dict[str, np.ndarray]
    evaluated: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def trained(built: Built, exported, tmp_path_factory: pytest.TempPathFactory):
    """Kind to :class:`Trained`, each made once (wide & deep is the model of the whole session)."""
    known: dict[str, Trained] = {}

    def of(name: str) -> Trained:
        if name not in known:
            workflow, output = exported
            if name != "wide & deep":
                workflow = settings_of(built, name, training={**TRAINING, "epochs": 1})
                output = str(tmp_path_factory.mktemp("model"))
                train(workflow, TREE, built.transform, [built.files["train"]], [built.files["eval"]], output=output)
            loaded = tf.saved_model.load(output)
            examples = tf.constant(built.raw("eval"))
            outputs = [
                {k: v.numpy() for k, v in loaded.signatures[signature](examples=examples).items()}
                for signature in ("serving_default", "evaluate")
            ]
            known[name] = Trained(workflow, json.loads((Path(output) / MODEL_FACTS).read_text()), *outputs)
        return known[name]

    return of


@pytest.mark.parametrize("name", CASES)
class TestEveryKind:
    def test_outputs_have_the_documented_shapes_and_types(self, trained, name):
        model = trained(name)
        n, k = 80, {"exclusive": 3, "rule_based": 3}
        expected = {"embedding": ((n, 12), np.float32)}
        for objective, top in k.items():
            expected |= {
                f"{objective}/categories": ((n, top), object),
                f"{objective}/classes": ((n, top), np.int32),
                f"{objective}/probabilities": ((n, top), np.float32),
            }
            scores = ("rest", "entropy", "margin", "least_confidence")
            expected |= {f"{objective}/{score}": ((n,), np.float32) for score in scores}
        expected["rule_based/assigned"] = ((n, 3), np.int32)
        assert {key: (v.shape, v.dtype) for key, v in model.predicted.items()} == {
            key: (shape, np.dtype(kind)) for key, (shape, kind) in expected.items()
        }
        assert {key: v.shape for key, v in model.evaluated.items()} == {
            "exclusive/probabilities": (n, class_counts()["exclusive"]),
            "rule_based/probabilities": (n, class_counts()["rule_based"]),
        }
        for outputs in (model.predicted, model.evaluated):
            assert all(np.isfinite(v).all() for v in outputs.values() if v.dtype != object)

    def test_embedding_rows_have_unit_length(self, trained, name):
        lengths = np.linalg.norm(trained(name).predicted["embedding"], axis=1)
        np.testing.assert_allclose(lengths[lengths > 0], 1.0, atol=1e-5)
        assert (lengths > 0).mean() > 0.9

    def test_exclusive_scores_follow_from_all_probabilities(self, trained, name):
        found, p = trained(name).predicted, trained(name).evaluated["exclusive/probabilities"].astype(float)
        np.testing.assert_allclose(p.sum(axis=1), 1.0, atol=1e-5)
        order = np.sort(p, axis=1)[:, ::-1]
        np.testing.assert_allclose(found["exclusive/entropy"], -xlogy(p, p).sum(axis=1), atol=1e-5)
        np.testing.assert_allclose(found["exclusive/margin"], order[:, 0] - order[:, 1], atol=1e-5)
        np.testing.assert_allclose(found["exclusive/least_confidence"], 1 - order[:, 0], atol=1e-5)
        np.testing.assert_allclose(found["exclusive/probabilities"], order[:, :3], atol=1e-6)
        whole = found["exclusive/probabilities"].sum(axis=1) + found["exclusive/rest"]
        np.testing.assert_allclose(whole, 1.0, atol=1e-5)
        at = np.take_along_axis(p, found["exclusive/classes"].astype(int), axis=1)
        np.testing.assert_allclose(at, found["exclusive/probabilities"], atol=1e-6)

    def test_multi_label_scores_follow_from_all_probabilities(self, trained, name):
        model = trained(name)
        found, shifted = model.predicted, model.evaluated["rule_based/probabilities"].astype(float)
        thresholds = np.array(model.facts["calibration"]["thresholds"]["rule_based"])
        p = expit(logit(shifted) + logit(np.clip(thresholds, 1e-6, 1 - 1e-6)))
        np.testing.assert_allclose(
            found["rule_based/entropy"], -(xlogy(p, p) + xlogy(1 - p, 1 - p)).sum(axis=1), atol=1e-3
        )
        np.testing.assert_allclose(found["rule_based/margin"], np.abs(2 * p - 1).min(axis=1), atol=1e-4)
        sure = np.maximum(p, 1 - p).min(axis=1)
        np.testing.assert_allclose(found["rule_based/least_confidence"], 1 - sure, atol=1e-4)
        whole = found["rule_based/probabilities"].sum(axis=1) + found["rule_based/rest"]
        np.testing.assert_allclose(whole, p.sum(axis=1), atol=1e-4)
        # What is assigned is what the evaluation counts as predicted, and comes first.
        top = found["rule_based/classes"].astype(int)
        over = shifted >= 0.5
        clear = np.abs(np.take_along_axis(shifted, top, axis=1) - 0.5) > 1e-5
        assigned = found["rule_based/assigned"].astype(bool)
        np.testing.assert_array_equal(assigned[clear], np.take_along_axis(over, top, axis=1)[clear])
        assert (np.diff(assigned.astype(int), axis=1) <= 0).all()
        for flag in (True, False):
            values = np.where(assigned == flag, found["rule_based/probabilities"], np.nan)
            steps = np.diff(values, axis=1)
            assert (steps[np.isfinite(steps)] <= 1e-6).all()

    def test_categories_are_the_ids_of_the_classes(self, trained, name):
        found = trained(name).predicted
        for objective, ids in classes().items():
            names = np.array([i.encode() for i in ids], object)
            np.testing.assert_array_equal(found[f"{objective}/categories"], names[found[f"{objective}/classes"]])

    def test_hyperparameters_are_kept_with_the_model(self, trained, name):
        model = trained(name)
        for part in ("model", "training", "prediction"):
            assert model.facts[part] == getattr(model.workflow, part).model_dump(mode="json")
        assert model.facts["features"].keys() == model.workflow.features.keys() and model.facts["classes"] == classes()
        assert model.facts["embedding_width"] == 12
        assert model.facts["result"]["epochs"] == model.workflow.training.epochs

    def test_a_batch_without_labels_moves_no_parameter_of_the_head(self, built, name):
        settings = settings_of(built, name, training=TRAINING)
        settings = settings.model_copy(update={"model": settings.model.model_copy(update={"l2": 0.01})})
        keras.utils.set_random_seed(1)
        model = build_model(settings, input_sizes(settings, built.transform, class_counts()))
        model = keras.Model(model.input, {head: model.output[head] for head in settings.objectives})
        compile_model(model, settings.training, heads_of(settings), 10)
        model.run_eagerly = True
        inputs, labels = next(
            iter(batches([built.files["train"]], settings.features, settings.objectives, class_counts(), batch_size=64))
        )
        unlabelled = {"exclusive": tf.fill([64], tf.constant(-1, tf.int64)), "rule_based": labels["rule_based"]}

        def head(name: str) -> dict[str, np.ndarray]:
            return {v.path: v.numpy() for v in model.variables if f"{name}_" in v.path and "metric" not in v.path}

        start = head("exclusive")
        model.train_on_batch(inputs, labels)  # gives momentum
        before, other = head("exclusive"), head("rule_based")
        assert before and any((before[path] != start[path]).any() for path in before)
        model.train_on_batch(inputs, unlabelled)
        for path, value in head("exclusive").items():
            np.testing.assert_array_equal(value, before[path], err_msg=path)
        assert any((value != other[path]).any() for path, value in head("rule_based").items())
