"""Backups of label stores: the same rows come back in either database, also of a store that people label in."""

from __future__ import annotations

import gzip
import hashlib
import json
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from labelling.store import Store, accounts, queue, rows
from labelling.store import tables as t
from labelling.store.answering import Answer, give
from labelling.store.backup import back_up, check, restore
from labelling.store.database import now
from modules.errors import InputError
from modules.progress import listening
from tests.cli.program import run
from tests.labelling import shop
from tests.labelling.cells import rows_of
from tests.labelling.shop import BOOTS, NOW, SANDALS


def _work(place: str) -> None:
    """Two people's answers, an undo's worth of the other tables, and JSON that no row has twice."""
    with Store(place) as store:
        shop.fill(store, shop.batch(6), wanted=2)
        shop.measure(store)
        shop.near(store, "p1", "near-1", "näher \N{SNOWMAN}")
        with store.write() as connection:
            accounts.put(connection, "anna", NOW, password="a long horse of battery", role="admin")
            accounts.sign_in(connection, "anna", NOW, "127.0.0.1")
            for time, (who, item, category) in enumerate([("anna", 1, BOOTS), ("ben", 1, SANDALS), ("ben", 2, BOOTS)]):
                answer = Answer(f"p{item - 1}", "exclusive", "yes", who, f"{who}{item}", item, category, seconds=0.1)
                give(connection, answer, NOW + time)
            queue.take(connection, "ben", NOW + 9)


