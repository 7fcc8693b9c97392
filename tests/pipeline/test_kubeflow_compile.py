"""Every workflow compiles with TFX's Kubeflow runner: names of artifact types and dotted functions hold."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from modules.settings.feed import DemoSettings
from pipeline.demo_feed import write_demo_folder
from pipeline.workflow_file import DEMO_WORKFLOW, REPOSITORY, load_workflow

WORKFLOWS = sorted((REPOSITORY / "workflows").glob("*.yaml"))


def feed_of(path: Path, tmp_path: Path) -> Path:
    """The workflow's feed: the demo in small, or the real catalogue's folder."""
    settings = yaml.safe_load(path.read_text())
    if settings["feed"].get("demo"):
        write_demo_folder(tmp_path / "demo", DemoSettings(products=60, images=False))
        return tmp_path / "demo"
    name = settings["feed"]["folder_env"]
    folder = Path(os.environ.get(name) or REPOSITORY.parent / "shared" / "data" / path.stem)
    if not folder.is_dir():
        pytest.skip(f"the catalogue {path.stem} is not here; name its folder in {name}")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_compiles_for_kubeflow(path: Path, tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    loaded = load_workflow(path, feed_folder=feed_of(path, tmp_path))
    output = tmp_path / "pipeline.yaml"
    compile_workflow(loaded, output)
    spec = next(yaml.safe_load_all(output.read_text()))
    executors = spec["deploymentSpec"]["executors"]
    named = {
        "ProductExampleGen",
        "StatisticsGen",
        "Transform",
        "Trainer",
        "Evaluator",
        "ClassMetrics",
        "Predictor",
        "PublishedPredictor",
        "ActiveSampler",
    }
    assert {name.removesuffix("_executor") for name in executors} >= named
    titles = {
        artifact["artifactType"].get("instanceSchema", "").split("title: ")[1].split("\n")[0]
        for component in spec["components"].values()
        for artifact in component.get("outputDefinitions", {}).get("artifacts", {}).values()
        if "title: " in artifact["artifactType"].get("instanceSchema", "")
    }
    own = {title for title in titles if title.startswith("components.")}
    expected = {
        "CategoryMetrics", "LabelReview", "LabellingBatch", "Predictions", "ProductTaxonomy", "Quarantine", "Record",
    }  # fmt: skip
    if loaded.workflow.similarity is not None:
        expected |= {"SimilarityIndex", "PushedIndex"}
        assert {name.removesuffix("_executor") for name in executors} >= {"ScannIndex", "IndexPusher"}
    assert own == {f"components.{name}" for name in expected}
    # What grows with the catalogue stands on records, and no step may be handed one.
    received = [
        artifact["artifactType"].get("instanceSchema", "")
        for component in spec["components"].values()
        for artifact in component.get("inputDefinitions", {}).get("artifacts", {}).values()
    ]
    assert received and not any("components.Record" in schema for schema in received)


TUNING = "tuning={trials: 3, search: {training.learning_rate: {low: 0.0001, high: 0.1, log: true}}}"


@pytest.mark.slow
def test_with_a_tuner(tmp_path: Path) -> None:
    from pipeline.kubeflow.compiler import compile_workflow

    write_demo_folder(tmp_path / "demo", DemoSettings(products=60, images=False))
    trainer = "runners.kubeflow.components={Trainer: {gpu: {count: 1}}}"

    def compiled(*overrides: str) -> dict[str, Any]:
        output = tmp_path / "pipeline.yaml"
        compile_workflow(load_workflow(DEMO_WORKFLOW, overrides, feed_folder=tmp_path / "demo"), output)
        return next(yaml.safe_load_all(output.read_text()))

    spec, without = compiled(TUNING, trainer), compiled(trainer)
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) - set(without["root"]["dag"]["tasks"]) == {"Tuner"}
    outputs = spec["components"]["Tuner"]["outputDefinitions"]["artifacts"]
    assert {
        key: outputs[key]["artifactType"]["instanceSchema"].split("title: ")[1].split("\n")[0]
        for key in ("best_hyperparameters", "tuner_results")
    } == {"best_hyperparameters": "tfx.HyperParameters", "tuner_results": "tfx.TunerResults"}
    found = tasks["Trainer"]["inputs"]["artifacts"]["hyperparameters"]["taskOutputArtifact"]
    assert found == {"producerTask": "Tuner", "outputArtifactKey": "best_hyperparameters"}
    assert "Tuner" in tasks["Trainer"]["dependentTasks"]
    read = tasks["Report"]["inputs"]["artifacts"]["tuner_results"]["taskOutputArtifact"]
    assert read == {"producerTask": "Tuner", "outputArtifactKey": "tuner_results"}
    executors = spec["deploymentSpec"]["executors"]
    limits = [executors[f"{name}_executor"]["container"]["resources"] for name in ("Tuner", "Trainer")]
    assert limits[0] == limits[1] and limits[0]["accelerator"]["count"] == "1"
    # A run parameter reaches the settings of both.
    for name in ("Tuner", "Trainer"):
        assert tasks[name]["inputs"]["parameters"]["run_training_epochs"]["componentInputParameter"]
    # The Trainer sees what was found, and nothing of the search.
    own = [t["root"]["dag"]["tasks"]["Trainer"]["inputs"]["parameters"] for t in (spec, without)]
    assert own[0] == own[1] and "tuning" not in str(own[0]) and "tuning" in str(tasks["Tuner"])
