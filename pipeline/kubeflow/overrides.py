"""Values of a run put into a component's settings, in the pod: the compiler writes them down, the entrypoint does it.

A component's settings are often JSON inside of one execution property, which a run parameter of Kubeflow cannot reach
into. So the parameter comes as one more input, and an :class:`Override` says where its value goes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any

from modules.errors import InputError, Problem

PREFIX = "run_"
"""The prefix of the component inputs that carry run parameters."""


@dataclass(frozen=True)
class Override:
    """A run parameter and one place for it.

    Attributes:
      parameter: name of the run parameter; the component's input is named ``run_<parameter>``.
      path: execution property, then keys inside of it; JSON text is opened on the way.
      append: add to a list, in place of setting the value.
      text: what the value is put into, at ``{}``; empty values are then left out.
    """

    parameter: str
    path: tuple[str, ...]
    append: bool = False
    text: str | None = None


def to_argument(overrides: Iterable[Override]) -> str:
    """As one command line argument."""
    return json.dumps([asdict(override) for override in overrides])


def from_argument(text: str) -> list[Override]:
    """Back from :func:`to_argument`."""
    return [Override(**{**entry, "path": tuple(entry["path"])}) for entry in json.loads(text)]


def apply_overrides(properties: MutableMapping[str, Any], overrides: Iterable[Override]) -> None:
    """Puts the values of the ``run_`` properties where they belong, and takes those properties away.

    Raises:
      InputError: a broken number in place of a whole one: Kubeflow's own page lets it through.
    """
    used = set()
    for override in overrides:
        value = properties[PREFIX + override.parameter]
        used.add(PREFIX + override.parameter)
        if override.text is not None:
            if value == "":
                continue
            value = override.text.replace("{}", str(value))
        _put(properties, override.path, value, override)
    for name in used:
        del properties[name]


def _put(parent: MutableMapping[str, Any], path: tuple[str, ...], value: Any, override: Override) -> None:
    key, *rest = path
    if not rest:
        if override.append:
            parent[key] = [*parent.get(key, []), value]
        else:
            parent[key] = _as_before(parent.get(key), value, override.parameter)
        return
    child = parent[key]
    if isinstance(child, str):
        opened = json.loads(child)
        _put(opened, tuple(rest), value, override)
        parent[key] = json.dumps(opened)
    else:
        _put(child, tuple(rest), value, override)


def _as_before(before: Any, value: Any, parameter: str) -> Any:
    """Kubeflow knows numbers of one kind only: a whole one where the setting's own value is one."""
    if not isinstance(value, float) or not isinstance(before, int) or isinstance(before, bool):
        return value
    if not value.is_integer():
        raise InputError(Problem("", "expected a whole number", key=f"run parameter {parameter}", value=str(value)))
    return int(value)
