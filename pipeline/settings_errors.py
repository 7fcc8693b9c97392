"""Pydantic's findings in plain sentences: what was expected is read from the settings' own JSON Schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from modules.errors import Problem
from modules.plugins import UNKNOWN_KIND
from modules.settings.workflow import ContradictionError, Workflow
from modules.taxonomy.documents import dotted
from pipeline.yaml_tree import KeyPath

Place = Callable[[KeyPath], tuple[str, int | None]]

# A contradiction is only believed where none of what it depends on was itself wrong.
_DEPENDS: dict[str, tuple[KeyPath, ...]] = {
    "features": (("features",), ("feed", "fields")),
    "objectives": (("objectives",), ("rules",)),
    "labels": (("labels",), ("feed", "fields"), ("objectives",)),
    "taxonomy": (("taxonomy",), ("feed", "fields")),
    "evaluation": (("evaluation",), ("objectives",)),
    "training": (("training",), ("objectives",)),
    "tuning": (("tuning",), ("model",), ("training",), ("objectives",), ("committee",)),
}


@dataclass(frozen=True)
class Finding:
    """One mistake at one path of the data."""

    path: KeyPath
    expected: str
    value: Any = None
    has_value: bool = True
    hint: str = ""
    prune: KeyPath = ()
    """What to take out of the data to see what else is wrong; empty: nothing."""


def validate_data(data: dict[str, Any], place: Place) -> tuple[Workflow | None, list[Problem]]:
    """The workflow, or every problem there is: wrong types and values first, then contradictions in the rest."""
    findings: list[Finding] = []
    workflow: Workflow | None = None
    current = data
    for _ in range(3):
        try:
            workflow = Workflow.model_validate(current, strict=True)
            break
        except ValidationError as error:
            new = list(_findings(error, current))
        wrong = [finding.prune or finding.path for finding in findings]
        findings += [finding for finding in new if finding not in findings and _independent(finding, wrong)]
        pruned = _without(current, [finding.prune for finding in new if finding.prune])
        if "name" not in pruned:
            pruned = {"name": "workflow", **pruned}
        if pruned == current:
            break
        current = pruned
    if not findings:
        return workflow, []
    problems = [_problem(finding, place) for finding in findings]
    return None, sorted(problems, key=lambda problem: (problem.file, problem.line or 0))


def _independent(finding: Finding, wrong: list[KeyPath]) -> bool:
    """False for what only follows from an earlier finding, such as a key that is missing since it was taken out."""
    depends = _DEPENDS.get(str(finding.path[0]), ()) if finding.path and not finding.prune else ()
    return finding.path not in wrong and not any(path[: len(d)] == d for path in wrong for d in depends)


def _problem(finding: Finding, place: Place) -> Problem:
    file, line = place(finding.path)
    value = _text(finding.value) if finding.has_value else None
    return Problem(file, finding.expected, line=line, key=dotted(finding.path), value=value, hint=finding.hint)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(item) for item in value) + "]"
    return str(value)


def _findings(error: ValidationError, data: dict[str, Any]) -> Iterator[Finding]:
    schema = Workflow.model_json_schema()
    for item in error.errors(include_url=False):
        path = data_path(item["loc"], data) or tuple(item["loc"])
        kind, value = item["type"], item["input"]
        if kind == "value_error":
            cause = item["ctx"]["error"]
            if isinstance(cause, ContradictionError):
                for key, given, expected in cause.found:
                    given = None if given == "" else given
                    hint = _did_you_mean(str(given), expected.partition(": ")[2].split(", "))
                    yield Finding(_key_path(key, data), f"expected {expected}", given, given is not None, hint)
            else:
                yield Finding(path, str(cause), has_value=False, prune=path)
        elif kind == "extra_forbidden":
            known = list(schema_at(schema, path[:-1], data).get("properties", {}))
            hint = _nearest(str(path[-1]), path[:-1], known, schema)
            yield Finding(path, "unknown key", value, hint=hint, prune=path)
        elif kind == "missing":
            expected = describe(schema_at(schema, path, data))
            yield Finding(path, f"expected {expected} (this key is required)", has_value=False)
        elif kind in ("union_tag_not_found", "union_tag_invalid"):
            kinds = _kinds(schema_at(schema, path, data))
            tag = item["ctx"].get("tag")
            hint = _did_you_mean(str(tag), kinds) if tag is not None else ""
            expected = f"expected one of: {', '.join(kinds)}"
            yield Finding((*path, "kind"), expected, tag, tag is not None, hint, prune=path)
        elif kind == UNKNOWN_KIND:
            tag = item["ctx"]["tag"]
            where = (*path, "kind") if isinstance(value, dict) else path
            yield Finding(where, item["msg"], tag, hint=_did_you_mean(tag, item["ctx"]["kinds"]), prune=path)
        elif item["loc"][-1:] == ("[key]",):
            pattern = item.get("ctx", {}).get("pattern", "")
            expected = f"expected a name that matches {pattern}" if pattern else "expected another name"
            yield Finding(path, expected, str(path[-1]), prune=path)
        else:
            node = schema_at(schema, path, data)
            choices = [str(choice) for choice in node.get("enum", ())]
            hint = _did_you_mean(str(value), choices)
            # The schema knows nothing of the settings of what an entry point provides.
            expected = f"expected {describe(node)}" if node else item["msg"].replace("Input should be", "expected")
            yield Finding(path, expected, value, hint=hint, prune=path)


def _key_path(key: str, data: Any) -> KeyPath:
    """The path of a dotted key; names in the data may have dots of their own."""
    parts = key.split(".")
    path: list[str | int] = []
    while parts:
        names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        name: str | int = next((name for name in names if isinstance(data, dict) and name in data), parts[0])
        parts = parts[str(name).count(".") + 1 :]
        if isinstance(data, tuple) and str(name).isdecimal():
            name = int(name)
        path.append(name)
        try:
            data = data[name]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(path)


def data_path(loc: tuple[int | str, ...], data: Any) -> KeyPath:
    """Pydantic's location without what is no key of the data: the kinds of unions and ``[key]``."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        if part == "[key]":
            continue
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and part not in data and data.get("kind") == part and not is_last:
            continue
        path.append(part)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(path)


