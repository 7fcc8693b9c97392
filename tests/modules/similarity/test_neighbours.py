"""The table of neighbours against a full sort within each partition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from modules.similarity import neighbours
from modules.similarity.neighbours import write_neighbours
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.settings import Effort, ScannSettings
from tests.modules.similarity.shops import oracle, shop

K = 40
SIZES = [("a", 700), ("b", 40), ("one", 1), ("", 259)]


@pytest.mark.parametrize("sizes", [SIZES, []])
@pytest.mark.parametrize("least", [500, 5000])
def test_equals_a_full_sort_within_the_partition(tmp_path: Path, monkeypatch, sizes: list, least: int) -> None:
    monkeypatch.setattr(neighbours, "_BATCH", 128)
    monkeypatch.setattr(neighbours, "_ROW_GROUP", 256)
    items = shop(1000)
    items.vectors[5] = items.vectors[6] = items.vectors[7]  # near-duplicates
    without = [9, 710]
    items.vectors[without] = 0  # no embedding
    efforts = (Effort(k=100, leaves=100, reorder=700),)
    index = ScannIndex.build(items, ScannSettings(min_products=least, efforts=efforts), partitions=sizes)
    for one in index.partitions:
        if one.searcher is not None:
            one.searcher.efforts = efforts
    index.save(tmp_path / "index")
    index = ScannIndex.load(tmp_path / "index")
    written = write_neighbours(index, tmp_path / "n.parquet", K, 0.999)
    table = pq.read_table(tmp_path / "n.parquet")
    assert written.products == table.num_rows == 1000
    start = 0
    for _, size in sizes or [("", 1000)]:
        here = table.column("id").slice(start, size)
        assert sorted(here.to_pylist()) == sorted(items.ids.slice(start, size).to_pylist())
        start += size
    table = table.take(pc.index_in(items.ids, table.column("id").combine_chunks()))
    start = hits = total = 0
    for _, size in sizes or [("", 1000)]:
        own = items.vectors[start : start + size]
        ids = items.ids.to_pylist()[start : start + size]
        for row, line in enumerate(table.slice(start, size).to_pylist()):
            assert line["id"] not in line["neighbours"]
            assert line["scores"] == sorted(line["scores"], reverse=True)
            if start + row in without:
                assert line["neighbours"] == [] and line["near_duplicates"] == 0
                continue
            allowed = np.arange(size) != row
            allowed[[one - start for one in without if 0 <= one - start < size]] = False
            right, _ = oracle(own[row : row + 1], own, K, allowed)
            right = {ids[place] for place in right[0] if place >= 0}
            assert len(line["neighbours"]) == len(right)
            hits += len(right & set(line["neighbours"]))
            total += len(right)
            assert line["near_duplicates"] == sum(score >= 0.999 for score in line["scores"])
        start += size
    assert hits / total > 0.98
    twins = table.slice(5, 1).to_pylist()[0]
    assert set(twins["neighbours"][:2]) == {"p6", "p7"} and twins["near_duplicates"] == 2
    assert written.near_duplicates == 3
    assert pq.ParquetFile(tmp_path / "n.parquet").num_row_groups >= 4


def test_products_of_a_leaf_lie_beside_each_other_and_share_ids(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(neighbours, "_BATCH", 128)
    monkeypatch.setattr(neighbours, "_ROW_GROUP", 256)
    items = shop(4000)
    items.vectors[[3, 1000]] = 0  # no embedding: in no leaf
    ScannIndex.build(items, ScannSettings(min_products=1000, leaves=40)).save(tmp_path / "index")
    index = ScannIndex.load(tmp_path / "index")
    write_neighbours(index, tmp_path / "n.parquet", K, 0.999)
    file = pq.ParquetFile(tmp_path / "n.parquet")
    ids = file.read(["id"]).column("id").to_pylist()
    assert set(ids[-2:]) == {"p3", "p1000"}
    # A search of one leaf that holds enough finds that leaf's products.
    found = index.whole.search(items.vectors[100:300], 20, Effort(k=20, leaves=1, reorder=4000)).rows
    place = pc.index_in(items.ids, pa.array(ids)).to_numpy()
    assert np.median(np.ptp(place[found], axis=1)) < 200
    # Beside each other they find the same products, so few ids that a group writes them once.
    groups = [file.read_row_group(i).column("neighbours").combine_chunks().values for i in range(file.num_row_groups)]
    assert np.mean([len(one.unique()) for one in groups]) < 2000


def test_an_index_that_was_changed_is_refused(tmp_path: Path) -> None:
    for change in (lambda index: index.add(shop(3, first=5000)), lambda index: index.remove(["p7"])):
        index = ScannIndex.build(shop(300), ScannSettings(min_products=100))
        change(index)
        with pytest.raises(ValueError, match="as it was built"):
            write_neighbours(index, tmp_path / "n.parquet", K, 0.999)
        assert not (tmp_path / "n.parquet").exists()
