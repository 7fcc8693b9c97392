"""What `shelfmark init` makes of feeds whose columns are called oddly, or hold what they should not."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modules.errors import InputError
from pipeline.init import detect, write_workflow
from pipeline.init.detect import Guess
from pipeline.workflow_file import load_workflow
from shelfmark.cli import app

LEAVES = ("Knives", "Pans", "Hoses", "Boots")
ABOVE = {"Knives": "Kitchen", "Pans": "Kitchen", "Hoses": "Garden", "Boots": "Shoes"}
SHORT = "This one is made for every day and comes with a warranty of {} years and free returns within a month."
PRODUCTS = 200


def products(**columns: Any) -> list[dict[str, str]]:
    """Products with an id and a title, and what each of ``columns`` makes of a product's number."""
    rows = []
    for number in range(PRODUCTS):
        row = {"id": f"P{number}", "title": f"Nordwind {LEAVES[number % 4].lower()} no {number}"}
        rows.append(row | {name: str(make(number)) for name, make in columns.items()})
    return rows


def guess_of(folder: Path, rows: Sequence[dict[str, str]]) -> Guess:
    path = folder / "feed.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return detect([path])


def path_of(number: int) -> str:
    leaf = LEAVES[number % 4]
    return f"All > {ABOVE[leaf]} > {leaf}"


def without(rows: Sequence[dict[str, str]], *columns: str) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


@pytest.mark.parametrize("junk", ["n/a", "???", "-", "TODO", "tbd", "unknown"])
def test_words_for_none_are_no_category(tmp_path: Path, junk: str) -> None:
    rows = products(category=lambda i: junk if i % 20 == 0 else path_of(i))
    guess = guess_of(tmp_path, rows)
    assert {node.path[-1] for node in guess.nodes if node.exclusive} == set(LEAVES)
    assert any(note.startswith("10 of 200 products have no category") for note in guess.notes), guess.notes
    assert guess.category is not None
    assert all(junk not in names for _, names in guess.category.examples)


def test_a_path_ends_where_a_name_says_none(tmp_path: Path) -> None:
    guess = guess_of(tmp_path, products(category=lambda i: "All > Garden > n/a" if i % 8 == 2 else path_of(i)))
    totals = {node.path: node.total for node in guess.nodes}
    assert totals["All", "Garden"] == 50 and totals["All", "Garden", "Hoses"] == 25
    assert not any("n/a" in path for path in totals)


@pytest.mark.parametrize(
    ("above", "is_feature"),
    [
        # A level of the categories, and a code of them: both would make the figures too good.
        (lambda i: ABOVE[LEAVES[i % 4]], False),
        (lambda i: 500 + i % 4, False),
        # Another tree, which says something of the category and not all.
        (lambda i: f"Range {i % 4 if i % 3 else i % 7}", True),
    ],
    ids=["level", "code", "other"],
)
def test_what_follows_from_the_category_is_no_feature(tmp_path: Path, above: Any, is_feature: bool) -> None:
    guess = guess_of(tmp_path, products(product_type=above, category_path=path_of))
    assert guess.category is not None and guess.category.column == "category_path"
    assert (guess.column("raw_category") == "product_type") is is_feature
    assert any("'product_type' is not used: it follows from" in note for note in guess.notes) is not is_feature


@pytest.mark.parametrize("column", ["category1", "Kategorie 1", "cat20", "shelf"])
def test_paths_are_categories_under_any_name(tmp_path: Path, column: str) -> None:
    guess = guess_of(tmp_path, products(**{column: path_of}))
    assert guess.category is not None and guess.category.column == column
    assert not guess.attributes


def test_other_words_with_a_mark_between_are_no_categories(tmp_path: Path) -> None:
    sizes = ("S/M", "M/L", "L/XL", "cotton/linen")
    guess = guess_of(tmp_path, products(fit=lambda i: sizes[i % 4], made=lambda i: f"in {i} > of {i + 1}"))
    assert guess.category is None


def test_breadcrumbs_that_end_with_the_product_are_categories_above_it(tmp_path: Path) -> None:
    guess = guess_of(tmp_path, products(breadcrumbs=lambda i: f"{path_of(i)} > Nordwind no {i}"))
    assert guess.category is not None and guess.category.column == "breadcrumbs"
    assert {node.path[-1]: node.total for node in guess.nodes if node.exclusive} == dict.fromkeys(LEAVES, 50)


def test_columns_that_repeat_come_before_breadcrumbs(tmp_path: Path) -> None:
    rows = products(breadcrumbs=lambda i: f"{path_of(i)} > Nordwind no {i}", type=path_of)
    category = guess_of(tmp_path, rows).category
    assert category is not None and category.column == "type"


def test_names_that_end_another_feeds_paths_are_told(tmp_path: Path) -> None:
    files = []
    for shop, category in {
        "north": path_of,
        "south": lambda i: LEAVES[i % 4],
        "east": lambda i: f"Toy {i % 5}",
    }.items():
        (tmp_path / shop).mkdir()
        guess_of(tmp_path / shop, products(**{"category": category, f"{shop}_note": lambda i: "x"}))
        files.append((tmp_path / shop / "feed.csv").rename(tmp_path / f"{shop}.csv"))
    guess = detect(files)
    assert [feed.retailer for feed in guess.feeds] == ["east", "north", "south"]
    told = [note for note in guess.notes if "would stand beside" in note]
    assert len(told) == 1 and told[0].startswith("south: 4 of its 4 categories")
    assert "('Boots' beside 'All > Shoes > Boots')" in told[0]


