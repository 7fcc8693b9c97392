"""The store: its tables, what is appended, handed out, undone; the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from labelling.store import Store, importing, queue, rows
from labelling.store.answering import Answer, give, undo
from labelling.store.queue import LEASE, Which
from labelling.store.snapshot import take_snapshot, write_snapshot
from labelling.store.tables import metadata
from labelling.store.triplets import append_triplet
from modules.errors import InputError
from modules.labels import read_labels, resolve
from modules.similarity_quality.triplets import Triplet
from tests.labelling import shop
from tests.labelling.shop import BOOTS, NOW, SANDALS, WALLETS

Clock = Callable[[], int]


def said(store: Store, item: int | None, who: str, now: int, product: str = "p0", **more: object) -> int:
    """An annotator answers; returns the label's id."""
    values = {"objective": "exclusive", "value": "yes", "category": BOOTS, "request": f"{who}-{now}", **more}
    if values["value"] not in ("yes", "no"):
        values["category"] = None
    with store.write() as connection:
        return give(connection, Answer(product, item=item, annotator=who, **values), now).labels[0]  # type: ignore


def taken(store: Store, who: str, now: int, which: Which | None = None, held: tuple[int, ...] = ()) -> str | None:
    """The product that an annotator is handed."""
    with store.write() as connection:
        item = queue.take(connection, who, now, which, held=held)
        found = queue.item_of(connection, item) if item is not None else None
        return None if found is None else str(found.product_id)


def item_number(store: Store, product: str, batch: str = "round-1") -> int:
    with store.read() as connection:
        sql = "SELECT i.id FROM items i JOIN batches b ON b.number = i.batch WHERE i.product_id = :p AND b.id = :b"
        return int(connection.execute(text(sql), {"p": product, "b": batch}).scalar_one())


def resolved(store: Store, folder: Path) -> dict[str, str | None]:
    """Product to the category that a run would learn, through the very code that a run reads labels with."""
    snapshot = write_snapshot(store, folder)
    found = resolve(read_labels(snapshot.labels_file, shop.TREE, shop.KINDS))["exclusive"]
    return {product: label.category_id for product, label in found.items()}


