"""A real store that is carried over to another taxonomy: no label is lost, and the log stays as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from labelling.store import Store, importing, moving, rows
from labelling.store.answering import Answer, give, undo
from labelling.store.queue import Which, take
from labelling.store.snapshot import write_snapshot
from labelling.store.tables import as_read, batches, items, labels, relabelled
from modules.errors import InputError
from modules.labels import read_labels, resolve
from modules.taxonomy import Taxonomy
from modules.taxonomy.mapping import Moves
from modules.taxonomy.reading import assemble
from tests.labelling import shop
from tests.labelling.shop import BOOTS, KINDS, NOW, SANDALS, TOTES, TREE, WALLETS

# Boots are split, sandals and wallets merged, totes dropped.
NEW = Taxonomy.from_paths(["Shoes > Work boots", "Shoes > Riding boots", "Other", "Bags > Purses"])
WORK, RIDING, OTHER, PURSES = (
    NEW.find(path).id for path in ("Shoes > Work boots", "Shoes > Riding boots", "Other", "Bags > Purses")
)
SHOES, BAGS = TREE.find("Shoes").id, TREE.find("Bags").id
TARGETS = {SHOES: (SHOES,), BAGS: (BAGS,), BOOTS: (WORK, RIDING), SANDALS: (OTHER,), WALLETS: (OTHER,), TOTES: ()}
MOVES = Moves(TREE, NEW, TARGETS)


def say(store: Store, product: str, value: str, category: str | None, time: int, **more: Any) -> None:
    answer = {"objective": "exclusive", "annotator": "ann", "request": f"{time}", **more}
    with store.write() as connection:
        give(connection, Answer(product, value=value, category=category, **answer), NOW + time)


def carried(store: Store, moves: Moves, identity: str, rules: moving.Rules | None = None) -> dict[str, int]:
    with store.write() as connection:
        return dict(moving.carry(connection, moves, identity, NOW + 1000, rules))


def read(store: Store) -> list[tuple[str, str, str | None]]:
    with store.read() as connection:
        return [(row.product_id, row.value, row.category) for row in rows.read(connection)]


def the_log(store: Store) -> list[Any]:
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(select(labels).order_by(labels.c.id))]


def filled(store: Store) -> None:
    shop.fill(store, shop.batch(6))
    for time, (value, category) in enumerate(
        [("yes", BOOTS), ("yes", SANDALS), ("yes", TOTES), ("none_of_these", None), ("no", WALLETS), ("skip", None)]
    ):
        say(store, f"p{time}", value, category, time, item=time + 1)


def test_what_becomes_of_each_label(store: Store, tmp_path: Path) -> None:
    filled(store)
    before = the_log(store)
    facts = carried(store, MOVES, "first")
    assert facts == {"same": 2, "moved": 1, "open": 1, "dropped": 2, "by_rule": 0, "asked": 1, "none_of_these": 1}
    assert read(store) == [
        ("p0", "retracted", None), ("p1", "yes", OTHER), ("p2", "retracted", None), ("p3", "none_of_these", None),
        ("p4", "retracted", None), ("p5", "skip", None),
    ]  # fmt: skip
    assert the_log(store) == before
    snapshot = write_snapshot(store, tmp_path / "snapshot")
    resolved = resolve(read_labels(snapshot.labels_file, NEW, KINDS))["exclusive"]
    assert {product: label.category_id for product, label in resolved.items()} == {"p1": OTHER, "p3": None}


def test_the_same_migration_is_done_once(store: Store) -> None:
    filled(store)
    facts = carried(store, MOVES, "first")
    after = read(store)
    assert carried(store, MOVES, "first") == facts
    assert read(store) == after


def test_labels_of_another_taxonomy_are_refused(store: Store) -> None:
    filled(store)
    before = read(store)
    other = Taxonomy.from_paths(["Toys"])
    moves = Moves(other, other, {category.id: (category.id,) for category in other})
    with pytest.raises(InputError) as raised:
        carried(store, moves, "first")
    assert [problem.value for problem in raised.value.problems] == sorted([BOOTS, SANDALS, TOTES, WALLETS])
    assert read(store) == before


def test_open_labels_come_first_and_keep_how_they_were_drawn(store: Store) -> None:
    random = shop.item(0, "p0", source="random", inclusion_probability=0.25)
    shop.fill(store, shop.batch(0, items=[random]))
    say(store, "p0", "yes", BOOTS, 0, item=1)
    carried(store, MOVES, "first")
    with store.write() as connection:
        importing.batch(connection, shop.batch(1, "next", first=7), NOW + 2000)
        taken = take(connection, "ann", NOW + 3000, Which())
        query = select(
            items.c.product_id, items.c.suggestions, items.c.source, items.c.inclusion_probability, batches.c.id
        )
        row = connection.execute(query.join(batches).where(items.c.id == taken)).one()
    assert tuple(row) == ("p0", [[WORK, 0.5], [RIDING, 0.5]], "random", 0.25, "taxonomy-1-exclusive")


def test_a_rule_decides_where_a_split_product_is(store: Store) -> None:
    filled(store)
    facts = carried(store, MOVES, "first", lambda fields: {RIDING} if fields["title"] == "Title of p0" else {WORK})
    assert (facts["moved"], facts["open"], facts["by_rule"], facts["asked"]) == (2, 0, 1, 0)
    assert read(store)[0] == ("p0", "yes", RIDING)


def test_open_questions_speak_of_the_new_categories(store: Store) -> None:
    suggestions = ((BOOTS, 0.5), (SANDALS, 0.3), (TOTES, 0.2))
    questions = [shop.item(0, "p0", category=BOOTS, suggestions=()), shop.item(1, "p1", suggestions=suggestions)]
    shop.fill(store, shop.batch(0, items=questions))
    carried(store, MOVES, "first")
    with store.read() as connection:
        columns = (items.c.product_id, items.c.state, items.c.suggestions, items.c.predicted)
        rows_ = [tuple(row) for row in connection.execute(select(*columns).order_by(items.c.rank))]
    assert rows_ == [("p0", "closed", [], None), ("p1", "open", [[OTHER, 0.3]], OTHER)]


def test_an_answer_from_before_can_be_taken_back(store: Store) -> None:
    filled(store)
    say(store, "p9", "yes", WALLETS, 20)
    carried(store, MOVES, "first")
    with store.write() as connection:
        undo(connection, "ann", "undo", NOW + 3000)
    assert read(store)[-1] == ("p9", "retracted", OTHER)


def test_a_run_from_before_is_refused(store: Store) -> None:
    filled(store)
    carried(store, MOVES, "first")
    with store.write() as connection, pytest.raises(InputError, match="before the labels were carried over"):
        importing.taxonomy(connection, TREE, NOW + 4000)


def with_ids(ids: list[str]) -> Taxonomy:
    return Taxonomy(assemble([{"path": (f"n{n}",), "id": i, "exclusive": True} for n, i in enumerate(ids)]))


OLD_IDS = ["a", "b", "c"]
LOG = st.lists(
    st.tuples(
        st.sampled_from(["p0", "p1"]), st.sampled_from(list(KINDS)), st.sampled_from(["ann", "bob"]),
        st.sampled_from(["yes", "no", "none_of_these", "skip"]), st.sampled_from(OLD_IDS), st.integers(0, 3),
    ),
    max_size=12,
)  # fmt: skip
TARGET = st.fixed_dictionaries({i: st.sets(st.sampled_from(["c", "x", "y"])).map(sorted).map(tuple) for i in OLD_IDS})


def logged(store: Store, log: list[tuple[str, str, str, str, str, int]]) -> None:
    with store.write() as connection:
        importing.objectives(connection, KINDS)
        rows.append(
            connection,
            [
                rows.Label(
                    product, objective, category if value in ("yes", "no") else None, value, who, NOW + time, "manual"
                )
                for product, objective, who, value, category, time in log
            ],
        )


@settings(max_examples=40, deadline=None)
@given(LOG, TARGET)
def test_no_label_is_lost(
    tmp_path_factory: pytest.TempPathFactory, log: Any, targets: dict[str, tuple[str, ...]]
) -> None:
    with Store(str(tmp_path_factory.mktemp("store") / "labels.sqlite")) as store:
        logged(store, log)
        before = the_log(store)
        moves = Moves(with_ids(OLD_IDS), with_ids(["c", "x", "y"]), targets)
        with store.read() as connection:
            planned = moving.plan(connection, moves)
        assert planned.counts.total() == len(before)
        facts = carried(store, moves, "first")
        assert the_log(store) == before
        with store.read() as connection:
            kept = set(connection.scalars(select(as_read.c.id)))
            gone = set(connection.scalars(select(relabelled.c.label).where(relabelled.c.value.is_(None))))
            unknown = connection.scalars(select(as_read.c.category).where(as_read.c.category.not_in(["c", "x", "y"])))
            assert list(unknown) == []
        assert kept | gone == {row[0] for row in before}
        assert not kept & gone
        assert sum(facts[state] for state in ("same", "moved", "open", "dropped")) == len(before)


@settings(max_examples=30, deadline=None)
@given(LOG, st.permutations(["x", "y", "z"]))
def test_other_ids_and_back_is_the_identity(tmp_path_factory: pytest.TempPathFactory, log: Any, new: list[str]) -> None:
    with Store(str(tmp_path_factory.mktemp("store") / "labels.sqlite")) as store:
        logged(store, log)
        before = read(store)
        old, other = with_ids(OLD_IDS), with_ids(new)
        carried(store, Moves(old, old, {i: (i,) for i in OLD_IDS}), "identity")
        assert read(store) == before
        carried(store, Moves(old, other, {i: (j,) for i, j in zip(OLD_IDS, new, strict=True)}), "there")
        there = dict(zip([None, *OLD_IDS], [None, *new], strict=True))
        assert read(store) == [(product, value, there[category]) for product, value, category in before]
        carried(store, Moves(other, old, {j: (i,) for i, j in zip(OLD_IDS, new, strict=True)}), "back")
        assert read(store) == before


def test_a_no_to_a_split_category_is_a_no_to_each_part(store: Store) -> None:
    shop.fill(store, shop.batch(1))
    say(store, "p0", "no", BOOTS, 0, objective="rule_based")
    assert carried(store, MOVES, "first")["moved"] == 1
    assert Counter(read(store)) == Counter([("p0", "no", WORK), ("p0", "no", RIDING)])
    back = Moves(NEW, TREE, {c.id: () for c in NEW} | {WORK: (BOOTS,), RIDING: (BOOTS,), SHOES: (SHOES,)})
    carried(store, back, "second")
    assert set(read(store)) == {("p0", "no", BOOTS)}
