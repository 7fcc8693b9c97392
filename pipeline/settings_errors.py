"""Pydantic's findings in plain sentences: what was expected is read from the settings' own JSON Schema."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pydantic import ValidationError

from modules.errors import Problem
from modules.plugins import UNKNOWN_KIND
from modules.settings.base import Settings, as_yaml
from modules.settings.workflow import ContradictionError, Workflow
from modules.taxonomy.documents import dotted
from pipeline.yaml_tree import KeyPath

Place = Callable[[KeyPath], tuple[str, int | None]]

# A contradiction is only believed where none of what it depends on was itself wrong.
_DEPENDS: dict[str, tuple[KeyPath, ...]] = {
    "features": (("features",), ("feed", "fields"), ("feeds",), ("training", "solver")),
    "objectives": (("objectives",), ("rules",), ("training", "solver")),
    "labels": (("labels",), ("feed", "fields"), ("feeds",), ("objectives",)),
    "taxonomy": (("taxonomy",), ("feed", "fields"), ("feeds",)),
    "evaluation": (("evaluation",), ("objectives",)),
    "model": (("model",), ("training", "solver"), ("features",)),
    "training": (("training",), ("model", "kind"), ("objectives",)),
    "committee": (("committee",), ("model",), ("training",)),
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


SettingsT = TypeVar("SettingsT", bound=Settings)


@overload
def validate_data(data: dict[str, Any], place: Place) -> tuple[Workflow | None, list[Problem]]: ...


@overload
def validate_data(
    data: dict[str, Any], place: Place, settings: type[SettingsT]
) -> tuple[SettingsT | None, list[Problem]]: ...


def validate_data(
    data: dict[str, Any], place: Place, settings: type[Settings] = Workflow
) -> tuple[Settings | None, list[Problem]]:
    """The settings, a workflow unless another class is named, or every problem there is: wrong types and values first,
    then contradictions in the rest."""
    findings: list[Finding] = []
    validated: Settings | None = None
    current = data
    for _ in range(3):
        try:
            validated = settings.model_validate(current, strict=True)
            break
        except ValidationError as error:
            new = list(_findings(error, current, settings.model_json_schema()))
        wrong = [finding.prune or finding.path for finding in findings]
        findings += [finding for finding in new if finding not in findings and _independent(finding, wrong)]
        pruned = _without(current, [finding.prune for finding in new if finding.prune])
        if "name" not in pruned and "name" in settings.model_fields:
            pruned = {"name": "workflow", **pruned}
        if pruned == current:
            break
        current = pruned
    if not findings:
        return validated, []
    problems = [_problem(finding, place) for finding in findings]
    return None, sorted(problems, key=lambda problem: (problem.file, problem.line or 0))


def _independent(finding: Finding, wrong: list[KeyPath]) -> bool:
    """False for what only follows from an earlier finding, such as a key that is missing since it was taken out."""
    depends = _DEPENDS.get(str(finding.path[0]), ()) if finding.path and not finding.prune else ()
    return finding.path not in wrong and not any(_overlap(path, d) for path in wrong for d in depends)


def _overlap(path: KeyPath, other: KeyPath) -> bool:
    """Whether one of the two lies inside the other."""
    return all(part == another for part, another in zip(path, other, strict=False))


def _problem(finding: Finding, place: Place) -> Problem:
    file, line = place(finding.path)
    value = as_yaml(finding.value) if finding.has_value else None
    return Problem(file, finding.expected, line=line, key=dotted(finding.path), value=value, hint=finding.hint)


def _findings(error: ValidationError, data: dict[str, Any], schema: dict[str, Any]) -> Iterator[Finding]:
    for item in error.errors(include_url=False):
        path = data_path(item["loc"], data) or tuple(item["loc"])
        kind, value = item["type"], item["input"]
        if kind == "value_error":
            cause = item["ctx"]["error"]
            if isinstance(cause, ContradictionError):
                for problem in cause.problems:
                    hint = _did_you_mean(str(problem.value), problem.expected.partition(": ")[2].split(", "))
                    where, value = _key_path(problem.key, data), problem.value
                    yield Finding(where, problem.expected, value, value is not None, hint)
            else:
                yield Finding(path, str(cause), has_value=False, prune=path)
        elif kind == "extra_forbidden":
            yield _unknown_key(path, value, schema, data)
        elif kind == "missing":
            expected = describe(schema_at(schema, path, data))
            yield Finding(path, f"expected {expected} (this key is required)", has_value=False)
        elif kind in ("union_tag_not_found", "union_tag_invalid"):
            union = _union_at(schema, path, data) or {}
            kinds, where = _kinds(union), (*path, union["discriminator"]["propertyName"])
            written = kind == "union_tag_invalid"
            tag = _value_at(data, where)
            hint = _did_you_mean(str(tag), kinds) if written else ""
            yield Finding(where, f"expected one of: {', '.join(kinds)}", tag, written, hint, prune=path)
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


def _unknown_key(path: KeyPath, value: Any, schema: dict[str, Any], data: Any) -> Finding:
    """A key that there is not: of another kind of the same union, misspelled, or of nothing at all."""
    *above, key = path
    parent, union = tuple(above), _union_at(schema, tuple(above), data)
    if union is None:
        return Finding(path, "unknown key", value, hint=_nearest(str(key), parent, schema, data), prune=path)
    by_key: dict[str, list[str]] = {}
    for kind in _kinds(union):
        reference = union["discriminator"]["mapping"][kind]
        for name in _resolve(schema, {"$ref": reference}, None).get("properties", {}):
            by_key.setdefault(name, []).append(kind)
    tag, own = union["discriminator"]["propertyName"], _kind_of(union, _value_at(data, parent))
    if key in by_key:
        kinds = f"{tag}: {_either(by_key[key])}"
        expected = f"expected no such key, since {dotted((*parent, tag))} is {own}; only {kinds} has it"
        return Finding(path, expected, value, hint=f"delete {dotted(path)}", prune=path)
    hint = _nearest(str(key), parent, schema, data)
    close = difflib.get_close_matches(str(key), list(by_key), n=1, cutoff=0.6)
    if close and own not in by_key[close[0]]:
        hint = f"did you mean {dotted((*parent, close[0]))!r}? Only {tag}: {_either(by_key[close[0]])} has it"
    return Finding(path, "unknown key", value, hint=hint, prune=path)


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _value_at(data: Any, path: KeyPath) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


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
    """Pydantic's location without what is no key of the data: the tags of unions and ``[key]``."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        if part == "[key]":
            continue
        is_last = position == len(loc) - 1
        if isinstance(data, dict) and part not in data and not is_last:
            continue
        path.append(part)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(path)


