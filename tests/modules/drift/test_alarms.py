"""Which feeds raise an alarm, which one, and that chance alone raises none."""

from __future__ import annotations

from typing import Any

import pytest

from modules.drift.comparing import Comparison, compare
from modules.drift.profile import FeedProfile
from modules.examples import PRICE, TITLE
from modules.settings.drift import DriftSettings
from tests.modules.drift.feeds import OTHER_LANGUAGE, SHARES, Feed

DOUBLED = {"boots": 0.3, "bags": 0.28, "hats": 0.22, "gloves": 0.2}


@pytest.fixture(scope="module")
def training() -> FeedProfile:
    return Feed().add("acme", 2000, 100).add("bolt", 1000, 101).profile()


def alarms(training: FeedProfile, feed: Feed) -> list[Comparison]:
    settings = DriftSettings()
    rows = compare(training, feed.profile(training), settings.significance, settings.min_distance)
    return [row for row in rows if row.drifted]


def day(seed: int, products: int = 600, **acme: Any) -> Feed:
    return Feed().add("acme", 2 * products, seed, **acme).add("bolt", products, seed + 1)


@pytest.mark.parametrize("products", [25, 600])
def test_chance_alone_raises_no_alarm_in_19_of_20_feeds(products: int) -> None:
    training = Feed().add("acme", 2 * products, 7).add("bolt", products, 8).profile()
    raised = [bool(alarms(training, day(1000 + 2 * seed, products))) for seed in range(20)]
    assert sum(raised) <= 1


def test_the_same_feed_raises_none(training: FeedProfile) -> None:
    assert alarms(training, Feed().add("acme", 2000, 100).add("bolt", 1000, 101)) == []


@pytest.mark.parametrize(
    ("change", "kind", "subject"),
    [
        ({"language": OTHER_LANGUAGE}, "words", ""),
        ({"lost": ["brand"]}, "missing", "brand"),
        ({"lost": [TITLE]}, "missing", TITLE),
        ({"lost": [PRICE]}, "missing", PRICE),
        ({"shares": DOUBLED}, "categories", ""),
        ({"factor": 1.9}, "prices", ""),
        ({"shift": 0.7}, "embedding", ""),
    ],
)  # fmt: skip
def test_a_change_raises_exactly_its_alarm(
    training: FeedProfile, change: dict[str, Any], kind: str, subject: str
) -> None:
    raised = alarms(training, day(500, **change))
    assert [(row.retailer, row.kind, row.subject) for row in raised] == [("acme", kind, subject)]


def test_a_doubled_category_is_named_with_its_shares(training: FeedProfile) -> None:
    (row,) = alarms(training, day(500, shares=DOUBLED))
    by_name = {cell.label: cell for cell in row.cells}
    assert by_name["gloves"].before == pytest.approx(SHARES["gloves"], abs=0.03)
    assert by_name["gloves"].after == pytest.approx(DOUBLED["gloves"], abs=0.04)
    for name in SHARES:
        assert by_name[name].before * 2000 == pytest.approx(training.retailers["acme"].categories[name])


def test_new_gone_and_shrunken_retailers(training: FeedProfile) -> None:
    new = alarms(training, day(500).add("newcomer", 3, 9, language=OTHER_LANGUAGE))
    assert [(row.retailer, row.kind, row.after) for row in new] == [("newcomer", "new_retailer", 3)]
    gone = alarms(training, Feed().add("acme", 1900, 500))
    assert [(row.retailer, row.kind, row.before) for row in gone] == [("bolt", "gone_retailer", 1000)]
    shrunken = alarms(training, day(500, products=450))
    assert [(row.retailer, row.kind) for row in shrunken] == [("acme", "products"), ("bolt", "products")]


def test_fifty_products_of_a_thousand_categories_raise_none() -> None:
    """The plain distance of so few products is near 1, by chance alone."""
    many = {f"c{number}": 0.001 for number in range(1000)}
    training = Feed().add("acme", 5000, 1, shares=many).profile()
    rows = compare(training, Feed().add("acme", 2600, 2, shares=many).profile(training), 0.01, 0.15)
    assert not any(row.drifted for row in rows)
    few = compare(training, Feed().add("acme", 50, 3, shares=many).profile(training), 0.01, 0.15)
    assert [row.kind for row in few if row.drifted] == ["products"]
