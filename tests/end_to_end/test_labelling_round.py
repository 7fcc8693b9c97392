"""A round of labelling on the demo: the run asks, people answer, the next run learns; everything can be traced."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from components.active_sampler.picks import picks_of
from components.record import properties_of, record_of
from labelling.store import Store, queue, rows
from labelling.store.answering import Answer, give
from labelling.store.database import now
from labelling.store.queue import Which
from modules.examples import TAXONOMY_FILE
from modules.taxonomy import Taxonomy
from tests.end_to_end.test_demo_run import Shop, states

pytestmark = pytest.mark.slow
PRODUCTS = 300


def answer_all(place: str, truth: dict[str, str]) -> None:
    """Takes product after product from the queue, as the page does."""
    with Store(place) as store:
        while True:
            with store.write() as connection:
                item = queue.take(connection, "ann", now(), Which(kind="batch"))
                if item is None:
                    return
                asked = queue.item_of(connection, item)
                assert asked is not None
                category = truth[asked.product_id]
                answer = Answer(asked.product_id, "exclusive", "yes", "ann", str(item), item, category, seconds=1.0)
                give(connection, answer, now())


def batches(shop: Shop) -> list[tuple[Any, dict[str, dict[str, Any]]]]:
    """What ML Metadata knows of the batches, oldest first, and of their picks, by product."""
    from components.class_metrics.queries import open_store

    store = open_store(str(shop.runs / "metadata.sqlite"))
    found = sorted(store.get_artifacts_by_type("components.LabellingBatch"), key=lambda artifact: artifact.id)
    models = {artifact.uri for artifact in store.get_artifacts_by_type("Model")}
    assert {artifact.custom_properties["model"].string_value for artifact in found} <= models
    picks = [picks_of(properties_of(one), record_of(store, one.id)) for one in found]
    return [(one, {pick["product"]: pick for pick in its}) for one, its in zip(found, picks, strict=True)]


def test_a_round(tmp_path: Path) -> None:
    shop, place = Shop(tmp_path), str(tmp_path / "labels.sqlite")
    catalogue = ("--feed", str(tmp_path / "catalogue"), "--set", f"feed.demo.products={PRODUCTS}")
    given = (*catalogue, "--store", place)
    changes = [
        # Two columns: most of a small run's time is spent on making graphs.
        "features={title: {kind: text, vocabulary: 300}, brand: {kind: categorical, vocabulary: 50, width: 4}}",
        "committee={by: dropout, members: 3}", "sampling.strategy={kind: bald}", "sampling.size=40",
        "training.epochs=2", "evaluation.thresholds={exclusive: {accuracy: 0.0}}",
    ]  # fmt: skip
    options = [*catalogue, *(part for change in changes for part in ("--set", change))]
    first = states(shop.shelfmark("run", *options))
    assert first["ActiveSampler"] == first["Pusher"] == "done"
    said = shop.shelfmark("label", "import-batch", *given)
    assert "40 products queued" in said and "labels.store" in said
    (folder,) = (shop.runs / "pipeline" / "ActiveSampler" / "labelling_batch").iterdir()
    assert "0 products queued" in shop.shelfmark("label", "import-batch", str(folder), *given)
    assert "products queued" in shop.shelfmark("label", "import-review", *given)

    (tree,) = (shop.runs / "pipeline" / "ProductExampleGen" / "taxonomy").iterdir()
    taxonomy = Taxonomy.load(tree / TAXONOMY_FILE)
    with gzip.open(tmp_path / "catalogue" / "truth.jsonl.gz", "rt") as lines:
        truth = {row["id"]: taxonomy.find(row["category"]).id for row in map(json.loads, lines)}
    answer_all(place, truth)
    status = json.loads(shop.shelfmark("label", "status", "--json", "--store", place))
    assert sum(one["rows"] for one in status["labels"]) == 40
    assert {one["kind"]: one["open"] for one in status["queues"]}["batch"] == 0

    # ML Metadata alone tells of every label why it was asked for.
    hidden = (shop.runs / "pipeline").rename(shop.runs / "hidden")
    ((batch, picks),) = batches(shop)
    facts = batch.custom_properties
    with Store(place) as store, store.read() as connection:
        labels = list(rows.read(connection))
    for label in labels:
        pick = picks[label.product_id]
        assert pick["source"] == label.source and facts["model"].string_value == label.model
        if label.source == "random":
            assert pick["inclusion_probability"] == label.inclusion_probability
        else:
            assert pick["utility"] >= 0 and pick["split"] == "train"
    assert facts["exclusive/seed"].int_value == 7 and facts["exclusive/size"].int_value == 40
    assert json.loads(facts["parameters"].string_value)["strategy"] == {"kind": "bald"}
    assert {"random", "bald"} == {label.source for label in labels}
    hidden.rename(shop.runs / "pipeline")

    # The next run learns from them, and asks about others.
    options += ["--set", f"labels.store={place}", "--to", "ActiveSampler"]
    second = shop.shelfmark("run", *options)
    assert "labels: 40 rows" in second
    (older, asked_first), (newer, asked_next) = batches(shop)
    number = [one.custom_properties["exclusive/round"].int_value for one in (older, newer)]
    assert number[1] == number[0] + 1
    learnt = [one.custom_properties["exclusive/labelled"].int_value for one in (older, newer)]
    assert learnt[1] > learnt[0]
    assert len(asked_next) == 40 and not asked_first.keys() & asked_next.keys()
