"""Values for a package's run parameters, from texts. Light: no TFX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from modules.errors import InputError, Problem
from modules.taxonomy.documents import did_you_mean

_OPTION = "--parameter"
_KINDS: dict[str, tuple[type, str]] = {
    "NUMBER_INTEGER": (int, "a whole number"),
    "NUMBER_DOUBLE": (float, "a number"),
    "STRING": (str, "a text"),
}


def run_values(package: Path, given: list[str]) -> dict[str, Any]:
    """Reads ``NAME=VALUE`` texts.

    Raises:
      InputError: the package cannot be read, or a name or value that it does not declare.
    """
    declared = _declared(package)
    values: dict[str, Any] = {}
    problems = []
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in declared:
            expected = f"NAME=VALUE with one of: {', '.join(sorted(declared))}"
            problems.append(Problem(_OPTION, expected, value=text, hint=did_you_mean(name, list(declared))))
            continue
        kind = declared[name].get("parameterType", "STRING")
        try:
            values[name] = _BOOLEANS[value.lower()] if kind == "BOOLEAN" else _KINDS[kind][0](value)
        except (ValueError, KeyError):
            expected = "true or false" if kind == "BOOLEAN" else _KINDS[kind][1]
            problems.append(Problem(_OPTION, expected, key=name, value=value))
    if problems:
        raise InputError(problems)
    return values


_BOOLEANS = {"true": True, "false": False}


def _declared(package: Path) -> dict[str, Any]:
    try:
        with package.open(encoding="utf-8") as file:
            spec = next(yaml.load_all(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
        found: dict[str, Any] = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        return found
    except OSError as error:
        raise InputError(Problem(str(package), f"expected a package: {error.strerror}")) from None
    except (yaml.YAMLError, StopIteration, KeyError, TypeError, AttributeError, UnicodeDecodeError):
        hint = "`shelfmark compile` writes one"
        raise InputError(Problem(str(package), "expected a pipeline package in YAML", hint=hint)) from None
