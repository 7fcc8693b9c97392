"""Links and paths that name a file of the repository lead to one; `make docs` checks anchors and the site's pages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pipeline.workflow_file import REPOSITORY

SKIPPED = {
    ".venv",
    ".uv",
    ".git",
    ".flink",
    ".opensearch",
    ".label-studio",
    "runs",
    "build",
    "site",
    "__pycache__",
    "node_modules",
}
GENERATED = {"settings", "commands", "query_strategies", "components", "python"}
"""Pages of docs/reference that exist on the site alone (docs/hooks/reference.py)."""


def files(*suffixes: str) -> list[Path]:
    paths = []
    for folder, folders, names in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in SKIPPED and not name.startswith(".")]
        paths += [Path(folder) / name for name in names if name.endswith(suffixes)]
    return sorted(paths)


@pytest.mark.parametrize("page", files(".md"), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text):
        if "://" in target:
            continue
        path = Path(os.path.normpath(page.parent / target))
        if path.parent == REPOSITORY / "docs" / "reference" and path.stem in GENERATED:
            continue
        assert path.exists(), target


@pytest.mark.parametrize("suffix", [".py", ".yaml", ".toml", ".md"])
def test_pages_that_are_named_exist(suffix: str) -> None:
    missing = {
        (str(file.relative_to(REPOSITORY)), name)
        for file in files(suffix)
        for name in re.findall(r"(?<![\w/.])docs/[\w/]+\.md", file.read_text("utf-8"))
        if not (REPOSITORY / name).exists()
    }
    assert not missing


def test_the_readme_is_short_and_shows_the_pages() -> None:
    readme = (REPOSITORY / "README.md").read_text("utf-8")
    assert readme.count("\n") < 120
    assert len(re.findall(r"!\[[^\]]+\]\(docs/images/\w+\.webp\)", readme)) == 2
