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

from components.properties import set_property
from components.record import pack
from components.scann_index.quality import QUALITY
from modules.examples import TAXONOMY_FILE
from modules.predictions.read import PredictionFiles
from modules.settings.workflow import Workflow
from modules.similarity.identity import fingerprint
from modules.similarity.make import make_index
from modules.taxonomy import Taxonomy


class ScannIndexExecutor(base_executor.BaseExecutor):
    """Writes a folder per index, its figures as custom properties, and those of each partition onto the record."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        predictions = artifact_utils.get_single_instance(input_dict["predictions"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        output = artifact_utils.get_single_instance(output_dict["similarity_index"])
        record = artifact_utils.get_single_instance(output_dict["index_record"])
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
                set_property(output, f"{name}/{key}", value)
            set_property(output, f"{name}/blessed", int(made.blessed))
            measured = {"quality": [part.as_json() for part in made.quality], "reasons": made.reasons}
            set_property(record, f"{QUALITY}{name}", pack(measured))
        shutil.copyfile(tree, folder / TAXONOMY_FILE)
        set_property(output, "indexes", json.dumps(list(workflow.similarity.indexes)))
        set_property(output, "model", model.uri)
        set_property(output, "model_fingerprint", identity)
        set_property(output, "predictions", predictions.uri)
        set_property(output, "blessed", int(blessed))