@pytest.fixture
def other(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where another store is to be, in a file."""
    return str(tmp_path / "other.sqlite")


def test_the_same_rows_come_back(place: str, other: str, tmp_path: Path) -> None:
    _work(place)
    written = None
    with Store(place) as store:
        written = back_up(store, tmp_path / "backup.jsonl.gz")
        back_up(store, tmp_path / "again.jsonl.gz")
    assert (tmp_path / "backup.jsonl.gz").read_bytes() == (tmp_path / "again.jsonl.gz").read_bytes()
    assert stat.S_IMODE((tmp_path / "backup.jsonl.gz").stat().st_mode) == 0o600
    assert written.rows["labels"] == 3 and written.rows["leases"] == 1
    assert restore(other, tmp_path / "backup.jsonl.gz") == written
    with Store(other) as copied:
        back_up(copied, tmp_path / "copied.jsonl.gz")
    assert (tmp_path / "copied.jsonl.gz").read_bytes() == (tmp_path / "backup.jsonl.gz").read_bytes()


def test_a_store_moves_from_a_file_into_either_database(place: str, other: str, tmp_path: Path) -> None:
    _work(other)
    before = rows_of(other)
    with Store(other) as store:
        back_up(store, tmp_path / "backup.jsonl.gz")
    restore(place, tmp_path / "backup.jsonl.gz")
    after = rows_of(place)
    # PostgreSQL writes true where SQLite writes 1.
    assert after.pop("accounts")[0].replace("'true'", "'1'") == before.pop("accounts")[0]
    after_numbers, before_numbers = after.pop("labels"), before.pop("labels")
    assert [row.count("None") for row in after_numbers] == [row.count("None") for row in before_numbers]
    for floats in ("items", "neighbours", "sign_in_failures", "suggestion_requests"):
        assert len(after.pop(floats)) == len(before.pop(floats))
    assert after == before
    with Store(place) as store, store.write() as connection:
        last = max(connection.scalars(select(t.labels.c.id)))
        answer = Answer("p3", "exclusive", "yes", "anna", "later", 4, BOOTS)
        assert give(connection, answer, NOW + 100).labels[0] == last + 1
    with Store(place) as store, pytest.raises(Exception, match="append-only"), store.write() as connection:
        connection.execute(text("DELETE FROM labels"))


_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(
    labels=st.lists(st.tuples(_TEXTS, _TEXTS | st.none(), st.floats(0, 1) | st.none(), _TEXTS), max_size=5),
    facts=st.lists(st.lists(_JSON) | st.dictionaries(st.text(), _JSON), max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_any_rows_come_back(
    tmp_path_factory: pytest.TempPathFactory, labels: list[tuple[Any, ...]], facts: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with Store(folder / "a.sqlite") as store:
        with store.write() as connection:
            for product, category, probability, note in labels:
                row = {"product_id": product, "category": category, "suggestion_probability": probability, "note": note}
                connection.execute(
                    t.labels.insert().values(objective="o", value="yes", annotator="a", time=1, source="s", **row)
                )
            for number, fact in enumerate(facts):
                connection.execute(t.runs.insert().values(id=f"{number}", workflow="w", time=number, facts=fact))
        back_up(store, folder / "b.gz")
    restore(str(folder / "c.sqlite"), folder / "b.gz")
    assert rows_of(str(folder / "a.sqlite")) == rows_of(str(folder / "c.sqlite"))


def _label_on(place: str, who: str, stop: Any) -> None:
    """A process that labels until it is told to stop."""
    with Store(place) as store:
        while not stop.is_set():
            with store.write() as connection:
                number = queue.take(connection, who, now())
                item = queue.item_of(connection, number) if number is not None else None
                if item is None:
                    return
                answer = Answer(item.product_id, "exclusive", "yes", who, f"{who}-{item.id}", item.id, BOOTS)
                give(connection, answer, now())


@pytest.mark.slow
def test_people_label_meanwhile(place: str, tmp_path: Path) -> None:
    with Store(place) as store:
        shop.fill(store, shop.batch(1500))
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    people = [context.Process(target=_label_on, args=(place, f"w{i}", stop)) for i in range(3)]
    for person in people:
        person.start()
    counts: list[int] = []
    try:
        with Store(place) as store:
            while len(set(counts)) < 3:
                counts.append(back_up(store, tmp_path / f"{len(counts)}.gz").rows["labels"])
    finally:
        stop.set()
        for person in people:
            person.join()
    with Store(place) as store, store.read() as connection:
        said = [(row.id, row.product_id, row.annotator) for row in connection.execute(select(t.labels))]
    for number in (0, len(counts) - 1):
        target = str(tmp_path / f"{number}.sqlite")
        restore(target, tmp_path / f"{number}.gz")
        with Store(target) as store, store.read() as connection:
            kept = [(row.id, row.product_id, row.annotator) for row in connection.execute(select(t.labels))]
            answered = set(connection.execute(select(t.answers.c.label)).scalars())
        # Writers stand in line: one state of the store is what the first writers have said, and all of it.
        assert sorted(kept) == sorted(said)[: len(kept)] and len(kept) == counts[number]
        assert answered == {label for label, _, _ in kept}


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a small store."""
    _work(str(tmp_path / "first.sqlite"))
    with Store(tmp_path / "first.sqlite") as store:
        back_up(store, tmp_path / "backup.gz")
    return tmp_path / "backup.gz"


def test_a_store_with_rows_is_refused_and_stays(backup: Path, place: str) -> None:
    with Store(place) as store:
        shop.fill(store, shop.batch(1))
    before = rows_of(place)
    with pytest.raises(InputError, match="expected an empty label store: this one has rows"):
        restore(place, backup)
    assert rows_of(place) == before


def _changed(content: bytes) -> Iterator[tuple[str, bytes]]:
    for part in range(10):
        yield f"cut at {part} tenths", content[: len(content) * part // 10]
    lines = gzip.decompress(content).splitlines(keepends=True)
    yield "a row less", gzip.compress(b"".join(lines[:-2] + lines[-1:]))
    yield "no last line", gzip.compress(b"".join(lines[:-1]))
    yield "a line more", gzip.compress(b"".join([*lines, b"[]\n"]))
    yield "another value", gzip.compress(b"".join(lines).replace(b'"anna"', b'"onna"', 1))
    yield "no JSON", gzip.compress(b"product_id,category\n1,2\n")
    yield "not compressed", b"".join(lines)
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    yield "a flipped bit", bytes(flipped)


def test_what_is_no_whole_backup_is_refused_before_anything_is_made(backup: Path, other: str) -> None:
    for what, content in _changed(backup.read_bytes()):
        backup.write_bytes(content)
        with pytest.raises(InputError, match="take another backup") as refused:
            restore(other, backup)
        assert "backup.gz: " in str(refused.value) and not Path(other).exists(), what


def _lines(schema: str, tables: dict[str, tuple[list[str], list[list[Any]]]]) -> bytes:
    """A backup as its description says, by other code."""
    lines = [{"format": "shelfmark label store", "version": 1, "schema": schema}]
    for name, (columns, values) in tables.items():
        lines += [{"table": name, "columns": columns}, *values]  # type: ignore[list-item]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    counts = {name: len(values) for name, (_, values) in tables.items()}
    last = {"rows": counts, "sha256": hashlib.sha256(content).hexdigest()}
    return gzip.compress(content + json.dumps(last).encode() + b"\n")


def test_one_of_an_older_version_is_brought_up_to_date(place: str, tmp_path: Path) -> None:
    columns = [
        "id", "product_id", "objective", "category", "value", "annotator", "time", "batch", "source",
        "inclusion_probability", "suggestion", "suggestion_probability", "model", "seconds", "note", "item", "undoes",
        "request", "part",
    ]  # fmt: skip
    row = [7, "p0", "exclusive", BOOTS, "yes", "ann", NOW, None, "file", *[None] * 10]
    (tmp_path / "old.gz").write_bytes(_lines("0001", {"labels": (columns, [row])}))
    restore(place, tmp_path / "old.gz")
    with Store(place, create=False) as store, store.read() as connection:
        assert [(label.id, label.category) for label in rows.read(connection)] == [(7, BOOTS)]
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0005"


_RUN = ["id", "workflow", "time", "facts"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (_lines("0099", {}), "a newer version of Shelfmark made this backup"),
        (_lines("0005", {"labels": (["id", "colour"], [[1, "red"]])}), "expected a table of label stores"),
        (_lines("0005", {"runs": (_RUN, [[None, "w", 1, "{}"]])}), "does not fit"),
        (_lines("0005", {"runs": (_RUN, [["r", "w", 10**30, "{}"]])}), "does not fit"),
        (_lines("0005", {"runs": (_RUN, [["\ud800", "w", 1, "{}"]])}), "does not fit"),
        (_lines("0005", {"runs": ([{}], [])}), "a column has no name"),  # type: ignore[list-item]
    ],
)
def test_one_that_fits_no_store_leaves_it_empty(content: bytes, said: str, other: str, tmp_path: Path) -> None:
    (tmp_path / "odd.gz").write_bytes(content)
    with pytest.raises(InputError, match=said):
        restore(other, tmp_path / "odd.gz")
    (tmp_path / "odd.gz").write_bytes(_lines("0005", {}))
    assert restore(other, tmp_path / "odd.gz").total == 0


@pytest.mark.parametrize("by", ["its name", "a hard link", "a symbolic link"])
def test_a_store_is_not_replaced_by_its_own_backup(by: str, other: str, tmp_path: Path) -> None:
    _work(other)
    file = Path(other)
    if by == "a hard link":
        file = tmp_path / "link"
        file.hardlink_to(other)
    elif by == "a symbolic link":
        file = tmp_path / "link"
        file.symlink_to(other)
    before = rows_of(other)
    with Store(other) as store, pytest.raises(InputError, match="another file than the label store's own"):
        back_up(store, file)
    assert rows_of(other) == before


def test_a_device_or_folder_is_not_replaced(other: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with Store(other) as store:
        for name in ("pipe", "folder"):
            with pytest.raises(
                InputError, match=f"{name}: cannot be written: expected no folder or device, but a file"
            ):
                back_up(store, tmp_path / name)
    assert (tmp_path / "pipe").is_fifo() and sorted(tmp_path.glob(".pipe*")) == []


def test_long_rows_are_not_held_together(tmp_path: Path) -> None:
    """What a few megabytes are unpacked to is read a part at a time."""
    facts = json.dumps("a" * (8 << 20))
    (tmp_path / "bomb.gz").write_bytes(_lines("0005", {"runs": (_RUN, [[f"{n}", "w", 1, facts] for n in range(20)])}))
    tracemalloc.start()
    try:
        assert check(tmp_path / "bomb.gz").total == 20
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert restore(str(tmp_path / "new.sqlite"), tmp_path / "bomb.gz").rows == {"runs": 20}


_KILLED = """
import os, signal, sys
from pathlib import Path
from labelling.store import Store
from labelling.store.backup import back_up, restore
from modules.progress import listening
def kill(done, total, text):
    os.kill(os.getpid(), signal.SIGKILL)
with listening(kill):
    if sys.argv[1] == "restore":
        restore(sys.argv[2], Path(sys.argv[3]))
    else:
        back_up(Store(sys.argv[2]), Path(sys.argv[3]))
"""


@pytest.mark.slow
def test_a_killed_command_is_repeated(place: str, other: str, tmp_path: Path) -> None:
    file = tmp_path / "backup.gz"
    with Store(other) as store:
        shop.fill(store, shop.batch(2500))
        back_up(store, file)
    before = file.read_bytes()
    for action, target in (("restore", place), ("backup", other)):
        command = [sys.executable, "-c", _KILLED, action, target, str(file)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert file.read_bytes() == before
    with Store(place) as store, store.read() as connection:
        assert connection.scalar(select(t.items.c.id).limit(1)) is None
    assert restore(place, file).rows["items"] == 2500


def test_progress_ends_at_allrows_of(other: str, tmp_path: Path) -> None:
    with Store(other) as store:
        shop.fill(store, shop.batch(1200))
        told: list[tuple[int, int]] = []
        with listening(lambda done, total, _text: told.append((done, total))):
            total = back_up(store, tmp_path / "b.gz").total
    assert told == [(done, total) for done in range(1000, total + 1, 1000)]


def test_the_commands(
    backup: Path, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFMARK_LABEL_STORE", str(tmp_path / "first.sqlite"))
    code, out, err = run(capsys, "label", "backup", tmp_path / "new.gz")
    assert code == 0 and "3 label rows among them" in out, err
    code, out, err = run(capsys, "label", "restore", tmp_path / "new.gz")
    assert code == 2 and "this one has rows" in err and "Traceback" not in err
    monkeypatch.setenv("SHELFMARK_LABEL_STORE", other)
    code, out, err = run(capsys, "label", "restore", tmp_path / "new.gz")
    assert code == 0 and f"next: shelfmark label status --store {other}" in out, err
    for command in (
        ["status"],
        ["export", tmp_path / "l.csv"],
        ["snapshot", "-o", tmp_path / "s"],
        ["close", "round-1"],
    ):
        code, _, err = run(capsys, "label", *command)
        assert code == 0, err
    assert check(tmp_path / "new.gz").rows["labels"] == 3
    (tmp_path / "none.gz").write_bytes(_lines("0005", {}))
    code, out, err = run(capsys, "label", "restore", tmp_path / "none.gz", "--store", tmp_path / "none.sqlite")
    assert code == 0 and "0 rows, 0 label rows among them" in out, err
    code, _, err = run(capsys, "label", "backup", tmp_path / "no folder" / "new.gz")
    assert code == 2 and "cannot be written" in err


def test_writers_go_on_while_a_backup_reads(other: str, tmp_path: Path) -> None:
    """A writer ends while the backup is in the midst of its rows; the backup does not have what it wrote."""
    with Store(other) as store:
        shop.fill(store, shop.batch(1200))

        def meanwhile() -> None:
            with Store(other) as second, second.write() as connection:
                accounts.record(connection, 1, "ann", "meanwhile", {})

        def listener(done: int, _total: int, _text: str) -> None:
            if done == 1000:
                writer = threading.Thread(target=meanwhile)
                writer.start()
                writer.join(timeout=20)
                assert not writer.is_alive()

        with store.read() as connection:
            before = len(accounts.audit_log(connection))
        with listening(listener):
            written = back_up(store, tmp_path / "b.gz")
        with store.read() as connection:
            assert len(accounts.audit_log(connection)) == before + 1
    assert written.rows["audit"] == before
