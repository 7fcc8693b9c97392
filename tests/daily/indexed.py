"""A shop whose run has pushed similarity indexes, and what an index of today's products answers by an exact search."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from modules.examples import TAXONOMY_FILE
from modules.predictions.daily.state import DailyState
from modules.predictions.read import PredictionFiles
from modules.settings.similarity import IndexSettings
from modules.similarity.catalogue import Catalogue
from modules.similarity.folder import files_of
from modules.similarity.identity import fingerprint
from modules.similarity.make import PUSHED_MODEL, make_index
from modules.similarity.version import VERSION_FILE, version_text
from pipeline.daily_index import Renewed, renew_index
from pipeline.workflow_file import load_workflow
from tests.daily.shop import READ, Rows, Shop
from tests.modules.training.catalogue import TREE, raw_example

K = 5


def example(row: dict[str, Any]) -> bytes:
    """A product as an example of a run, with all that predictions show."""
    made = tf.train.Example.FromString(raw_example({name: row.get(name) for name in ("id", *READ)}))
    for name in ("availability", "retailer"):
        made.features.feature[name].bytes_list.value.append(row[name].encode())
    return bytes(made.SerializeToString())


def push(shop: Shop, run: str, number: int = 1) -> Path:
    """The run's indexes as IndexPusher leaves them: the version ``number``."""
    served = shop.model / "Format-Serving"
    version = shop.runs.pushed_indexes / str(number)
    version.mkdir(parents=True)
    settings = IndexSettings(neighbours=0, queries=10, k=K)
    files = PredictionFiles(shop.runs.root / run / "published")
    made = make_index(files, TREE, settings, fingerprint(served), 1, version, "joint")
    assert made.blessed
    TREE.write(version / TAXONOMY_FILE)
    shutil.copytree(served, version / PUSHED_MODEL)
    (version / VERSION_FILE).write_text(version_text(files_of(version)), "utf-8")
    return version


def renew(shop: Shop) -> Renewed:
    """What `shelfmark predict` does after the predictions."""
    with DailyState(shop.place) as state:
        renewed = renew_index(load_workflow(shop.workflow), state)
    assert renewed is not None
    return renewed


def check(shop: Shop, version: Path, rows: Rows) -> None:
    """The version answers as a full comparison of the daily predictions, which are the model's (``Shop.check``)."""
    catalogue, table = Catalogue.open(version), shop.table()
    names = list(table)
    assert table.keys() == rows.keys() and len(catalogue) == len(rows)
    vectors = np.array([table[name]["embedding"] for name in names], np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    asked = [catalogue.asked(name, "joint") for name in names]
    for at, (name, neighbours) in enumerate(zip(names, catalogue.search("joint", asked, K), strict=True)):
        scores = [neighbour.score for neighbour in neighbours]
        # Halves have eleven binary digits: equal scores come in any order.
        np.testing.assert_allclose(scores, np.sort(cosines[at])[::-1][: len(scores)], atol=3e-3)
        own = [cosines[at][names.index(neighbour.product.id)] for neighbour in neighbours]
        np.testing.assert_allclose(scores, own, atol=3e-3)
        assert len({neighbour.product.id for neighbour in neighbours}) == len(scores) == min(K, len(names) - 1)
        card = catalogue.product(name)
        assert card is not None and shown(card) == shown_of(rows[name], table[name])


def shown(card: Any) -> tuple[Any, ...]:
    """What people see of a product."""
    return card.title, card.retailer, card.availability, card.price, card.category


def shown_of(row: dict[str, Any], predicted: dict[str, Any]) -> tuple[Any, ...]:
    """The same of a product of the feed, whose category is the predicted one."""
    category = predicted["exclusive/category_id"]
    path = TREE[category].text if category is not None else None
    return row.get("title"), row.get("retailer"), row.get("availability"), row.get("price"), path
