"""What ML Metadata keeps of a step for queries, on an artifact of its own that no step receives.

Kubeflow's driver hands a step the properties of all its inputs in one command line argument, which Linux limits to
131,071 bytes; what grows with categories or picks would keep the step from starting. Its launcher and ML Metadata's
service take messages of 4 MB, so that such texts are packed. Light: no TensorFlow.
"""

from __future__ import annotations

import base64
import bz2
import json
from typing import Any

RECORD_TYPE = "components.Record"
"""Name of :class:`components.artifact_types.Record`."""


def pack(document: Any) -> str:
    """A JSON document as text: base64 of bzip2, which gets columns of digits smaller than zlib and LZMA do."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(bz2.compress(text.encode())).decode("ascii")


def unpack(text: str) -> Any:
    """The document, from :func:`pack`.

    Raises:
      ValueError: it is no such text, or is damaged.
    """
    try:
        return json.loads(bz2.decompress(base64.b64decode(text, validate=True)))
    except OSError as error:
        raise ValueError(f"a packed text of ML Metadata is damaged: {error}") from error


def properties_of(artifact: Any) -> dict[str, int | float | str]:
    """Custom properties of an ``ml_metadata`` artifact."""
    properties: dict[str, int | float | str] = {}
    for name, value in artifact.custom_properties.items():
        kind = value.WhichOneof("value")
        if kind in ("int_value", "double_value", "string_value"):
            properties[name] = getattr(value, kind)
    return properties


def record_of(store: Any, artifact: int) -> dict[str, int | float | str] | None:
    """Properties of the record that was made together with an artifact; None: there is none.

    Args:
      store: an ``ml_metadata.MetadataStore``.
      artifact: id of another output of the step.
    """
    from ml_metadata import errors
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    try:
        kind = store.get_artifact_type(RECORD_TYPE).id
    except errors.NotFoundError:
        return None
    events = store.get_events_by_artifact_ids([artifact])
    made = sorted({event.execution_id for event in events if event.type == pb.Event.OUTPUT})
    if not made:
        return None
    outputs = {event.artifact_id for event in store.get_events_by_execution_ids(made) if event.type == pb.Event.OUTPUT}
    # Ask for one at a time: together the records of many runs would be more than a message of the service holds.
    for other in sorted(outputs - {artifact}):
        for output in store.get_artifacts_by_id([other]):
            if output.type_id == kind:
                return properties_of(output)
    return None
