"""Copies index and model as one version: a server sees both or neither."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact_utils
from tfx.utils import io_utils, path_utils

from components.pusher.versions import next_version, remove_old_parts
from modules.similarity.folder import files_of
from modules.similarity.identity import fingerprint
from modules.similarity.make import NEIGHBOURS, PUSHED_MODEL
from modules.similarity.version import VERSION_FILE, version_text
from modules.versions import PART, open_part, settle


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
        remove_old_parts(destination)
        in_store = "://" in destination
        target = next_version(destination)
        part = f"{destination}/.{os.path.basename(target)}{PART}" if in_store else open_part(destination)
        source = index.uri.rstrip("/")
        # Neighbours of every product are for batch jobs, which read the run's artifact.
        io_utils.copy_dir(source, part, deny_regex_patterns=[f"^{re.escape(source)}/{NEIGHBOURS}(/|$)"])
        io_utils.copy_dir(serving, f"{part}/{PUSHED_MODEL}")
        # The sources' files: a copy that went wrong is seen as well.
        files = files_of(Path(source), without=[NEIGHBOURS]) | files_of(Path(serving), prefix=f"{PUSHED_MODEL}/")
        with fileio.open(f"{part}/{VERSION_FILE}", "w") as file:
            file.write(version_text(files))
        if in_store:
            fileio.rename(part, target)
        else:
            target = settle(part, destination)
        output.set_string_custom_property("pushed_destination", target)
        output.set_string_custom_property("index", index.uri)
