"""What `shelfmark init` guesses from columns and category texts."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.category_separators import SEPARATORS, guess_separator
from modules.category_text import names_of
from modules.feeds.formats.base import Head
from modules.feeds.formats.csv import Csv
from modules.feeds.formats.csv_dialect import dialect_of
from pipeline.init import detect, write_workflow
from pipeline.init.categories import build_taxonomy, guess_category
from pipeline.init.columns import summarise
from pipeline.init.fields import ALIASES, guess_fields, name_score, normalise, split_column
from pipeline.init.variants import guess_variants
from pipeline.inputs import taxonomy_of
from pipeline.products import read_products, true_labels
from pipeline.validate import check, validate_workflow
from pipeline.workflow_file import load_workflow

TREE = [
    ("Home", "Kitchen, Dining & Bar", "Knives"), ("Home", "Kitchen, Dining & Bar", "Pans"), ("Home", "Bedding"),
    ("Fashion", "Men", "T-Shirts/Polos"), ("Fashion", "Men", "Shoes"), ("Fashion", "Women", "Shoes"),
    ("Fashion", "Women"),
    ("Fashion", "Women", "Dresses"), ("Garden", "Tools - Hand"), ("Garden", "Plants"), ("Garden", "Plants", "Trees"),
]  # fmt: skip


@pytest.mark.parametrize(
    "separator", [" > ", ">", " >> ", ">>", " | ", "|", "||", " // ", "//", "::", ";", " » ", " → ", "\\"]
)
def test_the_separator_that_makes_a_tree_is_found(separator: str) -> None:
    values = {separator.join(path): 10 for path in TREE}
    assert guess_separator(values)[0].separator == separator.strip()
    assert {names_of(value, guess_separator(values)[0].separator) for value in values} == set(TREE)


@pytest.mark.parametrize("separator", ["/", " / ", " - ", ",", ", ", ":"])
def test_separators_that_are_also_found_in_names(separator: str) -> None:
    clean = [tuple(name.replace("/", " ").replace(",", "").replace(" - ", " ") for name in path) for path in TREE]
    values = {separator.join(path): 10 for path in clean}
    expected = separator if separator == " - " else separator.strip()
    assert guess_separator(values)[0].separator == expected


def test_leading_and_trailing_separators_are_no_empty_names() -> None:
    values = {"/" + "/".join(path).replace("T-Shirts/Polos", "Polos") + "/": 1 for path in TREE}
    assert guess_separator(values)[0].separator == "/"


def test_single_names_have_no_separator() -> None:
    values = {name: 5 for name in ("Shoes", "Bags & Purses", "Salt, Pepper", "T-Shirts", "TV/Video", "Hats", "Belts",
                                   "Gloves",
                                   "Watches", "Socks", "Coats", "Scarves")}  # fmt: skip
    assert guess_separator(values) == ()


names = st.text(st.characters(whitelist_categories=("Lu", "Ll")), min_size=1, max_size=8).map(
    lambda name: unicodedata.normalize("NFC", name)
)


@given(
    st.sampled_from([s for s in SEPARATORS if s not in (".", " - ")]),
    st.dictionaries(names, st.lists(names, min_size=2, max_size=4, unique=True), min_size=2, max_size=4),
)
def test_any_tree_of_plain_names_comes_back(separator: str, tree: dict[str, list[str]]) -> None:
    paths = {(top, child) for top, children in tree.items() for child in children}
    values = {separator.join(path): 3 for path in paths}
    guess = guess_separator(values)
    # A child's name under each top says nothing about which name is the parent; the separator is still the only one.
    assert not guess or guess[0].separator == separator
    if len({child for _, child in paths}) == len(paths):
        assert {names_of(value, guess[0].separator) for value in values} == paths


@pytest.mark.parametrize(
    ("value", "separator", "expected"),
    [
        ("A > B", ">", ("A", "B")),
        (" A >  > B  C ", ">", ("A", "B C")),
        (["A > B"], ">", ("A", "B")),
        (["A", "B > C"], ">", ("A", "B > C")),
        ('["A >> B"]', ">>", ("A", "B")),
        ('["A", "B"]', "|", ("A", "B")),
        ('[{"name": "A"}, {"name": "B"}]', ">", ("A", "B")),
        ("[A", ">", ("[A",)),
        ("[1, 2]", ">", ()),
        ("[" * 100_000 + "]", ">", ("[" * 100_000 + "]",)),
        ("", ">", ()),
        (None, ">", ()),
        (3, ">", ("3",)),
        (3.0, ">", ("3",)),
        (3.5, ">", ()),
        (float("nan"), ">", ()),
        (float("inf"), ">", ()),
        (True, ">", ()),
        (["A", None, 3, " "], ">", ("A",)),
    ],
)
def test_names_of(value: object, separator: str, expected: tuple[str, ...]) -> None:
    assert names_of(value, separator) == expected


@given(st.text(max_size=40), st.sampled_from(sorted(SEPARATORS)))
def test_names_of_never_fails_and_names_are_tidy(text: str, separator: str) -> None:
    for name in names_of(text, separator):
        assert name == " ".join(name.split()) and name


def test_the_taxonomy_keeps_what_has_enough_products() -> None:
    paths = Counter({("A", "x"): 5, ("A", "y"): 1, ("A", "z"): 2, ("A",): 1, ("B", "x", "p"): 4, ("C",): 2})
    nodes = {node.path: node for node in build_taxonomy(paths, 3)}
    assert set(nodes) == {("A",), ("A", "x"), ("B",), ("B", "x"), ("B", "x", "p")}
    # y and z are too small: with A's own product they make 4 that mean "the rest of A".
    assert nodes["A",].direct == 4 and nodes["A",].exclusive
    assert not nodes["B",].exclusive and not nodes["B", "x"].exclusive and nodes["B", "x", "p"].exclusive


@given(
    st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple), st.integers(1, 9)),
    st.integers(1, 9),
)
def test_the_taxonomy_is_a_tree_and_loses_no_product_of_a_kept_category(
    paths: dict[tuple[str, ...], int], minimum: int
) -> None:
    nodes = build_taxonomy(paths, minimum)
    kept = [node.path for node in nodes]
    assert kept == sorted(kept)
    for node in nodes:
        assert node.total >= minimum
        assert len(node.path) == 1 or node.path[:-1] in kept
        is_leaf = not any(other[:-1] == node.path for other in kept)
        assert node.exclusive == (is_leaf or node.direct >= minimum)
        below = sum(count for path, count in paths.items() if path[: len(node.path)] == node.path)
        assert node.total == below
    tops = sum(count for path, count in paths.items() if path[:1] in kept)
    assert sum(node.direct for node in nodes) == tops


PRODUCTS = [
    {"nr": f"A{i:04}", "what": f"{color} {thing} model {i}", "cost": f"{i},99 EUR", "group": f"Shop/{thing}s"}
    for i, (color, thing) in enumerate(
        (c, t) for c in ("Red", "Blue", "Green") for t in ("boot", "hat", "bag", "sock") * 5
    )
]
SPELLINGS = {
    "english": ("product_id", "product_name", "sale_price", "product_type"),
    "shopify": ("Variant SKU", "Title", "Variant Price", "Product Category"),
    "google": ("g:id", "g:title", "g:price", "g:product_type"),
    "camel": ("itemId", "productName", "currentPrice", "categoryName"),
    "german": ("Artikelnummer", "Bezeichnung", "Preis", "Warengruppe"),
    "french": ("Référence", "Libellé", "Prix", "Catégorie"),
    "spanish": ("Código", "Nombre", "Precio", "Categoría"),
    "italian": ("Codice", "Titolo", "Prezzo", "Reparto"),
    "russian": ("Артикул", "Название", "Цена", "Категория"),
    "nested": ("product.sku", "product.title", "offer.price", "product.category_path"),
}


@pytest.mark.parametrize("columns", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_fields_by_their_names_in_several_languages(columns: tuple[str, ...]) -> None:
    sample = [dict(zip(columns, product.values(), strict=True)) for product in PRODUCTS]
    stats, _ = summarise(sample)
    category = guess_category(stats)
    assert category is not None and (category.column, category.cells.separator) == (columns[3], "/")
    found = {guess.field: guess.column for guess in guess_fields(stats, {category.column})}
    assert found == {"id": columns[0], "title": columns[1], "price": columns[2]}


def test_values_tell_what_names_do_not() -> None:
    sample = [
        {"c1": f"k{i}", "c2": f"A rather long name {i} of a thing", "c3": "text " * 60 + str(i),
         "c4": f"https://shop.example/p/{i}", "c5": f"https://cdn.example/{i}.jpg"}
        for i in range(60)
    ]  # fmt: skip
    stats, _ = summarise(sample)
    found = {guess.field: guess.column for guess in guess_fields(stats, set())}
    assert found == {"id": "c1", "title": "c2", "description": "c3", "url": "c4", "image": "c5"}


def test_a_name_does_not_win_against_its_values() -> None:
    sample = [
        {"id": "same", "sku": f"s{i}", "name": f"https://x.example/{i}", "title": f"Red boots {i}"} for i in range(50)
    ]
    stats, _ = summarise(sample)
    found = {guess.field: guess.column for guess in guess_fields(stats, set())}
    assert found["id"] == "sku" and found["title"] == "title"


def test_prices_that_cannot_be_told_are_counted(tmp_path: Path) -> None:
    prices = ["1.299,00 €", "call", "19,90 EUR", "", "free"]
    rows = [
        {"id": f"k{i}", "title": f"Runner {i}", "price": prices[i % 5], "category": f"A > c{i % 3}"} for i in range(50)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    guess = detect([tmp_path / "a.jsonl"])
    assert guess.column("price") == "price" and guess.column("title") == "title"
    note = "column 'price': 10 of the first 40 values tell no price; a run counts them as missing"
    assert note in guess.notes
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    assert note in check(loaded).notes
    assert sum(bool(product.untold) for product in read_products(loaded)) == 10


def ean(number: int) -> str:
    body = f"40000000{number:04}"
    return body + str(-sum(int(digit) * (1, 3)[place % 2] for place, digit in enumerate(body)) % 10)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"parent_sku": lambda i: f"s{i // 3}", "barcode": ean}, ("parent_sku", "barcode")),
        ({"g:item_group_id": lambda i: str(i // 3), "g:gtin": lambda i: int(ean(i))}, ("g:item_group_id", "g:gtin")),
        ({"itemGroupId": lambda i: i // 3, "eans": lambda i: [ean(i), ean(i + 500)]}, ("itemGroupId", "eans")),
        # The values tell it, whatever the column is called.
        ({"code2": ean}, (None, "code2")),
        # Neither a category's parent nor numbers of other kinds.
        ({"parent_category": lambda i: f"c{i // 3}", "number": lambda i: 4_000_000_000_000 + i}, (None, None)),
        # What sorts products groups no variants; a column of empty values says nothing.
        ({"style_id": lambda i: str(i % 2), "upc": lambda i: ""}, (None, None)),
    ],
)
def test_item_group_and_gtin(columns: dict[str, Any], expected: tuple[str | None, str | None]) -> None:
    sample = [{"id": f"k{i}"} | {name: make(i) for name, make in columns.items()} for i in range(300)]
    guesses = {guess.field: guess.column for guess in guess_variants(summarise(sample)[0], {"id"})}
    assert (guesses.get("item_group_id"), guesses.get("gtin")) == expected


def test_the_id_may_be_a_gtin() -> None:
    sample = [{"ean": ean(i), "title": f"Red boots {i}"} for i in range(300)]
    columns = summarise(sample)[0]
    assert {g.field: g.column for g in guess_fields(columns, set())}["id"] == "ean"
    assert [(g.field, g.column) for g in guess_variants(columns, {"ean", "title"})] == [("gtin", "ean")]


def test_ids_and_tags_are_no_categories() -> None:
    sample = [
        {"id": i, "category_id": i % 5, "category_url": f"https://x.example/{i % 5}", "category": None}
        for i in range(60)
    ]
    assert guess_category(summarise(sample)[0]) is None


def test_split_columns() -> None:
    def found(*values: str) -> object:
        return split_column(summarise([{"fold": value} for value in values * 5])[0], set())

    assert found("train", "test") == ("fold", (("test", "test"), ("train", "train")))
    assert found("Train", "valid") == ("fold", (("Train", "train"), ("valid", "test")))
    assert found("train", "val", "test") == ("fold", (("test", "test"), ("train", "train"), ("val", "eval")))
    assert found("train", "other") is None
    assert found("train") is None
    assert found("test", "val") is None


def sniffed_delimiter(text: str) -> str | None:
    dialect, share = dialect_of(text.splitlines(), whole=True)
    sniffed = Csv().sniff(Head("feed.csv", text.encode(), whole=True))
    assert (sniffed is None) == (share < 0.5)
    return None if sniffed is None else dialect.delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters(delimiter: str) -> None:
    rows = [["id", "name", "text"], *[[str(i), f"a{i}", '"x, y; z | w"'] for i in range(20)]]
    assert sniffed_delimiter("\n".join(delimiter.join(row) for row in rows)) == delimiter


def test_one_column_is_no_table() -> None:
    assert sniffed_delimiter("name\na\nb, c\n") is None
    assert sniffed_delimiter("") is None


def test_normalise_and_aliases() -> None:
    assert normalise("g:imageLink") == ("image", "link")
    assert normalise("Größe (EU)") == ("große".replace("ß", "ss"), "eu")
    assert all(name_score(alias, aliases) >= 0.7 for aliases in ALIASES.values() for alias in aliases.split())
    assert name_score("colour", ALIASES["color"]) > name_score("frame_colour", ALIASES["color"]) > 0
    assert name_score("colourful_story", ALIASES["color"]) == 0


@pytest.mark.parametrize("numbers", [str, int])
def test_numbers_of_categories_are_noted(tmp_path: Path, numbers: type) -> None:
    rows = [{"id": f"p{i}", "title": f"thing {i}", "google_product_category": numbers(1604 + i % 3)} for i in range(30)]
    feed = tmp_path / "feed.jsonl"
    feed.write_text("\n".join(map(json.dumps, rows)))
    guess = detect([feed])
    assert guess.category is None
    assert any("'google_product_category' has numbers" in note and "taxonomy.file" in note for note in guess.notes)


CELLS = {
    "c07": ("Shop/Shoes/{0},Shop/New", "Shop/Hats, Caps & Gloves/{0},Shop/New", "/", ","),
    "c08": ("Shoes > {0}|Sale > Winter", "Hats, Caps & Gloves > {0}|Sale > Winter", ">", "|"),
    "c10": ("Shoes &gt; {0}", "Hats, Caps &amp; Gloves &gt; {0}", ">", None),
    "c10, twice": ("Shoes &amp;gt; {0}", "Hats, Caps &amp;amp; Gloves &amp;gt; {0}", ">", None),
    "c11": ("Shoes > {0}", "Hats, Caps &amp; Gloves > {0}", ">", None),
}


@pytest.mark.parametrize("name", CELLS)
def test_what_init_decides_about_cells_is_what_a_run_reads(tmp_path: Path, name: str) -> None:
    shoes, hats, separator, between = CELLS[name]
    cells = [shoes.format("Boots"), shoes.format("Sandals"), hats.format("Caps"), hats.format("Gloves")] * 3
    rows = ["id,title,category", *[f'{i:04},thing {i},"{cell}"' for i, cell in enumerate(cells)]]
    (tmp_path / "feed.csv").write_text("\n".join(rows))
    guess = detect([tmp_path / "feed.csv"])
    assert any("several category paths" in note and note.startswith("12 ") for note in guess.notes) == bool(between)
    workflow, *_ = write_workflow(guess, tmp_path / "shop", "shop")
    loaded = load_workflow(workflow)
    feed = loaded.workflow.feed
    assert (feed.truth_separator, feed.truth_paths_separator) == (separator, between)
    top = ("Shop",) if "Shop" in shoes else ()
    leaves = [
        ("Shoes", "Boots"),
        ("Shoes", "Sandals"),
        ("Hats, Caps & Gloves", "Caps"),
        ("Hats, Caps & Gloves", "Gloves"),
    ]
    products = list(read_products(loaded))
    assert [product.truth for product in products] == [(*top, *leaf) for leaf in leaves] * 3
    assert all(len(product.truths) == (2 if between else 1) for product in products)
    taxonomy = taxonomy_of(loaded)
    assert {category.path for category in taxonomy.exclusive} == {(*top, *leaf) for leaf in leaves}
    assert len(true_labels(loaded, taxonomy)) == 12


def test_numbers_are_categories_of_googles_taxonomy(tmp_path: Path) -> None:
    (tmp_path / "google.txt").write_text(
        "# Google_Product_Taxonomy_Version: 2021-09-21\n166 - Apparel\n1604 - Apparel > Clothing\n"
        "187 - Apparel > Shoes\n"
    )
    cells = {"a": 1604, "b": "187", "c": "Apparel > Shoes", "d": "166 - Apparel"}
    rows = [{"id": product, "title": "x", "g": cell} for product, cell in cells.items()]
    (tmp_path / "feed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    workflow = tmp_path / "w.yaml"
    workflow.write_text(
        "name: s\nfeed: {files: [feed.jsonl], fields: {truth: g}, truth_numbered: true}\ntaxonomy: {file: google.txt}\n"
        "labels: {truth: {}}\n"
    )
    loaded = load_workflow(workflow)
    assert validate_workflow(loaded) == []
    by_product = true_labels(loaded, taxonomy_of(loaded))
    assert {product: label.category_id for product, label in by_product.items()} == {
        "a": "1604",
        "b": "187",
        "c": "187",
    }


LEAVES = ["Lamps", "Chairs", "Tables", "Boots", "Dresses"]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        # Each leaf in one branch: the leaves are the finer level.
        (lambda i: ("Home" if i % 5 < 3 else "Fashion", LEAVES[i % 5]), "cat_l2"),
        # What cuts across the branches is no level of them.
        (lambda i: ("Home" if i % 5 < 3 else "Fashion", f"Season {i % 7}"), "cat_l1"),
        # Most products have no second level.
        (lambda i: ("Home" if i % 5 < 3 else "Fashion", LEAVES[i % 5] if i % 10 == 0 else ""), "cat_l1"),
        # A name for each product is no level.
        (lambda i: ("Home" if i % 5 < 3 else "Fashion", f"{LEAVES[i % 5]} {i // 10}"), "cat_l1"),
    ],
    ids=["levels", "crossing", "sparse", "names"],
)
def test_of_levels_in_columns_of_their_own_the_finest_is_taken(
    level: Callable[[int], tuple[str, str]], expected: str
) -> None:
    sample = [{"id": str(i), "cat_l1": level(i)[0], "cat_l2": level(i)[1], "cat_l3": ""} for i in range(200)]
    for records in (sample, sample[::-1]):
        category = guess_category(summarise(records)[0], records)
        assert category is not None and category.column == expected
