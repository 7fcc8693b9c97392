"""Ids of products of several retailers, and which product an older label means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modules.feeds.ids import IdSpace, LabelIds
from modules.settings.feed import FeedSettings, RetailerFeed, sources_of

RETAILERS = ("north", "south")
IDS = st.text("ab1:", min_size=1, max_size=4) | st.sampled_from(["north:1", "south:1", "north:north:1", "west:1"])


def label_ids() -> LabelIds:
    feeds = [RetailerFeed(retailer=name, files=(f"{name}.csv",)) for name in RETAILERS]
    return LabelIds.of(sources_of(FeedSettings(), feeds))


@given(st.lists(IDS, unique=True, max_size=6), st.sampled_from(RETAILERS))
def test_a_full_id_means_its_product(feed_ids: list[str], retailer: str) -> None:
    for feed_id in feed_ids:
        full = IdSpace(retailer).product_id(feed_id)
        assert full == f"{retailer}:{feed_id}" and label_ids().product_id(full) == full


@given(IDS.filter(lambda text: text.partition(":")[0] not in RETAILERS))
def test_an_id_without_a_retailer_is_the_first_feeds(feed_id: str) -> None:
    assert label_ids().product_id(feed_id) == f"north:{feed_id}"
    assert label_ids().among([f"north:{feed_id}", f"south:{feed_id}"])(feed_id) == f"north:{feed_id}"


def test_an_id_that_a_shop_starts_with_its_own_name_is_told_by_the_products() -> None:
    ids = label_ids()
    assert ids.plain_id("north:north:1") == "north:1"
    assert ids.plain_id("north:1") is None and ids.plain_id("south:south:1") is None
    assert ids.among(["north:north:1", "south:1"])("north:1") == "north:north:1"
    assert ids.among(["north:1", "south:1"])("north:1") == "north:1"


@given(IDS)
def test_with_plain_ids_nothing_is_renamed(label_id: str) -> None:
    plain = LabelIds.of(sources_of(FeedSettings(), []))
    assert plain == LabelIds() and plain.product_id(label_id) == label_id
    assert plain.plain_id(label_id) is None and plain.among([label_id])(label_id) == label_id
