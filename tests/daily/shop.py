"""A shop with a published model, its feeds day by day, and what the model says of them by itself."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from modules.examples import TAXONOMY_FILE
from modules.predictions import predict as prediction
from modules.predictions.answering import settings_of
from modules.predictions.daily.files import DailyFiles
from modules.predictions.daily.passes import DailyCounts
from modules.predictions.predict import predict_file
from modules.predictions.read import Query
from pipeline.daily import predict, with_files
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import load_workflow
from tests.modules.training.catalogue import TREE, products, raw_example
from tests.pipeline.recorded import Recorder

Rows = dict[str, dict[str, Any]]
READ = ("title", "brand", "price", "image_vector")
"""What the model reads; a feed has more."""
COLUMNS = ("id", *READ, "color", "availability", "retailer")
ANSWERS = ("classes", "probabilities", "entropy", "margin", "rest")


def day(count: int, seed: int = 7) -> Rows:
    """Products of a feed by their ids."""
    chance = random.Random(seed)
    made = {}
    for row in products(count, seed):
        own = {name: row[name] for name in ("id", *READ) if row.get(name) is not None}
        own.setdefault("title", "boot")
        more = {"color": chance.choice(["red", "blue"]), "availability": "in stock", "retailer": "shop-1"}
        made[row["id"]] = {**own, **more}
    return made


class Shop:
    """``workflow``: its file. ``place``: where the daily predictions lie. ``feed``: today's file."""

    def __init__(self, folder: Path, model: str):
        self.folder, self.workflow, self.feed = folder, folder / "shop.yaml", folder / "feed.jsonl"
        settings = {
            "name": "shop",
            "feed": {"files": ["feed.jsonl"], "fields": {name: name for name in COLUMNS}},
            "taxonomy": {"file": "taxonomy.json"},
            "rules": {"file": "rules.yaml"},
            "features": {
                "title": {"kind": "text"}, "brand": {"kind": "categorical"}, "price": {"kind": "price"},
                "image": {"kind": "dense", "column": "image_vector", "dimension": 4},
            },
            "runners": {"local": {"folder": str(folder / "runs")}},
        }  # fmt: skip
        self.workflow.write_text(yaml.safe_dump(settings), "utf-8")
        TREE.write(folder / "taxonomy.json")
        self.runs = RunFolder.of(load_workflow(self.workflow).workflow)
        self.place = self.runs.daily
        self.model = self.runs.root / "model"
        shutil.copytree(model, self.model / "Format-Serving")
        TREE.write(self.model / "Format-Serving" / TAXONOMY_FILE)
        self.recorder: Recorder | None = None
        self.record("run-1", day(5))

    def record(
        self, name: str, rows: Rows, blessed: bool = True, example: Callable[[dict[str, Any]], bytes] = raw_example
    ) -> None:
        """A run that has published predictions of these products, of which ``example`` makes examples."""
        published = self.runs.root / name / "published"
        (published / "Split-train").mkdir(parents=True)
        TREE.write(published / TAXONOMY_FILE)
        source = self.folder / f"{name}.gz"
        with tf.io.TFRecordWriter(str(source), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
            for row in rows.values():
                writer.write(example(row))
        served = str(self.model / "Format-Serving")
        predict_file(
            str(source), str(published / "Split-train" / "part.parquet"), model=served,
            taxonomy=f"{served}/{TAXONOMY_FILE}", workflow=settings_of(served),
        )  # fmt: skip
        self.recorder = self.recorder or Recorder(Path(self.runs.metadata), "shop")
        properties = {"products": len(rows) if blessed else 0, "model": str(self.model)}
        self.recorder.run(name, {"published_predictions": (published, properties)})

    def write(self, rows: Iterable[dict[str, Any] | str]) -> None:
        """Today's feed; texts are lines as they are."""
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        self.feed.write_text("".join(f"{line}\n" for line in lines), "utf-8")

    def predict(self, rows: Rows | None = None, *, files: tuple[str, ...] = (), **options: Any) -> DailyCounts:
        """A pass over today's feed, which is written before it."""
        if rows is not None:
            self.write(rows.values())
        return predict(with_files(load_workflow(self.workflow), files), **options)

    def table(self) -> dict[str, dict[str, Any]]:
        """Product to its row of the daily predictions; no product has two."""
        files = DailyFiles(self.place)
        rows = [row for table in files.select(Query(), files.schema.names) for row in table.to_pylist()]
        assert len({row["id"] for row in rows}) == len(rows) == files.products()
        return {row["id"]: row for row in rows}

    def check(self, rows: Rows) -> None:
        """The daily predictions are the model's own answers to these products, of examples that are made elsewhere."""
        table = self.table()
        assert table.keys() == rows.keys()
        signature = tf.saved_model.load(str(self.model / "Format-Serving")).signatures["serving_default"]
        examples = [raw_example({name: row.get(name) for name in ("id", *READ)}) for row in rows.values()]
        outputs = {name: value.numpy() for name, value in signature(examples=tf.constant(examples)).items()}
        for at, name in enumerate(rows):
            for part in ANSWERS:
                expected = outputs[f"exclusive/{part}"][at]
                np.testing.assert_allclose(table[name][f"exclusive/{part}"], expected, atol=1e-6)
            np.testing.assert_allclose(table[name]["embedding"], outputs["embedding"][at], atol=1e-6)
            for column in ("title", "availability", "retailer"):
                assert table[name][column] == rows[name].get(column, "")
            price = rows[name].get("price")
            assert (table[name]["price"] == price) if price is not None else np.isnan(table[name]["price"])


@contextmanager
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Products of each batch that the model, which answers as ever, is asked about."""
    batches: list[int] = []
    call = prediction.PredictingModel.__call__

    def counted(self: Any, serialised: tf.Tensor) -> Any:
        batches.append(int(serialised.shape[0]))
        return call(self, serialised)

    with monkeypatch.context() as patch:
        patch.setattr(prediction.PredictingModel, "__call__", counted)
        yield batches
