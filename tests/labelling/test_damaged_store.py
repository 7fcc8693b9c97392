"""A label store that is none any more: named, never written to, and put aside by the printed command."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from labelling.store import Store
from modules.errors import InputError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a folder" / "labels.sqlite"
    Store(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.mark.parametrize("part", range(10))
def test_a_truncated_store(file: Path, part: int) -> None:
    content = file.read_bytes()
    damaged = content[: len(content) * part // 10]
    file.write_bytes(damaged)
    with pytest.raises(
        InputError, match=r"labels.sqlite: (no label store, or a damaged one|the label store is empty)"
    ) as error:
        Store(file)
    assert file.read_bytes() == damaged
    said = str(error.value)
    command = re.search(r"mv .*", said)
    assert "the same command will not help" in said and command is not None
    subprocess.run(command[0], shell=True, check=True)
    Store(file).close()


def test_another_database(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE mine (a)")
    before = file.read_bytes()
    with pytest.raises(InputError, match="something else's"):
        Store(file)
    assert file.read_bytes() == before


def test_one_that_another_program_writes_to_opens(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        Store(file).close()
