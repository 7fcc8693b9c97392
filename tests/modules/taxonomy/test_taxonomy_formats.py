"""Other people's taxonomies are read as they come, and what cannot be read says what could be."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.taxonomy import Taxonomy
from modules.taxonomy.category import default_id
from modules.taxonomy.formats import FORMATS, Source, format_of

Path_ = tuple[str, ...]

# Two levels of the same name, a name under several parents, names with separators in them.
PATHS = [
    ("Animals & Pets",), ("Animals & Pets", "Live"), ("Animals & Pets", "Live", "Live"),
    ("Hats, Caps & Gloves",), ("Hats, Caps & Gloves", "Caps/Hats"), ("Hats, Caps & Gloves", "Live"),
    ("TV - Video",),
]  # fmt: skip
LEAVES = {("Animals & Pets", "Live", "Live"), ("Hats, Caps & Gloves", "Caps/Hats"), ("Hats, Caps & Gloves", "Live"),
          ("TV - Video",)}  # fmt: skip


def load(tmp_path: Path, data: str | bytes, name: str = "their_taxonomy.txt") -> Taxonomy:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return Taxonomy.load(path)


def text_of(path: Path_) -> str:
    return " > ".join(path)


def google(paths: list[Path_], ids: bool = True) -> str:
    lines = [f"{i} - {text_of(path)}" if ids else text_of(path) for i, path in enumerate(paths, 100)]
    return "\n".join(["# Google_Product_Taxonomy_Version: 2021-09-21", *lines]) + "\n"


def shopify(paths: list[Path_]) -> str:
    head = "# Shopify Product Taxonomy - Categories: 2026-02\n# Format: {GID} : {Ancestor} > ... > {Category name}\n\n"
    return head + "".join(f"gid://shopify/TaxonomyCategory/a-{i:<12} : {text_of(p)}\n" for i, p in enumerate(paths))


def indented(paths: list[Path_], step: str = "    ") -> str:
    return "\n".join(step * (len(path) - 1) + path[-1] for path in paths)


WRITERS: dict[str, Callable[[list[Path_]], str]] = {
    "google": google, "google without ids": lambda paths: google(paths, ids=False), "shopify": shopify,
    "paths": lambda paths: "\r\n".join(map(text_of, paths)), "indented by blanks": indented,
    "indented by tabs": lambda paths: "﻿" + indented(paths, "\t"),
    "bullets": lambda paths: "\n".join("  " * (len(path) - 1) + "- " + path[-1] for path in paths),
    "arrows": lambda paths: "\n".join(" → ".join(path) for path in paths),
}  # fmt: skip


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS.keys())
def test_text_is_read_as_it_comes(tmp_path: Path, writer: Callable[[list[Path_]], str]) -> None:
    taxonomy = load(tmp_path, writer(PATHS))
    assert [category.path for category in taxonomy] == PATHS
    assert {category.path for category in taxonomy.exclusive} == LEAVES
    assert load(tmp_path, writer(PATHS)) == taxonomy
    taxonomy.write(tmp_path / "own.yaml")
    assert Taxonomy.load(tmp_path / "own.yaml") == taxonomy


def test_the_source_s_ids_are_kept_and_others_follow_from_the_path(tmp_path: Path) -> None:
    assert load(tmp_path, google(PATHS))["101"].path == PATHS[1]
    assert load(tmp_path, shopify(PATHS))["gid://shopify/TaxonomyCategory/a-6"].path == PATHS[6]
    for writer in ("paths", "google without ids", "indented by tabs"):
        assert [category.id for category in load(tmp_path, WRITERS[writer](PATHS))] == [default_id(p) for p in PATHS]


def test_ids_alone_name_the_categories_of_googles_file(tmp_path: Path) -> None:
    taxonomy = load(tmp_path, "# Google_Product_Taxonomy_Version: 2021-09-21\n1 - Animals\n3237 - Animals > Live\n")
    assert taxonomy.find("3237").path == ("Animals", "Live")


names = st.text(st.characters(whitelist_categories=("Lu", "Ll"), max_codepoint=0x24F), min_size=1, max_size=6).map(
    lambda name: name + "x"
)


@given(st.sets(st.lists(names, min_size=1, max_size=4).map(tuple), min_size=1, max_size=12), st.sampled_from(
    ["google", "google without ids", "shopify", "indented by blanks", "indented by tabs"]))  # fmt: skip
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, leaves: set[Path_], writer: str) -> None:
    nodes = sorted({path[:depth] for path in leaves for depth in range(1, len(path) + 1)})
    taxonomy = load(tmp_path_factory.mktemp("tree"), WRITERS[writer](nodes))
    assert {category.path for category in taxonomy} == {c.path for c in Taxonomy.from_paths(nodes)}


def test_paths_without_their_ancestors_get_them(tmp_path: Path) -> None:
    taxonomy = load(tmp_path, "Shoes/Boots\nShoes/Sandals\nBags/Totes/Small\nBags/Totes/Big\nShoes/Boots\n")
    assert [c.text for c in taxonomy] == [
        "Shoes", "Shoes > Boots", "Shoes > Sandals", "Bags", "Bags > Totes", "Bags > Totes > Small",
        "Bags > Totes > Big",
    ]  # fmt: skip


GPC = (
    '<?xml version="1.0" encoding="utf-8"?><schema languageCode="EN"><segment code="50000000" text="Food/Beverage">'
    '<family code="50200000" text="Beverages"><class code="50202300" text="Soft &amp; Other">'
    '<brick code="10000201" text="Cola"><attType code="20000100" text="Caffeine"><attValue code="30000101" text="No"/>'
    '</attType></brick><brick code="10000202" text="Cola"/></class></family></segment>'
    '<segment code="51000000" text="Health"/></schema>'
)
GPC_TREE = {
    "50000000": ("Food/Beverage",), "50200000": ("Food/Beverage", "Beverages"),
    "50202300": ("Food/Beverage", "Beverages", "Soft & Other"),
    "10000201": ("Food/Beverage", "Beverages", "Soft & Other", "Cola"),
    # Two bricks of one name.
    "10000202": ("Food/Beverage", "Beverages", "Soft & Other", "Cola (10000202)"),
    "51000000": ("Health",),
}  # fmt: skip
HEADER = [
    "SegmentCode", "SegmentTitle", "SegmentDefinition", "FamilyCode", "FamilyTitle", "FamilyDefinition", "ClassCode",
    "ClassTitle", "ClassDefinition", "BrickCode", "BrickTitle", "BrickDefinition_Includes", "AttributeCode",
]  # fmt: skip
SOFT = [50000000, "Food/Beverage", "d", 50200000, "Beverages", "d", 50202300, "Soft & Other", "d, e"]
ROWS = [
    [*SOFT, 10000201, "Cola", "d", 1], [*SOFT, 10000201, "Cola", "d", 2], [*SOFT, 10000202, "Cola", "d", 3],
    [51000000, "Health", "d", None, None, None, None, None, None, None, None, None, None],
]  # fmt: skip


def node(level: int, code: int, title: str, *below: object) -> dict[str, object]:
    return {"Level": level, "Code": code, "Title": title, "Definition": "", "Active": True, "Childs": list(below)}


def workbook() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["About this file"])
    sheet = book.create_sheet("GPC")
    for row in (HEADER, *ROWS):
        sheet.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def table(delimiter: str) -> str:
    lines = [[*HEADER], *[["" if cell is None else str(cell) for cell in row] for row in ROWS]]
    return "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines)


def flat_json() -> str:
    return json.dumps([{k: v for k, v in zip(HEADER, row, strict=True) if v is not None} for row in ROWS])


def nested_json() -> str:
    bricks = [node(4, 10000201, "Cola", node(5, 20000100, "Caffeine")), node(4, 10000202, "Cola")]
    family = node(2, 50200000, "Beverages", node(3, 50202300, "Soft & Other", *bricks))
    segments = [node(1, 50000000, "Food/Beverage", family), node(1, 51000000, "Health")]
    return json.dumps({"LanguageCode": "EN", "DateUtc": "", "Schema": segments})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gpc.xml", lambda: GPC), ("gpc.json", nested_json), ("flat.json", flat_json), ("gpc.csv", lambda: table(",")),
        ("gpc.tsv", lambda: table("\t")), ("semicolon.csv", lambda: table(";")), ("gpc.xlsx", workbook),
    ],
)  # fmt: skip
def test_gpc(tmp_path: Path, name: str, data: Callable[[], str | bytes]) -> None:
    taxonomy = load(tmp_path, data(), name)
    assert {category.id: category.path for category in taxonomy} == GPC_TREE
    if name not in ("gpc.xml", "gpc.json"):
        told = {category.id: category.description for category in taxonomy}
        assert told == {**dict.fromkeys(GPC_TREE, "d"), "50202300": "d, e"}
    assert {category.id for category in taxonomy.exclusive} == {"10000201", "10000202", "51000000"}


DEFINITION = "Anything &amp;amp; all that is\u200b drunk\n  cold. " + "word " * 300
DEFINED = ("Anything & all that is drunk cold. " + "word " * 300)[:1000].rstrip()


def defined(name: str) -> str:
    """A segment with that definition and a family without one, as each of GS1's files has them."""
    if name == "xml":
        escaped = DEFINITION.replace("&", "&amp;").replace("\n", "&#10;")
        family = '<family code="2" text="Water" definition=""/>'
        return f'<schema><segment code="1" text="Drinks" definition="{escaped}">{family}</segment></schema>'
    if name == "json":
        segment = node(1, 1, "Drinks", {**node(2, 2, "Water"), "Definition": None})
        return json.dumps({"Schema": [{**segment, "Definition": DEFINITION, "DefinitionExcludes": "Excludes Tea"}]})
    header = ["SegmentCode", "SegmentTitle", "SegmentDefinition_Includes", "SegmentDefinition_Excludes",
              "FamilyCode", "FamilyTitle", "FamilyDefinition"]  # fmt: skip
    row = ["1", "Drinks", DEFINITION, "Excludes Tea", "2", "Water", ""]
    return "\n".join(",".join(f'"{cell}"' for cell in line) for line in (header, row))


