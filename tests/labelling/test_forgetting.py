"""Forgetting a product or an annotator: no cell of any table holds it afterwards, and all else is as it was."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import JSON, Boolean, Column, Float, Integer, String, insert, make_url, select, text

from labelling.store import Store, accounts, queue
from labelling.store import tables as t
from labelling.store.agreement import agreement
from labelling.store.answering import Answer, give
from labelling.store.database import Patience, now
from labelling.store.forgetting import LONGEST, forget_annotator, forget_product
from labelling.store.snapshot import write_snapshot
from modules.errors import InputError
from modules.labels import read_labels, resolve
from modules.predictions.daily.state import DailyState, database_of
from pipeline.run_folder import RunFolder
from publishing.log import PublicationLog
from tests.cli.program import run
from tests.labelling import shop
from tests.labelling.cells import rows_of
from tests.labelling.serving import Annotator, serving
from tests.labelling.shop import BOOTS, KINDS, NOW, SANDALS, TREE

PASSWORD = "a long horse of battery"
# An id and a name that a database escapes, that a pattern could take for more, and that begin another one.
PRODUCT, ANNOTATOR = "x_1%'\"\\ü", "o'näomi_%"

NEITHER = frozenset({
    "objective", "category", "value", "batch", "source", "suggestion", "model", "note", "request", "kind", "state",
    "run", "strategy", "uri", "facts", "predicted", "suggestions", "parts", "split", "fields", "image",
    "image_folder", "rules", "top", "scores", "fingerprint", "content", "workflow", "figures", "rule", "condition",
    "password", "role", "csrf", "token", "address", "action", "methods", "verdict", "old", "new", "targets",
    "counts", "batches.id", "objectives.name", "runs.id", "taxonomy_migrations.id",
})  # fmt: skip
"""Columns, of all tables or of a certain one, that hold neither a product's id nor an annotator's name."""
NAMES = frozenset({
    "annotator", "account", "labels.annotator", "items.assigned", "items.reason", "accounts.name",
    "sign_in_failures.key", "audit.detail",
})  # fmt: skip
"""Of the others those that are about people; what remains is about products."""
JSONS = {
    "confusions.examples": lambda value: ["other", value],
    "rules.examples": lambda value: {"catches": [value], "wrong": ["other", value]},
    "category_rules.examples": lambda value: {"missed": [value, "other"]},
    "items.reason": lambda value: {"reason": "disagreement", "annotators": ["other", value]},
    "audit.detail": lambda value: {"name": value, "annotator": value, "role": "other"},
}


def _is_in(column: Column[Any], names: frozenset[str]) -> bool:
    return column.name in names or f"{column.table.name}.{column.name}" in names


def _marked(table: Any, people: bool) -> list[Column[Any]]:
    """The columns of a table that may hold a name, or an id; also of a table that is not thought of here."""
    columns = [column for column in table.columns if isinstance(column.type, String | JSON)]
    return [
        column
        for column in columns
        if not column.foreign_keys and not _is_in(column, NEITHER) and _is_in(column, NAMES) == people
    ]


def _value(column: Column[Any], number: int) -> Any:
    """Something else than the id or name, of the column's type, which no other row has where rows have to differ."""
    if column.foreign_keys:
        (key,) = column.foreign_keys
        return _value(key.column, 1)
    if f"{column.table.name}.{column.name}" == "sign_in_failures.kind":
        return "account"
    if isinstance(column.type, JSON):
        return JSONS.get(f"{column.table.name}.{column.name}", lambda value: [value])("other")
    if isinstance(column.type, Boolean):
        return True
    if isinstance(column.type, Integer | Float):
        return number
    return f"{column.name[:4]}{number}"


