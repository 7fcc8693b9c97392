"""The Evaluator after the taxonomy has changed: a model with other categories is no measure for the new one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifact_types import ProductTaxonomy
from modules.examples import MODEL_FACTS, TAXONOMY_FILE
from modules.taxonomy import Taxonomy
from pipeline.blessing_report import blessing_of
from pipeline.runs import Output, Run
from tests.components import evaluation_data as small

pytestmark = pytest.mark.slow

SETTINGS = {
    "name": "shop",
    "objectives": {"exclusive": {"kind": "exclusive"}},
    "evaluation": {"thresholds": {"exclusive": {"accuracy": 0.1, "max_drop": 0.01}}},
}


def _taxonomy(folder: Path) -> None:
    """The categories of the examples, in their order, and the one above them that they lack."""
    ids = {path: identity for identity, path in small.CLASSES}
    rows = [{"path": path, "id": ids.get(path, "bags"), "exclusive": path in ids}
            for path in (*small.PATHS[:3], "Bags", *small.PATHS[3:])]  # fmt: skip
    file = folder / "categories.json"
    file.write_text(json.dumps({"categories": rows}))
    Taxonomy.load(file).write(folder / TAXONOMY_FILE)


def _model(folder: Path, identity: int, source: str, classes: dict[str, list[str]]) -> Any:
    from tfx.types import standard_artifacts

    shutil.copytree(source, folder / "Format-Serving")
    (folder / "Format-Serving" / MODEL_FACTS).write_text(json.dumps({"classes": classes}))
    artifact = standard_artifacts.Model()
    artifact.uri, artifact.id = str(folder), identity
    return artifact


@pytest.fixture
def models(data: small.Data, tmp_path: Path) -> dict[str, str]:
    """The better one gives ``scores``; ``shorter``: the same with a class less."""
    import tensorflow as tf

    made = {name: small.save_model(tmp_path / name, key) for name, key in
            {"better": "exclusive/probabilities", "worse": "before"}.items()}  # fmt: skip

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def evaluate(examples: Any) -> Any:
        k = len(small.CLASSES)
        key = "exclusive/probabilities"
        return {key: tf.io.parse_example(examples, {key: tf.io.FixedLenFeature([k], tf.float32)})[key][:, 1:]}

    module = tf.Module()
    module.evaluate = evaluate
    tf.saved_model.save(module, str(tmp_path / "shorter"), signatures={"evaluate": evaluate})
    return {**made, "shorter": str(tmp_path / "shorter")}


def _evaluated(tmp_path: Path, examples: str, source: tuple[str, str], before: dict[str, list[str]]) -> tuple[Any, str]:
    """The blessing, and what the reports say of it. ``source``: the new model and the last blessed one."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from components.evaluation.executor import ProductEvaluatorExecutor

    split = tmp_path / "examples" / "Split-test"
    split.mkdir(parents=True)
    shutil.copy(examples, split / "data_tfrecord-00000")
    given = standard_artifacts.Examples()
    given.uri, given.split_names = str(split.parent), '["test"]'
    taxonomy = ProductTaxonomy()
    taxonomy.uri = str(tmp_path / "taxonomy")
    Path(taxonomy.uri).mkdir()
    _taxonomy(Path(taxonomy.uri))
    classes = {"exclusive": [identity for identity, _ in small.CLASSES]}
    outputs = {"evaluation": standard_artifacts.ModelEvaluation(), "blessing": standard_artifacts.ModelBlessing()}
    for name, artifact in outputs.items():
        artifact.uri = str(tmp_path / name)
        Path(artifact.uri).mkdir()
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=DirectRunner"], tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    ProductEvaluatorExecutor(context).Do(
        {
            "examples": [given], "taxonomy": [taxonomy],
            "model": [_model(tmp_path / "new", 2, source[0], classes)],
            "baseline_model": [_model(tmp_path / "old", 1, source[1], before)],
        },
        {name: [artifact] for name, artifact in outputs.items()},
        {"workflow": json.dumps(SETTINGS)},
    )  # fmt: skip
    blessing = outputs["blessing"]
    properties = {name: value.string_value or value.int_value
                  for name, value in blessing.mlmd_artifact.custom_properties.items()}  # fmt: skip
    run = Run("run-1", {"blessing": Output(1, blessing.uri, properties)})
    return blessing, blessing_of(run, None).sentence


OTHERS = [identity for identity, _ in small.CLASSES[1:]]
RENUMBERED = [identity for identity, _ in reversed(small.CLASSES)]


@pytest.mark.parametrize(
    ("old", "before"),
    [
        ("shorter", {"exclusive": OTHERS}),
        ("better", {"exclusive": RENUMBERED}),
        ("better", {"other": RENUMBERED}),
    ],
    ids=["a category less", "other categories in number", "another objective"],
)
def test_a_model_with_other_categories_is_not_compared(
    tmp_path: Path, examples: str, models: dict[str, str], old: str, before: dict[str, list[str]]
) -> None:
    blessing, sentence = _evaluated(tmp_path, examples, (models["worse"], models[old]), before)
    assert blessing.get_int_custom_property("blessed") == 1
    assert not blessing.has_custom_property("baseline_model")
    assert "the last blessed model has other categories" in sentence


def test_a_model_with_the_same_categories_is_compared(tmp_path: Path, examples: str, models: dict[str, str]) -> None:
    same = {"exclusive": [identity for identity, _ in small.CLASSES]}
    blessing, sentence = _evaluated(tmp_path, examples, (models["worse"], models["better"]), same)
    assert blessing.get_int_custom_property("blessed") == 0
    assert blessing.get_string_custom_property("baseline_model") and "other categories" not in sentence
    assert np.isfinite(blessing.get_int_custom_property("baseline_model_id"))
