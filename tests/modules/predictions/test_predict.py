"""What stands in the Parquet file is what the model's signature says, row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from modules.predictions import predict as module
from modules.predictions.predict import predict_file
from modules.predictions.read import PredictionFiles
from modules.reporting.predicted import read_predicted
from tests.modules.training.catalogue import TREE, raw_example
from tests.modules.training.shared import Built, classes

SCHEMA = {
    "id": pa.string(), "title": pa.string(), "retailer": pa.string(), "availability": pa.string(),
    "price": pa.float64(),
    "exclusive/ancestors": pa.list_(pa.string()), "exclusive/probability": pa.float32(),
    "exclusive/classes": pa.list_(pa.int32(), 3), "exclusive/probabilities": pa.list_(pa.float32(), 3),
    "exclusive/rest": pa.float32(), "exclusive/entropy": pa.float32(), "exclusive/margin": pa.float32(),
    "exclusive/least_confidence": pa.float32(), "exclusive/label": pa.int32(),
    "rule_based/ancestors": pa.list_(pa.string()), "rule_based/probability": pa.float32(),
    "rule_based/classes": pa.list_(pa.int32(), 3), "rule_based/probabilities": pa.list_(pa.float32(), 3),
    "rule_based/rest": pa.float32(), "rule_based/entropy": pa.float32(), "rule_based/margin": pa.float32(),
    "rule_based/least_confidence": pa.float32(), "rule_based/assigned": pa.list_(pa.string()),
    "rule_based/given": pa.list_(pa.string()), "rules": pa.list_(pa.string()),
    "embedding": pa.list_(pa.float32(), 256),
}  # fmt: skip
CATEGORY_COLUMNS = {f"{o}/{c}" for o in ("exclusive", "rule_based") for c in ("category", "category_id")} | {
    "exclusive/source"
}


def predict(folder: Path, examples: list[bytes], exported, untaught: tuple[str, ...] = ()) -> pa.Table:
    workflow, model = exported
    source, target, taxonomy = folder / "in.gz", folder / "out.parquet", folder / "taxonomy.json"
    with tf.io.TFRecordWriter(str(source), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for example in examples:
            writer.write(example)
    TREE.write(taxonomy)
    small = workflow.model_copy(update={"prediction": workflow.prediction.model_copy(update={"batch_size": 32})})
    n = predict_file(
        str(source), str(target), model=model, taxonomy=str(taxonomy), workflow=small.model_dump_json(),
        untaught=untaught,
    )  # fmt: skip
    table = pq.read_table(target)
    assert n == table.num_rows == len(examples)
    return table


@pytest.fixture(scope="module")
def predictions(built: Built, exported, tmp_path_factory) -> tuple[pa.Table, dict[str, np.ndarray]]:
    """The table of the eval products (in batches of 32), and the signature's outputs of all at once."""
    examples = built.raw("eval")
    outputs = tf.saved_model.load(exported[1]).signatures["serving_default"](examples=tf.constant(examples))
    table = predict(tmp_path_factory.mktemp("predictions"), examples, exported)
    return table, {name: value.numpy() for name, value in outputs.items()}


def test_copies_of_the_model_take_turns(built, exported, predictions, tmp_path, monkeypatch):
    used = []
    monkeypatch.setattr(module, "devices", lambda: ["CPU:0", "CPU:0"])
    monkeypatch.setattr(
        module.PredictingModel,
        "__call__",
        lambda self, batch, call=module.PredictingModel.__call__: used.append(self) or call(self, batch),
    )
    module._models.cache_clear()
    try:
        table = predict(tmp_path, built.raw("eval"), exported)
    finally:
        module._models.cache_clear()
    # A batch that tells the schema, and the eval split's three.
    assert len(used) == 4 and len(set(used)) == 2
    # As text: prices that are not known are NaN.
    assert repr(table.to_pylist()) == repr(predictions[0].to_pylist())


def test_an_objective_that_nobody_taught_puts_no_product_into_a_category(built, exported, predictions, tmp_path):
    table = predict(tmp_path, built.raw("eval"), exported, untaught=("exclusive",))
    assert table.schema.equals(predictions[0].schema)
    silent = {f"exclusive/{part}" for part in ("category", "category_id", "ancestors", "probability", "source")}
    for name in table.schema.names:
        if name in silent:
            assert table[name].null_count == table.num_rows
        else:
            assert repr(table[name].to_pylist()) == repr(predictions[0][name].to_pylist())
    # What counts over predictions takes them as products without a category.
    (tmp_path / "run" / "Split-test").mkdir(parents=True)
    (tmp_path / "out.parquet").rename(tmp_path / "run" / "Split-test" / "part.parquet")
    assert not read_predicted(PredictionFiles(tmp_path / "run"), TREE)["exclusive"].predicted.any()


