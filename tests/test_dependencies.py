"""docs/reference/dependencies.md names what pyproject.toml asks for, and no licence that Apache-2.0 forbids."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import distribution, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
DECLARED = {
    canonicalize_name(Requirement(line).name)
    for lines in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    )
    for line in lines
}


def test_every_dependency_has_its_row_and_every_row_is_a_dependency() -> None:
    text = (REPOSITORY / "docs" / "reference" / "dependencies.md").read_text("utf-8")
    section = text.partition("## Direct dependencies")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    names = [canonicalize_name(row[0].strip().strip("`")) for row in rows]
    assert sorted(names) == sorted(DECLARED)
    for name, (_, why, size, licence, keeper) in zip(names, rows, strict=True):
        assert len(why.split()) > 0 and licence.strip() and keeper.strip(), name
        assert float(size) > 0, name


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_no_licence_forbids_apache_2(name: str) -> None:
    """LGPL asks nothing of a program that imports the library; GPL and AGPL ask for the whole."""
    about = metadata(name)
    classifiers = [value for value in about.get_all("Classifier") or [] if value.startswith("License")]
    stated = [about.get("License-Expression"), (about.get("License") or "").partition("\n")[0], *classifiers]
    # Some state it in their licence's text alone.
    files = [distribution(name).read_text(f"licenses/{file}") for file in about.get_all("License-File") or []]
    licence = "; ".join(text for text in stated if text) or "; ".join(text for text in files if text)
    assert licence and not re.search(r"\bA?GPL|(Affero |GNU )General Public", licence), licence
