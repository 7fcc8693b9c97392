"""Variants stay in one split: against an oracle that merges groups until nothing changes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.feeds.mapping import Mapper, Product
from modules.feeds.splitting import Splitter, group_of
from modules.feeds.variants import GTIN, ITEM_GROUP, MAX_TITLES, VariantRows, Variants, find_variants, shared_by
from modules.settings.feed import FeedSettings, SplitSettings

EAN, UPC, OWN = "04006381333931", "00036000291452", "02000000000015"
HALVES = SplitSettings(test_share=0.45, eval_share=0.1)

TEXTS = st.fixed_dictionaries(
    {"title": st.sampled_from(["", *(f"thing {i}" for i in range(12))])},
    optional={
        "image": st.sampled_from(["a.jpg", "b.jpg", "https://x/1.jpg", "http://x/1.jpg", "https://x/2.jpg"]),
        "retailer": st.sampled_from(["north", "south"]),
    },
)
PRODUCTS = st.lists(
    st.builds(
        Product,
        id=st.uuids().map(str),
        text=TEXTS,
        vectors=st.just({}),
        item_groups=st.lists(st.sampled_from(["g1", "g2", "g3"]), max_size=2).map(tuple),
        gtins=st.lists(st.sampled_from([EAN, UPC, OWN]), max_size=2).map(tuple),
    ),
    max_size=25,
)


def shares(a: Product, b: Product) -> bool:
    """Whether two products are variants, told from the pair alone."""
    if group_of(a.text) and group_of(a.text) == group_of(b.text):
        return True
    same_shop = a.text.get("retailer") == b.text.get("retailer")
    if same_shop and set(a.item_groups) & set(b.item_groups):
        return True
    if any(number != OWN or same_shop for number in set(a.gtins) & set(b.gtins)):
        return True
    pictures = [product.text.get("image", "").removeprefix("https:").removeprefix("http:") for product in (a, b)]
    return bool(pictures[0]) and pictures[0] == pictures[1] and (same_shop or pictures[0].startswith("//"))


def components(products: list[Product]) -> list[set[int]]:
    """Merges what shares something until nothing changes."""
    groups = [{i} for i in range(len(products))]
    changed = True
    while changed:
        changed = False
        for group, other in combinations(groups, 2):
            if any(shares(products[i], products[j]) for i in group for j in other):
                group |= other
                groups.remove(other)
                changed = True
                break
    return groups


def key(splitter: Splitter, product: Product) -> tuple[int, int]:
    own = splitter.key(product.text, product.id)
    return splitter.variants_of(own) or own


@given(PRODUCTS)
@settings(deadline=None)
def test_components_are_those_of_the_oracle(products: list[Product]) -> None:
    splitter = Splitter.among(HALVES, products)
    by_key = defaultdict(set)
    for i, product in enumerate(products):
        by_key[key(splitter, product)].add(i)
    assert sorted(map(sorted, by_key.values())) == sorted(map(sorted, components(products)))
    for group in by_key.values():
        assert len({splitter.split(products[i].text, products[i].id) for i in group}) == 1
        # One of the component's own titles decides.
        alone = Splitter(HALVES)
        own = {alone.key(products[i].text, products[i].id) for i in group}
        assert {key(splitter, products[i]) for i in group} <= own


@given(PRODUCTS, st.randoms(use_true_random=False), st.integers(1, 4))
@settings(deadline=None)
def test_order_and_division_do_not_matter(products: list[Product], order: random.Random, parts: int) -> None:
    splitter = Splitter.among(HALVES, products)
    shuffled = order.sample(products, len(products))
    writers = [VariantRows() for _ in range(parts)]
    for product in shuffled:
        order.choice(writers).add(product, splitter.key(product.text, product.id))
    divided = find_variants([writer.take() for writer in order.sample(writers, parts)])
    again = Splitter(HALVES, Variants.from_bytes(divided.to_bytes()))
    assert [key(again, product) for product in products] == [key(splitter, product) for product in products]


@given(PRODUCTS)
@settings(deadline=None)
def test_without_the_columns_nothing_changes(products: list[Product]) -> None:
    bare = [Product(product.id, {"title": product.text["title"]}, {}) for product in products]
    alone, among = Splitter(HALVES), Splitter.among(HALVES, bare)
    assert not find_variants([]) and not list(shared_by(Product("1", {"title": "a"}, {})))
    assert [alone.split(p.text, p.id) for p in bare] == [among.split(p.text, p.id) for p in bare]


def product(i: int, title: str, truth: str = "", retailer: str = "", **more: object) -> Product:
    text = {"title": title} | ({"retailer": retailer} if retailer else {})
    text |= {name: str(more.pop(name)) for name in ("image",) if name in more}
    return Product(str(i), text, {}, truth=(truth,) if truth else (), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "more"), [(GTIN, {"gtins": (EAN,)}), (ITEM_GROUP, {"item_groups": ("g",)}), ("image", {"image": "no.png"})]
)
def test_what_too_many_titles_share_is_ignored_and_counted(name: str, more: dict[str, object]) -> None:
    limit = MAX_TITLES[name]

    def found(titles: int) -> Variants:
        rows, splitter = VariantRows(), Splitter(HALVES)
        for i in range(3 * titles):
            made = product(i, f"thing {i % titles}", **more)
            rows.add(made, splitter.key(made.text, made.id))
        return find_variants([rows.take()])

    assert (len(found(limit)), found(limit).ignored) == (limit, Counter())
    assert (len(found(limit + 1)), found(limit + 1).ignored) == (0, Counter({name: 1}))
    # Of one title, however often it comes, nothing has to be decided.
    assert (len(found(1)), found(1).ignored) == (0, Counter())


def test_several_true_categories_contradict_within_a_retailer() -> None:
    splitter = Splitter(HALVES)

    def joined(*products: Product) -> bool:
        rows = VariantRows()
        for product in products:
            rows.add(product, splitter.key(product.text, product.id))
        variants = find_variants([rows.take()])
        assert bool(variants) != bool(variants.ignored)
        return bool(variants)

    assert joined(product(1, "a", "Boots", gtins=(EAN,)), product(2, "b", "Boots", gtins=(EAN,)))
    assert joined(product(1, "a", "Boots", gtins=(EAN,)), product(2, "b", gtins=(EAN,)))
    assert not joined(product(1, "a", "Boots", gtins=(EAN,)), product(2, "b", "Lamps", gtins=(EAN,)))
    # Each shop has its own words for a category.
    north = product(1, "a", "Boots", "north", gtins=(EAN,))
    south = product(2, "b", "Stiefel", "south", gtins=(EAN,))
    assert joined(north, south)
    assert not joined(north, south, product(3, "c", "Lampen", "south", gtins=(EAN,)))


def test_joined_titles_keep_the_shares() -> None:
    """The title that decides is not taken by the numbers that decide the split."""
    settings = SplitSettings(test_share=0.2, eval_share=0.2)
    products = [product(i, f"thing {i}", item_groups=(f"g{i // 8}",)) for i in range(24_000)]
    splitter = Splitter.among(settings, products)
    splits = Counter(splitter.split(products[i].text, products[i].id) for i in range(0, 24_000, 8))
    assert splits["test"] / 3000 == pytest.approx(0.2, abs=0.03)
    assert splits["eval"] / 3000 == pytest.approx(0.2, abs=0.03)


def test_the_feeds_own_split_rules() -> None:
    settings = SplitSettings(column="split", values={"tr": "train", "te": "test"}, eval_share=0.5)
    products = [product(i, f"thing {i}", item_groups=(f"g{i // 2}",)) for i in range(200)]
    splitter = Splitter.among(settings, products)
    assert {splitter.split(p.text, p.id, "te") for p in products} == {"test"}
    cut = [splitter.split(p.text, p.id, "tr") for p in products]
    assert set(cut) == {"train", "eval"} and cut[::2] == cut[1::2]


def test_fields_of_a_feed() -> None:
    fields = {"item_group_id": "parent", "gtin": "codes.ean", "price": None}
    mapper = Mapper(FeedSettings.model_validate({"fields": fields}))
    made = mapper.product({"id": 1, "title": "a", "parent": 7.0, "codes": {"ean": ["4006381333931", "x"]}})
    assert (made.item_groups, made.gtins) == (("7",), (EAN,))
    odd = mapper.product({"id": 1, "title": "a", "parent": {"x": 1}, "codes": {"ean": [["y"]]}})
    assert (odd.item_groups, odd.gtins) == ((), ())
