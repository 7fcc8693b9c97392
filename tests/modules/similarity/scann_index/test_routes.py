"""Which route a restricted search takes, by its expected cost."""

from __future__ import annotations

import numpy as np
import pytest

from modules.similarity.items import Items
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.restricted import Restricted
from modules.similarity.scann_index.settings import Effort, ScannSettings
from tests.modules.similarity.shops import shop

PRODUCTS, PARTS, K = 12_000, 60, 50
TREE = 8_000
"""Products of the first partition, which has a tree of its own; the others share the rest."""


@pytest.fixture(scope="module", params=["vectors", "codes"])
def restricted(request) -> Restricted:
    """Of an index with one large partition and many small ones."""
    items: Items = shop(PRODUCTS, 64)
    small = (PRODUCTS - TREE) // (PARTS - 1)
    sizes = [TREE, *[small] * (PARTS - 2)]
    sizes.append(PRODUCTS - sum(sizes))
    efforts = tuple(Effort(k=k, leaves=k // 5, reorder=2 * k, seconds=k * 1e-7) for k in (K, 4 * K))
    settings = ScannSettings(min_products=2000, scoring=request.param, efforts=efforts)
    partitions = [(f"c{i}", size) for i, size in enumerate(sizes)]
    return Restricted(ScannIndex.build(items, settings, partitions=partitions))


@pytest.mark.parametrize("queries", [1, 16, 500])
def test_the_route_fits_what_is_wanted(restricted: Restricted, queries: int) -> None:
    rng = np.random.default_rng(0)
    row = np.arange(PRODUCTS)
    taken = {
        name: restricted.cheapest(queries, K, wanted)
        for name, mask in {
            "a partition with a tree": row < TREE,
            "most products of all partitions": rng.random(PRODUCTS) < 0.9,
            "few products of all partitions": rng.random(PRODUCTS) < 0.01,
        }.items()
        if (wanted := restricted.wanted(mask)) is not None
    }
    assert taken == {
        "a partition with a tree": "partitions",
        "most products of all partitions": "filtered",
        "few products of all partitions": "exact",
    }


def test_every_partition_has_its_price(restricted: Restricted) -> None:
    """As many products of more partitions cost more: of each the best are chosen."""
    row = np.arange(PRODUCTS)
    one, many = restricted.wanted(row < 500), restricted.wanted((row >= TREE) & (row % 8 == 0))
    assert one is not None and many is not None and one.count == many.count == 500
    for queries in (1, 500):
        costs = [restricted.seconds("partitions", queries, K, wanted) for wanted in (one, many)]
        assert costs[1] > 3 * costs[0] > 0
    assert restricted.seconds("exact", 500, K, one) == restricted.seconds("exact", 500, K, many)