def _fill(store: Store, held: str, people: bool) -> dict[str, int]:
    """Rows with something else in each table, and one for each column that can hold the id or name, which does."""
    put = {}
    with store.write() as connection:
        for table in t.metadata.sorted_tables:
            marked = _marked(table, people)
            for number, own in enumerate([None, *marked], start=1):
                row = {column.name: _value(column, number) for column in table.columns}
                if own is not None:
                    row[own.name] = JSONS.get(f"{table.name}.{own.name}", lambda value: [value])(held) if isinstance(
                        own.type, JSON
                    ) else held  # fmt: skip
                connection.execute(insert(table).values(row))
            put[table.name] = len(marked)
        if connection.dialect.name == "postgresql":
            # Rows that bring their numbers along do not count on.
            connection.execute(text("SELECT setval(pg_get_serial_sequence('audit', 'id'), 100)"))
    return put


def _holding(place: str, held: str) -> dict[str, list[str]]:
    """Table to its rows in which the id or name stands, however the database writes it."""
    forms = {repr(form)[1:-1] for form in (held, json.dumps(held)[1:-1], json.dumps(held, ensure_ascii=False)[1:-1])}
    forms |= {form.replace("'", "\\'") for form in forms} | {form.replace("\\'", "'") for form in forms}
    holding = {
        name: [row for row in rows if any(form in row for form in forms)] for name, rows in rows_of(place).items()
    }
    return {name: rows for name, rows in holding.items() if rows}


def _stand(place: str) -> None:
    """Whether the log is append-only."""
    with Store(place) as store:
        for table in t.APPEND_ONLY:
            for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET time = 1"):
                with pytest.raises(Exception, match="append-only"), store.write() as connection:
                    connection.execute(text(statement))


def test_no_cell_holds_a_forgotten_product(place: str) -> None:
    with Store(place) as store:
        put = _fill(store, PRODUCT, people=False)
        with store.write() as connection:
            item = connection.scalar(select(t.items.c.id).where(t.items.c.product_id == PRODUCT))
            label = connection.scalar(select(t.labels.c.id).where(t.labels.c.product_id == PRODUCT))
            connection.execute(insert(t.answers).values(item=item, annotator="a", label=label, value="yes"))
            connection.execute(insert(t.leases).values(item=item, annotator="a", until=1))
            connection.execute(insert(t.relabelled).values(label=label, migration=1, part=7))
        assert {name for name, count in put.items() if count} == set(_holding(place, PRODUCT)) and put["triplets"] == 3
        before = rows_of(place)
        forgotten = forget_product(store, PRODUCT)
    after = rows_of(place)
    assert _holding(place, PRODUCT) == {}
    assert forgotten.changed == {"confusions": 1, "rules": 1, "category_rules": 1} and forgotten.token == ""
    gone = {name: len(before[name]) - len(after[name]) for name in before if before[name] != after[name]}
    # The audit log has an entry more.
    assert gone.pop("audit") == -1
    assert {name: count for name, count in gone.items() if count} == forgotten.deleted
    assert forgotten.deleted == {
        "labels": 1, "relabelled": 1, "items": 1, "answers": 1, "leases": 1, "products": 1, "predictions": 1,
        "neighbours": 2, "triplets": 3, "triplet_questions": 3,
    }  # fmt: skip
    with Store(place) as store, store.read() as connection:
        examples = [connection.scalars(select(table.c.examples)).all() for table in (t.confusions, t.rules)]
    assert ["other"] in examples[0] and {"catches": [], "wrong": ["other"]} in examples[1]
    _stand(place)


