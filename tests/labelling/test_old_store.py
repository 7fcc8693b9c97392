"""A label store that an older version left: ``old_store.sql`` holds its tables as that version made them, and rows."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from labelling.store import Store, queue, rows
from labelling.store.answering import Answer, give
from labelling.store.snapshot import write_snapshot
from labelling.store.tables import metadata
from modules.errors import InputError
from modules.labels import read_labels, resolve
from modules.taxonomy import Taxonomy

TREE = Taxonomy.from_paths(["Bags", "Shoes"])
KINDS = {"exclusive": "exclusive", "rule_based": "multi_label"}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "labels.db"
    connection = sqlite3.connect(path)
    connection.executescript(Path(__file__).with_name("old_store.sql").read_text("utf-8"))
    connection.close()
    return path


def test_it_is_opened_with_its_labels_and_worked_on(old: Path, tmp_path: Path) -> None:
    with Store(str(old), create=False) as store:
        with store.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert [(row.product_id, row.category) for row in rows.read(connection)] == [("p0", "Bags")]
        with store.write() as connection:
            number = queue.take(connection, "ben", 10, None)
            item = queue.item_of(connection, number)
            assert item is not None and item.product_id == "p1"
            answer = Answer(
                "p1", objective="exclusive", value="yes", category="Shoes", item=number, annotator="ben", request="r"
            )
            give(connection, answer, 11)
        snapshot = write_snapshot(store, tmp_path / "snapshot")
    labels = resolve(read_labels([snapshot.labels_file], TREE, KINDS))["exclusive"]
    assert {product: label.category_id for product, label in labels.items()} == {
        "p0": TREE.find("Bags").id, "p1": TREE.find("Shoes").id,
    }  # fmt: skip


def test_one_of_a_newer_version_is_refused_and_left_as_it_is(old: Path) -> None:
    connection = sqlite3.connect(old)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0099'")
    before = list(connection.iterdump())
    with pytest.raises(InputError, match="a newer version of Shelfmark made this label store; install"):
        Store(str(old), create=False)
    assert list(connection.iterdump()) == before
    connection.close()
