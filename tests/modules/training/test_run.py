"""``train`` from transformed files to the SavedModel, and the loaders of others that must read it."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from modules.examples import MODEL_FACTS
from modules.training import run as training
from modules.training.data import batches, label_batches
from modules.training.errors import TrainingError
from modules.training.member import precision
from modules.training.run import count_labels, train
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import SMALL, TRAINING, class_counts, tiny


def raw_ids(examples) -> list[bytes]:
    return [tf.train.Example.FromString(e).features.feature["id"].bytes_list.value[0] for e in examples]


def test_learns_the_catalogue_from_half_its_labels(exported, built):
    _, model = exported
    found = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(built.raw("eval")))
    readable = [i for i, row in enumerate(built.rows["eval"]) if row["title"] and i > 1]
    best = found["exclusive/classes"].numpy()[:, 0]
    assert np.mean([best[i] == built.rows["eval"][i]["truth"] for i in readable]) > 0.95


def test_facts_say_what_training_did(exported, built):
    settings, model = exported
    facts = json.loads((Path(model) / MODEL_FACTS).read_text())
    labels = [row["label/exclusive"] for row in built.rows["train"]]
    assert facts["training_labels"]["exclusive"] == [labels.count(i) for i in range(4)]
    assert facts["result"]["epochs"] == 6 and 1 <= facts["result"]["best_epoch"] <= 6
    assert len(facts["calibration"]["thresholds"]["rule_based"]) == class_counts()["rule_based"]
    assert facts["seed"] == settings.seed


def test_tfx_run_inference_reads_the_model(exported, built):
    _, model = exported
    raw = built.raw("eval")[:20]
    spec = model_spec_pb2.InferenceSpecType(saved_model_spec=model_spec_pb2.SavedModelSpec(model_path=model))
    expected = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(raw))
    entropy = dict(zip(raw_ids(raw), expected["exclusive/entropy"].numpy(), strict=True))

    def same(found):
        assert len(found) == 20
        for log in found:
            (product,) = raw_ids(log.predict_log.request.inputs["examples"].string_val)
            value = tf.make_ndarray(log.predict_log.response.outputs["exclusive/entropy"])
            np.testing.assert_allclose(value.ravel(), [entropy.pop(product)], atol=1e-5)

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        found = pipeline | beam.Create(raw) | beam.Map(tf.train.Example.FromString) | RunInference(spec)
        assert_that(found, same)


def test_no_label_at_all_is_said(built, tmp_path):
    settings = tiny(SMALL, objectives={"exclusive": {"kind": "exclusive"}}, training=TRAINING)
    empty = tmp_path / "none.gz"
    with tf.io.TFRecordWriter(str(empty), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for record in tf.data.TFRecordDataset(built.files["train"], compression_type="GZIP").take(5):
            example = tf.train.Example.FromString(record.numpy())
            example.features.feature["label/exclusive"].int64_list.value[:] = [-1]
            writer.write(example.SerializeToString())
    importlib.reload(training)  # as TFX does with the module of run_fn: callers must still know the error
    with pytest.raises(TrainingError, match="label"):
        training.train(settings, TREE, built.transform, [str(empty)], [str(empty)], output=str(tmp_path / "out"))


class TestData:
    def test_targets_are_the_same_without_the_inputs(self, built):
        settings, counts = tiny(SMALL), class_counts()
        full = batches([built.files["train"]], settings.features, settings.objectives, counts, batch_size=240)
        (_, expected), found = (
            next(iter(full)),
            next(iter(label_batches([built.files["train"]], settings.objectives, counts))),
        )
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name].numpy(), value.numpy())
        for at, row in enumerate(built.rows["train"]):
            pairs = found["rule_based"][at].numpy()
            if not row["label/rule_based"]:
                assert (pairs == -1).all()
            else:
                assert np.flatnonzero(pairs == 1).tolist() == sorted(row["label/rule_based"])
                assert (pairs >= 0).all()
        n, labels = count_labels(label_batches([built.files["train"]], settings.objectives, counts), counts)
        assert n == 240 and labels["exclusive"].sum() == (expected["exclusive"].numpy() >= 0).sum()

    def test_no_files_are_no_examples(self):
        settings, counts = tiny(SMALL), class_counts()
        assert list(batches([], settings.features, settings.objectives, counts, batch_size=4)) == []
        assert count_labels(label_batches([], settings.objectives, counts), counts)[0] == 0

    def test_every_epoch_has_every_product_in_another_order(self, built):
        settings, counts = tiny(("title",)), class_counts()

        def orders(seed):
            data = batches(
                [built.files["train"]],
                settings.features,
                settings.objectives,
                counts,
                batch_size=240,
                shuffle_seed=seed,
            )
            return [next(iter(data))[1]["exclusive"].numpy().tolist() for _ in range(2)]

        first = orders(5)
        assert first[0] != first[1] and sorted(first[0]) == sorted(first[1])
        assert orders(5) == first and orders(6) != first


class TestPrecision:
    def test_holds_inside_only(self):
        before = keras.mixed_precision.dtype_policy().name
        with precision("on"):
            assert keras.mixed_precision.dtype_policy().name.startswith("mixed_")
            with precision("off"):
                assert keras.mixed_precision.dtype_policy().name == "float32"
        assert keras.mixed_precision.dtype_policy().name == before

    def test_a_model_trained_in_it_serves_in_full_precision(self, built, tmp_path, monkeypatch):
        kept = {}
        real = training.export_model
        monkeypatch.setattr(
            training, "export_model", lambda module, *rest: kept.update(model=module.committee.embedder)
        )
        settings = tiny(
            ("title", "brand"), training={**TRAINING, "epochs": 1, "mixed_precision": "on"},
            model={"kind": "wide_deep", "hidden": [8], "normalization": "batch"},
        )  # fmt: skip
        (tmp_path / "out").mkdir()
        files = [built.files["train"]], [built.files["eval"]]
        train(settings, TREE, built.transform, *files, output=str(tmp_path / "out"))
        assert real is not training.export_model
        assert {layer.compute_dtype for layer in kept["model"].layers} == {"float32"}
        assert any((w.numpy() != 0).any() for w in kept["model"].get_layer("exclusive_wide_title").weights)


@pytest.mark.slow
def test_refit_trains_on_eval_as_well(built, tmp_path):
    (tmp_path / "out").mkdir()
    settings = tiny(
        SMALL, model={"kind": "linear", "embedding_width": 4}, objectives={"exclusive": {"kind": "exclusive"}},
        training={"solver": "liblinear", "mixed_precision": "off", "refit_on_eval": True},
    )  # fmt: skip
    files = [built.files["train"]], [built.files["eval"]]
    outputs = []
    once = settings.training.model_copy(update={"refit_on_eval": False})
    for name, workflow in {"refit": settings, "plain": settings.model_copy(update={"training": once})}.items():
        output = str(tmp_path / name)
        train(workflow, TREE, built.transform, *files, output=output)
        facts = json.loads((Path(output) / MODEL_FACTS).read_text())
        found = tf.saved_model.load(output).signatures["evaluate"](examples=tf.constant(built.raw("eval")))
        outputs.append((facts["calibration"], found["exclusive/probabilities"].numpy()))
    assert outputs[0][0] == outputs[1][0]  # calibrated before eval was learnt
    assert np.abs(outputs[0][1] - outputs[1][1]).max() > 1e-4