def test_no_cell_holds_a_forgotten_annotator(place: str) -> None:
    with Store(place) as store:
        put = _fill(store, ANNOTATOR, people=True)
        assert {name for name, count in put.items() if count} == set(_holding(place, ANNOTATOR))
        before = rows_of(place)
        forgotten = forget_annotator(store, ANNOTATOR)
    after = rows_of(place)
    assert _holding(place, ANNOTATOR) == {}
    assert forgotten.deleted == {"accounts": 1, "sessions": 1, "devices": 1, "leases": 1, "sign_in_failures": 1}
    assert forgotten.changed == {
        "labels": 1, "answers": 1, "triplets": 1, "suggestion_requests": 1, "items": 2, "audit": 2,
    }  # fmt: skip
    assert {name for name in before if before[name] != after[name]} == {*forgotten.deleted, *forgotten.changed}
    for name in ("labels", "answers", "triplets", "suggestion_requests"):
        assert sum(forgotten.token in row for row in after[name]) == 1 and len(after[name]) == len(before[name])
    _stand(place)


def _labelled(place: str) -> None:
    """Three people's answers about products; ann has a lease and an account, and a product is reserved for her."""
    with Store(place) as store:
        shop.fill(store, shop.batch(6), wanted=3)
        with store.write() as connection:
            triplet = {
                "query": "p3",
                "a": "p4",
                "b": "p5",
                "verdict": "a",
                "annotator": "ben",
                "time": NOW,
                "methods": [],
            }
            connection.execute(insert(t.triplets).values(triplet))
            queue.assign(connection, "round-1", annotator="ann", count=1)
            accounts.put(connection, "ann", NOW, password=PASSWORD)
            accounts.sign_in(connection, "ann", NOW, "192.0.2.7")
            for number in range(1, 6):
                for who, category in (("ann", BOOTS), ("ben", BOOTS if number < 4 else SANDALS), ("cem", SANDALS)):
                    answer = Answer(
                        f"p{number - 1}", "exclusive", "yes", who, f"{who}{number}", number, category, note="says ann"
                    )
                    give(connection, answer, NOW + number)
            queue.take(connection, "ann", NOW + 9)


def _agreed(store: Store, folder: Path) -> tuple[Any, ...]:
    with store.read() as connection:
        agreed = agreement(connection, "exclusive")
    figures = sorted((person.products, person.same, person.kappa) for person in agreed.annotators)
    file = write_snapshot(store, folder).labels_file
    labels = resolve(read_labels([file], TREE, KINDS))["exclusive"]
    return figures, agreed.categories, {name: label.category_id for name, label in labels.items()}


def test_labels_and_agreement_are_the_same_without_the_name(place: str, tmp_path: Path) -> None:
    _labelled(place)
    with Store(place) as store:
        before = _agreed(store, tmp_path / "before")
        forgotten = forget_annotator(store, "ann")
        assert _agreed(store, tmp_path / "after") == before and len(before[0]) == 3
        assert forgotten.notes == 15
        with store.write() as connection:
            assert accounts.check(connection, "ann", PASSWORD) is None
            assert queue.take(connection, "dan", NOW + 10) is not None
        assert '"annotator":"ann"' not in (tmp_path / "after" / "labels.jsonl").read_text("utf-8")
        again = forget_annotator(store, "ann")
    assert (again.deleted, again.changed, again.token) == ({}, {}, "")


def test_a_product_that_comes_back_is_a_new_one(place: str) -> None:
    _labelled(place)
    with Store(place) as store:
        forget_product(store, "p0")
        shop.fill(store, shop.batch(1, "round-2"))
        with store.write() as connection:
            number = queue.take(connection, "ann", NOW + 20)
            item = queue.item_of(connection, number) if number is not None else None
            assert item is not None and item.product_id == "p5"
            said = connection.scalars(select(t.labels.c.id).where(t.labels.c.product_id == "p0")).all()
            assert said == [] and queue.open_item_of(connection, "p0", "exclusive", "") is not None


def test_a_dry_run_counts_and_changes_nothing(place: str) -> None:
    _labelled(place)
    before = rows_of(place)
    with Store(place) as store:
        for forget, held in ((forget_product, "p1"), (forget_annotator, "ann")):
            planned = forget(store, held, dry_run=True)
            assert rows_of(place) == before
            _stand(place)
            done = forget(store, held)
            assert (done.deleted, done.changed) == (planned.deleted, planned.changed) and done.deleted
            before = rows_of(place)