def test_migrations_make_the_tables_that_the_code_speaks_of(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_store_is_opened_again_with_its_labels(place: str) -> None:
    with Store(place) as store:
        said(store, None, "ann", NOW)
    with Store(place, create=False) as store, store.read() as connection:
        assert [row.product_id for row in rows.read(connection)] == ["p0"]


def test_a_store_of_a_newer_version_is_left_alone(place: str) -> None:
    with Store(place) as store, store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(InputError, match="newer version"):
        Store(place)


@pytest.mark.parametrize("table", ["labels", "audit", "triplets"])
def test_what_is_written_stays(store: Store, table: str) -> None:
    said(store, None, "ann", NOW)
    with store.write() as connection:
        connection.execute(
            text("INSERT INTO audit (time, account, address, action, detail) VALUES (1, 'a', '', 'x', '{}')")
        )
        append_triplet(connection, Triplet("q", "x", "y", "a", "ann", NOW))
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET time = 0"):
        with pytest.raises(DBAPIError, match="append-only"), store.write() as connection:
            connection.execute(text(statement))


@pytest.mark.parametrize("place_", ["mysql://me:secret@host/x", "sqlite:///", "postgresql://h:port/x"])
def test_other_places_are_refused(place_: str) -> None:
    with pytest.raises(InputError) as caught:
        Store(place_)
    assert "secret" not in str(caught.value)


def test_no_store_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no label store here"):
        Store(tmp_path / "x.sqlite", create=False)
    (tmp_path / "not").write_text("no database at all, but a text that is long enough to look like a file header")
    with pytest.raises(InputError, match="no label store, or a damaged one"):
        Store(tmp_path / "not")


def test_items_come_in_order_and_to_one_annotator_each(store: Store) -> None:
    shop.fill(store, shop.batch(3), shop.batch(1, "round-2", first=3))
    assert [taken(store, who, NOW) for who in ("ann", "bob", "cem", "dan", "eve")] == ["p0", "p1", "p2", "p3", None]
    assert taken(store, "bob", NOW + 1) == "p1"  # a page that is loaded again
    assert taken(store, "ann", NOW + LEASE + 2) == "p0"  # everybody's lease has run out
    assert taken(store, "bob", NOW + LEASE + 2) == "p1"


def test_an_annotator_may_hold_what_is_loaded_ahead(store: Store) -> None:
    shop.fill(store, shop.batch(3))
    first = item_number(store, "p0")
    assert [taken(store, "ann", NOW), taken(store, "ann", NOW, held=(first,))] == ["p0", "p1"]
    assert taken(store, "bob", NOW) == "p2"


def test_a_page_that_is_loaded_again_and_again_shows_the_same_product(store: Store, clock: Clock) -> None:
    shop.fill(store, shop.batch(5))
    numbers = [item_number(store, f"p{i}") for i in range(3)]
    for held in ((), numbers[:1], numbers[:2]):
        taken(store, "ann", clock(), held=tuple(held))
    assert [taken(store, "ann", clock()) for _ in range(4)] == ["p0"] * 4
    said(store, numbers[0], "ann", clock())
    assert [taken(store, "ann", clock()) for _ in range(3)] == ["p1"] * 3
    with store.write() as connection:
        undo(connection, "ann", "u1", clock())
    assert [taken(store, "ann", clock()) for _ in range(3)] == ["p0"] * 3
    # Others get what nobody holds.
    assert taken(store, "bob", clock(), Which(batch="round-1")) == "p3"


def test_overlap_is_given_only_where_it_is_asked_for(store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(1), wanted=2)
    item = item_number(store, "p0")
    assert [taken(store, who, NOW) for who in ("ann", "bob", "cem")] == ["p0", "p0", None]
    said(store, item, "ann", NOW + 1)
    assert taken(store, "ann", NOW + 2) is None
    assert taken(store, "cem", NOW + LEASE + 1) == "p0"  # bob's lease has run out
    said(store, item, "cem", NOW + LEASE + 2, category=SANDALS)
    assert [taken(store, who, NOW + 3 * LEASE) for who in ("bob", "dan")] == [None, None]
    assert resolved(store, tmp_path) == {}  # a tie


def test_a_late_answer_is_kept(store: Store, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(1))
    item = item_number(store, "p0")
    taken(store, "ann", NOW)
    assert taken(store, "bob", NOW + LEASE + 1) == "p0"
    said(store, item, "ann", NOW + LEASE + 2)
    said(store, item, "bob", NOW + LEASE + 3)
    assert resolved(store, tmp_path) == {"p0": BOOTS}


def test_a_skipped_item_is_for_others(store: Store) -> None:
    shop.fill(store, shop.batch(1))
    said(store, item_number(store, "p0"), "ann", NOW, value="skip")
    assert (taken(store, "ann", NOW + 1), taken(store, "bob", NOW + 1)) == (None, "p0")


def test_the_same_request_counts_once(store: Store) -> None:
    shop.fill(store, shop.batch(2))
    item = item_number(store, "p0")
    first = said(store, item, "ann", NOW, request="r1")
    assert said(store, item, "ann", NOW + 5, request="r1") == first
    with store.read() as connection:
        assert len(list(rows.read(connection))) == 1


def test_an_answer_carries_what_the_queue_knew(store: Store) -> None:
    picked = shop.item(0, source="random", inclusion_probability=0.25, model="m7")
    shop.fill(store, shop.batch(items=[picked]))
    said(store, item_number(store, "p0"), "ann", NOW, seconds=4.5, note="no picture", category=SANDALS)
    with store.read() as connection:
        (row,) = rows.read(connection)
    assert (row.batch, row.source, row.inclusion_probability) == ("round-1", "random", 0.25)
    assert (row.suggestion, row.suggestion_probability, row.model) == (BOOTS, 0.6, "m7")
    assert (row.seconds, row.note, row.category) == (4.5, "no picture", SANDALS)


@pytest.mark.parametrize("change", [{"value": "maybe"}, {"value": "retracted"}, {"category": None}, {"product": "p1"}])
def test_answers_that_make_no_sense_are_refused(store: Store, change: dict[str, str]) -> None:
    shop.fill(store, shop.batch(2))
    with pytest.raises(ValueError):
        said(store, item_number(store, "p0"), "ann", NOW, **change)
    with store.read() as connection:
        assert list(rows.read(connection)) == []


def test_undo_is_a_new_row_and_asks_again(store: Store, clock: Clock, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(2))
    for product in ("p0", "p1"):
        taken(store, "ann", clock())
        said(store, item_number(store, product), "ann", clock(), product)
    with store.write() as connection:
        undone = undo(connection, "ann", "u1", clock())
    assert undone is not None and undone.product_id == "p1"
    assert resolved(store, tmp_path) == {"p0": BOOTS}
    assert taken(store, "bob", clock()) is None and taken(store, "ann", clock()) == "p1"
    with store.write() as connection:
        again = undo(connection, "ann", "u1", clock())  # the same request, sent twice
        assert again == undone
        second = undo(connection, "ann", "u2", clock())
        assert second is not None and second.product_id == "p0"
        assert undo(connection, "ann", "u3", clock()) is None
    assert resolved(store, tmp_path) == {}
    with store.read() as connection:
        assert [row.value for row in rows.read(connection)] == ["yes", "yes", "retracted", "retracted"]


def test_undoing_a_correction_brings_the_first_answer_back(store: Store, clock: Clock, tmp_path: Path) -> None:
    shop.fill(store, shop.batch(1))
    said(store, item_number(store, "p0"), "ann", clock())
    said(store, None, "ann", clock(), category=WALLETS)
    assert resolved(store, tmp_path) == {"p0": WALLETS}
    with store.write() as connection:
        undo(connection, "ann", "u1", clock())
    assert resolved(store, tmp_path) == {"p0": BOOTS}
    with store.write() as connection:
        undo(connection, "ann", "u2", clock())
    assert resolved(store, tmp_path) == {}


def test_undo_in_a_multi_label_objective_leaves_other_categories(store: Store, clock: Clock) -> None:
    shop.fill(store)
    for category, value in ((BOOTS, "yes"), (SANDALS, "no"), (SANDALS, "yes")):
        said(store, None, "ann", clock(), objective="rule_based", category=category, value=value)
    with store.write() as connection:
        undo(connection, "ann", "u1", clock())
        found = rows.standing(rows.read(connection), ["rule_based"])
    assert {(row.category, row.value) for row in found} == {(BOOTS, "yes"), (SANDALS, "no")}


def test_a_clock_that_goes_back_buries_nothing(store: Store, tmp_path: Path) -> None:
    shop.fill(store)
    said(store, None, "ann", NOW)
    said(store, None, "ann", NOW - 10**9, category=WALLETS)
    assert resolved(store, tmp_path) == {"p0": WALLETS}


def test_near_duplicates_get_the_same_label_with_their_own_source(store: Store, clock: Clock, tmp_path: Path) -> None:
    own = shop.item(1, source="random", inclusion_probability=0.5)
    shop.fill(store, shop.batch(items=[shop.item(0), own, shop.item(2), shop.item(3)]))
    shop.near(store, "p0", "p1", "p2", "x9")
    taken(store, "ann", clock())
    held = clock()
    with store.write() as connection:  # bob is looking at p2
        assert queue.take(connection, "bob", held, held=[item_number(store, "p1")]) == item_number(store, "p1")
        queue.release(connection, "bob")
        queue.take(connection, "cem", held)
        assert queue.item_of(connection, queue.take(connection, "bob", held)).product_id == "p2"  # type: ignore
        queue.release(connection, "cem")
    with store.write() as connection:
        answer = Answer(
            "p0", "exclusive", "yes", "ann", "r", item_number(store, "p0"), BOOTS, also=["p1", "p2", "x9", "p3"]
        )
        kept = give(connection, answer, clock())
    assert kept.left == ("p2",) and len(kept.labels) == 3
    assert resolved(store, tmp_path) == dict.fromkeys(("p0", "p1", "x9"), BOOTS)  # p3 is no neighbour
    with store.read() as connection:
        sources = {row.product_id: (row.source, row.inclusion_probability) for row in rows.read(connection)}
    assert sources == {"p0": ("margin", None), "p1": ("random", 0.5), "x9": ("near_duplicate", None)}
    assert taken(store, "ann", clock()) == "p3"
    with store.write() as connection:
        undo(connection, "ann", "u1", clock())
    assert resolved(store, tmp_path) == {}


def test_import_leaves_out_what_is_labelled_or_queued(store: Store) -> None:
    shop.fill(store, shop.batch(3))
    said(store, item_number(store, "p0"), "ann", NOW)
    with store.write() as connection:
        again = importing.batch(connection, shop.batch(3), NOW)
        other = importing.batch(connection, shop.batch(5, "round-2"), NOW)
        review = importing.batch(connection, shop.batch(5, "review-1", kind="review"), NOW)
    assert (again.added, again.known) == (0, 3)
    assert (other.added, other.queued, other.labelled) == (2, 2, 1)
    assert review.added == 5
    with store.write() as connection, pytest.raises(InputError, match="multi_label"):
        importing.objectives(connection, {"rule_based": "exclusive"})


def test_queues_can_be_chosen(store: Store) -> None:
    wallets = shop.item(9, suggestions=((WALLETS, 0.9),))
    shop.fill(
        store, shop.batch(2), shop.batch(name="round-2", items=[wallets]), shop.batch(1, "check", 0, kind="review")
    )
    assert taken(store, "ann", NOW, Which(batch="round-2")) == "p9"
    assert taken(store, "bob", NOW, Which(predicted=[WALLETS])) is None
    assert taken(store, "bob", NOW, Which(kind="review")) == "p0"
    assert taken(store, "cem", NOW, Which(predicted=[BOOTS, SANDALS], kind="batch")) == "p0"
    assert taken(store, "dan", NOW, Which(objective="rule_based")) is None
    with store.write() as connection:
        assert queue.close(connection, "round-1") and not queue.close(connection, "round-7")
    assert taken(store, "dan", NOW) is None


def test_assigned_items_go_to_nobody_else(store: Store) -> None:
    shop.fill(store, shop.batch(4))
    with store.write() as connection:
        assert queue.assign(connection, "round-1", annotator="ann", count=3) == 3
    assert [taken(store, "bob", NOW), taken(store, "cem", NOW), taken(store, "ann", NOW)] == ["p3", None, "p0"]
    with store.write() as connection:
        assert queue.assign(connection, "round-1", free=True, annotator="ann", count=2) == 2
    assert taken(store, "cem", NOW) == "p1"
    said(store, item_number(store, "p0"), "ann", NOW)
    with store.write() as connection:
        assert queue.assign(connection, "round-1", wanted=2) == 4
    assert taken(store, "dan", NOW) == "p0"


def test_the_snapshot_is_the_same_for_the_same_labels(store: Store, tmp_path: Path, clock: Clock) -> None:
    shop.fill(store, shop.batch(3), wanted=2)
    said(store, item_number(store, "p1"), "ann", clock(), "p1")
    said(store, None, "bob", clock(), "p7", objective="rule_based")
    first = take_snapshot(store, tmp_path)
    assert (first.labels, first.queued) == (2, 3)
    states = [line.split('"state":"')[1][:4] for line in first.queued_file.read_text().splitlines()]
    assert states == ["open", "answ", "open"]
    before = first.labels_file.read_bytes(), first.queued_file.read_bytes()
    assert take_snapshot(store, tmp_path) == first
    assert (first.labels_file.read_bytes(), first.queued_file.read_bytes()) == before
    with store.write() as connection:
        importing.batch(connection, shop.batch(2, "round-2", first=5), NOW)
    assert take_snapshot(store, tmp_path).folder == first.folder  # the labels did not change
    said(store, item_number(store, "p0"), "ann", clock())
    assert take_snapshot(store, tmp_path).folder != first.folder
    assert len(read_labels(first.labels_file, shop.TREE, shop.KINDS)) == 2
    assert write_snapshot(store, tmp_path / "one", ["rule_based"]).labels == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
