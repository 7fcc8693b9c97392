"""Cells with categories, as shops write them."""

from __future__ import annotations

import html
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.category_separators import guess_paths_separator
from modules.category_text import CategoryCells, Names
from pipeline.init.categories import cells_of

BOOTS, CAPS, SALE = ("Shoes", "Boots"), ("Hats, Caps & Gloves", "Caps"), ("Sale", "Winter")


@pytest.mark.parametrize(
    ("cells", "value", "paths"),
    [
        # Magento: commas between paths, none of them with a blank behind, slashes within names escaped.
        (CategoryCells("/", ","), "Root/Shoes/Boots,Root/Hats, Caps & Gloves", [("Root", *BOOTS), ("Root", CAPS[0])]),
        (CategoryCells("/", ","), r"Root/TV\/Video,Root/New", [("Root", "TV/Video"), ("Root", "New")]),
        (CategoryCells("/", ","), "Root,Root/Shoes,Root/New,Root/Shoes/Boots", [("Root", *BOOTS), ("Root", "New")]),
        # WooCommerce: a comma and a blank between paths, commas within names escaped, entities from its database.
        (CategoryCells(">", ", "), r"Shoes &gt; Boots, Hats\, Caps &amp; Gloves > Caps", [BOOTS, CAPS]),
        (CategoryCells(">", "|"), "Shoes > Boots|Sale > Winter|Shoes > Boots", [BOOTS, SALE]),
        (CategoryCells(">", "|"), "Shoes &amp;gt; Boots | Sale > Winter|", [BOOTS, SALE]),
        (CategoryCells(">", ";"), "Hats, Caps &amp; Gloves > Caps;Sale > Winter", [CAPS, SALE]),
        (CategoryCells(">", "\n"), "Shoes > Boots\r\nSale > Winter\n", [BOOTS, SALE]),
        (CategoryCells(" / "), "Electronics / TV/Video", [("Electronics", "TV/Video")]),
        (CategoryCells(">", None, True), "187 - Shoes > Boots", [BOOTS]),
        (CategoryCells(">", None, True), "0 - 3 Months > Hats", [("0 - 3 Months", "Hats")]),
        (CategoryCells(">", ",", True), "187 - Shoes > Boots,8 - Sale > Winter", [BOOTS, SALE]),
        (CategoryCells(), "187 - Shoes > Boots", [("187 - Shoes", "Boots")]),
        (CategoryCells(), [["Shoes", "Boots"], ["Sale", "Winter"]], [BOOTS, SALE]),
        (CategoryCells(), ["Shoes > Boots", "Sale > Winter"], [BOOTS, SALE]),
        (CategoryCells(), '[["Shoes", "Boots"], ["Sale", "Winter"]]', [BOOTS, SALE]),
        (CategoryCells(">", ","), '["Hats, Caps &amp; Gloves", "Caps"]', [CAPS]),
        (CategoryCells(), "&am\u200bp;amp; Co", [("& Co",)]),
        (CategoryCells(">", "|"), "|".join(["", " > ", "&nbsp;"]), []),
    ],
)  # fmt: skip
def test_paths(cells: CategoryCells, value: object, paths: list[Names]) -> None:
    assert list(cells.paths(value)) == paths
    assert cells.names(value) == (paths[0] if paths else ())


PLAIN = st.text(st.characters(whitelist_categories=("Lu", "Ll"), max_codepoint=0x24F), min_size=2, max_size=7)
PIECES = st.lists(PLAIN, min_size=1, max_size=3)


def magento(paths: list[Names]) -> str:
    return ",".join("/".join(name.replace("/", "\\/") for name in path) for path in paths)


def woocommerce(paths: list[Names]) -> str:
    return ", ".join(" > ".join(html.escape(name, quote=False) for name in path).replace(",", "\\,") for path in paths)


def joined(between_names: str, between_paths: str):
    return lambda paths: between_paths.join(between_names.join(path) for path in paths)