def test_categories_beside_the_tree_are_named(tmp_path: Path) -> None:
    guess = guess_of(tmp_path, products(category=lambda i: "asdf" if i in (3, 77) else path_of(i)))
    assert any("beside the tree: 'asdf'" in note for note in guess.notes), guess.notes
    # What many products are in is no mistake, nor what is as flat as the others.
    many = guess_of(tmp_path, products(category=lambda i: "Gifts" if i % 10 == 0 else path_of(i)))
    flat = guess_of(tmp_path, products(category=lambda i: "Gifts" if i in (3, 77) else LEAVES[i % 4]))
    assert not any("beside the tree" in note for note in many.notes + flat.notes)


def test_prices_in_cents_are_not_read_as_a_hundredfold(tmp_path: Path) -> None:
    rows = products(price_cents=lambda i: 1999 + 7 * i, price_eur=lambda i: f"{19.99 + 0.07 * i:.2f}")
    assert guess_of(tmp_path, rows).column("price") == "price_eur"
    guess = guess_of(tmp_path, without(rows, "price_eur"))
    assert guess.column("price") is None
    assert any("'price_cents' is not used" in note for note in guess.notes)


def test_numbers_that_only_rise_are_no_attribute(tmp_path: Path) -> None:
    rows = products(seq=lambda i: f"{i}.5", depth_mm=lambda i: i * 37 % 211)
    assert [attribute.column for attribute in guess_of(tmp_path, rows).attributes] == ["depth_mm"]


def test_short_sentences_are_the_description_and_no_title(tmp_path: Path) -> None:
    guess = guess_of(tmp_path, products(words_on_it=lambda i: SHORT.format(i)))
    assert (guess.column("title"), guess.column("description")) == ("title", "words_on_it")
    only = guess_of(tmp_path, without(products(words_on_it=lambda i: SHORT.format(i)), "title"))
    assert (only.column("title"), only.column("description")) == ("words_on_it", None)


def test_a_flag_is_the_availability_rather_than_a_count(tmp_path: Path) -> None:
    rows = products(Lagerbestand=lambda i: i * 7 % 300, Verfügbar=lambda i: "ja" if i % 3 else "nein")
    assert guess_of(tmp_path, rows).column("availability") == "Verfügbar"


def test_pages_tell_products_apart_where_there_is_no_id(tmp_path: Path) -> None:
    rows = products(line=lambda i: i + 1, url=lambda i: f"https://shop.example/p/{i}")
    guess = guess_of(tmp_path, without(rows, "id"))
    assert guess.column("id") == guess.column("url") == "url"
    assert any("no column of ids" in note for note in guess.notes)
    # A page of all products tells none apart.
    guess = guess_of(tmp_path, [{**row, "url": "https://shop.example/"} for row in without(rows, "id")])
    assert guess.column("id") == "line"
    assert any("'line', the ids, only numbers the rows" in note for note in guess.notes)


def test_numbers_that_are_called_ids_need_no_note(tmp_path: Path) -> None:
    guess = guess_of(tmp_path, [{**row, "id": str(number)} for number, row in enumerate(products())])
    assert guess.column("id") == "id"
    assert not any("only numbers the rows" in note for note in guess.notes)


def test_a_feed_without_anything_like_ids_is_told_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="article numbers; the columns are: title, brand"):
        guess_of(tmp_path, without(products(brand=lambda i: f"b{i % 5}"), "id"))


@pytest.mark.parametrize("column", ["TRUE", "Null", "Off", "Yes"])
def test_a_column_called_like_a_value_of_yaml_is_an_attribute(tmp_path: Path, column: str) -> None:
    rows = products(category=path_of, **{column: lambda i: ("matt", "glossy", "brushed")[i // 4 % 3]})
    guess = guess_of(tmp_path, rows)
    assert [attribute.column for attribute in guess.attributes] == [column]
    workflow = load_workflow(write_workflow(guess, tmp_path, "shop")[0]).workflow
    assert column in workflow.feed.attributes.values()


def test_without_categories_the_taxonomy_comes_before_the_run(tmp_path: Path) -> None:
    guess_of(tmp_path, products())
    said = CliRunner().invoke(app, ["init", str(tmp_path / "feed.csv"), "--output", str(tmp_path), "--name", "shop"])
    lines = said.output.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("first write two categories"))
    assert "shop.taxonomy.yaml" in "".join(lines[first : first + 3])
    assert first < lines.index("next:")


@pytest.mark.parametrize(("copies", "then"), [(4, "a run leaves them out"), (13, "a run stops at more than 5%")])
def test_records_that_a_run_would_leave_out_are_counted(tmp_path: Path, copies: int, then: str) -> None:
    rows = products(category=path_of)
    rows += rows[:copies]
    rows[7] = {**rows[7], "id": ""}
    guess_of(tmp_path, rows)
    path = tmp_path / "feed.csv"
    path.write_text(path.read_text() + "P900,too,many,fields,here\n")
    notes = [note for note in detect([path]).notes if "quarantine" in note]
    bad = copies + 2 - (copies > 7)
    assert len(notes) == 1 and notes[0].startswith(f"{bad} records of {PRODUCTS + copies + 1} would go to quarantine")
    assert f"duplicate_id {copies - (copies > 7)}, no_id 1)" in notes[0] and then in notes[0]
    assert f"feed.csv:{PRODUCTS + copies + 2}: 5 fields where the header has 3" in notes[0]


def test_texts_that_a_run_would_cut_are_counted(tmp_path: Path) -> None:
    texts = {3: "long " * 5000, 4: f"<p>{' ' * 30_000}short</p>"}
    guess = guess_of(tmp_path, products(description=lambda i: texts.get(i, SHORT), category=path_of))
    assert [note for note in guess.notes if "longer than" in note] == [
        "column 'description': 1 text is longer than 20,000 characters, after which a run cuts them "
        "(feed.max_field_chars)"
    ]
