"""What a killed run left is cleared at the next start, said once, and nothing else is touched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.leftovers import cancel, clear
from pipeline.run_folder import RunFolder
from pipeline.temporary import temporary_files
from tests.pipeline.history import History, tree


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "runs" / "shop")


def test_a_first_start_has_nothing_to_clear(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True)
    assert clear(folder, "shop") == ""


def test_what_a_kill_left_goes_and_the_rest_stays(folder: RunFolder) -> None:
    history = History(folder)
    history.add("one", "Trainer", {"model": {}})
    history.add("one", "ClassMetrics", {"metrics": {}, "metrics_record": {}})
    for name in ("pushed", "pushed_indexes"):
        (folder.path / name / "1700000000" / "model").mkdir(parents=True)
        (folder.path / name / "1700000000" / "saved_model.pb").write_text("whole")
    # What people keep in a run folder, in names of other forms.
    for name in ("pipeline/Trainer/notes.txt", "pipeline/Trainer/model/mine/a", "pipeline/README", "pushed/README"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text("mine")
    before = tree(folder.path)
    history.add("two", "Trainer", {"model": {}, "model_run": {}}, state=pb.Execution.RUNNING)
    history.add("two", "Evaluator", {"evaluation": {}}, state=pb.Execution.FAILED)
    for name in (
        "pushed/.1700000001.part/1700000001/variables", "pushed/1700000002/variables",
        "pushed_indexes/.1700000003.part/joint", "pipeline/Trainer/.system/executor_execution/2",
    ):  # fmt: skip
        (folder.path / name).mkdir(parents=True)
        (folder.path / name / "half").write_text("half")
    said = clear(folder, "shop")
    assert said == (
        "cleared what an earlier run left: 1 execution set to failed, 3 unfinished folders removed, "
        "3 half pushes removed"
    )
    assert tree(folder.path) == before
    complete, failed = pb.Execution.COMPLETE, pb.Execution.FAILED
    assert history.states() == [complete, complete, failed, failed]
    assert clear(folder, "shop") == ""


def test_other_pipelines_of_the_database_are_left_alone(folder: RunFolder) -> None:
    other = History(RunFolder(folder.path), "other")
    other.add("theirs", "Trainer", {}, state=pb.Execution.RUNNING)
    assert clear(folder, "shop") == "" and cancel(folder, "shop") is None
    assert other.states() == [pb.Execution.RUNNING]


def test_runs_of_other_machines_in_a_shared_database_go_on(folder: RunFolder) -> None:
    """A run is this folder's if its log lies here."""
    history = History(folder)
    history.add("theirs", "Trainer", {}, state=pb.Execution.RUNNING)
    history.add("ours", "Trainer", {}, state=pb.Execution.RUNNING)
    folder.logs.mkdir()
    (folder.logs / "ours.log").write_text("")
    shared = RunFolder(folder.path, folder.metadata)
    assert clear(shared, "shop") == "cleared what an earlier run left: 1 execution set to failed"
    assert history.states() == [pb.Execution.RUNNING, pb.Execution.FAILED]


def test_artifacts_of_a_lost_database_are_moved_aside(folder: RunFolder) -> None:
    history = History(folder)
    history.add("one", "Trainer", {"model": {}})
    before = tree(folder.root)
    for file in folder.path.glob("metadata.sqlite*"):
        file.unlink()
    for number in (1, 2):
        said = clear(folder, "shop")
        aside = folder.path / f"unknown-artifacts-{number}"
        assert said.startswith("cleared what an earlier run left: 1 folder that ") and said.endswith(aside.name)
        assert tree(aside) == before
        assert not tree(folder.root)
        if number == 1:
            shutil.copytree(aside, folder.root, dirs_exist_ok=True)
    assert clear(folder, "shop") == ""


def test_nothing_is_deleted_through_links(folder: RunFolder, tmp_path: Path) -> None:
    history = History(folder)
    elsewhere = tmp_path / "elsewhere"
    for name in ("model/1", ".system", "7"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "data").write_text("mine")
    history.add("one", "Trainer", {}, state=pb.Execution.FAILED)
    folder.root.mkdir(exist_ok=True)
    (folder.root / "Trainer").symlink_to(elsewhere)
    (folder.root / "Tuner").mkdir()
    (folder.root / "Tuner" / "model").symlink_to(elsewhere / "model")
    (folder.root / "Predictor" / "predictions").mkdir(parents=True)
    (folder.root / "Predictor" / "predictions" / "1").symlink_to(elsewhere / "model")
    folder.pushed.mkdir()
    (folder.pushed / "7").symlink_to(elsewhere / "7")
    before = tree(elsewhere)
    assert clear(folder, "shop") == ""
    assert tree(elsewhere) == before and len(before) == 3


def test_an_interrupt_cancels_what_is_under_way_only(folder: RunFolder) -> None:
    history = History(folder)
    history.add("one", "Trainer", {"model": {}})
    before = tree(folder.path)
    history.add("one", "Evaluator", {"evaluation": {}}, state=pb.Execution.RUNNING)
    cancel(folder, "shop")
    assert tree(folder.path) == before
    assert history.states() == [pb.Execution.COMPLETE, pb.Execution.CANCELED]


def test_temporary_files_of_a_killed_run_go_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    (tmp_path / "tmp").mkdir()
    note, mine = tmp_path / ".temporary", tmp_path / "shelfmark-mine"
    killed = temporary_files(note)
    killed.__enter__()
    _file, left = tempfile.mkstemp()
    assert Path(left).is_relative_to(tmp_path / "tmp")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    tempfile.tempdir = None
    with temporary_files(note):
        assert not Path(left).exists()
        assert len(list((tmp_path / "tmp").iterdir())) == 1
    assert not list((tmp_path / "tmp").iterdir()) and not note.exists()
    # A note that says something else deletes nothing.
    mine.mkdir()
    link = tmp_path / "shelfmark-link"
    link.symlink_to(mine)
    for text in (str(tmp_path), str(link), "", "shelfmark-none"):
        note.write_text(text)
        with temporary_files(note):
            pass
    assert mine.exists() and link.exists()