def schema_at(schema: dict[str, Any], path: KeyPath, data: Any = None) -> dict[str, Any]:
    """The JSON Schema node of the setting at ``path``; ``data`` picks the member of a union by its ``kind``."""
    node = schema
    for part in path:
        node = _resolve(schema, node, data)
        if isinstance(part, int):
            prefix = node.get("prefixItems", ())
            node = prefix[part] if part < len(prefix) else node.get("items") or {}
        else:
            named = node.get("properties", {})
            others: dict[str, Any]
            others = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), {})
            node = named.get(part, others)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return _resolve(schema, node, data)


def _resolve(schema: dict[str, Any], node: dict[str, Any], data: Any) -> dict[str, Any]:
    for _ in range(10):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        elif "discriminator" in node and isinstance(data, dict) and data.get("kind") in _kinds(node):
            node = {"$ref": node["discriminator"]["mapping"][data["kind"]]}
        elif "anyOf" in node and isinstance(data, (dict, tuple)):
            wanted = "object" if isinstance(data, dict) else "array"
            members = [_resolve(schema, member, None) for member in node["anyOf"]]
            fitting = [member for member in members if member.get("type") == wanted]
            if not fitting:
                return node
            node = fitting[0]
        elif node.get("allOf") and len(node["allOf"]) == 1:
            node = node["allOf"][0]
        else:
            break
    return node


def _kinds(node: dict[str, Any]) -> list[str]:
    return list(node.get("discriminator", {}).get("mapping", {}))


def _did_you_mean(value: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(value, choices, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _nearest(key: str, parent: KeyPath, known: list[str], schema: dict[str, Any]) -> str:
    """The nearest key in the same place, else the same key in another section, else what there is."""
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {dotted((*parent, close[0]))!r}?"
    for path in _all_keys(schema, schema, ()):
        if path[-1] == key:
            return f"did you mean {dotted(path)!r}?"
    return f"known here: {', '.join(known)}" if known else ""


def _all_keys(schema: dict[str, Any], node: dict[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    for key, child in _resolve(schema, node, None).get("properties", {}).items():
        yield (*path, key)
        if len(path) < 4:
            inner = [c for c in child.get("anyOf", [child]) if "$ref" in c]
            for member in inner:
                yield from _all_keys(schema, member, (*path, key))


def _without(data: Any, paths: list[KeyPath]) -> Any:
    """A copy of ``data`` in which the values at ``paths`` are left out."""
    here = {path[0] for path in paths if len(path) == 1}
    deeper: dict[str | int, list[KeyPath]] = {}
    for path in paths:
        if len(path) > 1:
            deeper.setdefault(path[0], []).append(path[1:])
    if isinstance(data, dict):
        return {k: _without(v, deeper.get(k, [])) for k, v in data.items() if k not in here}
    if isinstance(data, tuple):
        return tuple(_without(v, deeper.get(i, [])) for i, v in enumerate(data) if i not in here)
    return data


def describe(node: dict[str, Any]) -> str:
    """A JSON Schema node as the end of the sentence "expected ..."."""
    if "const" in node:
        return f"{node['const']}"
    if "enum" in node:
        return "one of: " + ", ".join(str(choice) for choice in node["enum"])
    if "anyOf" in node:
        return " or ".join(describe(member) for member in node["anyOf"])
    if "discriminator" in node:
        return f"a mapping with kind: {', '.join(_kinds(node))}"
    kind = node.get("type")
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + _bounds(node)
    if kind == "string":
        if "pattern" in node:
            return f"text that matches {node['pattern']}"
        if node.get("minLength") == node.get("maxLength") == 1:
            return "a single character"
        return "text"
    if kind == "array":
        if "prefixItems" in node:
            return f"a list of {len(node['prefixItems'])}: " + ", ".join(describe(i) for i in node["prefixItems"])
        items = node.get("items", {})
        return "a list, each item " + describe(items) if items and "$ref" not in items else "a list"
    if kind == "boolean":
        return "true or false"
    if kind == "null":
        return "null"
    return "a mapping of keys to values"


def _bounds(node: dict[str, Any]) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    parts = []
    if low is not None:
        parts.append(f"of at least {low:g}")
    if above is not None:
        parts.append(f"above {above:g}")
    if high is not None:
        parts.append(f"of at most {high:,}" if isinstance(high, int) else f"of at most {high:g}")
    if below is not None:
        parts.append(f"below {below:,}" if isinstance(below, int) else f"below {below:g}")
    return " " + " and ".join(parts) if parts else ""