WRITERS = {
    # What a name may have beside letters, how it is written, and how it is read.
    "magento": ([", ", " & ", "/"], magento, CategoryCells("/", ",")),
    "woocommerce": ([", ", ",", " & ", "/"], woocommerce, CategoryCells(">", ", ")),
    "pipes": ([", ", ",", " & ", "/", " - "], joined(" > ", "|"), CategoryCells(">", "|")),
    "twice escaped": (
        [", ", " & ", "/"], lambda paths: html.escape(html.escape(joined(" > ", "|")(paths))), CategoryCells(">", "|")
    ),
    "slashes with blanks": (["/", ", ", "&"], joined(" / ", "|"), CategoryCells(" / ", "|")),
    "newlines": ([", ", "/", "|"], joined(" » ", "\n"), CategoryCells("»", "\n")),
    "lists": ([", ", "/", "|", " > "], lambda paths: [list(path) for path in paths], CategoryCells()),
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
@given(st.data())
def test_what_a_shop_writes_comes_back(name: str, data: st.DataObject) -> None:
    within, write, cells = WRITERS[name]
    names = st.builds(lambda between, pieces: between.join(pieces), st.sampled_from(within), PIECES)
    paths = data.draw(st.lists(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=4, unique=True))
    beginnings = {path[:depth] for path in paths for depth in range(1, len(path))}
    expected = [path for path in paths if path not in beginnings]
    read = cells.paths(write(paths))
    assert set(read) == set(expected)
    # The first path, or the longer one that goes on from it.
    assert read[0][: len(paths[0])] == paths[0]


TREE = [
    ("Shop", "Hats, Caps & Gloves", "Caps"), ("Shop", "Hats, Caps & Gloves", "Gloves"), ("Shop", "TV/Video", "LED"),
    ("Shop", "Shoes", "Boots"), ("Sale", "Winter"), ("Sale", "Summer"), ("Shop", "Shoes"), ("Gifts",),
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "lists"])
@pytest.mark.parametrize("several", [0, 1, 5])
def test_a_column_tells_how_its_shop_writes(name: str, several: int) -> None:
    """``several``: how many of ten cells hold more than one path."""
    _, write, cells = WRITERS[name]
    values: Counter[str] = Counter()
    for i in range(100):
        paths = [TREE[i % 7]] + ([TREE[4 + i % 2]] if i % 10 < several and i % 7 < 4 else [])
        values[write(paths)] += 1
    read, _ = cells_of(values)
    expected = {path for path in TREE if path != ("Gifts",)} - {("Shop", "Shoes")} | {("Shop", "Shoes")}
    assert {read.names(value) for value in values} == expected
    assert all(read.paths(value) == cells.paths(value) for value in values)


def test_categories_that_are_written_above_their_own_are_paths_and_no_names() -> None:
    tree = [("Kitchen", "Pans"), ("Kitchen", "Knives"), ("Garden", "Hoses"), ("Garden", "Pots"), ("Office", "Lamps")]
    cells, _ = cells_of({f"{top}, {top} > {name}": 3 + place for place, (top, name) in enumerate(tree)})
    assert cells == CategoryCells(">", ", ")
    assert cells.names("Kitchen, Kitchen > Pans") == ("Kitchen", "Pans")


def test_names_with_commas_or_slashes_are_no_several_paths() -> None:
    names = ["Hats, Caps & Gloves > Caps", "Salt, Pepper > Mills", "Home > Bed, Bath", "TV/Video > LED", "Home > Rugs"]
    assert guess_paths_separator(">", dict.fromkeys(names, 9)) is None
    flat = dict.fromkeys(["TV/Video", "Hats, Caps & Gloves", "Shoes", "Salt/Pepper", "Bags; Purses"], 9)
    cells, guesses = cells_of(flat)
    assert not guesses and {cells.paths(value) for value in flat} == {((value,),) for value in flat}


@given(st.text(max_size=60), st.sampled_from([cells for _, _, cells in WRITERS.values()]))
def test_reading_never_fails_and_names_are_stable(text: str, cells: CategoryCells) -> None:
    for path in cells.paths(text):
        assert path and all(name == " ".join(name.split()) for name in path)
        assert CategoryCells("\0").names(list(path)) == path


def test_a_huge_cell_is_read_in_linear_time_and_not_kept() -> None:
    assert len(CategoryCells(">", "|").paths("|".join(f"A{i} > B" for i in range(20_000)))) == 20_000
    assert CategoryCells(">", "|").paths(">".join(["a"] * 50_000) + "|b")[1] == ("b",)
    assert CategoryCells().names("&" + "amp;" * 50_000 + "x")
