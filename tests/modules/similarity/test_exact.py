"""Exact search against a full sort; adding, removing, saving, loading."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.similarity.changes import unit
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.items import Embedding, Restriction, below
from modules.similarity.protocol import Index, Queries
from modules.taxonomy import Taxonomy
from tests.modules.similarity.shops import clustered, oracle, shop


@given(
    count=st.integers(1, 60), queries=st.integers(1, 5), k=st.integers(1, 70), block=st.integers(1, 20),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]), seed=st.integers(0, 1000),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_equals_a_full_sort(count: int, queries: int, k: int, block: int, share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    items = shop(count, 4, seed)
    items.vectors[:] = np.round(items.vectors * 2)  # many equal scores
    asked = np.round(clustered(queries, 4, seed + 1) * 2)
    mask = rng.random(count) < share
    index = ExactIndex.build(items, ExactSettings(block=block))
    assert isinstance(index, Index)
    found = index.search(Queries(asked), k, mask)
    rows, scores = oracle(asked, items.vectors, k, mask & items.vectors.any(1))
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.scores, scores)


def test_restrictions_are_those_of_a_loop_over_products() -> None:
    items = shop(500)
    restriction = Restriction(
        categories=frozenset({1, 5, 11, 400}), retailers=frozenset({"shop 1", "shop 2", "nobody"}),
        availability=frozenset({"in stock"}), price_from=5.0, price_to=60.0,
    )  # fmt: skip
    wanted = [
        row["category"] in (1, 5, 11) and row["retailer"] in ("shop 1", "shop 2")
        and row["availability"] == "in stock" and 5 <= row["price"] <= 60
        for row in items.table.to_pylist()
    ]  # fmt: skip
    assert 0 < sum(wanted) < 100
    np.testing.assert_array_equal(restriction.mask(items.table), wanted)
    assert Restriction().mask(items.table).all()
    assert not Restriction(categories=frozenset()).mask(items.table).any()


def test_categories_below_a_category() -> None:
    taxonomy = Taxonomy.from_paths(["Shoes > Boots > Chelsea", "Shoes > Sandals", "Bags"])
    found = {taxonomy.find(text).index for text in ("Shoes > Boots", "Shoes > Boots > Chelsea")}
    assert below(taxonomy, ["Shoes > Boots"]) == found
    assert below(taxonomy, ["Bags", "Shoes > Boots"]) == found | {taxonomy.find("Bags").index}
    with pytest.raises(InputError, match="Sandals"):
        below(taxonomy, ["Shoes > Sandal"])


def test_products_come_and_go_and_survive_saving(tmp_path: Path) -> None:
    items, more = shop(300), shop(60, seed=5, first=280)
    index = ExactIndex.build(items, ExactSettings())
    index.add(more)
    assert index.remove(["p3", "p300", "p3", "nobody"]) == 2
    assert len(index) == 340 - 2
    alive = np.ones(360, bool)
    alive[[*range(280, 300), 3, 320]] = False
    everything = np.concatenate([items.vectors, more.vectors])
    asked = clustered(20, 16, 9)
    rows, scores = oracle(asked, everything, 30, alive)
    index.save(tmp_path / "index")
    for one in (index, ExactIndex.load(tmp_path / "index", Embedding("m"))):
        found = one.search(Queries(asked), 30)
        np.testing.assert_array_equal(found.rows, rows)
        np.testing.assert_allclose(found.scores, scores, atol=1e-6)
        assert found.ids(one.ids).to_pylist()[0] == f"p{rows[0, 0] if rows[0, 0] < 300 else rows[0, 0] - 20}"
        assert len(one) == 338
    assert not list((tmp_path / "index").rglob("*.pkl"))


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    index = ExactIndex.build(shop(50), ExactSettings())
    index.save(folder)
    with pytest.raises(InputError, match="another|m2|cannot be compared"):
        ExactIndex.load(folder, Embedding("m2"))
    with pytest.raises(InputError, match="embedding"):
        index.add(shop(5, model="m2"))
    with pytest.raises(InputError, match="vectors of 16"):
        index.add(shop(5, 8))
    with pytest.raises(InputError, match="new or empty"):
        index.save(folder)
    with pytest.raises(InputError, match="new or empty"):
        index.save(folder / "vectors.npy")
    with pytest.raises(ValueError, match="k of at least 1"):
        index.search(Queries(clustered(1, 16, 0)), 0)
    with pytest.raises(ValueError, match=r"\(q, 16\)"):
        index.search(Queries(clustered(1, 8, 0)), 1)
    with pytest.raises(ValueError, match="mask of shape"):
        index.search(Queries(clustered(1, 16, 0)), 1, np.ones(3, bool))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"version": 99}))
    with pytest.raises(InputError, match="format version"):
        ExactIndex.load(folder)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"settings": {"block": "many"}}))
    with pytest.raises(InputError, match=r"settings\.block"):
        ExactIndex.load(folder)
    # What an older version could be told besides does not matter.
    (folder / "manifest.json").write_text(json.dumps(manifest | {"settings": {"block": 7, "spill": None}}))
    assert ExactIndex.load(folder).settings.block == 7
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with (folder / "vectors.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\xff")
    with pytest.raises(InputError, match=r"vectors\.npy.*damaged"):
        ExactIndex.load(folder)
    (folder / "vectors.npy").unlink()
    with pytest.raises(InputError, match=r"vectors\.npy.*missing"):
        ExactIndex.load(folder)
    with pytest.raises(InputError, match="there is none"):
        ExactIndex.load(tmp_path)


def test_products_without_embedding_are_not_found(tmp_path: Path) -> None:
    items, more = shop(40), shop(10, seed=5, first=40)
    items.vectors[::4], more.vectors[::2] = 0, 0
    index = ExactIndex.build(items, ExactSettings())
    index.add(more)
    index.save(tmp_path / "index")
    (tmp_path / "older").mkdir()
    for file in (tmp_path / "index").iterdir():
        if file.name != "embedded.npy":
            (tmp_path / "older" / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((tmp_path / "older" / "manifest.json").read_text())
    del manifest["files"]["embedded.npy"]
    (tmp_path / "older" / "manifest.json").write_text(json.dumps(manifest))
    for one in (index, ExactIndex.load(tmp_path / "index"), ExactIndex.load(tmp_path / "older")):
        rows = one.search(Queries(clustered(3, 16, 9)), 50).rows
        assert set(rows[0].tolist()) == {-1, *(i for i in range(40) if i % 4), *(i for i in range(40, 50) if i % 2)}


def test_unit_vectors() -> None:
    given = np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
    np.testing.assert_allclose(unit(given), [[0.6, 0.8], [0, 0], [0, 0], [0, 0]])
