"""The demo catalogue appears when it is needed, and nobody's own files go for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modules.errors import InputError
from modules.settings.feed import DemoSettings
from pipeline import demo_feed
from pipeline.demo_feed import ensure_demo, write_demo_folder
from pipeline.validate import check
from pipeline.workflow_file import DEMO_WORKFLOW, LoadedWorkflow, load_workflow

SMALL = ("feed.demo.products=60", "feed.demo.images=false")


def load(folder: Path, *overrides: str) -> LoadedWorkflow:
    return load_workflow(DEMO_WORKFLOW, (*SMALL, *overrides), folder)


def stamp(folder: Path) -> int:
    return (folder / demo_feed.STAMP).stat().st_mtime_ns


def test_it_is_written_once_and_again_when_its_settings_change(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "catalogue"
    assert ensure_demo(load(folder))
    assert not check(load(folder)).problems
    before = stamp(folder)
    assert not ensure_demo(load(folder))
    assert stamp(folder) == before
    assert ensure_demo(load(folder, "feed.demo.seed=8"))
    assert [path.name for path in folder.parent.iterdir()] == ["catalogue"], "nothing temporary is left"


def test_a_broken_stamp_is_an_old_catalogue(tmp_path: Path) -> None:
    assert ensure_demo(load(tmp_path / "c"))
    (tmp_path / "c" / demo_feed.STAMP).write_text("[")
    assert ensure_demo(load(tmp_path / "c"))


def test_somebodys_own_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="overwritten"):
        ensure_demo(load(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(InputError):
        write_demo_folder(tmp_path / "mine.txt", DemoSettings())


def test_a_failure_leaves_the_old_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "c"
    ensure_demo(load(folder))
    before = stamp(folder)

    def fail(*args: object) -> str:
        raise OSError("disk full")

    monkeypatch.setattr(demo_feed, "_write", fail)
    with pytest.raises(OSError, match="disk full"):
        ensure_demo(load(folder, "feed.demo.seed=8"))
    assert stamp(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
