"""A run with nothing but a taxonomy and a feed guesses from names, and says so; labels make categories of guesses."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import select

from labelling.store import Store
from labelling.store import tables as t
from tests.encoders import tiny_encoder
from tests.end_to_end.test_attributes import newest, shelfmark

pytestmark = pytest.mark.slow

WORDS = {
    "Coffee mug": "coffee mug cup tea small large",
    "Red dress": "dress cotton women red wool",
    "Phone charger": "phone charger battery cable case",
    "Desk lamp": "lamp desk table steel",
}
TAUGHT = ("Coffee mug", "Red dress")
WORKFLOW = """\
name: names
feed:
  files: [feed.jsonl]
  fields: {id: id, title: title, description: null}
taxonomy: {file: taxonomy.yaml}
labels: {files: [labels.csv], evaluate_imported: true, store: labels.sqlite}
features:
  title: {kind: text, vocabulary: 100}
  meaning: {kind: encoded, encoder: tiny, columns: [title]}
objectives: {exclusive: {kind: exclusive}}
sampling: {size: 20}
evaluation:
  thresholds:
    exclusive: {accuracy: 0.1}
"""


def products(n: int = 240) -> list[dict[str, str]]:
    rng = np.random.default_rng(5)
    kinds = list(WORDS)
    return [
        {"id": f"p{i}", "title": f"{' '.join(rng.choice(WORDS[kinds[i % 4]].split(), 3, replace=False))} {i}"}
        for i in range(n)
    ]


def kind_of(product: str) -> str:
    return list(WORDS)[int(product[1:]) % 4]


def tables(root: Path, step: str, key: str, pattern: str = "Split-*/*.parquet") -> list[dict[str, Any]]:
    """The rows of a step's newest Parquet files."""
    files = sorted(newest(root / step / key).glob(pattern))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "feed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in products()))
    (folder / "names.yaml").write_text(WORKFLOW)
    paths = "".join(f"  - {{path: [{kind}], exclusive: true}}\n" for kind in WORDS)
    (folder / "taxonomy.yaml").write_text(f"categories:\n{paths}")
    (folder / "labels.csv").write_text("product_id,category\n")
    tiny_encoder(folder / "tiny")
    return folder


@pytest.fixture(scope="module")
def without_labels(shop: Path) -> str:
    return shelfmark(shop, "run", "names.yaml")


@pytest.fixture(scope="module")
def with_some_labels(shop: Path, without_labels: str, guessed_batch: list[dict[str, Any]]) -> str:
    rows = [f"{row['id']},{kind_of(row['id'])}\n" for row in products() if kind_of(row["id"]) in TAUGHT][:80]
    (shop / "labels.csv").write_text("product_id,category\n" + "".join(rows))
    return shelfmark(shop, "run", "names.yaml")


@pytest.fixture(scope="module")
def guessed_batch(shop: Path, without_labels: str) -> list[dict[str, Any]]:
    return tables(shop / "runs/names/pipeline", "ActiveSampler", "labelling_batch", "batch.parquet")


def test_without_labels_every_category_is_a_guess_and_nothing_is_published(shop: Path, without_labels: str) -> None:
    root = shop / "runs/names/pipeline"
    rows = tables(root, "Predictor", "predictions")
    assert len(rows) == 240 and {row["exclusive/source"] for row in rows} == {"names"}
    assert {row["exclusive/category"] for row in rows} <= set(WORDS)
    assert "240 products with a guess from names only" in without_labels and "any of the 4 categories" in without_labels
    assert "not blessed" in without_labels and "shelfmark label names.yaml" in without_labels
    # A file would have no category yet; the guesses are there to be looked at.
    assert "--output" not in without_labels and "shelfmark predictions --workflow names.yaml" in without_labels
    assert not tables(root, "PublishedPredictor", "published_predictions")
    assert not any((shop / "runs/names/pushed").glob("*"))
    report = (shop / "runs/names/reports/latest.html").read_text("utf-8")
    assert "240 products with a guess from names only" in report
    assert "names" in shelfmark(shop, "predictions", "--workflow", "names.yaml", "--limit", "3")
    shelfmark(shop, "predictions", "--workflow", "names.yaml", "--output", "all.csv")
    with (shop / "all.csv").open(newline="") as stream:
        assert {(row["exclusive/category"], row["exclusive/source"]) for row in csv.DictReader(stream)} == {
            ("", "names")
        }


def test_the_first_batch_is_picked_and_suggested_by_names(
    shop: Path, without_labels: str, guessed_batch: list[dict[str, Any]]
) -> None:
    predicted = {row["id"]: row for row in tables(shop / "runs/names/pipeline", "Predictor", "predictions")}
    assert len(guessed_batch) == 20
    informed = 0
    for pick in guessed_batch:
        row, suggestions = predicted[pick["product_id"]], pick["suggestions"]
        likely = [suggestion["probability"] for suggestion in suggestions]
        np.testing.assert_allclose(likely, row["exclusive/probabilities"][: len(likely)], atol=1e-3)
        assert {suggestion["source"] for suggestion in suggestions} == {"names"}
        informed += likely[0] > 0.26
    # Four categories that nobody tells apart would have 0.25 each.
    assert informed == len(guessed_batch)
    shelfmark(shop, "label", "import-batch", "--workflow", "names.yaml")
    query = select(t.items.c.product_id, t.items.c.suggestions)
    with Store(str(shop / "labels.sqlite")) as store, store.read() as connection:
        stored = dict(connection.execute(query).tuples().all())
    assert set(stored) == {pick["product_id"] for pick in guessed_batch}
    for suggestions in stored.values():
        assert len(suggestions) == 4 and all(source == "names" for _, _, source in suggestions)


def test_a_category_is_published_once_it_has_labels(shop: Path, with_some_labels: str) -> None:
    root = shop / "runs/names/pipeline"
    rows = tables(root, "Predictor", "predictions")
    for row in rows:
        assert row["exclusive/source"] == ("labels" if row["exclusive/category"] in TAUGHT else "names")
    sources = Counter(row["exclusive/source"] for row in rows)
    # A random encoder may take no product for one of the other two; test_published_predictor.py has such products.
    assert sources["labels"] and "model blessed" in with_some_labels
    assert (f"{sources['names']} products with a guess from names only" in with_some_labels) == bool(sources["names"])
    published = {
        row["id"]: row["exclusive/category"] for row in tables(root, "PublishedPredictor", "published_predictions")
    }
    own = {row["id"]: row["exclusive/category"] for row in rows}
    assert published == {name: kind if kind in TAUGHT else None for name, kind in own.items()}
