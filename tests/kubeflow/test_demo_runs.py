"""The demo's compiled package, end to end and twice on the emulated cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kubeflow.demo import load_demo

if TYPE_CHECKING:
    from tests.kubeflow.emulator.cluster import Cluster, Run

pytestmark = pytest.mark.slow

NEVER_CACHED = {
    "LastBlessedModel",
    "LastBlessedModel-import/LastBlessedModel-importer",
    "ProductExampleGen-fingerprint",
    "ActiveSampler-fingerprint",
    "Report",
}

NEW = "one-more"
TUNING = "tuning={trials: 2, objective: rule_based, search: {training.learning_rate: {choices: [1.0e-9, 0.01]}}}"


def test_two_runs(cluster: Cluster, tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    feed, output = tmp_path / "feed", tmp_path / "pipeline.yaml"
    metadata = f"runners.kubeflow.metadata={cluster.address}"
    compile_workflow(load_demo(feed, metadata, TUNING, "name=demo-small"), output)
    package = output.read_text()

    given = {"training_epochs": 2}
    first = cluster.run(package, given)
    assert {step.state for step in first.steps.values()} == {"COMPLETE"}
    model = cluster.artifact(first, "Trainer", "model")
    blessing = cluster.artifact(first, "Evaluator", "blessing")
    assert blessing["metadata"]["blessed"] == 1.0 and blessing["metadata"]["current_model"] == model["uri"]
    products = cluster.artifact(first, "ProductExampleGen", "examples")["metadata"]
    # Kubeflow's own page shows numbers of artifacts of this type.
    scalars, metrics = (cluster.artifact(first, "ClassMetrics", key)["metadata"] for key in ("scalars", "metrics"))
    assert scalars["rule_based/micro_f1"] == metrics["rule_based/micro_f1"]
    _check_pages(cluster, first)
    # A run parameter inside of a component's settings.
    for component in ("Trainer", "Tuner"):
        assert re.search(r'epochs\\*": 2\b', next(cluster.folder.glob(f"*-{component}.log")).read_text())
    assert cluster.artifact(first, "Tuner", "scalars")["metadata"]["trials"] == 2.0
    (facts,) = cluster.store.path(model["uri"]).rglob("shelfmark.json")
    assert json.loads(facts.read_text())["training"]["learning_rate"] == 0.01
    # Everything that a run leaves behind is in the object store; pods are gone.
    for task, key in (("Predictor", "predictions"), ("ActiveSampler", "labelling_batch"), ("Pusher", "pushed_model")):
        folder = cluster.store.path(cluster.artifact(first, task, key)["uri"])
        assert any(path.is_file() for path in folder.rglob("*")), task
    assert not list(cluster.folder.glob("pod-*"))

    # Nothing changed: Kubeflow takes everything from its cache, but for what it must not.
    again = cluster.run(package, given)
    ran = {name for name, step in again.steps.items() if step.state != "CACHED"}
    # There is a blessed model now: what compares with it runs anew, and what follows from that.
    assert ran == NEVER_CACHED | {"Evaluator", "ClassMetrics", "Pusher", "PublishedPredictor", "IndexPusher"}
    imported = cluster.artifact(again, "LastBlessedModel-import/LastBlessedModel-importer", "model")
    assert imported["uri"] == model["uri"]
    compared = cluster.artifact(again, "Evaluator", "blessing")["metadata"]
    assert compared["baseline_model"] == model["uri"]

    # Another feed, other labels: nothing is taken from the cache.
    _add_product(feed)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    rows = (feed / "labels.jsonl").read_text().splitlines()
    row = json.loads(rows[0]) | {"product_id": NEW, "time": "2030-01-01T00:00:00Z", "source": "margin"}
    (snapshot / "labels.jsonl").write_text(json.dumps(row) + "\n")
    (snapshot / "queued.jsonl").write_text("")
    last = cluster.run(package, {"label_snapshot": str(snapshot)}, until="ProductExampleGen")
    assert last.steps["ProductExampleGen"].state == "COMPLETE"
    found = cluster.artifact(last, "ProductExampleGen", "examples")["metadata"]
    assert _total(found, "products/") == _total(products, "products/") + 1
    assert found["labels/exclusive/margin"] == products.get("labels/exclusive/margin", 0) + 1


def _check_pages(cluster: Cluster, run: Run) -> None:
    """Confusion matrix, report and batch, where Kubeflow's pages look for them."""
    import pyarrow.parquet as pq

    matrix = cluster.artifact(run, "Report", "confusion_exclusive")["metadata"]["confusionMatrix"]["struct"]
    folder = cluster.store.path(cluster.artifact(run, "Predictor", "predictions")["uri"])
    labels = [
        label for file in folder.glob("Split-test/*") for label in pq.read_table(file)["exclusive/label"].to_pylist()
    ]
    assert sum(count for row in matrix["rows"] for count in row["row"]) == sum(label >= 0 for label in labels) > 0
    assert len(matrix["annotationSpecs"]) == len(matrix["rows"])
    report = cluster.store.path(cluster.artifact(run, "Report", "page")["uri"])
    assert (
        report.is_file()
        and "Objective rule_based" in report.read_text()
        and "the best of 2 trials" in report.read_text()
        and "could not be read" not in report.read_text()
    )
    batch = cluster.store.path(cluster.artifact(run, "ActiveSampler", "labelling_batch")["uri"])
    page = cluster.store.path(cluster.artifact(run, "Report", "batch_page")["uri"]).read_text()
    asked = pq.read_table(batch / "batch.parquet")["product_id"].to_pylist()
    assert asked and all(product in page for product in asked)
    numbers = cluster.artifact(run, "ActiveSampler", "scalars")["metadata"]
    assert numbers["exclusive/size"] == 10


def _total(properties: dict[str, Any], prefix: str) -> float:
    return sum(value for name, value in properties.items() if name.startswith(prefix))


def _add_product(feed: Path) -> None:
    file = next(path for path in sorted((feed / "feed").iterdir()) if path.name.endswith(".jsonl"))
    record = json.loads(file.read_text().splitlines()[0])
    key = next(name for name in ("id", "sku", "product_id") if name in record)
    with file.open("a") as lines:
        lines.write(json.dumps(record | {key: NEW, "title": "one more thing"}) + "\n")
