"""No function of the product is longer than a screen."""

from __future__ import annotations

import ast
from pathlib import Path

LIMIT = 60
ROOT = Path(__file__).parent.parent
PACKAGES = ("shelfmark", "pipeline", "components", "experiments", "labelling", "api", "publishing", "modules")
EXEMPT = ROOT / "labelling" / "store" / "migrations"
"""A migration is a list of statements that is never changed again."""


def test_no_function_is_longer_than_the_limit() -> None:
    files = [file for name in PACKAGES for file in (ROOT / name).rglob("*.py") if EXEMPT not in file.parents]
    functions = [
        (node.end_lineno - node.lineno + 1, f"{file.relative_to(ROOT)}:{node.lineno} {node.name}")
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]
    assert len(functions) > 2000, "the packages moved: this test reads nothing"
    assert [where for lines, where in functions if lines > LIMIT] == []