@pytest.mark.parametrize("name", ["xml", "json", "csv"])
def test_gs1_s_definitions_are_descriptions(tmp_path: Path, name: str) -> None:
    taxonomy = load(tmp_path, defined(name), f"gpc.{name}")
    assert {c.id: (c.text, c.description) for c in taxonomy} == {"1": ("Drinks", DEFINED), "2": ("Drinks > Water", "")}
    taxonomy.write(tmp_path / "own.csv")
    assert Taxonomy.load(tmp_path / "own.csv") == taxonomy


@pytest.mark.parametrize(
    ("definition", "kept"), [("x" * 2000, "x" * 1000), ("y" * 1000 + " z", "y" * 1000), ("d", "d")]
)
def test_a_definition_is_cut_behind_a_word_where_there_is_one(tmp_path: Path, definition: str, kept: str) -> None:
    (drinks,) = load(tmp_path, f'<s><segment code="1" text="Drinks" definition="{definition}"/></s>', "gpc.xml")
    assert drinks.description == kept


def test_xml_bombs_are_refused_before_they_grow(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x" * 10}">' for i in range(12))
    bomb = f'<!DOCTYPE schema [{entities}]><schema><segment code="1" text="&e11;"/></schema>'
    with pytest.raises(InputError, match="without a document type"):
        load(tmp_path, bomb, "gpc.xml")
    outside = '<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s><segment code="1" text="&x;"/></s>'
    with pytest.raises(InputError, match="without a document type"):
        load(tmp_path, outside, "gpc.xml")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("photo.txt", b"\x89PNG\r\n\x1a\n\0\0\0", "Google's.*Shopify.*GPC.*indented.*path in each line"),
        ("t.pdf", b"%PDF-1.7", "Google's product taxonomy"),
        ("t.yaml", b"shoes", "Google's product taxonomy"),
        ("t.txt", b"# only a comment\n", "Google's product taxonomy"),
        ("t.xml", b'<schema><segment code="1" text="A"><family>', "not XML"),
        ("t.json", b'{"Schema": [{"Level": 1, "Code": 1, "Title": "A"', "not JSON"),
        ("t.xlsx", b"PK\x03\x04 and nothing else", "not an .xlsx workbook"),
        ("t.txt", b"1 - A\n" * 300 + b"B > C\n", "t.txt:301 .*expected a line as all before it"),
        ("t.txt", b"A > B\n\xff > C\n", "t.txt:2 .*not UTF-8"),
        ("t.txt", " > ".join("abcdefghij" * 4).encode(), "at most 32 levels"),
        ("t.txt", b"12 - A > B\n12 - A > C\n", "t.txt:2: id = '12': given twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    with pytest.raises(InputError, match=f"(?s){says}"):
        load(tmp_path, data, name)


TREE = [("Shoes",), ("Shoes", "Boots"), ("Shoes", "Boots", "Chelsea"), ("Hats, Caps",), ("Hats, Caps", "Hats/Caps")]
TREE_LEAVES = {("Shoes", "Boots", "Chelsea"), ("Hats, Caps", "Hats/Caps")}


def csv_text(rows: list[list[str]], delimiter: str = ",") -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter).writerows(rows)
    return stream.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "header",
    [
        "category", "Category", "CATEGORY PATH", "category_path", "Category-Path", "path", "Path", "name", "Full Path",
        "full_path", "fullPath", "breadcrumb", " Breadcrumbs ", "Google Product Category", "product_type",
    ],
)  # fmt: skip
def test_a_csv_s_paths_stand_under_any_common_name(tmp_path: Path, header: str, delimiter: str) -> None:
    alone = load(tmp_path, csv_text([[header], *([text_of(path)] for path in TREE)], delimiter), "their.csv")
    beside = [["Slug", header, "Id"], *([f"s{i}", text_of(path), f"i{i}"] for i, path in enumerate(TREE))]
    with_ids = load(tmp_path, "\ufeff" + csv_text(beside, delimiter), "their.csv")
    for taxonomy in (alone, with_ids):
        assert {category.path for category in taxonomy} == set(TREE)
        assert {category.path for category in taxonomy.exclusive} == TREE_LEAVES
    assert [category.id for category in with_ids] == [f"i{i}" for i in range(len(TREE))]


