"""Which folder is served, and when one is opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from api.similarity.sources import FolderSource, newest_version
from modules.errors import InputError
from modules.similarity.exact import ExactIndex, ExactSettings
from tests.api.shops import items, write


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


def test_a_broken_version_is_read_again_only_when_a_file_of_it_changes(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    single(tmp_path / "1")
    served = source(None)
    assert served is not None
    file = single(tmp_path / "2") / "vectors.npy"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + b"!")
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    with pytest.raises(InputError, match="damaged") as first:
        source(served.catalogue.version)
    # Put right, but so that nothing tells.
    file.write_bytes(good)
    os.utime(file, ns=times)
    with pytest.raises(InputError) as again:
        source(served.catalogue.version)
    assert again.value.problems == first.value.problems
    os.utime(file)
    mended = source(served.catalogue.version)
    assert mended is not None and mended.catalogue.version.startswith("2-")


def test_a_model_that_comes_late_makes_a_version_worth_another_try(tmp_path: Path) -> None:
    source = FolderSource(single(tmp_path / "1"), tmp_path / "model")
    for _ in range(2):
        with pytest.raises(InputError, match="SavedModel"):
            source(None)
    (tmp_path / "model" / "7").mkdir(parents=True)
    (tmp_path / "model" / "7" / "saved_model.pb").write_bytes(b"graph")
    assert source(None) is not None
