"""Every workflow compiles with TFX's Kubeflow runner: names of artifact types and dotted functions hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from modules.settings.feed import DemoSettings
from pipeline.demo_feed import write_demo_folder
from pipeline.workflow_file import REPOSITORY, load_workflow

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
    expected = {"CategoryMetrics", "LabelReview", "LabellingBatch", "Predictions", "ProductTaxonomy", "Quarantine"}
    if loaded.workflow.similarity is not None:
        expected |= {"SimilarityIndex", "PushedIndex"}
        assert {name.removesuffix("_executor") for name in executors} >= {"ScannIndex", "IndexPusher"}
    assert own == {f"components.{name}" for name in expected}
