"""The workflow file's JSON Schema, for editors and other tools: ``python -m pipeline.workflow_schema`` writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modules.settings.workflow import Workflow

PATH = Path(__file__).resolve().parents[1] / "schemas" / "workflow.schema.json"


def workflow_schema() -> dict[str, Any]:
    """The schema (draft 2020-12); it cannot say that two settings contradict each other."""
    schema = Workflow.model_json_schema()
    schema["title"] = "Shelfmark workflow"
    _tighten(schema, schema)
    _describe_tags(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _tighten(schema: dict[str, Any], node: Any) -> None:
    """A union's tag is required, except in the member that is the default; keys beside a pattern are errors."""
    if isinstance(node, dict):
        if "patternProperties" in node:
            node["additionalProperties"] = False
        if isinstance(discriminator := node.get("discriminator"), dict) and "mapping" in discriminator:
            for reference in discriminator["mapping"].values():
                if reference != discriminator.get("defaultMapping"):
                    member = schema["$defs"][reference.rsplit("/", 1)[-1]]
                    member["required"] = sorted({*member.get("required", ()), discriminator["propertyName"]})
        for child in node.values():
            _tighten(schema, child)
    elif isinstance(node, list):
        for child in node:
            _tighten(schema, child)


def _describe_tags(schema: dict[str, Any]) -> None:
    """What a union's member is for is shown at its tag as well, where an editor asks."""
    for node in schema["$defs"].values():
        for own in node.get("properties", {}).values():
            if "const" in own and "description" in node:
                own.setdefault("description", node["description"])


def schema_text() -> str:
    """The file's text."""
    return json.dumps(workflow_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_text(), "utf-8")
    print(PATH)
