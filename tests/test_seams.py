"""A kind of anything is one file and one line: no other product code imports its module or asks for its name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from modules.features import Feature
from modules.features.text_encoders import KINDS as TEXT_ENCODERS
from modules.feeds.formats import FORMATS
from modules.feeds.sources import Source
from modules.models import KINDS as MODELS
from modules.objectives import KINDS as OBJECTIVES
from modules.predictions.sinks import SINKS
from modules.query_strategies import STRATEGIES
from modules.settings.losses import LOSSES
from modules.training.methods import WAYS

ROOT = Path(__file__).parents[1]
MIGRATIONS = "pipeline/migrations/"
"""Reads files of older shapes, whose kinds it names as they were called then."""

PACKAGES = ("api", "components", "experiments", "labelling", "modules", "pipeline", "publishing", "shelfmark")


@dataclass(frozen=True)
class Seam:
    """Something that grows.

    Attributes:
      folder: with a file per kind.
      tag: the setting that holds a kind's name; empty: none does.
      kinds: name to the class of each kind, or to its module.
      allowed: other product files that name a kind, each with the reason.
    """

    folder: str
    tag: str
    kinds: Mapping[str, type | str]
    allowed: Mapping[str, str]

    @property
    def modules(self) -> set[str]:
        """Where the kinds are defined."""
        return {kind if isinstance(kind, str) else kind.__module__ for kind in self.kinds.values()}

    @property
    def names(self) -> set[str]:
        """What an import of a kind has, its own module or the class out of the folder's package."""
        package = self.folder.replace("/", ".")
        return self.modules | {f"{package}.{kind.__name__}" for kind in self.kinds.values() if isinstance(kind, type)}


def by_tag(tag: str, classes: Iterable[type[BaseModel]]) -> dict[str, type | str]:
    """Settings classes by the default of their tag."""
    return {kind.model_fields[tag].default: kind for kind in classes}


_PICTURE = "a picture's tower is built and started apart from all other features"
_TOWER_LOSS = "the loss of the image tower's own heads"

SEAMS = (
    Seam("modules/features", "kind", by_tag("kind", get_args(get_args(Feature)[0])), {
        "modules/models/towers.py": _PICTURE, "modules/training/image_start.py": _PICTURE,
        "modules/training/image_data.py": _PICTURE, "modules/vision/networks.py": _PICTURE,
        "shelfmark/cli/init.py": "the kind that it asks for is that of a guess about the feed, not a feature's",
    }),
    Seam("modules/features/text_encoders", "kind", by_tag("kind", TEXT_ENCODERS), {}),
    Seam("modules/objectives", "kind", dict(OBJECTIVES), {
        "modules/training/heads.py": "annotates LIBLINEAR's problems with the settings that they heed",
    }),
    Seam("modules/losses", "loss", {name: f"modules.losses.{name}" for name in LOSSES}, {
        "modules/objectives/exclusive.py": _TOWER_LOSS, "modules/objectives/multi_label.py": _TOWER_LOSS,
    }),
    Seam("modules/models", "kind", by_tag("kind", MODELS), {
        "modules/settings/workflow.py": "has a default",
    }),
    Seam("modules/training/methods", "solver", by_tag("solver", WAYS), {
        "modules/settings/workflow.py": "has a default",
        "experiments/learners.py": "keeps the design matrix of LIBLINEAR for all rounds",
    }),
    Seam("modules/feeds/formats", "format", dict(FORMATS.builtin), {}),
    Seam("modules/feeds/sources", "kind", by_tag("kind", get_args(get_args(Source)[0])), {}),
    Seam("modules/predictions/sinks", "", dict(SINKS.builtin), {}),
    Seam("modules/query_strategies", "kind", dict(STRATEGIES), {"modules/settings/sampling.py": "has a default"}),
)  # fmt: skip


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each module that is imported, inside of functions and for annotations, too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def questions(tree: ast.AST, tag: str, names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each comparison of ``anything.tag``, or of ``anything[tag]``, with the name of a kind."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = (node.left, *node.comparators)
        if any(_is_tag(side, tag) for side in sides):
            constants = [part for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)]
            yield from ((node.lineno, str(part.value)) for part in constants if part.value in names)


def _is_tag(node: ast.expr, tag: str) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        return any(isinstance(argument, ast.Constant) and argument.value == tag for argument in node.args)
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value == tag
    return isinstance(node, ast.Attribute) and node.attr == tag


def product_files() -> list[tuple[str, ast.AST]]:
    """Path from the root, and syntax tree, of each file of the product."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return [(file.relative_to(ROOT).as_posix(), ast.parse(file.read_text("utf-8"))) for file in files]


FILES = product_files()


def test_the_search_sees_what_it_forbids() -> None:
    source = "from a.b import c\nif w.training.solver == 'x' or f.get('solver') in ('y', 'x') or f['solver'] != 'y': 1"
    tree = ast.parse(source)
    assert list(imports(tree)) == [(1, "a.b"), (1, "a.b.c")]
    assert sorted(questions(tree, "solver", {"x", "y"})) == [(2, "x"), (2, "x"), (2, "y"), (2, "y")]
    assert len(FILES) > 400


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: seam.folder)
def test_a_kind_is_named_by_its_folder_alone(seam: Seam) -> None:
    assert len(seam.modules) > 1 and all((ROOT / f"{name.replace('.', '/')}.py").is_file() for name in seam.modules)
    named: dict[str, list[str]] = {}
    for file, tree in FILES:
        if file.startswith((f"{seam.folder}/", MIGRATIONS)):
            continue
        lines = [f"{file}:{line}: imports {name}" for line, name in imports(tree) if name in seam.names]
        if seam.tag:
            lines += [f"{file}:{line}: asks for {name!r}" for line, name in questions(tree, seam.tag, seam.kinds)]
        if lines:
            named[file] = lines
    assert not [line for file, lines in named.items() if file not in seam.allowed for line in lines]
    assert set(named) == set(seam.allowed), "an exception that nothing needs any longer"
