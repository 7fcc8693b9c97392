"""`shelfmark clean` between runs: what goes is what was shown, and runs after it have what they need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.test_demo_run import Shop, states
from tests.pipeline.history import tree

pytestmark = pytest.mark.slow
CHANGES = [
    "feed.demo.products=200",
    "features={title: {kind: text, vocabulary: 300}, brand: {kind: categorical, vocabulary: 50, width: 4}}",
    "training.epochs=2", "sampling=null", "similarity=null", "evaluation.thresholds={}",
]  # fmt: skip


def run(shop: Shop, seed: int, *more: str) -> dict[str, str]:
    changes = [part for change in (*CHANGES, f"seed={seed}", *more) for part in ("--set", change)]
    return states(shop.shelfmark("run", "--feed", str(shop.folder / "catalogue"), *changes))


def values(shop: Shop) -> tuple[str, Any]:
    said = shop.shelfmark("metrics", "--json")
    found = json.loads(said[said.index("{") : said.rindex("}") + 1])
    return found["run"], found["values"]


def test_a_run_after_clean_makes_again_what_went(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    run(shop, 7)
    first, before = values(shop)
    run(shop, 8)
    files = tree(shop.runs)
    shown = shop.shelfmark("clean", "--keep-runs", "1", "--dry-run")
    assert tree(shop.runs) == files
    done = shop.shelfmark("clean", "--keep-runs", "1")
    assert shown.replace("would be deleted", "deleted") == done
    gone = {Path(name).parts[:4] for name in files.keys() - tree(shop.runs).keys()}
    assert {parts[1] for parts in gone if parts[0] == "pipeline"} >= {"Trainer", "Predictor", "Evaluator"}
    assert not {parts[1] for parts in gone if parts[0] == "pipeline"} & {"ProductExampleGen", "ClassMetrics"}
    assert all("/".join(parts) in done for parts in gone if parts[0] == "pipeline")
    assert "cleaned away" in shop.shelfmark("predictions", first, code=2)
    second = values(shop)[0]
    assert first in shop.shelfmark("metrics", "--json", "--compare", first, second)
    assert "0 folders" in shop.shelfmark("clean", "--keep-runs", "1")
    # What the newer run used is in the cache, what went is made again and comes out the same.
    said = run(shop, 7, "runners.local.retention={runs: 1}")
    assert said["ProductExampleGen"] == said["StatisticsGen"] == "unchanged"
    assert said["Trainer"] == said["Predictor"] == "done"
    again, after = values(shop)
    assert again != first and after == before
    assert len(list((shop.runs / "pipeline" / "Trainer" / "model").iterdir())) == 1


def test_the_cache_of_texts_vectors_goes_when_it_is_asked_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    cache = shop.runs / "encodings"
    cache.mkdir(parents=True)
    (cache / "vectors.sqlite").write_bytes(bytes(12_345))
    assert "12.3 kB would be deleted" in shop.shelfmark("clean", "--encodings", "--dry-run")
    assert cache.exists()
    assert "12.3 kB deleted" in shop.shelfmark("clean", "--encodings")
    assert not cache.exists()
    assert "0 B deleted" in shop.shelfmark("clean", "--encodings")


def test_without_a_retention_nothing_goes(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    said = shop.shelfmark("clean", code=2)
    assert "--keep-runs" in said and "runners.local.retention" in said
    assert "run the workflow first" in shop.shelfmark("clean", "--keep-runs", "2", code=2)
    assert "--older-than" in shop.shelfmark("clean", "--older-than", "soon", code=2)
