"""What no kind of index takes, before or after it was built: it says so, and stays as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modules.errors import InputError
from modules.similarity.exact import ExactIndex, ExactSettings
from modules.similarity.full_text.engine import FullTextIndex, FullTextSettings
from modules.similarity.items import Items
from modules.similarity.loading import load_index
from modules.similarity.protocol import Index, Queries
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import ScannSettings
from tests.modules.similarity.shops import clustered, shop

Build = Callable[[Items], Any]
KINDS: dict[str, Build] = {
    "exact": lambda items: ExactIndex.build(items, ExactSettings()),
    "vectors": lambda items: ScannIndex.build(items, ScannSettings(min_products=500, scoring="vectors")),
    "codes": lambda items: ScannIndex.build(items, ScannSettings(min_products=500, scoring="codes")),
    "full_text": lambda items: FullTextIndex.build(items, FullTextSettings()),
}
WRONG = [np.nan, np.inf, -np.inf]

pytestmark = pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)


def same(index: Index, before: tuple[int, Any]) -> bool:
    count, found = before
    again = index.search(Queries(clustered(20, 16, 3)), 10)
    return len(index) == count and bool((again.rows == found.rows).all())


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", WRONG)
def test_vectors_that_are_not_finite(build: Build, value: float, dtype: Any) -> None:
    items = shop(600)
    index = build(items)
    before = len(index), index.search(Queries(clustered(20, 16, 3)), 10)
    few = shop(40, first=590)  # ten of which are there already
    few.vectors[3, 7] = value
    few = Items(few.table, few.vectors.astype(dtype), items.embedding)
    with pytest.raises(InputError, match="product p593.*finite"):
        index.add(few)
    assert same(index, before)
    vectors = items.vectors.astype(dtype)
    vectors[599, 0] = value
    with pytest.raises(InputError, match="product p599.*finite"):
        build(Items(items.table, vectors, items.embedding))
    queries = clustered(3, 16, 4)
    queries[1, 2] = value
    with pytest.raises(ValueError, match="finite"):
        index.search(Queries(queries), 5)


def test_an_id_twice_or_none(build: Build) -> None:
    items = shop(600)
    index = build(items)
    before = len(index), index.search(Queries(clustered(20, 16, 3)), 10)
    for ids in (["n1", "n2", "n1"], ["n1", None, "n2"]):
        wrong = Items.of(pa.array(ids, pa.string()), clustered(3, 16, 5), embedding=items.embedding)
        with pytest.raises(InputError, match="ids that differ"):
            index.add(wrong)
        with pytest.raises(InputError, match="ids that differ"):
            build(wrong)
    assert same(index, before)


def test_another_dimension_or_embedding_changes_nothing(build: Build, tmp_path: Path) -> None:
    index = build(shop(600))
    before = len(index), index.search(Queries(clustered(20, 16, 3)), 10)
    for wrong in (shop(5, dimension=8, first=598), shop(5, first=598, model="another")):
        with pytest.raises(InputError):
            index.add(wrong)
    assert same(index, before)
    index.save(tmp_path / "index")


@pytest.mark.parametrize("embedded", [0, 1, 9, 15, 16, 40])
def test_few_products_with_an_embedding(build: Build, embedded: int) -> None:
    items = shop(2000)
    items.vectors[embedded:] = 0
    index = build(items)
    found = index.search(Queries(items.vectors[: max(1, embedded)].copy()), 50)
    assert ((found.rows >= 0).sum(axis=1) == min(50, embedded)).all() or isinstance(index, FullTextIndex)
    assert set(found.rows[found.rows >= 0].tolist()) == set(range(embedded))


HOSTILE: dict[str, Any] = {
    "settings": [], "facts": [], "files": [], "dimension": 7, "count": -1, "kind": ["scann"], "embedding": {"model": 3},
}  # fmt: skip


def test_hostile_manifests_are_said(build: Build, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(shop(600)).save(folder)
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    for key, value in HOSTILE.items():
        for wrong in (value, None, "x"):
            file.write_text(json.dumps(manifest | {key: wrong}))
            with pytest.raises(InputError):
                load_index(folder)
    for text in ("[" * 200_000, "{}", "[]", "", "\0", json.dumps(manifest)[:-40]):
        file.write_text(text)
        with pytest.raises(InputError):
            load_index(folder)
    file.write_text(json.dumps(manifest))
    assert len(load_index(folder)) == 600


def test_files_that_the_manifest_does_not_name_are_not_read(build: Build, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    build(shop(600)).save(folder)
    (folder / ".DS_Store").write_bytes(b"a file system's own")
    assert len(load_index(folder)) == 600
    np.save(folder / "alive.npy", np.zeros((600, 1), bool))
    with pytest.raises(InputError, match=r"alive\.npy: only files that the manifest names"):
        load_index(folder)
    (folder / "alive.npy").unlink()
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    file.write_text(json.dumps(manifest | {"files": {}}))
    (folder / "vectors.npy").write_bytes((folder / "vectors.npy").read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match="only files that the manifest names"):
        load_index(folder)


def test_hostile_layouts_are_said(build: Build, tmp_path: Path) -> None:
    index = build(shop(600))
    if not isinstance(index, ScannIndex):
        return
    index.save(tmp_path / "index")
    file = tmp_path / "index" / "manifest.json"
    manifest = json.loads(file.read_text())
    layout = manifest["facts"]["layout"]
    tree = layout["tree"]
    for wrong in (
        None, [], {}, {"partitions": 5}, {**layout, "partitions": [{}]}, {**layout, "partitions": [5]},
        {**layout, "tree": {}}, {**layout, "tree": {**tree, "leaves": "x"}}, {**layout, "tree": {**tree, "efforts": 5}},
        {**layout, "tree": {**tree, "efforts": [{"k": 0}]}},
        {**layout, "partitions": [{"name": "a", "start": 0, "end": 600, "tree": None, "added": "x"}]},
    ):  # fmt: skip
        file.write_text(json.dumps(manifest | {"facts": {"layout": wrong}}))
        with pytest.raises(InputError, match=r"layout"):
            load_index(tmp_path / "index")
