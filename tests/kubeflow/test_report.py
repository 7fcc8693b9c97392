"""What the Report step leaves for Kubeflow's pages, from artifacts as the launcher stages them."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.class_metrics.files import write_figures
from components.class_metrics.properties import CategoryFigures
from components.class_metrics.results import CategoryResult
from modules.examples import TAXONOMY_FILE
from modules.examples import Counts as Read
from modules.sampling.batch import Pick, PickedBatch
from modules.sampling.write import write_batches
from pipeline.kubeflow.container.invocation import Invocation
from pipeline.kubeflow.container.report import make_report
from pipeline.kubeflow.presentation import add_scalars
from tests.modules.reporting.pages import Page
from tests.modules.reporting.sample import WORKFLOW, taxonomy, write_predictions

ROOT = "minio://bucket/run"
TITLES = {"page": "system.HTML", "batch_page": "system.HTML", "confusion_exclusive": "system.ClassificationMetrics"}


def scalars_of(properties: dict[str, Any]) -> dict[str, Any]:
    """As ML Metadata hands them on: every number a double."""
    output = {"artifacts": {"examples": {"artifacts": [{"metadata": properties}]}}}
    add_scalars(output, "examples", {"uri": f"{ROOT}/scalars"})
    found = output["artifacts"]["scalars"]["artifacts"][0]["metadata"]
    return {name: float(value) for name, value in found.items()} | {"display_name": "scalars"}


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """The pod's folder of the run, the output file's artifacts, and the predictions' rows."""
    return make(tmp_path, monkeypatch, {})


def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, dict[str, Any] | None]
) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
    """``changed``: input to what its artifact has instead; None: no artifact."""
    monkeypatch.setenv("KFP_STAGING_ROOT", str(tmp_path))
    folder = tmp_path / "minio/bucket/run"
    rows = write_predictions(folder / "predictions", {"train": 30, "test": 60})
    (folder / "taxonomy").mkdir()
    taxonomy().write(folder / "taxonomy" / TAXONOMY_FILE)
    boots = taxonomy().find("Shoes > Boots").id
    picks = [
        Pick(0, "train-0", "exclusive", "margin", "margin", "train", 0.75, suggestions=[(boots, 0.625)]),
        Pick(1, "train-7", "exclusive", "random", "random", "train"),
        Pick(0, "train-9", "rule_based", "entropy", "entropy", "train", 0.5, category=boots),
    ]
    facts = {"strategy": "margin", "size": 2, "mean_utility": 0.123456, "round": 1, "seed": 3}
    batches = [
        PickedBatch(name, [p for p in picks if p.objective == name], facts) for name in ("exclusive", "rule_based")
    ]
    write_batches(str(folder / "batch"), batches, {"model": "m"}, {})
    measured = CategoryResult("exclusive", boots, "Shoes > Boots", {"f1": 0.8125, "precision": 0.75, "examples": 3.0})
    failed = {"exclusive": [{"path": "Shoes > Boots", "f1": 0.8125, "bound": 0.9}]}
    write_figures(str(folder / "metrics"), CategoryFigures([measured], failed), list(measured.values))
    read = Read()
    read.products.update(train=30, test=60)
    read.labels["exclusive", "random"] = 12
    artifacts = {
        "taxonomy": ("taxonomy", {}),
        "predictions": ("predictions", {"products": 90.0}),
        "labelling_batch": ("batch", {}),
        "metrics": ("metrics", {"exclusive/accuracy": 0.375, "exclusive/example_count": 33.0}),
        "blessing": ("blessing", {"blessed": 1.0}),
        "counts": ("scalars", scalars_of(read.to_properties())),
    }
    source: dict[str, Any] = {
        "inputs": {
            "parameterValues": {"run": "run-7"},
            "artifacts": {
                name: {"artifacts": [{"name": str(n), "uri": f"{ROOT}/{at}", "metadata": values}]}
                for n, (name, (at, values)) in enumerate(artifacts.items())
            },
        },
        "outputs": {
            "outputFile": str(tmp_path / "output.json"),
            "artifacts": {
                name: {"artifacts": [{"uri": f"{ROOT}/report/{name}", "type": {"schemaTitle": title}}]}
                for name, title in TITLES.items()
            },
        },
    }
    for name, instead in changed.items():
        entry = source["inputs"]["artifacts"][name]
        entry["artifacts"] = [] if instead is None else [entry["artifacts"][0] | instead]
    invocation = Invocation.of(
        argparse.Namespace(
            json_serialized_invocation_args=json.dumps(source),
            json_serialized_inputs_spec_args=None,
            overrides=None,
        )
    )
    objectives = {name: one.model_dump(mode="json") for name, one in WORKFLOW.objectives.items()}
    make_report(invocation, json.dumps({"name": "shop", "objectives": objectives}))
    return folder, json.loads((tmp_path / "output.json").read_text())["artifacts"], rows


