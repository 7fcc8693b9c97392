"""YAML read with a place for every key: plain data on one side, dotted path to line on the other.

Scalars follow YAML 1.2's core schema, so that ``on`` and ``no`` are words and ``2e-3`` is a number. Nothing but
mappings, lists and scalars is built: a tag such as ``!!python/object`` is an error, never a call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from modules.errors import InputError, Problem, reason

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml: the same, slower
    from yaml import SafeLoader as _SafeLoader  # type: ignore[assignment]

MAX_BYTES = 1_048_576
MAX_DEPTH = 40
MAX_NODES = 100_000
MAX_DIGITS = 100
"""Python writes no number of thousands of digits, and no setting takes one."""

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"


class _CoreLoader(_SafeLoader):
    """Resolves plain scalars as YAML 1.2's core schema does."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _name, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern), _first)


@dataclass
class YamlTree:
    """Parsed YAML.

    Attributes:
      data: mappings as dicts with text keys, lists as tuples, scalars as Python values.
      lines: path of every key and list item to its 1-based line.
      problems: what is wrong with the YAML itself (duplicate keys, tags, aliases that explode).
    """

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def parse_yaml(text: str, file: str) -> YamlTree:
    """Parses one YAML document; raises InputError where it is no YAML, collects everything milder in ``problems``."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InputError(Problem(file, f"at most {MAX_BYTES:,} bytes"))
    try:
        _check_shape(text, file)
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise InputError(Problem(file, f"YAML that parses: {what}", line=mark.line + 1 if mark else None)) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(file, f"YAML that parses: {reason(error)}")) from None
    tree = YamlTree()
    if node is not None:
        _Builder(tree, file).build(node)
    return tree


def _check_shape(text: str, file: str) -> None:
    """Composing recurses in C: the depth is checked first, over the flat stream of events."""
    depth = 0
    for event in yaml.parse(text, Loader=_CoreLoader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else None
                raise InputError(Problem(file, f"at most {MAX_DEPTH} levels of nesting", line=line))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1


class _Builder:
    """Turns nodes into data. Aliases are followed, so nodes are counted as often as they are visited."""

    def __init__(self, tree: YamlTree, file: str):
        self.tree = tree
        self.file = file
        self.visited = 0

    def build(self, node: yaml.Node) -> None:
        self.tree.data = self._value(node, ())

    def _problem(self, node: yaml.Node, path: KeyPath, expected: str, value: str | None = None) -> None:
        line = node.start_mark.line + 1
        self.tree.problems.append(Problem(self.file, expected, line=line, key=dotted(path), value=value))

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self.visited += 1
        if self.visited > MAX_NODES or len(path) > MAX_DEPTH:
            problem = Problem(
                self.file, f"at most {MAX_NODES:,} values, {MAX_DEPTH} levels deep, with aliases written out",
                line=node.start_mark.line + 1, key=dotted(path[:3]),
            )  # fmt: skip
            raise InputError(problem)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self.tree.lines[(*path, index)] = item.start_mark.line + 1
                items.append(self._value(item, (*path, index)))
            return tuple(items)
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "keys that are plain text")
                continue
            key = key_node.value
            if key in data:
                first = self.tree.lines[(*path, key)]
                self._problem(key_node, (*path, key), f"each key once; it stands on line {first} already")
                continue
            self.tree.lines[(*path, key)] = key_node.start_mark.line + 1
            data[key] = self._value(value_node, (*path, key))
        return data

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        tag, text = node.tag.removeprefix(_TAG), node.value
        try:
            if tag == "str":
                return text
            if tag == "null":
                return None
            if tag == "bool":
                return {"true": True, "false": False}[text.lower()]
            if tag == "int":
                if len(text) > MAX_DIGITS:
                    raise ValueError
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if tag == "float":
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        except (KeyError, ValueError):
            self._problem(node, path, f"a value of type {tag}", text)
            return None
        self._problem(node, path, "a plain value; tags are not used here", node.tag)
        return None


def dotted(path: KeyPath) -> str:
    """``("features", "title", "ngrams", 0)`` as ``features.title.ngrams[0]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text
