"""Layers over an index: whatever came, changed or went, the answers are those of an index of today's products."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.predictions.daily.outdated import differing
from modules.similarity.catalogue import Catalogue
from modules.similarity.changes import Rows
from modules.similarity.daily import DAILY_FILE, DailyVersion, base_of, write_layer
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.items import Items, Restriction, column
from modules.similarity.layered import LayeredIndex
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from tests.modules.similarity.shops import NODES, clustered, oracle, shop

COUNT, DIMENSION, K = 40, 16, 6
DAY = DailyVersion("run-1", "m", "1")

CHANGES = st.lists(
    st.lists(st.tuples(st.integers(0, COUNT + 10), st.sampled_from(["gone", "vector", "price", "same"])), max_size=8),
    min_size=1, max_size=4,
)  # fmt: skip
"""Day by day, places of products and what happens to them; a product that is not there comes."""


def after(today: Items, changes: list[tuple[int, str]], seed: int) -> Items:
    """The products of the next day."""
    vectors = {name: today.vectors[row] for row, name in enumerate(today.ids.to_pylist())}
    rows = {row["id"]: row for row in today.table.to_pylist()}
    fresh = clustered(len(changes) or 1, DIMENSION, seed)
    for (place, what), vector in zip(changes, fresh, strict=False):
        name = f"p{place}"
        if what == "gone":
            rows.pop(name, None)
        elif name not in rows or what == "vector":
            rows[name] = {**rows.get(name, {"title": "new", "category": place % NODES, "price": 1.0}), "id": name}
            vectors[name] = vector
        elif what == "price":
            rows[name] = {**rows[name], "price": 7.0 + seed}
    names = list(rows)
    return Items.of(
        names, np.array([vectors[name] for name in names], np.float32).reshape(-1, DIMENSION),
        titles=[rows[name].get("title") for name in names], category=[rows[name]["category"] for name in names],
        retailer=[rows[name].get("retailer") for name in names], price=[rows[name]["price"] for name in names],
        availability=[rows[name].get("availability") for name in names], embedding=today.embedding,
    )  # fmt: skip


def layer(today: Items, outdated: list[str]) -> Items:
    """The outdated products that there are today."""
    return today.take(np.flatnonzero(np.isin(today.ids.to_pylist(), outdated)))


def answers(ids: pa.Array, rows: np.ndarray) -> list[set[str]]:
    return [{ids[int(row)].as_py() for row in line if row >= 0} for line in rows]


def check(catalogue: Catalogue, today: Items, within: Restriction | None) -> None:
    """Every product is found, and the neighbours are those of a full sort of today's products."""
    index = catalogue.indexes["joint"]
    queries = clustered(8, DIMENSION, 99)
    allowed = today.vectors.any(1) & (True if within is None else within.mask(today.table))
    wanted_rows, wanted = oracle(queries, today.vectors, K, allowed)
    result = index.search(Queries(queries), K, within)
    np.testing.assert_allclose(result.scores, wanted, atol=1e-5)
    assert answers(index.ids, result.rows) == answers(today.ids, wanted_rows)
    assert len(catalogue) == len(today)
    prices = dict(zip(today.ids.to_pylist(), column(today.table, "price").to_pylist(), strict=True))
    for name in (f"p{place}" for place in range(COUNT + 11)):
        card = catalogue.product(name)
        assert (card is not None) == (name in prices)
        assert card is None or card.price == (None if np.isnan(prices[name]) else prices[name])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    CHANGES, st.sampled_from(["exact", "scann"]), st.sampled_from([None, Restriction(price_from=5.0, price_to=60.0)])
)
def test_layers_answer_as_an_index_of_the_same_products(
    changes: list[list[tuple[int, str]]], kind: str, within: Restriction | None
) -> None:
    today = shop(COUNT, DIMENSION)
    with TemporaryDirectory() as place:
        base = Path(place) / "1" / "joint"
        base.parent.mkdir()
        index = (
            ScannIndex.build(today, ScannSettings()) if kind == "scann" else ExactIndex.build(today, ExactSettings())
        )
        index.save(base)
        rows = Rows.map(base, today.embedding, DIMENSION)
        for number, each in enumerate(changes, 2):
            today = after(today, each, number)
            outdated = differing(today, rows)
            version = Path(place) / str(number)
            version.mkdir()
            write_layer(version, DAY, {"joint": layer(today, outdated)}, pa.array(outdated, pa.string()))
            check(Catalogue.open(version), today, within)