def test_the_confusion_matrix_is_as_the_pages_read_it(made: tuple[Path, dict[str, Any], list[dict[str, Any]]]) -> None:
    _, artifacts, rows = made
    (artifact,) = artifacts["confusion_exclusive"]["artifacts"]
    assert artifact["uri"] == f"{ROOT}/report/confusion_exclusive"
    matrix = artifact["metadata"]["confusionMatrix"]
    names = [one["displayName"] for one in matrix["annotationSpecs"]]
    classes = taxonomy().exclusive
    pairs = Counter(
        (classes[row["exclusive"]["label"]].path[0], classes[row["exclusive"]["best"]].path[0])
        for row in rows
        if row["split"] == "test" and row["exclusive"]["label"] >= 0
    )
    expected = [[pairs[label, best] for best in names] for label in names]
    assert sum(map(sum, expected)) > 20
    assert matrix["rows"] == [{"row": counts} for counts in expected]


def test_the_report_is_a_page(made: tuple[Path, dict[str, Any], list[dict[str, Any]]]) -> None:
    folder, artifacts, _ = made
    assert artifacts["page"]["artifacts"] == [{"uri": f"{ROOT}/report/page", "metadata": {}}]
    text = Page((folder / "report/page").read_text("utf-8")).text
    for part in ("Run run-7", "blessed", "0.3750", "Objective exclusive", "train 30, test 60", "random 12"):
        assert part in text, part
    # Single categories come from the metrics' files.
    for part in ("0.812", "Shoes > Boots: F1 0.812, needed 0.9"):
        assert part in text, part
    for part in ("last runs", "first run", "Time", "Where things lie"):
        assert part not in text, part


def test_the_batch_is_a_page(made: tuple[Path, dict[str, Any], list[dict[str, Any]]]) -> None:
    folder, _, _ = made
    page = Page((folder / "report/batch_page").read_text("utf-8"))
    for part in ("train-0", "train-7", "train-9", "Shoes > Boots", "0.625", "0.7500", "margin", "0.1235", "run-7"):
        assert part in page.text, part
    # train-0's title is markup in the feed, and text on the page.
    assert "<script>alert(1)</script> 0" in page.text and len(page.raw["script"]) == 1


@pytest.mark.parametrize("uri", [None, "", [], [f"{ROOT}/a", f"{ROOT}/b"]])
@pytest.mark.parametrize("name", ["taxonomy", "predictions", "labelling_batch"])
def test_an_artifact_without_an_address_of_its_own_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, uri: Any
) -> None:
    folder, artifacts, _ = make(tmp_path, monkeypatch, {name: {"uri": uri}})
    assert set(artifacts) == set(TITLES)
    for page in ("page", "batch_page"):
        text = Page((folder / "report" / page).read_text("utf-8")).text
        assert "could not be read: the " in text, page
        assert "the artifact has no address of its own: none was given, or several" in text, page
    assert "train 30, test 60" in Page((folder / "report/page").read_text("utf-8")).text


def test_inputs_as_3_0_describes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: dict[str, dict[str, Any] | None] = {
        name: {"name": name, "artifactId": "0b6f9c1e", "uri": [f"{ROOT}/{at}"]}
        for name, at in (("taxonomy", "taxonomy"), ("predictions", "predictions"), ("labelling_batch", "batch"))
    }
    changed["counts"] = {"name": "examples/train", "uri": None, "type": {"schemaTitle": "Metric"}}
    folder, _, _ = make(tmp_path, monkeypatch, changed)
    text = Page((folder / "report/page").read_text("utf-8")).text
    assert "train 30, test 60" in text and "Objective exclusive" in text and "could not be read" not in text
    assert "train-7" in Page((folder / "report/batch_page").read_text("utf-8")).text


def test_the_batchs_page_is_there_without_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, artifacts, _ = make(tmp_path, monkeypatch, {"labelling_batch": None})
    assert "batch_page" in artifacts
    assert "could not be read: the labelling batch" in Page((folder / "report/batch_page").read_text("utf-8")).text
