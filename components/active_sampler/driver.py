"""Puts a fingerprint of labels and queue into the execution's properties, and so into TFX's cache key."""

from __future__ import annotations

import json

from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from modules.feeds.files import fingerprint, resolve
from modules.feeds.ids import LabelIds


class ActiveSamplerDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Runs before TFX looks into its cache. Components ask for the first base class, the launcher for the second."""

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Resolves inputs as every component does; raises InputError if a file is missing."""
        output = driver_output_pb2.DriverOutput()
        files, queue = label_files(execution_info.exec_properties["labels"])
        output.exec_properties["fingerprint"].string_value = fingerprint([*files, *([queue] if queue else [])])
        return output


def label_files(labels: str) -> tuple[list[str], str | None]:
    """Full names of the label files and the queue that the component's ``labels`` parameter names."""
    given = json.loads(labels)
    files = [resolve(given["folder"], name) for name in given["files"]]
    return files, resolve(given["folder"], given["queue"]) if given["queue"] else None


def label_ids(labels: str) -> LabelIds:
    """Which product an id in these files means."""
    return LabelIds(tuple(json.loads(labels)["retailers"]))