def test_what_differs_is_what_was_changed() -> None:
    yesterday = shop(COUNT, DIMENSION)
    today = after(yesterday, [(1, "gone"), (2, "vector"), (3, "price"), (4, "same"), (COUNT + 3, "vector")], 5)
    assert set(differing(today, Rows.of(yesterday))) == {"p1", "p2", "p3", f"p{COUNT + 3}"}


def test_newer_products_are_found_whatever_the_recall_of_the_base() -> None:
    items = shop(3000, DIMENSION)
    base = ScannIndex.build(items, ScannSettings(min_products=500))
    newer = shop(200, DIMENSION, seed=3, first=2900)
    index = LayeredIndex(base, newer, ["p5", "unknown"])
    result = index.search(Queries(np.ascontiguousarray(newer.vectors)), 1)
    assert [index.ids[int(row)].as_py() for row in result.rows[:, 0]] == newer.ids.to_pylist()
    every = index.search(Queries(np.ascontiguousarray(items.vectors[:50])), 2900)
    returned = set().union(*answers(index.ids, every.rows))
    assert "p5" not in returned and len(index) == 2900 + 200 - 1
    # An old product that is there anew stands for itself alone.
    assert not (every.rows[(every.rows >= 2900) & (every.rows < 3000)]).size


def test_a_mask_counts_the_rows_of_both() -> None:
    items = shop(COUNT, DIMENSION)
    index = LayeredIndex(ExactIndex.build(items, ExactSettings()), shop(5, DIMENSION, seed=2, first=COUNT), ["p1"])
    mask = np.zeros(COUNT + 5, bool)
    mask[[1, 2, COUNT + 1]] = True
    result = index.search(Queries(clustered(1, DIMENSION, 4)), 3, mask)
    assert set(result.rows[0].tolist()) == {2, COUNT + 1, -1}
    with pytest.raises(ValueError, match="mask"):
        index.search(Queries(clustered(1, DIMENSION, 4)), 3, mask[1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "daily.json"),
        (b'{"run": "r", "model": "m", "base": "../1"}', "daily.json"),
        (b'{"run": "r", "model": "m", "base": "7"}', "whole version"),
        (b'{"run": "r", "model": "m", "base": "2"}', "whole version"),
    ],
)
def test_a_layer_over_nothing_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / DAILY_FILE).write_bytes(content)
    with pytest.raises(InputError, match=message):
        base_of(tmp_path / "2")


def test_damage_of_base_or_layer_is_told(tmp_path: Path) -> None:
    items = shop(COUNT, DIMENSION)
    (tmp_path / "1").mkdir()
    ExactIndex.build(items, ExactSettings()).save(tmp_path / "1" / "joint")
    (tmp_path / "2").mkdir()
    write_layer(tmp_path / "2", DAY, {"joint": layer(items, ["p3"])}, pa.array(["p3"]))
    assert json.loads((tmp_path / "2" / DAILY_FILE).read_bytes())["base"] == "1"
    for file in (tmp_path / "1" / "joint" / "vectors.npy", tmp_path / "2" / "joint" / "vectors.npy"):
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(InputError, match="damaged"):
            Catalogue.open(tmp_path / "2")
        file.write_bytes(good)
    assert len(Catalogue.open(tmp_path / "2")) == COUNT
