"""What is said of a database of ML Metadata that is none, and that the printed command puts it right."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from components.class_metrics.store import open_store
from modules.errors import InputError


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "metadata.sqlite"
    path.parent.mkdir()
    store = open_store(str(path), write=True)
    assert store.get_artifacts() == []
    return path


def refused(path: Path, write: bool = False) -> str:
    with pytest.raises(InputError) as error:
        open_store(str(path), write=write, run_command="shelfmark run my.yaml")
    said = str(error.value)
    assert str(path) in said and "Error" not in said
    return said


def test_a_whole_one_opens(database: Path) -> None:
    assert open_store(str(database)).get_artifacts() == []


def test_what_is_not_found_is_no_damage(database: Path) -> None:
    from ml_metadata import errors

    with pytest.raises(errors.NotFoundError):
        open_store(str(database)).get_artifact_type("no such type")


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize("part", range(1, 10))
def test_a_truncated_one(database: Path, part: int, write: bool) -> None:
    content = database.read_bytes()
    database.write_bytes(content[: len(content) * part // 10])
    said = refused(database, write)
    assert "is damaged" in said and "the same command will not help" in said
    command = re.search(r"(mv .*) && shelfmark run my.yaml$", said)
    assert command is not None
    subprocess.run(command[1], shell=True, check=True)
    assert open_store(str(database), write=True).get_artifacts() == []


def test_the_journal_of_a_damaged_one_goes_with_it(database: Path) -> None:
    content = database.read_bytes()
    database.write_bytes(os.urandom(len(content)))
    journal = database.with_name("metadata.sqlite-journal")
    journal.write_bytes(os.urandom(5000))
    command = re.search(r"(mv .*) && shelfmark run", refused(database, write=True))
    assert command is not None
    subprocess.run(command[1], shell=True, check=True)
    assert not journal.exists() and not database.exists()
    # A second time, the first one put aside stays.
    database.write_bytes(b"x" * 5000)
    assert "damaged-2" in refused(database)


def test_what_is_none(database: Path) -> None:
    database.unlink()
    assert "there is no ML Metadata yet" in refused(database)
    database.mkdir()
    assert "is a file; this is none" in refused(database, write=True)
    database.rmdir()
    with closing(sqlite3.connect(database)) as other, other:
        other.execute("CREATE TABLE a (b)")
    assert "something else's" in refused(database, write=True)
    database.write_bytes(b"")
    assert "this makes a new one: shelfmark run my.yaml" in refused(database)
    assert open_store(str(database), write=True).get_artifacts() == []


def test_one_that_another_program_holds(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modules.sqlite.WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        said = refused(database, write=True)
        assert "another program holds" in said and "the same command helps once" in said
    assert open_store(str(database), write=True).get_artifacts() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="no right can be taken from a superuser")
def test_rights(database: Path) -> None:
    database.chmod(0)
    assert f"chmod u+r '{database}'" in refused(database)
    database.chmod(0o400)
    assert f"chmod u+w '{database}'" in refused(database, write=True)
    assert open_store(str(database)).get_artifacts() == []
