"""A run with a text encoder and the default model; its model answers raw text as the run did."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from modules.examples import encoding
from modules.saved_models import load_saved_model
from tests.encoders import tiny_encoder
from tests.end_to_end.test_attributes import newest, predictions, shelfmark

pytestmark = pytest.mark.slow

KINDS = {
    "Boots": "boot leather ankle winter",
    "Lamps": "lamp light desk bulb",
    "Bowls": "bowl soup ceramic white",
}
WORKFLOW = """\
name: encoded
feed:
  files: [feed.jsonl]
  fields: {id: id, title: title, brand: brand, truth: kind, description: null}
taxonomy: {from_truth: true}
labels: {truth: {evaluate: true}}
features:
  title: {kind: text, vocabulary: 100}
  meaning: {kind: encoded, encoder: tiny, columns: [title, brand]}
objectives: {exclusive: {kind: exclusive}}
sampling: null
"""


def products(n: int = 210) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    rows = []
    for i in range(n):
        kind = list(KINDS)[i % 3]
        words = rng.choice(KINDS[kind].split(), 3)
        row = {"id": f"p{i}", "title": f"{' '.join(words)} ботинок {i}", "kind": kind}
        rows.append(row | ({"brand": f"Straße {i % 4}"} if i % 2 else {}))
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in products()))
    (folder / "encoded.yaml").write_text(WORKFLOW)
    tiny_encoder(folder / "tiny")
    shelfmark(folder, "validate", "encoded.yaml")
    shelfmark(folder, "run", "encoded.yaml")
    return folder


def test_a_request_with_raw_text_is_answered_as_in_the_run(shop: Path) -> None:
    root = shop / "runs" / "encoded" / "pipeline"
    predicted = predictions(root)
    rows = products()
    assert np.mean([predicted[row["id"]][0] == row["kind"] for row in rows]) > 0.95
    model = load_saved_model(str(newest(root / "Trainer" / "model") / "Format-Serving"))
    examples = []
    for row in rows:
        texts = {name: row[name] for name in ("id", "title", "brand") if name in row}
        feature = {k: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v.encode()])) for k, v in texts.items()}
        examples.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    answers = model.signatures["serving_default"](examples=tf.constant(examples))
    shown = answers["exclusive/probabilities"].numpy()[:, 0]
    np.testing.assert_allclose(shown, [predicted[row["id"]][1] for row in rows], atol=1e-3)


def test_the_examples_have_the_vectors(shop: Path) -> None:
    uri = newest(shop / "runs" / "encoded" / "pipeline" / "ProductExampleGen" / "examples")
    files = [str(path) for path in uri.rglob("*.gz")]
    records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(files, "GZIP")]
    lengths = [np.linalg.norm(r.features.feature[encoding("meaning")].float_list.value) for r in records]
    assert len(lengths) == len(products())
    np.testing.assert_allclose(lengths, 1.0, atol=1e-3)


def test_a_second_run_takes_everything_from_the_caches(shop: Path) -> None:
    again = shelfmark(shop, "run", "encoded.yaml")
    assert re.search(r"ProductExampleGen +unchanged", again) and re.search(r"Trainer +unchanged", again)
    assert (shop / "runs" / "encoded" / "encodings").is_dir()
