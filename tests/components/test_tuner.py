"""Tuner's executor, and Trainer's with what it found, on transformed examples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from modules.examples import TAXONOMY_FILE
from tests.modules.training.catalogue import TREE
from tests.modules.training.shared import SMALL, built, tiny  # noqa: F401

pytestmark = pytest.mark.slow

RATE = {"training.liblinear_c": {"choices": [1e-9, 1.0]}}


@pytest.fixture
def inputs(built: Any, tmp_path: Path) -> dict[str, list[Any]]:  # noqa: F811
    from tfx import components as _components  # noqa: F401
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifact_types import ProductTaxonomy

    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split in ("train", "eval"):
        folder = tmp_path / "examples" / f"Split-{split}"
        folder.mkdir(parents=True)
        shutil.copy(built.files[split], folder / "part-00000.gz")
    graph, taxonomy = standard_artifacts.TransformGraph(), ProductTaxonomy()
    graph.uri, taxonomy.uri = str(built.folder / "transform"), str(tmp_path / "taxonomy")
    (tmp_path / "taxonomy").mkdir()
    TREE.write(tmp_path / "taxonomy" / TAXONOMY_FILE)
    return {"examples": [examples], "transform_graph": [graph], "taxonomy": [taxonomy]}


def test_the_trainer_trains_with_what_the_tuner_found(inputs: dict[str, list[Any]], tmp_path: Path) -> None:
    from tfx.dsl.components.base.base_executor import BaseExecutor
    from tfx.proto import trainer_pb2
    from tfx.types import standard_artifacts
    from tfx.utils import json_utils, proto_utils

    from components.trainer.component import ProductTrainerExecutor
    from components.tuner.component import ProductTunerExecutor
    from modules.reporting.collect import training_of, tuning_of
    from pipeline.pipeline import PARTS

    settings = tiny(
        SMALL, model={"kind": "linear", "embedding_width": 4}, objectives={"exclusive": {"kind": "exclusive"}},
        training={"solver": "liblinear", "liblinear_c": 5.0, "mixed_precision": "off"},
        tuning={"trials": 5, "search": RATE},
    )  # fmt: skip

    def properties(component: str, **functions: str) -> dict[str, Any]:
        config = {
            "workflow": settings.model_dump_json(include=PARTS[component]),
            "checkpoints": str(tmp_path / "checkpoints"),
        }
        return {
            "train_args": proto_utils.proto_to_json(trainer_pb2.TrainArgs(splits=["train"])),
            "eval_args": proto_utils.proto_to_json(trainer_pb2.EvalArgs(splits=["eval"])),
            "custom_config": json_utils.dumps(config),
            **functions,
        }

    def made(kind: Any, name: str) -> Any:
        artifact = kind()
        artifact.uri = str(tmp_path / name)
        (tmp_path / name).mkdir()
        return artifact

    context = BaseExecutor.Context(tmp_dir=str(tmp_path / "tmp"), unique_id="1")
    best = made(standard_artifacts.HyperParameters, "best")
    results = made(standard_artifacts.TunerResults, "results")
    ProductTunerExecutor(context).Do(
        inputs,
        {"best_hyperparameters": [best], "tuner_results": [results]},
        properties("Tuner", tuner_fn="modules.tuning.search.tuner_fn"),
    )
    # As TFX's own Tuner writes them.
    assert json.loads((tmp_path / "best" / "best_hyperparameters.txt").read_text())["values"] == {
        "training.liblinear_c": 1.0
    }
    rows = json.loads((tmp_path / "results" / "tuner_results.json").read_text())
    assert [row["training.liblinear_c"] for row in rows] == [1.0, 1e-9] and rows[0]["score"] > rows[1]["score"]
    assert results.get_string_custom_property("objective") == "exclusive"
    assert results.get_float_custom_property("score") == rows[0]["score"]
    # Of the five trials two were left when both values had been tried. Nothing is kept to go on from.
    assert results.get_int_custom_property("trials") == 2
    assert not list((tmp_path / "checkpoints").iterdir())
    tuning = tuning_of(tmp_path / "results", {"objective": "exclusive", "metric": "accuracy"})
    assert (tuning.settings, [values for _, values in tuning.trials]) == (["training.liblinear_c"], [["1"], ["1e-09"]])

    model, model_run = made(standard_artifacts.Model, "model"), made(standard_artifacts.ModelRun, "model_run")
    ProductTrainerExecutor(context).Do(
        {**inputs, "hyperparameters": [best]},
        {"model": [model], "model_run": [model_run]},
        properties("Trainer", run_fn="modules.training.run.run_fn"),
    )
    training = training_of(tmp_path / "model")
    assert training is not None
    facts = dict(training.facts)
    assert facts["solver"] == "liblinear, C 1.0" and facts["found by the Tuner"] == "training.liblinear_c 1"
