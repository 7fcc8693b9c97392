"""Chooses the model that may be published, and gives its predictions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tfx import types
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from components.predictor.executor import PredictorExecutor
from modules.settings.workflow import Workflow


class PublishedPredictorExecutor(PredictorExecutor):
    """Writes what Predictor writes, without its guesses.

    Nothing as long as no model was blessed, or that one had no label to learn from."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        from modules.predictions.acceptance import read_acceptance
        from modules.predictions.answering import is_taught, settings_of
        from modules.predictions.guesses import remove_guesses

        newest = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        before = input_dict.get("blessed_model") or []
        output = artifact_utils.get_single_instance(output_dict["published_predictions"])
        model = newest if blessing.get_int_custom_property("blessed") == 1 else before[0] if before else None
        if model is None or not is_taught(path_utils.serving_model_path(model.uri)):
            fileio.makedirs(output.uri)
            output.set_int_custom_property("products", 0)
        elif model.uri == newest.uri:
            predictions = artifact_utils.get_single_instance(input_dict["predictions"])
            _take_over(predictions.uri, output.uri)
            for name in ("split_names", "model"):
                output.set_string_custom_property(name, predictions.get_string_custom_property(name))
            output.set_int_custom_property("products", predictions.get_int_custom_property("products"))
            remove_guesses(output.uri)
            _write_profile(artifact_utils.get_single_instance(input_dict["examples"]), output.uri)
        else:
            inputs = {**input_dict, "model": [model]}
            workflow = Workflow.from_part(settings_of(path_utils.serving_model_path(model.uri)))
            # An older model is held to what is asked for now, on the products that are audited by now.
            asked = read_acceptance(artifact_utils.get_single_uri(input_dict["predictions"]))
            objectives = {
                name: objective.with_acceptance(asked[name].settings if name in asked else None)
                for name, objective in workflow.objectives.items()
            }
            settings = workflow.model_copy(update={"objectives": objectives}).model_dump_json()
            super().Do(inputs, {"predictions": [output]}, {**exec_properties, "workflow": settings})
            remove_guesses(output.uri)


def _write_profile(examples: types.Artifact, folder: str) -> None:
    """Only of the feed that the model was trained on: what later feeds are compared with."""
    from modules.drift.building import count_columns, profile_of
    from modules.drift.profile import FEED_PROFILE
    from modules.predictions.read import PredictionFiles

    splits = artifact_utils.decode_split_names(examples.split_names)
    folders = [artifact_utils.get_split_uri([examples], split) for split in splits]
    files = sorted(str(file) for split in folders for file in fileio.glob(os.path.join(split, "*.gz")))
    profile_of(PredictionFiles(folder), count_columns(files)).write(Path(folder) / FEED_PROFILE)


def _take_over(source: str, target: str) -> None:
    """Copies the folder's files: a link would share what damages the one of them later."""
    for path, _, files in fileio.walk(source):
        folder = str(path)
        to = os.path.join(target, os.path.relpath(folder, source)) if folder != source else target
        fileio.makedirs(to)
        for name in map(str, files):
            fileio.copy(os.path.join(folder, name), os.path.join(to, name), overwrite=True)