@pytest.mark.postgres
@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_only_the_owner_of_the_tables_may(place: str) -> None:
    _labelled(place)
    with Store(place) as store, store.write() as connection:
        for statement in (
            "DROP ROLE IF EXISTS clerk", "CREATE ROLE clerk LOGIN", "GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk",
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO clerk",
        ):  # fmt: skip
            connection.execute(text(statement))
    before = rows_of(place)
    url = make_url(place).set(username="clerk").render_as_string(hide_password=False)
    with Store(url) as store, pytest.raises(InputError, match="which owns the store's tables.*connect as that role"):
        forget_product(store, "p1")
    assert rows_of(place) == before


_KILLED = """
import os, signal, sys
from labelling.store import Store, accounts, forgetting
accounts.record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
forgetting.forget_product(Store(sys.argv[1]), "p1")
"""


@pytest.mark.slow
def test_a_killed_command_has_done_nothing_and_is_repeated(place: str) -> None:
    _labelled(place)
    before = rows_of(place)
    assert subprocess.run([sys.executable, "-c", _KILLED, place], check=False).returncode == -signal.SIGKILL
    assert rows_of(place) == before
    _stand(place)
    with Store(place) as store:
        assert forget_product(store, "p1").deleted["labels"] == 3
    _stand(place)


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.iterdir()) if "store" in file.name)


def test_no_byte_of_the_file_holds_it(tmp_path: Path) -> None:
    name = "naomi-of-the-old-town"
    with Store(tmp_path / "store.sqlite", patience=Patience(0.05, 0.05)) as store:
        shop.fill(store, shop.batch(300))
        with store.write() as connection:
            for number in range(1, 200):
                answer = Answer(f"p{number - 1}", "exclusive", "yes", name, f"{number}", number, BOOTS)
                give(connection, answer, NOW + number)
        with store.read() as reading:
            reading.execute(select(t.labels.c.id)).first()
            forget_annotator(store, name)
            with pytest.raises(InputError, match=r"the rows are gone.*repeat the command"):
                store.scrub()
        assert name.encode() in _bytes(tmp_path)
        store.scrub()
        assert name.encode() not in _bytes(tmp_path)
        with store.read() as connection:
            assert len(connection.scalars(select(t.labels.c.annotator)).all()) == 199


@pytest.mark.slow
def test_the_pages_go_on_meanwhile(place: str) -> None:
    with Store(place) as store:
        shop.fill(store, shop.batch(6))
        with store.write() as connection:
            for who, role in (("ann", "labeller"), ("ben", "admin")):
                accounts.put(connection, who, now(), password=PASSWORD, role=role)
        with serving(place, "--accounts") as server:
            ann, ben = Annotator(server.url), Annotator(server.url)
            for annotator, who in ((ann, "ann"), (ben, "ben")):
                assert annotator.sign_in(who, PASSWORD).status_code == 303
            card, kept = ann.next(), ben.next()
            assert card is not None and kept is not None
            forget_product(store, card["product"])
            store.scrub()
            refused = ann.say(card, BOOTS)
            assert refused.status_code == 400 and "there is no such item" in refused.text
            other = ann.next()
            assert other is not None and ann.say(other, BOOTS).json()["labels"] == 1
            token = forget_annotator(store, "ann").token
            store.scrub()
            assert ann.http.get("/").headers["location"].startswith("/sign-in")
            assert ann.sign_in("ann", PASSWORD).status_code != 303
            assert ben.say(kept, SANDALS).json()["labels"] == 1
        with store.read() as connection:
            said = connection.execute(select(t.labels.c.product_id, t.labels.c.annotator)).all()
    assert sorted(map(tuple, said)) == sorted([(other["product"], token), (kept["product"], "ben")])


