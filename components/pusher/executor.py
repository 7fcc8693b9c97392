"""Pushes into a temporary folder beside the versions, and gives it its number when it is whole."""

from __future__ import annotations

import os
import shutil
from typing import Any

from tfx.components.pusher import executor
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils
from tfx.utils import proto_utils

from components.pusher.versions import remove_old_parts
from modules.versions import open_part, settle

_DESTINATION = "pushed_destination"
_VERSION = "pushed_version"


class WholePusherExecutor(executor.Executor):
    """As TFX's, which copies file by file to where servers look.

    A folder of an object store cannot be renamed at once, so there TFX's own order holds: the file by which servers
    know a model comes last.
    """

    def Do(self, input_dict: dict[str, Any], output_dict: dict[str, Any], exec_properties: dict[str, Any]) -> None:
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        base = destination.filesystem.base_directory.rstrip("/")
        if "://" in base or not self.CheckBlessing(input_dict):
            super().Do(input_dict, output_dict, exec_properties)
            return
        part = open_part(base)
        try:
            remove_old_parts(base)
            destination.filesystem.base_directory = part
            properties = {**exec_properties, "push_destination": proto_utils.proto_to_json(destination)}
            super().Do(input_dict, output_dict, properties)
            pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
            target = settle(pushed.get_string_custom_property(_DESTINATION), base)
            pushed.set_string_custom_property(_DESTINATION, target)
            pushed.set_string_custom_property(_VERSION, os.path.basename(target))
        finally:
            shutil.rmtree(part, ignore_errors=True)
