"""Copies index and model as one version: a server sees both or neither."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from modules.similarity.identity import fingerprint
from modules.similarity.make import NEIGHBOURS, PUSHED_MODEL

_PART = ".part"
_OLD = 24 * 60 * 60
"""Seconds after which no push still writes."""


class IndexPusherExecutor(base_executor.BaseExecutor):
    """Leaves an artifact in any case; its properties say whether something was pushed."""

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        index = artifact_utils.get_single_instance(input_dict["similarity_index"])
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(input_dict["blessing"])
        output = artifact_utils.get_single_instance(output_dict["pushed_index"])
        fileio.makedirs(output.uri)
        serving = path_utils.serving_model_path(model.uri)
        reason = ""
        if index.get_int_custom_property("blessed") != 1:
            reason = "the index is not blessed"
        elif blessing.get_int_custom_property("blessed") != 1:
            reason = "the model is not blessed"
        elif index.get_string_custom_property("model_fingerprint") != fingerprint(serving):
            reason = "the index is of another model's embeddings: queries embedded by this one could not be compared"
        output.set_int_custom_property("pushed", int(not reason))
        if reason:
            output.set_string_custom_property("reason", reason)
            return
        destination = exec_properties["destination"].rstrip("/")
        fileio.makedirs(destination)
        _clean(destination)
        target = _next(destination)
        part = f"{destination}/.{os.path.basename(target)}{_PART}"
        source = index.uri.rstrip("/")
        # Neighbours of every product are for batch jobs, which read the run's artifact.
        io_utils.copy_dir(source, part, deny_regex_patterns=[f"^{re.escape(source)}/{NEIGHBOURS}(/|$)"])
        io_utils.copy_dir(serving, f"{part}/{PUSHED_MODEL}")
        fileio.rename(part, target)
        output.set_string_custom_property("pushed_destination", target)
        output.set_string_custom_property("index", index.uri)


def _next(destination: str) -> str:
    """A folder that is not there yet, named by the time, higher than all that are."""
    known = [int(name) for name in _names(destination) if name.isdigit()]
    return f"{destination}/{max(int(time.time()), max(known, default=0) + 1)}"


def _clean(destination: str) -> None:
    """Removes what pushes that were killed left behind; a young one may be a push that is going on."""
    for name in _names(destination):
        number = name.removeprefix(".").removesuffix(_PART)
        if name == f".{number}{_PART}" and number.isdigit() and int(number) < time.time() - _OLD:
            fileio.rmtree(f"{destination}/{name}")


def _names(folder: str) -> list[str]:
    # Object stores put a slash behind folders.
    return [name.rstrip("/") for name in fileio.listdir(folder)]
