"""Puts a fingerprint of all input files into the execution's properties, and so into TFX's cache key."""

from __future__ import annotations

from pathlib import Path

from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable import data_types
from tfx.proto.orchestration import driver_output_pb2

from modules.examples import LAYOUT
from modules.feeds.files import checksum_of, fingerprint, resolve
from modules.feeds.plan import ExampleSettings
from modules.images.listing import listing_fingerprint


class ProductExampleGenDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Runs before TFX looks into its cache. Components ask for the first base class, the launcher for the second."""

    def __init__(self, metadata_handle: metadata.Metadata):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Raises InputError if a file is missing."""
        properties = execution_info.exec_properties
        output = driver_output_pb2.DriverOutput()
        output.exec_properties["fingerprint"].string_value = input_fingerprint(
            properties["settings_json"], properties["folder"]
        )
        return output


def input_fingerprint(settings_json: str, folder: str) -> str:
    """Changes with the content of any feed, label, rule or taxonomy file that the settings name, and with what examples
    hold.

    With images also with the listing (names, sizes, times) of those below the folder; with encoders with their files.
    """
    settings = ExampleSettings.model_validate_json(settings_json)
    feed_files = [file.path for file in settings.feed_files(folder)]
    files_fingerprint = fingerprint([*feed_files, *settings.side_files(folder)], folder)
    parts = [f"layout {LAYOUT}", files_fingerprint]
    if settings.feed.images is not None:
        parts.append(listing_fingerprint(folder))
    encoders = sorted({resolve(folder, own.encoder) for own in settings.encodings.values()})
    parts += [f"encoder {checksum_of(Path(encoder))}" for encoder in encoders]
    return ",".join(parts)