def test_a_csv_of_leaves_alone_gets_what_is_above_them(tmp_path: Path) -> None:
    for header in ("category", "path"):
        # A comma in a file of one column needs no quotes.
        text = "\n".join([header, *map(text_of, sorted(TREE_LEAVES))])
        assert {category.path for category in load(tmp_path, text, "their.csv")} == set(TREE)


@pytest.mark.parametrize(
    "header",
    [
        ["level 1", "Level 2", "LEVEL_3"], ["L1", "L2", "L3"], ["Category", "Sub Category", "sub-subcategory"],
        ["category_level_1", "category_level_2", "category_level_3"], ["department", "subcategory", "Subsubcategory"],
    ],
)  # fmt: skip
def test_a_csv_may_have_a_column_per_level(tmp_path: Path, header: list[str]) -> None:
    rows = [["9", *path, *[""] * (3 - len(path))] for path in TREE]
    taxonomy = load(tmp_path, csv_text([["products", *header], *rows]), "their.csv")
    assert {category.path for category in taxonomy} == set(TREE)
    assert {category.path for category in taxonomy.exclusive} == TREE_LEAVES


@pytest.mark.parametrize("by", ["id", "name"])
@pytest.mark.parametrize("root", ["", "0", "NULL"])
def test_a_csv_may_name_parents(tmp_path: Path, by: str, root: str) -> None:
    number = {path: f"c{i}" for i, path in enumerate(TREE)}
    rows = [
        [number[path], path[-1], (number[path[:-1]] if by == "id" else path[-2]) if path[1:] else root]
        for path in reversed(TREE)
    ]
    taxonomy = load(tmp_path, csv_text([["Category ID", "Category Name", "Parent ID"], *rows]), "their.csv")
    assert {category.id: category.path for category in taxonomy} == {id: path for path, id in number.items()}
    assert {category.path for category in taxonomy.exclusive} == TREE_LEAVES


