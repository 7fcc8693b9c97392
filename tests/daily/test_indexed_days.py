"""The published similarity indexes have today's products, and no others."""

from __future__ import annotations

import pytest

from modules.errors import InputError
from modules.similarity.catalogue import Catalogue
from tests.daily.indexed import check, example, push, renew
from tests.daily.shop import Shop, day


def versions(shop: Shop) -> list[str]:
    return sorted(path.name for path in shop.runs.pushed_indexes.iterdir())


def test_products_come_change_and_go(shop: Shop) -> None:
    rows = day(60)
    shop.record("run-2", rows, example=example)
    base = push(shop, "run-2")
    shop.predict(rows)
    # The run's own feed: nothing is to be written.
    assert renew(shop).version == base and versions(shop) == ["1"]
    rows["p3"] |= {"title": "canvas tote", "brand": "other"}
    rows["p4"] |= {"price": 3.5}
    rows["p5"] |= {"availability": "sold out"}
    del rows["p6"]
    rows["new"] = {**rows["p7"], "id": "new", "title": "leather boots"}
    shop.predict(rows)
    renewed = renew(shop)
    assert (renewed.newer, renewed.outdated, renewed.products) == (4, 5, 60)
    check(shop, renewed.version, rows)
    with pytest.raises(InputError, match="id of a product"):
        Catalogue.open(renewed.version).asked("p6", "joint")
    # The same day again makes no other version.
    shop.predict(rows)
    assert renew(shop).version == renewed.version and versions(shop) == ["1", renewed.version.name]
