"""Works the configuration out of workflow and taxonomy, then evaluates as TFX does."""

from __future__ import annotations

import os
from typing import Any

from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import (
    BASELINE_MODEL_KEY,
    BLESSING_KEY,
    EVAL_CONFIG_KEY,
    EXAMPLE_SPLITS_KEY,
    MODULE_PATH_KEY,
)
from tfx.utils import json_utils, path_utils, proto_utils

from components.evaluation.config import MODULE
from components.evaluation.of_workflow import eval_config
from components.properties import NOT_COMPARED, set_property
from modules.examples import TAXONOMY_FILE
from modules.predictions.answering import classes_of
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy


class ProductEvaluatorExecutor(tfx_executor.Executor):
    """Hands TFX's executor the ``eval_config``, the split test and the module with our extractors.

    A baseline model that tells other categories apart is left out, and the blessing says so: its outputs would be read
    as those of the categories that have their places by now.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        given = {key: artifacts for key, artifacts in input_dict.items() if key != "taxonomy"}
        folder = artifact_utils.get_single_uri(input_dict["taxonomy"])
        taxonomy = Taxonomy.load(os.path.join(folder, TAXONOMY_FILE))
        workflow = Workflow.from_part(exec_properties["workflow"])
        config = eval_config(workflow, taxonomy)
        baseline = given.get(BASELINE_MODEL_KEY)
        if baseline and not _has_classes(baseline[0].uri, workflow, taxonomy):
            del given[BASELINE_MODEL_KEY]
            set_property(artifact_utils.get_single_instance(output_dict[BLESSING_KEY]), NOT_COMPARED, baseline[0].uri)
        configured = {
            EVAL_CONFIG_KEY: proto_utils.proto_to_json(config),
            EXAMPLE_SPLITS_KEY: json_utils.dumps(["test"]),
            MODULE_PATH_KEY: MODULE,
        }
        super().Do(given, output_dict, {**exec_properties, **configured})


def _has_classes(model: str, workflow: Workflow, taxonomy: Taxonomy) -> bool:
    """Whether a model tells apart what the workflow's objectives do, in the same order."""
    theirs = classes_of(path_utils.serving_model_path(model))
    return all(
        theirs.get(name) == [category.id for category in objective.classes(taxonomy)]
        for name, objective in workflow.objectives.items()
    )
