"""The approximate index against exact search; adding, removing, saving, loading; hostile folders."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from modules.errors import InputError
from modules.similarity.changes import unit
from modules.similarity.items import Embedding, Items, Restriction, column
from modules.similarity.protocol import Index, Queries, SearchResult
from modules.similarity.scann_index.compared import MANY, compare
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.restricted import ROUTES, Restricted
from modules.similarity.scann_index.rotation import random_rotation, rotate
from modules.similarity.scann_index.searcher import Searcher
from modules.similarity.scann_index.settings import Effort, ScannSettings
from tests.modules.similarity.shops import oracle, shop

K, DIMENSION = 20, 32
CODES = ScannSettings(min_products=500, sample=2000, scoring="codes", efforts=(Effort(k=K, leaves=40, reorder=120),))


@pytest.fixture(scope="module", params=["vectors", "codes"])
def settings(request) -> ScannSettings:
    """Leaves of either kind."""
    return CODES.model_copy(update={"scoring": request.param})


def by_partition(items: Items, of: int = 3) -> tuple[Items, list[tuple[str, int]]]:
    """Items in the order of partitions (the category modulo ``of``, and those without category), and their sizes."""
    category = column(items.table, "category").to_numpy()
    number = np.where(category < 0, of, category % of)
    sizes = np.bincount(number, minlength=of + 1)
    return items.take(np.argsort(number, kind="stable")), [(f"c{i}", int(n)) for i, n in enumerate(sizes)]


@pytest.fixture(scope="module")
def partitioned() -> tuple[Items, list[tuple[str, int]]]:
    return by_partition(shop(4000, DIMENSION))


def near(items: Items, count: int, seed: int) -> np.ndarray:
    """Queries that resemble products."""
    rng = np.random.default_rng(seed)
    return unit(items.vectors[rng.choice(len(items), count)] + 0.1 * rng.normal(size=(count, items.dimension)))


def recall(found: SearchResult, queries: np.ndarray, vectors: np.ndarray, k: int, allowed: np.ndarray) -> float:
    """Share of the right neighbours that were found; what is found must be allowed, and no product twice."""
    rows, _ = oracle(queries, vectors, k, allowed)
    assert allowed[found.rows[found.rows >= 0]].all()
    hits = 0
    for mine, right in zip(found.rows, rows, strict=True):
        mine = mine[mine >= 0]
        assert len(np.unique(mine)) == len(mine)
        hits += len(np.intersect1d(mine, right[right >= 0]))
    return hits / int((rows >= 0).sum())


def test_finds_what_exact_search_finds(partitioned, settings) -> None:
    items, sizes = partitioned
    index = ScannIndex.build(items, settings, seed=1, partitions=sizes)
    assert isinstance(index, Index) and index.whole is not None
    asked = near(items, 300, 5)
    found = index.search(Queries(asked), K)
    assert recall(found, asked, items.vectors, K, np.ones(len(items), bool)) > 0.97
    exact = np.take_along_axis(asked @ items.vectors.T, found.rows, 1)
    np.testing.assert_allclose(found.scores, exact, atol=0.005)
    assert (np.diff(found.scores, axis=1) <= 0).all()


def test_the_seed_decides(partitioned, settings) -> None:
    # Not always: ScaNN's own clustering differs in a fifth of the runs here, and more often in larger sets.
    items, sizes = partitioned
    asked = near(items, 100, 5)
    few = settings.model_copy(update={"efforts": (Effort(k=K, leaves=4, reorder=60),)})  # so few that it shows
    built = [ScannIndex.build(items, few, seed, sizes) for seed in (*[1] * 14, 2)]
    *same, other = (one.search(Queries(asked), K).rows for one in built)
    np.testing.assert_array_equal(built[0].search(Queries(asked), K).rows, same[0])
    alike = max((one == another).mean() for one, another in combinations(same, 2))
    assert alike > 0.95 and max((build == other).mean() for build in same) < 0.8


@pytest.mark.parametrize("k", [1, 7, 300])
def test_any_number_of_neighbours(partitioned, k: int, settings) -> None:
    items, _ = partitioned
    index = ScannIndex.build(items, settings)
    asked = near(items, 50, 6)
    found = index.search(Queries(asked), k)
    assert found.rows.shape == (50, k)
    assert recall(found, asked, items.vectors, k, np.ones(len(items), bool)) > 0.9


def test_more_than_may_be_in_memory_is_added_block_by_block(partitioned, settings) -> None:
    items, _ = partitioned
    index = ScannIndex.build(items, settings.model_copy(update={"build_memory": 1, "sample": 1000}))
    asked = near(items, 300, 5)
    found = index.search(Queries(asked), K)
    assert recall(found, asked, items.vectors, K, np.ones(len(items), bool)) > 0.97
    np.testing.assert_allclose(found.scores, np.take_along_axis(asked @ items.vectors.T, found.rows, 1), atol=0.01)


@pytest.mark.parametrize("share", [None, 0.0, 0.01, 0.6])
@pytest.mark.parametrize("k", [1, 50, 5000])
def test_comparing_many_queries_equals_a_full_sort(share: float | None, k: int, monkeypatch) -> None:
    monkeypatch.setattr("modules.similarity.scann_index.compared._BLOCK_BYTES", 4 * 16 * 700)
    items, more = shop(3000), shop(200, seed=4)
    mask = None if share is None else np.random.default_rng(1).random(3200) < share
    asked = near(items, MANY, 3)
    found = compare(asked, [items.vectors.astype(np.float16), more.vectors], k, mask)
    everything = np.concatenate([items.vectors.astype(np.float16).astype(np.float32), more.vectors])
    _, scores = oracle(asked, everything, k, np.ones(3200, bool) if mask is None else mask)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    real = found.rows >= 0
    np.testing.assert_allclose(
        (asked @ everything.T)[np.nonzero(real)[0], found.rows[real]], found.scores[real], atol=1e-6
    )
    assert mask is None or mask[found.rows[real]].all()


@pytest.mark.parametrize("dimension", [1, 17, 128, 512, 2048, 514, 521])
def test_rotations_keep_angles(dimension: int) -> None:
    rotation = random_rotation(dimension, np.random.default_rng(0))
    vectors = np.random.default_rng(1).normal(size=(5, dimension)).astype(np.float32)
    turned = rotate(vectors, rotation)
    assert rotation.shape[1] <= 521
    np.testing.assert_allclose(turned @ turned.T, vectors @ vectors.T, rtol=1e-3, atol=1e-3)


def test_one_query_and_none_and_odd_dimensions(settings) -> None:
    items = shop(700, 17)
    index = ScannIndex.build(items, settings)
    one = index.search(Queries(items.vectors[5:6]), 3)
    assert one.rows[0, 0] == 5 and one.scores[0, 0] == pytest.approx(1, abs=0.02)
    assert index.search(Queries(items.vectors[:0]), 3).rows.shape == (0, 3)
    for wrong in (Queries(items.vectors[:2, :5]), Queries(None)):
        with pytest.raises(ValueError, match="vectors"):
            index.search(wrong, 3)


def test_products_without_embedding_are_never_neighbours(settings) -> None:
    items = shop(1500, DIMENSION)
    items.vectors[::3] = 0
    index = ScannIndex.build(items, settings)
    found = index.search(Queries(near(shop(1500, DIMENSION), 30, 1)), 900)
    assert (found.rows[found.rows >= 0] % 3 > 0).all() and (found.rows[:, -1] >= 0).all()
    nothing = Items(items.table, np.zeros_like(items.vectors), items.embedding)
    assert (ScannIndex.build(nothing, settings).search(Queries(near(shop(1500, DIMENSION), 2, 1)), 5).rows < 0).all()


@pytest.mark.parametrize("route", [None, *ROUTES])
def test_products_without_embedding_let_no_others_past_a_restriction(route, tmp_path: Path, settings) -> None:
    items, sizes = by_partition(shop(1800, DIMENSION))
    items.vectors[::3] = 0
    index = ScannIndex.build(items, settings, partitions=sizes)
    index.add(
        Items(shop(40, DIMENSION, seed=3, first=5000).table, np.zeros((40, DIMENSION), np.float32), Embedding("m"))
    )
    index.save(tmp_path / "index")
    # More products are meant, those without embedding included, than a tree has.
    within = np.arange(1840) < 1500
    allowed = within & (np.arange(1840) % 3 > 0)
    asked = near(items, 30, 1)
    for one in (index, ScannIndex.load(tmp_path / "index")):
        found = one.search(Queries(asked), 1100, within, route)
        assert ((found.rows >= 0).sum(1) == allowed.sum()).all()
        assert recall(found, asked, np.concatenate([items.vectors, one.rows.added]), 1100, allowed) == 1.0


RESTRICTIONS = {
    "a partition": Restriction(categories=frozenset({1, 4, 7, 10})),
    "some categories of several partitions": Restriction(categories=frozenset({1, 2, 6})),
    "half of the products": Restriction(price_from=20.0),
    "few products": Restriction(retailers=frozenset({"shop 3"}), price_to=4.0, availability=frozenset({"sold out"})),
    "all but a few": Restriction(price_to=400.0),
    "none": Restriction(categories=frozenset({99})),
}


@pytest.mark.parametrize("route", [None, *ROUTES])
@pytest.mark.parametrize("name", RESTRICTIONS)
def test_every_route_finds_what_exact_search_finds(partitioned, index_with_changes, name: str, route) -> None:
    index, vectors, alive = index_with_changes
    allowed = RESTRICTIONS[name].mask(index.rows.table) & alive
    asked = near(partitioned[0], 100, 8)
    found = index.search(Queries(asked), K, RESTRICTIONS[name], route)
    assert found.rows.shape == (100, K)
    expected = min(K, int(allowed.sum()))
    assert ((found.rows >= 0).sum(1) == expected).all()
    if expected:
        assert recall(found, asked, vectors, K, allowed) > 0.97
    masked = index.search(Queries(asked), K, allowed, route)
    np.testing.assert_array_equal(masked.rows, found.rows)


@pytest.fixture(scope="module")
def index_with_changes(partitioned, settings):
    """An index, all its vectors, and which rows are alive, after products came and went."""
    items, sizes = partitioned
    index = ScannIndex.build(items, settings, seed=2, partitions=sizes)
    more = shop(300, DIMENSION, seed=3, first=3900)
    index.add(more)
    gone = [f"p{i}" for i in range(0, 4100, 37)]
    assert index.remove([*gone, "nobody", gone[0]]) == len(gone)
    table = index.rows.table
    ids = column(table, "id").to_pylist()
    last = {id: row for row, id in enumerate(ids)}
    alive = np.array([last[id] == row and id not in set(gone) for row, id in enumerate(ids)])
    assert len(index) == alive.sum()
    return index, np.concatenate([items.vectors, more.vectors]), alive


def test_products_of_a_category_in_no_partition_are_found_by_every_route(partitioned, settings) -> None:
    items, sizes = partitioned
    index = ScannIndex.build(items, settings, partitions=sizes)
    new = shop(30, DIMENSION, seed=3, first=9000)
    category = np.where(np.arange(30) % 3, 99, column(new.table, "category").to_numpy())
    index.add(Items.of(new.ids, new.vectors, category=category, embedding=items.embedding))
    within = Restriction(categories=frozenset({0, 3, 99}))
    allowed = within.mask(index.rows.table)
    assert allowed[len(items) :].sum() >= 20
    vectors, asked = np.concatenate([items.vectors, new.vectors]), near(new, 100, 8)
    for route in ROUTES:
        assert recall(index.search(Queries(asked), K, within, route), asked, vectors, K, allowed) > 0.97
    restricted = Restricted(index)
    wanted = restricted.wanted(within)
    assert wanted is not None and wanted.partitions.sum() + len(wanted.others) == wanted.count == allowed.sum()
    assert restricted.seconds("partitions", 100, K, wanted) < 1.0


def test_products_come_and_go_and_survive_saving(index_with_changes, tmp_path: Path) -> None:
    index, vectors, alive = index_with_changes
    index.facts["recall"] = 0.5
    index.save(tmp_path / "index")
    assert {p.suffix for p in (tmp_path / "index").rglob("*") if p.is_file()} <= {
        ".json", ".arrow", ".npy", ".pb", ".pbtxt",
    }  # fmt: skip
    loaded = ScannIndex.load(tmp_path / "index", Embedding("m"))
    asked = near(index.rows.base, 100, 9)
    for one in (index, loaded):
        found = one.search(Queries(asked), K)
        assert recall(found, asked, vectors, K, alive) > 0.97
        ids = found.ids(one.ids).to_pylist()
        assert ids[0] == column(index.rows.table, "id")[int(found.rows[0, 0])].as_py()
        assert one.facts["recall"] == 0.5 and len(one) == alive.sum()
        assert not one.rebuild_pays
    for within in RESTRICTIONS.values():
        a, b = (one.search(Queries(asked), K, within).rows for one in (index, loaded))
        np.testing.assert_array_equal(a, b)
    # What was loaded can be changed again.
    loaded.add(shop(1000, DIMENSION, seed=12, first=9000))
    assert loaded.rebuild_pays
    mine = loaded.search(Queries(shop(1000, DIMENSION, seed=12).vectors), 1)
    assert np.mean(mine.ids(loaded.ids).to_numpy(zero_copy_only=False) == [f"p{9000 + i}" for i in range(1000)]) > 0.99
    loaded.remove([f"p{9000 + i}" for i in range(1000)])
    assert recall(loaded.search(Queries(asked), K), asked, vectors, K, alive) > 0.97


def test_what_cannot_be_used_is_said(tmp_path: Path, settings) -> None:
    items = shop(800, DIMENSION)
    folder = tmp_path / "index"
    ScannIndex.build(items, settings).save(folder)
    with pytest.raises(InputError, match="cannot be compared"):
        ScannIndex.load(folder, Embedding("another"))
    index = ScannIndex.load(folder)
    with pytest.raises(InputError, match="embedding"):
        index.add(shop(5, DIMENSION, model="another"))
    with pytest.raises(ValueError, match="800"):
        ScannIndex.build(items, settings, partitions=[("a", 3)])
    data = "dataset.npy" if settings.scoring == "vectors" else "int8_dataset.npy"
    for name in ("rows.npy", data, "scann_assets.pbtxt"):
        path = folder / "global" / name
        kept = path.read_bytes()
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        with pytest.raises(InputError, match=rf"{name}.*damaged"):
            ScannIndex.load(folder)
        path.unlink()
        with pytest.raises(InputError, match=rf"{name}.*missing"):
            ScannIndex.load(folder)
        path.write_bytes(kept)
    assets = folder / "global" / "scann_assets.pbtxt"
    kept = assets.read_text()
    (folder / "secret.npy").write_bytes((folder / "global" / data).read_bytes())
    for name in ("../secret.npy", "/etc/passwd", "none.npy"):
        for written in (f'asset_path: "{name}"', f'asset_path : "{name}"', f"asset_path:\n '{name}'", f'[x] "{name}"'):
            assets.write_text(kept.replace(f'asset_path: "{data}"', written))
            with pytest.raises(InputError, match=r"names of files beside it"):
                Searcher.load(folder / "global", 1)
    assets.write_text(kept)
    (folder / "secret.npy").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"kind": "exact"}))
    with pytest.raises(InputError, match="an index of kind scann"):
        ScannIndex.load(folder)


def test_searching_imports_neither_tensorflow_nor_pickled_ids(tmp_path: Path, settings) -> None:
    ScannIndex.build(shop(800, DIMENSION), settings).save(tmp_path / "index")
    code = f"""
