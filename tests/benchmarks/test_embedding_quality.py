"""What the comparison of embeddings trains, and on which products."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.embedding_catalogues import CATALOGUES, PREFIX, lines_of, merged, pricerunner_feed
from modules.settings.workflow import Workflow


@pytest.mark.parametrize("name", CATALOGUES)
def test_each_embedding_has_settings_that_fit_together(name: str) -> None:
    catalogue = CATALOGUES[name]
    for epochs in (1, catalogue.epochs):
        for sections in catalogue.variants(epochs).values():
            workflow = Workflow.model_validate(merged(catalogue.base, {"name": f"{PREFIX}-{name}"}, sections))
            # What is measured on is not learnt from.
            assert not workflow.training.refit_on_eval and workflow.labels.truth is not None


def test_no_cluster_that_is_measured_is_learnt_from(tmp_path: Path) -> None:
    rows = [{"id": str(i), "title": "one", "extra": {"cluster_id": str(i // 3)}} for i in range(3000)]
    with gzip.open(tmp_path / "products.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    target = tmp_path / "feed"
    target.mkdir()
    pricerunner_feed(tmp_path, target, None)
    clusters: dict[str, set[str]] = {"train": set(), "eval": set(), "test": set()}
    for row in lines_of(target / "products.jsonl.gz"):
        clusters[row["extra"]["split"]].add(row["extra"]["cluster_id"])
    assert not clusters["test"] & (clusters["train"] | clusters["eval"]) and len(clusters["test"]) > 150
    # The heads of clusters are calibrated on clusters that they know.
    assert len(clusters["eval"] & clusters["train"]) > 0.9 * len(clusters["eval"]) > 100
