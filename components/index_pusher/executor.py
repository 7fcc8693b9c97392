"""Copies index and model as one version: a server sees both or neither."""

from __future__ import annotations

import os
import time
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import path_utils

from modules.similarity.make import NEIGHBOURS, PUSHED_MODEL


class IndexPusherExecutor(base_executor.BaseExecutor):
    """Leaves an artifact in any case; its properties say whether something was pushed."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        index = artifact_utils.get_single_instance(input_dict["similarity_index"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        output = artifact_utils.get_single_instance(output_dict["pushed_index"])
        fileio.makedirs(output.uri)
        reason = ""
        if index.get_int_custom_property("blessed") != 1:
            reason = "the index is not blessed"
        elif blessing.get_int_custom_property("blessed") != 1:
            reason = "the model is not blessed"
        output.set_int_custom_property("pushed", int(not reason))
        if reason:
            output.set_string_custom_property("reason", reason)
            return
        target = _next(exec_properties["destination"])
        part = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.part")
        if fileio.exists(part):
            fileio.rmtree(part)
        # Neighbours of every product are for batch jobs, which read the run's artifact.
        _copy(index.uri, part, without=NEIGHBOURS)
        _copy(path_utils.serving_model_path(model.uri), os.path.join(part, PUSHED_MODEL))
        fileio.rename(part, target)
        output.set_string_custom_property("pushed_destination", target)
        output.set_string_custom_property("index", index.uri)


def _next(destination: str) -> str:
    """A folder that is not there yet, named by the time, higher than all that are."""
    fileio.makedirs(destination)
    known = [int(name) for name in map(os.path.basename, fileio.listdir(destination)) if name.isdigit()]
    return os.path.join(destination, str(max(int(time.time()), max(known, default=0) + 1)))


def _copy(source: str, target: str, without: str | None = None) -> None:
    for folder, folders, files in fileio.walk(source):
        if folder == source and without in folders:
            folders.remove(without)
        elif without is not None and os.path.relpath(folder, source).split(os.sep)[0] == without:
            continue  # where walking does not heed the list
        to = os.path.normpath(os.path.join(target, os.path.relpath(folder, source)))
        fileio.makedirs(to)
        for name in files:
            fileio.copy(os.path.join(folder, name), os.path.join(to, name), overwrite=True)
