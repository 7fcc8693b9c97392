"""Which folder is served, and when one is opened."""

from __future__ import annotations

from pathlib import Path

from modules.similarity.exact import ExactIndex, ExactSettings
from serving.sources import FolderSource, newest_version
from tests.serving.shops import items, write


def single(folder: Path) -> Path:
    """A folder that is itself an index."""
    ExactIndex.build(items(20), ExactSettings()).save(folder)
    return folder


def test_the_newest_of_numbered_versions_that_are_single_indexes(tmp_path: Path) -> None:
    for name in ("9", "10"):
        single(tmp_path / name)
    source = FolderSource(tmp_path)
    found = source(None)
    assert found is not None and found.catalogue.methods == ("joint",)
    assert newest_version(tmp_path) == tmp_path / "10" and found.catalogue.version.startswith("10-")
    assert source(found.catalogue.version) is None
    write(tmp_path / "11")
    newer = source(found.catalogue.version)
    assert newer is not None and newer.catalogue.version.startswith("11-")
