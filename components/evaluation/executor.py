"""Works the configuration out of workflow and taxonomy, then evaluates as TFX does."""

from __future__ import annotations

import os
from typing import Any

from tfx.components.evaluator import executor as tfx_executor
from tfx.types import artifact_utils
from tfx.types.standard_component_specs import EVAL_CONFIG_KEY, EXAMPLE_SPLITS_KEY, MODULE_PATH_KEY
from tfx.utils import json_utils, proto_utils

from components.evaluation.config import MODULE
from components.evaluation.of_workflow import eval_config
from modules.examples import TAXONOMY_FILE
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy


class ProductEvaluatorExecutor(tfx_executor.Executor):
    """Hands TFX's executor the ``eval_config``, the split test and the module with our extractors."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        given = {key: artifacts for key, artifacts in input_dict.items() if key != "taxonomy"}
        folder = artifact_utils.get_single_uri(input_dict["taxonomy"])
        taxonomy = Taxonomy.load(os.path.join(folder, TAXONOMY_FILE))
        config = eval_config(Workflow.from_part(exec_properties["workflow"]), taxonomy)
        configured = {
            EVAL_CONFIG_KEY: proto_utils.proto_to_json(config),
            EXAMPLE_SPLITS_KEY: json_utils.dumps(["test"]),
            MODULE_PATH_KEY: MODULE,
        }
        super().Do(given, output_dict, {**exec_properties, **configured})