def test_a_csv_says_itself_which_categories_are_exclusive(tmp_path: Path) -> None:
    rows = [[text_of(path), "Yes" if len(path) == 2 else ""] for path in TREE]
    taxonomy = load(tmp_path, csv_text([["Category", "Exclusive"], *rows]), "their.csv")
    assert {category.path for category in taxonomy.exclusive} == {path for path in TREE if len(path) == 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("colour,size\nred,4\n", r"their.csv:1 = 'colour, size': .*names a column of .*category path.*breadcrumb"),
        ("id;count\n1;4\n", r"their.csv:1 .*column of categories.*case, blanks and underscores do not matter"),
        ("category,id\nA,1\nB\n", r"their.csv:3: expected 2 columns as in the header, not 1"),
        ("category,category\nA,1\n", r"their.csv:1 .*a column is named twice"),
        ("category\n", "at least one category"),
        ("Category,Exclusive\nA,maybe\n", r"their.csv:2.*exclusive.*'maybe'.*true or false"),
        ("Id,Name,Parent Id\n1,A,9\n", r"their.csv:2.*parent.*'9'.*no such category"),
        ("Id,Name,Parent Id\n1,A,2\n2,B,1\n", r"parent.*cannot be above itself"),
        ("Id,Name,Parent\n1,A,\n2,A,\n3,B,A\n", r"their.csv:4.*several categories are called that"),
        ('Category\n"A\n', "not CSV"),
    ],
)  # fmt: skip
def test_a_csv_that_cannot_be_read_says_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"(?s){says}"):
        load(tmp_path, text, "their.csv")


