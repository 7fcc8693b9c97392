"""No product code but ``modules/objectives`` knows a kind of objective by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.objectives import KINDS

ROOT = Path(__file__).parents[3]
PACKAGES = ("components", "experiments", "labelling", "modules", "pipeline", "api", "shelfmark")
ALLOWED = (
    "modules/objectives/",
    # A taxonomy's file has a key ``exclusive`` of its own: a node that can be the one category of a product.
    "modules/taxonomy/",
)

ANNOTATED = "modules/training/heads.py"
"""LIBLINEAR's problems are annotated with the settings that they heed; the kinds themselves call them."""


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and value of each string that is the name of a kind; also those that ``Literal[...]`` lists."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in KINDS:
            yield node.lineno, node.value


def classes(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of each import of, or reference to, a kind's own class."""
    own = {kind.__name__ for kind in KINDS.values()}
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        names += [node.attr] if isinstance(node, ast.Attribute) else []
        yield from ((getattr(node, "lineno", 0), name) for name in names if name in own)


def test_the_search_sees_what_it_forbids() -> None:
    kind, own = next(iter(KINDS)), next(iter(KINDS.values())).__name__
    assert list(literals(f"if kind == {kind!r}: x: Literal[{kind!r}]")) == [(1, kind)] * 2
    assert list(classes(f"from modules.objectives import {own}\nmodules.objectives.{own}")) == [(1, own), (2, own)]


@pytest.mark.parametrize("package", PACKAGES)
def test_kinds_are_named_nowhere_else(package: str) -> None:
    found, files = [], 0
    for file in sorted((ROOT / package).rglob("*.py")):
        name, source = file.relative_to(ROOT).as_posix(), file.read_text("utf-8")
        files += 1
        if not name.startswith(ALLOWED):
            own = () if name == ANNOTATED else classes(source)
            found += [f"{name}:{line}: {value}" for line, value in (*literals(source), *own)]
    assert files > 3 and not found
