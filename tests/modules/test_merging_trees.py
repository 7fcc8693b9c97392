"""Several retailers' trees as one."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.taxonomy import Taxonomy
from modules.taxonomy.merging import SpelledPaths, folded, merge_trees

NAMES = st.sampled_from(["Shoes", "shoes", "SHOES", "Sho es", "Ｓhoes", "Boots", "boots", "Straße", "STRASSE", "Home"])
TREES = st.lists(
    st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.integers(1, 9), max_size=6),
    min_size=2,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TREES)
def test_the_union_has_each_category_once_and_every_product(trees: list[dict[tuple[str, ...], int]]) -> None:
    merged = merge_trees(trees)
    keys = [folded(path) for path in merged.paths]
    assert len(keys) == len(set(keys))
    expected: Counter[tuple[str, ...]] = Counter()
    for tree in trees:
        for path, count in tree.items():
            expected[folded(path)] += count
    assert {folded(path): count for path, count in merged.counts.items()} == expected
    # A category is called the same wherever it stands in a path.
    names: dict[tuple[str, ...], str] = {}
    for path in merged.paths:
        for depth in range(1, len(path) + 1):
            assert names.setdefault(folded(path[:depth]), path[depth - 1]) == path[depth - 1]
    paths = SpelledPaths(Taxonomy.from_paths(merged.paths, exclusive="given"))
    for tree in trees:
        for path in tree:
            category = paths.find(path)
            assert category is not None and folded(category.path) == folded(path)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(TREES)
def test_the_order_of_feeds_does_not_matter(trees: list[dict[tuple[str, ...], int]]) -> None:
    assert merge_trees(trees) == merge_trees(trees[::-1])


def test_the_spelling_of_most_products_is_kept_and_the_others_are_said() -> None:
    merged = merge_trees([{("Shoes", "Boots"): 2, ("Toys",): 1}, {("SHOES", "boots"): 3, ("Home",): 1}])
    assert merged.counts == {("Home",): 1, ("SHOES", "boots"): 5, ("Toys",): 1}
    assert merged.spellings == {("SHOES",): (("Shoes",),), ("SHOES", "boots"): (("Shoes", "Boots"),)}
    assert merged.shared == 2
    assert merged.sentences() == [
        "2 categories are in the trees of several feeds",
        "2 categories were merged over spellings: 'SHOES' (also 'Shoes'), 'SHOES > boots' (also 'Shoes > Boots')",
    ]


def test_the_same_name_under_other_parents_is_another_category() -> None:
    merged = merge_trees([{("Men", "Boots"): 1}, {("Women", "boots"): 1}])
    assert merged.paths == (("Men", "Boots"), ("Women", "boots")) and not merged.spellings and not merged.shared


@pytest.mark.parametrize("tree", [{("a",): 1, ("A",): 2}, {}])
def test_a_single_tree_stays_as_it_is(tree: dict[tuple[str, ...], int]) -> None:
    merged = merge_trees([tree])
    assert merged.counts == tree and not merged.sentences()


def test_a_taxonomys_own_two_spellings_are_not_guessed_between() -> None:
    paths = SpelledPaths(Taxonomy.from_paths([("Shoes",), ("SHOES",), ("Home",)]))
    assert paths.find(("shoes",)) is None
    shoes, home = paths.find(("Shoes",)), paths.find(("HOME",))
    assert shoes is not None and shoes.path == ("Shoes",) and home is not None and home.path == ("Home",)
