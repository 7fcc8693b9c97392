"""Private interfaces of dependencies: only those of docs/reference/dependencies.md, and they still exist."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("shelfmark", "pipeline", "components", "experiments", "labelling", "api", "publishing", "modules")
FILES = {
    str(file.relative_to(REPOSITORY)): ast.parse(file.read_text("utf-8"))
    for package in PACKAGES
    for file in (REPOSITORY / package).rglob("*.py")
}
DOCUMENTED_BY_PYTHON = {"_exit", "_replace", "_make", "_asdict", "_fields"}


def _rows() -> dict[str, str]:
    """Interface to the file or folder that may use it."""
    text = (REPOSITORY / "docs" / "reference" / "dependencies.md").read_text("utf-8")
    section = text.partition("## Private interfaces")[2].partition("\n## ")[0]
    cells = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    for row in cells:
        assert (REPOSITORY / row[3].strip().strip("`")).exists(), f"{row[0]}: there is no {row[3]}"
    return {row[0].strip().strip("`"): row[1].strip().strip("`") for row in cells}


ROWS = _rows()


def _of_the_product() -> set[str]:
    """Private names that some file of the product defines."""
    names: set[str] = set()
    for tree in FILES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.add(node.value)  # __slots__
    return names


def _private_imports(tree: ast.AST) -> set[str]:
    """Dotted names of what is imported out of a dependency's private modules."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if any(part == "src" or part[:1] == "_" != part[1:2] for part in name.split("."))}


def test_no_other_private_interface_is_used() -> None:
    own = _of_the_product() - {interface.rpartition(".")[2] for interface in ROWS}
    for name, tree in FILES.items():
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        private = {attr for attr in used if attr.startswith("_") and not attr.startswith("__")}
        allowed = {
            interface.rpartition(".")[2]
            for interface, where in ROWS.items()
            if name == where or where in name.split("/")
        }
        strangers = private - own - allowed - DOCUMENTED_BY_PYTHON
        # A name of Keras or TFX that another file of the product gave to something of its own.
        strangers = {attr for attr in strangers if not _is_own(tree, attr)}
        assert not strangers, f"{name} uses {', '.join(sorted(strangers))}: a row in docs/reference/dependencies.md?"
        imports = _private_imports(tree)
        assert imports <= {interface for interface, where in ROWS.items() if where == name}, (name, imports)


def _is_own(tree: ast.AST, attribute: str) -> bool:
    """Whether the source sets the attribute itself."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == attribute and isinstance(node.ctx, ast.Store)
        for node in ast.walk(tree)
    )


@pytest.mark.parametrize(("interface", "where"), sorted(ROWS.items()))
def test_each_place_uses_its_interface(interface: str, where: str) -> None:
    name = interface.rpartition(".")[2]
    texts = [ast.unparse(tree) for file, tree in FILES.items() if file == where or file.startswith(f"{where}/")]
    assert any(name in text for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("interface", sorted(ROWS))
def test_the_dependency_still_has_it(interface: str) -> None:
    if interface.endswith("scann_pybind"):
        from modules.similarity.scann_index.library import native

        assert callable(native().ScannNumpy)
        return
    owner, _, name = interface.rpartition(".")
    holder = _imported(owner)
    if not hasattr(holder, name):
        # An attribute of objects: some class of theirs sets it.
        sources = [textwrap.dedent(inspect.getsource(base)) for base in inspect.getmro(holder) if base is not object]
        assert any(_is_own(ast.parse(source), name) for source in sources), interface


def _imported(path: str) -> Any:
    """The module, or the class in a module."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(_imported(module), name)