def test_schema(predictions):
    schema = predictions[0].schema
    assert set(schema.names) == set(SCHEMA) | CATEGORY_COLUMNS
    for name, kind in SCHEMA.items():
        found = schema.field(name).type
        if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            assert found.value_type == kind.value_type and pa.types.is_fixed_size_list(found) == (
                pa.types.is_fixed_size_list(kind)
            ), name
        else:
            assert found == kind, name
    for name in CATEGORY_COLUMNS:
        kind = schema.field(name).type
        assert (kind.value_type if pa.types.is_dictionary(kind) else kind) == pa.string()


def test_what_rules_gave_stands_beside_it(predictions, built):
    ids = [category.id for category in TREE]
    found = predictions[0].column("rule_based/given").to_pylist()
    assert found == [[ids[i] for i in row["label/rule_based"]] for row in built.rows["eval"]]
    assert any(found) and predictions[0].column("rules").to_pylist() == [[]] * len(found)


@pytest.mark.parametrize("objective", ["exclusive", "rule_based"])
def test_rows_are_the_signatures(predictions, built, objective):
    table, outputs = predictions
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [row["id"] for row in built.rows["eval"]]
    for at, row in enumerate(rows):
        best = int(outputs[f"{objective}/classes"][at, 0])
        assert row[f"{objective}/classes"] == outputs[f"{objective}/classes"][at].tolist()
        for score in ("rest", "entropy", "margin", "least_confidence", "probabilities"):
            np.testing.assert_allclose(row[f"{objective}/{score}"], outputs[f"{objective}/{score}"][at], atol=1e-5)
        assert row[f"{objective}/probability"] == row[f"{objective}/probabilities"][0]
        assert row[f"{objective}/category_id"] == classes()[objective][best]
        category = TREE[row[f"{objective}/category_id"]]
        assert row[f"{objective}/category"] == TREE.path_text(category)
        assert row[f"{objective}/ancestors"] == [*(c.id for c in TREE.ancestors(category)), category.id]
    np.testing.assert_allclose(np.stack(table["embedding"].to_numpy()), outputs["embedding"], atol=1e-5)


def test_labels_stand_beside(predictions, built):
    assert predictions[0]["exclusive/label"].to_pylist() == [row["label/exclusive"] for row in built.rows["eval"]]


def test_assigned_are_the_categories_over_their_thresholds_with_all_above(predictions):
    table, outputs = predictions
    ids = classes()["rule_based"]
    sizes = set()
    for at, found in enumerate(table["rule_based/assigned"].to_pylist()):
        expected: list[str] = []
        for index, over in zip(outputs["rule_based/classes"][at], outputs["rule_based/assigned"][at], strict=True):
            if over:
                expected += [*(c.id for c in TREE.ancestors(ids[index])), ids[index]]
        assert found == list(dict.fromkeys(expected))
        sizes.add(len(found))
    assert len(sizes) > 1


def test_an_empty_split_is_a_table_without_rows(exported, tmp_path, predictions):
    assert predict(tmp_path, [], exported).schema == predictions[0].schema


def test_hostile_products(exported, tmp_path):
    titles = ["", "\x00", "靴 👟 \u202eבית", "é" * 5000, None]
    rows = [{"id": f"№{i}", "title": title} for i, title in enumerate(titles)]
    table = predict(tmp_path, [raw_example(row) for row in rows], exported)
    assert table["id"].to_pylist() == [row["id"] for row in rows]
    assert table["title"].to_pylist() == [title or "" for title in titles]
    assert table["exclusive/label"].to_pylist() == [-1] * 5
    assert np.isfinite(table["exclusive/entropy"].to_numpy()).all()


def test_undecodable_bytes_become_replacement_characters(exported, tmp_path):
    feature = {n: tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a\xff\xfe"])) for n in ("id", "title")}
    example = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    table = predict(tmp_path, [example], exported)
    assert table["title"].to_pylist() == ["a\ufffd\ufffd"]