@pytest.mark.parametrize("held", ["", "a\0b", "\udcff"])
def test_what_no_store_can_hold_is_refused(local: Store, held: str) -> None:
    with pytest.raises(InputError, match="expected a text of Unicode characters"):
        forget_product(local, held)


@pytest.mark.parametrize("character", ["a", "%", "\N{GRINNING FACE}"])
@pytest.mark.parametrize("forget", [forget_product, forget_annotator])
def test_a_name_is_as_long_as_the_database_can_look_for(local: Store, forget: Any, character: str) -> None:
    assert forget(local, character * LONGEST).deleted == {}
    with pytest.raises(InputError, match="expected at most 4,000 characters"):
        forget(local, character * (LONGEST + 1))


@pytest.fixture
def workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow with a store, and traces of runs in its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "feed.csv").write_text("id,title\np1,Boots\n")
    (tmp_path / "w.yaml").write_text(
        "name: shop\nfeed: {files: [feed.csv]}\nlabels: {store: labels.sqlite, files: [more.csv]}\n"
    )
    _labelled("labels.sqlite")
    for folder in ("labels/17", "pipeline/ActiveSampler", "sources", "reports", "publications", "daily", "audits"):
        (tmp_path / "runs/shop" / folder).mkdir(parents=True)
    for name, product in (("first", "p1"), ("second", "p2")):
        with PublicationLog(tmp_path / f"runs/shop/publications/{name}.sqlite", f"the {name} table") as log:
            log.acknowledge([(product, b"digest")], 1)
    with DailyState(tmp_path / "runs/shop/daily"):
        pass
    with closing(sqlite3.connect(database_of(tmp_path / "runs/shop/daily"))) as state, state:
        state.execute("insert into products values ('p1', x'00', 'm', 'r', '', 1, 1, x'00')")
    with Store("labels.sqlite") as store:
        store.copy_beside()
    return tmp_path


def test_the_command(workflow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows_of("labels.sqlite")
    code, out, err = run(capsys, "forget", "--product", "p1", "--dry-run")
    assert code == 0 and "rows would be deleted: answers 3, items 1, labels 3, products 1" in out, err
    assert rows_of("labels.sqlite") == before and (workflow / "runs/shop/labels/17").is_dir()
    with RunFolder(workflow / "runs/shop").locked():
        code, _, err = run(capsys, "forget", "--product", "p0")
    assert code == 2 and "another run of this workflow is under way" in err
    code, out, err = run(capsys, "forget", "--product", "p1")
    assert code == 0 and "rows deleted" in out and not (workflow / "runs/shop/labels").exists(), err
    for said in (
        "labels.sqlite.bak, a copy", "more.csv", "runs/shop/daily, daily predictions, which have it: without it in",
        "the first table, where it is published", "shelfmark predict --workflow w.yaml`, then `shelfmark publish",
        "shelfmark clean --sources", "shelfmark clean --keep-runs 1", "runs/shop/pipeline/ActiveSampler", "reports",
        "runs/shop/audits, the ids that audits drew from, and titles",
    ):  # fmt: skip
        assert said in out
    assert "the second table" not in out
    code, out, err = run(capsys, "forget", "--product", "p4")
    assert code == 0 and " table, where" not in out and "which have it" not in out, err
    code, out, err = run(capsys, "forget", "--annotator", "ann", "--store", "labels.sqlite")
    assert code == 0 and "now bear the name annotator-" in out and "6 notes of labels contain" in out, err
    code, out, err = run(capsys, "forget", "--annotator", "ann", "--store", "labels.sqlite")
    assert code == 0 and "labels.sqlite: no row holds it" in out and "--workflow FILE" in out, err


def test_one_of_both_is_named(workflow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--product", "p1", "--annotator", "ann"]):
        code, out, err = run(capsys, "forget", *arguments)
        assert code == 2 and out == "" and "expected either --product ID or --annotator NAME" in err