def schema_at(schema: dict[str, Any], path: KeyPath, data: Any = None) -> dict[str, Any]:
    """The JSON Schema node of the setting at ``path``; ``data`` picks the member of a union by its tag."""
    return _resolve(schema, _node_at(schema, path, data), _value_at(data, path))


def _union_at(schema: dict[str, Any], path: KeyPath, data: Any) -> dict[str, Any] | None:
    """The node of the discriminated union at ``path``, whichever member ``data`` picks; None where there is none."""
    node = _resolve(schema, _node_at(schema, path, data), None)
    nodes = [_resolve(schema, member, None) for member in node.get("anyOf", [node])]
    return next((member for member in nodes if "discriminator" in member), None)


def _node_at(schema: dict[str, Any], path: KeyPath, data: Any) -> dict[str, Any]:
    """The node at ``path``, as it stands there."""
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
        data = _value_at(data, (part,))
    return node


def _resolve(schema: dict[str, Any], node: dict[str, Any], data: Any) -> dict[str, Any]:
    for _ in range(10):
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        elif "discriminator" in node and isinstance(data, dict) and _kind_of(node, data) in _kinds(node):
            node = {"$ref": node["discriminator"]["mapping"][_kind_of(node, data)]}
        elif "anyOf" in node and isinstance(data, (dict, tuple)):
            wanted = "object" if isinstance(data, dict) else "array"
            members = [_resolve(schema, member, data) for member in node["anyOf"]]
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
    """The tags of a discriminated union, in the order of its members: pydantic sorts its mapping by name."""
    kind_of = {reference: kind for kind, reference in node.get("discriminator", {}).get("mapping", {}).items()}
    return [kind_of[member["$ref"]] for member in node.get("oneOf", ()) if member.get("$ref") in kind_of]


def _kind_of(union: dict[str, Any], data: Any) -> Any:
    """The tag of ``data``, or the one that it has where it says none."""
    discriminator = union["discriminator"]
    tag = data.get(discriminator["propertyName"]) if isinstance(data, dict) else None
    if tag is not None:
        return tag
    default = discriminator.get("defaultMapping")
    return next((kind for kind, reference in discriminator["mapping"].items() if reference == default), None)


def _did_you_mean(value: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(value, choices, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _nearest(key: str, parent: KeyPath, schema: dict[str, Any], data: Any) -> str:
    """The nearest key in the same place, else the same key in another section, else what there is."""
    known = list(schema_at(schema, parent, data).get("properties", {}))
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {dotted((*parent, close[0]))!r}?"
    elsewhere = [path for path in _all_keys(schema, schema, ()) if path[-1] == key]
    if elsewhere:
        shortest = min(elsewhere, key=len)
        return f"did you mean {dotted(shortest)!r}?"
    return f"known here: {', '.join(known)}" if known else ""


def _all_keys(schema: dict[str, Any], node: dict[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    for key, child in _resolve(schema, node, None).get("properties", {}).items():
        yield (*path, key)
        if len(path) < 4:
            for member in child.get("anyOf") or child.get("oneOf") or [child]:
                if "$ref" in member:
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


def describe(node: dict[str, Any]) -> str:  # noqa: PLR0911 - one for each kind of node
    """A JSON Schema node as the end of the sentence "expected ..."."""
    if "const" in node:
        return f"{node['const']}"
    if "enum" in node:
        return "one of: " + ", ".join(str(choice) for choice in node["enum"])
    if "anyOf" in node:
        return " or ".join(describe(member) for member in node["anyOf"])
    if "discriminator" in node:
        return f"a mapping with {node['discriminator']['propertyName']}: {', '.join(_kinds(node))}"
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
