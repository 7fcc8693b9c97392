"""Makes each index; what it reaches goes into ML Metadata."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from modules.examples import TAXONOMY_FILE
from modules.predictions.read import PredictionFiles
from modules.settings.workflow import Workflow
from modules.similarity.identity import fingerprint
from modules.similarity.make import make_index
from modules.taxonomy import Taxonomy


class ScannIndexExecutor(base_executor.BaseExecutor):
    """Writes a folder per index, and the figures as custom properties."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        predictions = artifact_utils.get_single_instance(input_dict["predictions"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        output = artifact_utils.get_single_instance(output_dict["similarity_index"])
        workflow = Workflow.from_part(exec_properties["workflow"])
        assert workflow.similarity is not None
        tree = os.path.join(artifact_utils.get_single_uri(input_dict["taxonomy"]), TAXONOMY_FILE)
        taxonomy = Taxonomy.load(tree)
        files = PredictionFiles(predictions.uri)
        folder = Path(output.uri)
        identity = fingerprint(path_utils.serving_model_path(model.uri))
        blessed = True
        for name, settings in workflow.similarity.indexes.items():
            made = make_index(files, taxonomy, settings, identity, workflow.seed, folder, name)
            blessed &= made.blessed
            for key, value in made.facts().items():
                _set(output, f"{name}/{key}", value)
            _set(output, f"{name}/blessed", int(made.blessed))
            _set(output, f"{name}/reasons", json.dumps(made.reasons))
            _set(output, f"{name}/global", json.dumps(made.quality[0].as_json()))
            for one in made.quality[1:]:
                _set(output, f"{name}/partition/{one.name}", json.dumps(one.as_json()))
        shutil.copyfile(tree, folder / TAXONOMY_FILE)
        _set(output, "indexes", json.dumps(list(workflow.similarity.indexes)))
        _set(output, "model", model.uri)
        _set(output, "model_fingerprint", identity)
        _set(output, "predictions", predictions.uri)
        _set(output, "blessed", int(blessed))


def _set(artifact: Any, name: str, value: int | float | str) -> None:
    if isinstance(value, float):
        artifact.set_float_custom_property(name, value)
    elif isinstance(value, int):
        artifact.set_int_custom_property(name, value)
    else:
        artifact.set_string_custom_property(name, value)
