"""The JSON Schema in schemas/ says what the settings say."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from pipeline import workflow_schema
from pipeline.workflow_file import DEMO_WORKFLOW
from pipeline.yaml_tree import read_tree

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def fits(value: Any, node: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether ``value`` is valid: the part of draft 2020-12 that the schema uses."""
    if "$ref" in node:
        return fits(value, root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    if "oneOf" in node:
        return sum(fits(value, member, root) for member in node["oneOf"]) == 1
    if "anyOf" in node:
        return any(fits(value, member, root) for member in node["anyOf"])
    if ("enum" in node and value not in node["enum"]) or ("const" in node and value != node["const"]):
        return False
    kind = node.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return False
    if kind == "object":
        allowed, patterns = node.get("properties", {}), node.get("patternProperties", {})
        others = node.get("additionalProperties", {})
        if any(key not in value for key in node.get("required", ())):
            return False
        for key, item in value.items():
            matching = [child for pattern, child in patterns.items() if re.search(pattern, key)]
            child = allowed.get(key) or (matching[0] if matching else others)
            if child is False or not fits(item, child, root):
                return False
    if kind == "array":
        prefix = node.get("prefixItems", [])
        if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
            return False
        children = [*prefix, *[node.get("items", {})] * (len(value) - len(prefix))]
        return all(fits(item, child, root) for item, child in zip(value, children, strict=False))
    if kind == "string":
        long_enough = node.get("minLength", 0) <= len(value) <= node.get("maxLength", len(value))
        return long_enough and re.search(node.get("pattern", ""), value) is not None
    if kind in ("integer", "number"):
        inside = node.get("minimum", value) <= value <= node.get("maximum", value)
        return (
            inside
            and node.get("exclusiveMinimum", value - 1) < value
            and value < node.get("exclusiveMaximum", value + 1)
        )
    return True


def test_it_is_current() -> None:
    text = workflow_schema.PATH.read_text("utf-8")
    assert text == workflow_schema.schema_text(), "out of date: run `python -m pipeline.workflow_schema`"


@pytest.mark.parametrize("path", sorted(DEMO_WORKFLOW.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_it_takes_the_shipped_workflows(path: Any) -> None:
    schema = json.loads(workflow_schema.PATH.read_text("utf-8"))
    assert fits(json.loads(json.dumps(read_tree(path.read_text("utf-8"), str(path)).data)), schema, schema)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "Big"},
        {"name": "x", "trainig": {}},
        {"name": "x", "objectives": {"Big": {"kind": "exclusive"}}},
        {"name": "x", "features": {"title": {"vocabulary": 5}}},
        {"name": "x", "features": {"title": {"kind": "text", "vocabulary": 0}}},
        {"name": "x", "training": {"epochs": True}},
        {"name": "x", "model": {"hidden": [0]}},
    ],
)
def test_it_refuses_what_the_settings_refuse(wrong: dict[str, Any]) -> None:
    schema = workflow_schema.workflow_schema()
    assert not fits(wrong, schema, schema)


def described(schema: dict[str, Any], node: dict[str, Any]) -> bool:
    """Whether an editor has a sentence to show at a key: its own, or those of all settings that it may hold."""
    text = node.get("description", "")
    if text:
        return text[0] in "`0123456789" or (text[0].isupper() and text.rstrip().endswith(".") and len(text.split()) > 3)
    references = [own["$ref"] for own in (node, *node.get("anyOf", ())) if "$ref" in own]
    return bool(references) and all(
        described(schema, {"description": schema["$defs"][reference.rsplit("/", 1)[-1]].get("description", "")})
        for reference in references
    )


def test_every_setting_says_what_it_is() -> None:
    schema = workflow_schema.workflow_schema()
    nodes = {"workflow": schema, **schema["$defs"]}
    silent = [
        f"{name}.{key}"
        for name, node in nodes.items()
        for key, own in node.get("properties", {}).items()
        if not described(schema, own)
    ]
    assert len(nodes) > 50 and not silent, "write a sentence under each: " + ", ".join(silent)