def test_a_chain_of_parents_in_a_csv_ends(tmp_path: Path) -> None:
    rows = [[f"c{i}", f"N{i}", f"c{i + 1}"] for i in range(20_000)]
    with pytest.raises(InputError, match="no such category") as caught:
        load(tmp_path, csv_text([["ID", "Name", "Parent ID"], *rows]), "their.csv")
    assert len(caught.value.problems) == 1


def test_names_are_cleaned_as_a_feed_s_are(tmp_path: Path) -> None:
    taxonomy = load(tmp_path, "1 - Hats &amp; Caps\n2 - Hats &amp;amp; Caps > Bu\u200bcket  hats\n")
    assert [category.path for category in taxonomy] == [("Hats & Caps",), ("Hats & Caps", "Bucket hats")]


def test_own_files_look_like_no_other_format() -> None:
    for suffix, text in (
        (".yaml", "# Shoes\ncategories:\n  - path: A > B\n"), (".txt", "- path: A > B\n"), (".yml", "- {path: A}\n"),
        (".json", '[{"path": "A > B"}]'), (".csv", "path,exclusive\nA > B,true\n"), ("", "categories:\n- path: A\n"),
    ):  # fmt: skip
        assert format_of(Source("t", suffix, text.encode()), 0.0) is None
    assert len({format.kind for format in FORMATS}) == len(FORMATS)


@pytest.mark.parametrize("writer", ["google", "paths", "indented by tabs"])
def test_large_taxonomies_take_linear_time(tmp_path: Path, writer: str) -> None:
    def steps(count: int) -> int:
        """Calls of functions of these modules."""
        total = 0

        def profile(frame: Any, event: str, argument: object) -> None:
            nonlocal total
            total += event == "call" and "/modules/" in frame.f_code.co_filename

        leaves = [(f"Top {i % 40}", f"Middle {i % 40} {i % 7}", f"Leaf {i} of {count}") for i in range(count)]
        nodes = sorted({path[:depth] for path in leaves for depth in (1, 2, 3)})
        text = WRITERS[writer](nodes)
        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            assert len(load(tmp_path, text)) == len(nodes)
        finally:
            sys.setprofile(before)
        return total

    assert steps(20_000) < 12 * steps(2_000)


def test_a_table_keeps_what_it_says_beside_the_names(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text("Category Path;Definition;Aliases\nFood > Tea;Dried leaves;cha|\"chai'\nFood > Salt;;\n")
    tea, salt = Taxonomy.load(path).exclusive
    assert (tea.description, tea.synonyms) == ("Dried leaves", ("cha", "\"chai'"))
    assert (salt.description, salt.synonyms) == ("", ())
