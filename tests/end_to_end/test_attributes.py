"""A run that learns from attributes alone: they reach the model, and the served model answers as the run did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml

from modules.feeds.plan import ExampleSettings
from pipeline.workflow_file import REPOSITORY
from shelfmark.cli.label.gather.examples import every_example

pytestmark = pytest.mark.slow

KINDS = (("Chairs", "steel", 1.0), ("Tables", "steel", 30.0), ("Bowls", "wood", 1.0), ("Shelves", "wood", 30.0))
"""Category, its material, and its products' weight in kg, more or less; the title says none of it."""

WORKFLOW = """\
name: attributes
feed:
  files: [feed.jsonl]
  fields:
    id: id
    title: title
    price: price
    truth: kind
    description: null
    brand: null
    raw_category: null
    gender: null
    size: null
    color: null
    currency: null
    availability: null
    image: null
    retailer: null
    url: null
  attributes: {material: Material, weight: specs.weight, was: rrp, shape: shape_vector, sound: sound_vector, note: Note}
taxonomy: {file: taxonomy.yaml}
rules: {file: rules.yaml}
labels: {truth: {evaluate: true}}
features:
  title: {kind: text, vocabulary: 50}
  material: {kind: categorical}
  words: {kind: text, column: material, vocabulary: 50}
  weight: {kind: number, buckets: 4}
  was: {kind: price, column: was}
  shape: {kind: dense, dimension: 4}
  sound: {kind: dense, dimension: 3}
objectives: {exclusive: {kind: exclusive}}
sampling: null
"""
TREE = "categories:\n" + "".join(f"  - {{path: {name}, exclusive: true}}\n" for name, *_ in KINDS)
RULE = "rules:\n  - {id: by-note, category: Chairs, when: {field: note, word: seat}}\n"


def products(n: int = 240) -> list[dict[str, Any]]:
    """Records with what a run should make of them under ``grams``."""
    rng = np.random.default_rng(5)
    rows = []
    for i in range(n):
        name, material, weight = KINDS[i % 4]
        grams = round(weight * 1000 * rng.uniform(0.8, 1.2))
        row: dict[str, Any] = {"id": f"p{i}", "title": f"Article {i}", "kind": name, "Material": material, "price": 5}
        # Four digits behind the mark leave no doubt that it is the decimal one, in a column that writes both.
        kilograms = f"{grams / 1000:.4f} kg".replace(".", "," if i % 2 else ".")
        row["specs"] = {"weight": f"{grams} g" if i % 3 else kilograms}
        row |= {
            "rrp": f"{i}.50 EUR",
            "shape_vector": rng.normal(size=4).tolist(),
            "Note": "a seat" if i % 4 == 0 else "-",
        }
        row |= {"sound_vector": rng.normal(size=3).tolist()} if i % 5 else {}
        rows.append({**row, "grams": grams})
    rows[7]["specs"]["weight"] = "10-20 kg"
    rows[9]["shape_vector"] = [1.0, 2.0]
    return rows


def example(row: dict[str, Any]) -> bytes:
    """The raw input of the served model, made by hand."""
    texts = {"id": row["id"], "title": row["title"], "material": row["Material"]}
    numbers = {"weight": [float(row["grams"])], "was": [float(row["rrp"].split()[0])], "shape": row["shape_vector"]}
    numbers |= {"sound": row["sound_vector"]} if "sound_vector" in row else {}
    feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])) for k, v in texts.items()}
    feature |= {k: tf.train.Feature(float_list=tf.train.FloatList(value=v)) for k, v in numbers.items()}
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def shelfmark(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "shelfmark", *arguments], cwd=folder, capture_output=True, text=True, timeout=900,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rows = [{key: value for key, value in row.items() if key != "grams"} for row in products()]
    (folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, text in (("attributes", WORKFLOW), ("taxonomy", TREE), ("rules", RULE)):
        (folder / f"{name}.yaml").write_text(text)
    shelfmark(folder, "run", "attributes.yaml")
    return folder / "runs" / "attributes" / "pipeline"


def newest(folder: Path) -> Path:
    return max((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def predictions(root: Path) -> dict[str, tuple[str, float]]:
    files = sorted(newest(root / "Predictor" / "predictions").rglob("*.parquet"))
    columns = ["id", "exclusive/category", "exclusive/probability"]
    rows = [row for file in files for row in pq.read_table(file, columns=columns).to_pylist()]
    return {row["id"]: (row["exclusive/category"], row["exclusive/probability"]) for row in rows}


def test_the_model_learns_from_what_only_attributes_say(shop: Path) -> None:
    predicted = predictions(shop)
    assert set(predicted) == {row["id"] for row in products()} - {"p9"}
    right = [predicted[row["id"]][0] == row["kind"] for row in products() if row["id"] in predicted]
    assert np.mean(right) > 0.97


def test_raw_input_is_answered_as_in_the_run(shop: Path) -> None:
    rows = [row for row in products() if row["id"] not in ("p7", "p9")]
    model = tf.saved_model.load(str(newest(shop / "Trainer" / "model") / "Format-Serving"))
    answers = model.signatures["serving_default"](examples=tf.constant([example(row) for row in rows]))
    predicted = predictions(shop)
    expected = [predicted[row["id"]][1] for row in rows]
    np.testing.assert_allclose(answers["exclusive/probabilities"].numpy()[:, 0], expected, atol=1e-5)
    swapped = [{**row, "grams": 1000 if row["grams"] > 5000 else 30000} for row in rows]
    other = model.signatures["serving_default"](examples=tf.constant([example(row) for row in swapped]))
    same = answers["exclusive/classes"].numpy()[:, 0] == other["exclusive/classes"].numpy()[:, 0]
    assert same.mean() < 0.1


def test_examples_hold_them_and_bad_values_are_counted(shop: Path) -> None:
    folder = newest(shop / "ProductExampleGen" / "examples")
    examples = {example.id: example for example in every_example(folder)}
    assert examples["p0"].fields["note"] == "a seat" and examples["p0"].rules == ("by-note",)
    assert examples["p4"].fields["weight"] == str(products()[4]["grams"]) and examples["p4"].fields["was"] == "4.5"
    assert "weight" not in examples["p7"].fields and "shape" not in examples["p0"].fields
    logs = "".join(path.read_text() for path in (shop.parent / "logs").glob("*.log"))
    assert "1 product has a weight that cannot be told" in logs
    statistics = b"".join(path.read_bytes() for path in newest(shop / "StatisticsGen" / "statistics").rglob("*.pb"))
    assert all(name.encode() in statistics for name in ("material", "weight", "was", "shape", "sound", "note"))


def test_it_is_compiled_for_kubeflow(shop: Path) -> None:
    folder = shop.parents[2]
    shelfmark(folder, "compile", "attributes.yaml", "--output", "package.yaml")
    leaves = list(texts(yaml.safe_load((folder / "package.yaml").read_text())))
    [settings] = {leaf for leaf in leaves if leaf.startswith('{"feed"') and "specs.weight" in leaf}
    assert ExampleSettings.model_validate_json(settings).product_columns.attributes == {
        "material": "text", "weight": "number", "was": "price", "shape": "vector", "sound": "vector", "note": "text"
    }  # fmt: skip


def texts(node: Any) -> Iterator[str]:
    """All texts of a document, whatever they are in."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for inner in node.values() if isinstance(node, dict) else node:
            yield from texts(inner)
