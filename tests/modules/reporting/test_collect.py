"""What lies in a run's folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from modules.reporting.collect import bad_examples, training_of
from modules.reporting.model import Report, Training
from modules.reporting.page import render_report
from tests.modules.reporting.pages import Page


def bad(reason: str, line: int) -> str:
    return json.dumps({"file": "f.csv", "line": line, "reason": reason, "detail": "d", "raw": f"raw {line}"}) + "\n"


def test_the_first_bad_records_of_each_reason(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "quarantine-00000-of-00002.jsonl.gz", "wt") as stream:
        stream.writelines(bad("no_id", line) for line in range(1, 9))
    with gzip.open(tmp_path / "quarantine-00001-of-00002.jsonl.gz", "wt") as stream:
        stream.writelines([bad("broken_csv", 3), bad("no_id", 99)])
    found = bad_examples(tmp_path, per_reason=3)
    assert [(one.reason, one.place) for one in found] == [
        ("broken_csv", "f.csv:3"), ("no_id", "f.csv:1"), ("no_id", "f.csv:2"), ("no_id", "f.csv:3"),
    ]  # fmt: skip
    assert bad_examples(tmp_path / "nowhere") == []


@pytest.fixture
def facts() -> dict[str, Any]:
    return {
        "features": {"title": {}, "brand": {}},
        "model": {"kind": "wide_deep", "hidden": [256, 64]},
        "training": {"solver": "adam", "batch_size": 128},
        "training_labels": {"exclusive": [0, 3, 7]},
        "calibration": {"temperature": {"exclusive": 1.25}},
        "result": {"epochs": 12, "best_epoch": 9, "seconds": 31.0, "history": {"loss": [1.0]}},
        "parameters": 1234567,
        "embedding_width": 64,
        "seed": 7,
    }


def read(folder: Path, facts: dict[str, Any]) -> dict[str, str]:
    (folder / "Format-Serving").mkdir(exist_ok=True)
    (folder / "Format-Serving" / "shelfmark.json").write_text(json.dumps(facts))
    found = training_of(folder)
    assert found is not None and found.history == facts["result"]["history"]
    return dict(found.facts)


def test_what_training_did(tmp_path: Path, facts: dict[str, Any]) -> None:
    assert training_of(tmp_path) is None
    shown = read(tmp_path, facts)
    assert shown["model"] == "wide_deep, hidden 256 x 64" and shown["parameters"] == "1,234,567"
    assert shown["solver"] == "adam, batches of 128, 12 epochs, the best was number 9"
    assert shown["training labels of exclusive"] == "10 in 3 categories; 1 without any, 1 with fewer than 5"
    assert shown["temperature of exclusive"] == "1.250"
    facts |= {"model": {"kind": "linear", "hidden": [256]}, "training": {"solver": "liblinear", "liblinear_c": 0.5}}
    shown = read(tmp_path, facts)
    assert (shown["model"], shown["solver"]) == ("linear", "liblinear, C 0.5")


def test_a_curve_per_figure_with_train_and_eval_together() -> None:
    values = [3.0, 2.0, 1.5]
    names = ("loss", "exclusive_loss", "exclusive_labelled_loss", "exclusive_accuracy", "rule_based_labelled_loss")
    history = {**{name: values for name in names}, **{f"val_{name}": values for name in names}}
    page = Page(render_report(Report("shop", "r", 1.0, training=Training(3, 2, history))))
    charts = [svg["aria-label"] for svg in page.named("svg") if "role" in svg]
    assert charts == [
        "exclusive loss per epoch", "rule based loss per epoch", "exclusive accuracy per epoch", "loss per epoch",
    ]  # fmt: skip
    lines = [element["class"] for element in page.named("polyline")]
    assert lines == ["line s0", "line s1"] * len(charts)
    assert page.parts.count("epoch 1") == len(charts) and "train, epoch 2: 2" in page.parts
    exact = Page(render_report(Report("shop", "r", 1.0, training=Training(0, 0, {}))))
    assert "solved exactly, not in epochs" in exact.text


def test_penalties_that_were_chosen_are_told_for_each_head(tmp_path: Path, facts: dict[str, Any]) -> None:
    facts |= {"model": {"kind": "lsa"}, "training": {"solver": "liblinear", "liblinear_c": None}}
    facts["result"]["penalties"] = {"exclusive": 3.0, "tags": 1.0}
    shown = read(tmp_path, facts | {"chosen": "model.kind: lsa, since 12 labels are fewer than 2,000"})
    assert shown["solver"] == "liblinear, C 3 for exclusive, 1 for tags" and "12 labels" in shown["chosen"]
