"""A label store that is none any more: named, never written to, and put aside by the printed command."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select, text

from labelling.store import Store, accounts
from labelling.store import tables as t
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
        with Store(file) as store, store.read() as connection:
            assert connection.scalar(text("SELECT count(*) FROM labels")) == 0


_WRITER = """
import os, signal, sys
from labelling.store import Store, accounts
store = Store(sys.argv[1])
for number in range(60):
    with store.write() as connection:
        accounts.record(connection, number, "ann", f"event {number}", {})
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_log_that_is_cut_short(tmp_path: Path) -> None:
    """What was written last and lies behind the cut is lost, as after a disk that lied; nothing else is."""
    file = tmp_path / "labels.sqlite"
    Store(file).close()
    killed = subprocess.run([sys.executable, "-c", _WRITER, str(file)], timeout=300)
    assert killed.returncode == -signal.SIGKILL
    log = file.with_name("labels.sqlite-wal")
    whole = log.read_bytes()
    counts = []
    for part in range(21):
        copy = tmp_path / f"{part}" / "labels.sqlite"
        copy.parent.mkdir()
        shutil.copy(file, copy)
        copy.with_name("labels.sqlite-wal").write_bytes(whole[: len(whole) * part // 20 + (7 if part < 20 else 0)])
        with Store(copy) as store:
            with store.write() as connection:
                accounts.record(connection, 99, "ann", "goes on", {})
            with store.read() as connection:
                said = connection.scalars(select(t.audit.c.action).order_by(t.audit.c.id)).all()
                assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        kept = [kind for kind in said if kind.startswith("event")]
        assert kept == [f"event {number}" for number in range(len(kept))] and said[-1] == "goes on"
        counts.append(len(kept))
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] == 60 and 20 <= counts[10] <= 40
