"""An artifact as Kubeflow's driver describes it, in the forms that 2.x, 3.0 and Vertex AI give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def schema_title(kind: Mapping[str, Any] | None) -> str:
    """Title of an artifact's type; empty where there is none.

    Args:
      kind: an ArtifactTypeSchema in JSON. Its ``schemaTitle`` is a title, or (in 3.0, for types that are not Kubeflow's
        own) the whole schema document in YAML or JSON. Its ``instanceSchema`` is such a document, empty for inputs in
        2.x.
    """
    for name in ("schemaTitle", "instanceSchema"):
        title = title_of((kind or {}).get(name))
        if title:
            return title
    return ""


def title_of(text: object) -> str:
    """The title that a text is, or that a schema document in YAML or JSON has; empty where there is none."""
    try:
        document = yaml.safe_load(text) if isinstance(text, str) else None
    except yaml.YAMLError:
        return ""
    title = document.get("title") if isinstance(document, dict) else document
    return title if isinstance(title, str) else ""


def addresses(artifact: Mapping[str, Any]) -> list[str]:
    """Where an artifact lies: its ``uri`` is one address, a list of them, or absent, null or empty."""
    given = artifact.get("uri")
    return [
        address for address in (given if isinstance(given, list) else [given]) if isinstance(address, str) and address
    ]