import sys
import numpy as np
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.compared import MANY, compare
from modules.similarity.scann_index.index import ScannIndex
ScannIndex.load({str(tmp_path / "index")!r}).search(Queries(np.ones((1, {DIMENSION}), np.float32)), 3)
print("tensorflow" in sys.modules, "scann" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_trees_share_mapped_vectors(partitioned, tmp_path: Path) -> None:
    items, sizes = partitioned
    index = ScannIndex.build(items, CODES.model_copy(update={"mapped": True}), seed=1, partitions=sizes)
    index.remove([items.ids[7].as_py()])
    index.add(shop(30, DIMENSION, seed=4, first=len(items)))
    asked, everything = near(items, 300, 5), np.concatenate([items.vectors, index.rows.added])
    index.save(tmp_path / "index")
    loaded = ScannIndex.load(tmp_path / "index")
    for one in (index, loaded):
        found = one.search(Queries(asked), K)
        assert recall(found, asked, everything, K, one.rows.alive) > 0.97
        exact = np.take_along_axis(asked @ everything.T, found.rows, 1)
        np.testing.assert_allclose(found.scores, exact, atol=0.01)
        assert (np.diff(found.scores, axis=1) <= 0).all()
        alone = one.search(Queries(asked[:1]), K)
        np.testing.assert_array_equal(alone.rows, found.rows[:1])
    added = loaded.search(Queries(loaded.rows.added[:5]), 1)
    np.testing.assert_array_equal(added.rows[:, 0], len(items) + np.arange(5))
    values = [one for one in (tmp_path / "index").rglob("*.npy") if "int8" in one.name]
    assert (
        values == [tmp_path / "index" / "rescoring" / "int8.npy"]
        and values[0].stat().st_size < items.vectors.size + 200
    )
    within = Restriction(categories=frozenset(range(0, 12, 3)))
    allowed = within.mask(loaded.rows.table) & loaded.rows.alive
    for route in ROUTES:
        restricted = loaded.search(Queries(asked), K, within, route)
        assert recall(restricted, asked, everything, K, allowed) > 0.95


def test_the_size_decides_what_leaves_hold_and_what_is_mapped() -> None:
    any_size = ScannSettings()
    assert [any_size.for_size(n, 128).scoring for n in (1, 131_072, 131_073)] == ["vectors", "vectors", "codes"]
    assert not any_size.for_size(1_000_000, 128).mapped and any_size.for_size(4_000_000, 2048).mapped
    assert not ScannSettings(quantisation="bfloat16").for_size(4_000_000, 2048).mapped
    vectors = ScannSettings(scoring="vectors").for_size(4_000_000, 2048)
    assert vectors.scoring == "vectors" and not vectors.mapped
    mapped = ScannSettings(mapped=True).for_size(10, 128)
    assert mapped.scoring == "codes" and mapped.mapped
    for wrong in ({"quantisation": "bfloat16"}, {"scoring": "vectors"}):
        with pytest.raises(ValueError, match="expected codes and quantisation int8 with mapped"):
            ScannSettings(mapped=True, **wrong)


def test_leaves_of_vectors_give_the_exact_cosines(partitioned, tmp_path: Path) -> None:
    items, _ = partitioned
    ScannIndex.build(items, CODES.model_copy(update={"scoring": "vectors"}), seed=1).save(tmp_path / "index")
    index = ScannIndex.load(tmp_path / "index")
    asked = near(items, 300, 5)
    found = index.search(Queries(asked), K)
    exact = np.take_along_axis(asked @ np.asarray(index.rows.base.vectors, np.float32).T, found.rows, 1)
    np.testing.assert_allclose(found.scores, exact, atol=2e-7)
    assert not list((tmp_path / "index").rglob("rotation.npy"))
