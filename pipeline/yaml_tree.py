"""Settings in YAML: plain data on one side, the path of every key and its line on the other.

Scalars follow YAML 1.2's core schema, so that ``on`` and ``no`` are words and ``2e-3`` is a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from modules.errors import InputError, Problem
from modules.taxonomy.documents import Complaints, Node, dotted, parse_yaml

MAX_BYTES = 1_048_576
MAX_VALUES = 100_000
MAX_DIGITS = 100
"""Python writes no number of thousands of digits, and no setting takes one."""

KeyPath = tuple[str | int, ...]

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass
class YamlTree:
    """Parsed YAML.

    Attributes:
      data: mappings as dicts with text keys, lists as tuples, scalars as Python values.
      lines: path of every key and list item to its 1-based line.
      problems: what is wrong with single values (duplicate keys, tags, numbers that are too long).
    """

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line_of(self, path: KeyPath) -> int | None:
        """The line of the key at ``path``, or of the nearest key around it; None if there is none."""
        return next((self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines), None)


def read_tree(text: str, file: str) -> YamlTree:
    """The settings in one YAML document.

    Raises:
      InputError: the text is no YAML, is nested too deeply or too large; anything milder is in ``problems``.
    """
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise InputError(Problem(file, f"expected at most {MAX_BYTES:,} bytes"))
    complaints = Complaints(file)
    root = parse_yaml(text, complaints, MAX_VALUES)
    tree = YamlTree(problems=complaints.problems)
    tree.data = _value(root, (), tree.lines, complaints)
    return tree


def _value(node: Node, path: KeyPath, lines: dict[KeyPath, int], complaints: Complaints) -> Any:
    if path:
        lines[path] = node.line
    if node.entries is not None:
        return {key: _value(value, (*path, key), lines, complaints) for key, value in node.entries.items()}
    if node.items is not None:
        return tuple(_value(item, (*path, index), lines, complaints) for index, item in enumerate(node.items))
    text = node.text or ""
    if node.is_null:
        return None
    if not node.plain:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        if len(text) > MAX_DIGITS:
            expected = f"expected a number of at most {MAX_DIGITS} digits"
            complaints.add(expected, node.line, dotted(path), text)
            return None
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan")) if _FLOAT.fullmatch(text) else text
