"""`shelfmark init` with the files of several retailers: each looked at alone, one workflow written."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from modules.errors import InputError
from pipeline.init import detect, write_workflow
from pipeline.init.retailers import group_files
from pipeline.products import read_products, true_labels
from pipeline.validate import check
from pipeline.workflow_file import load_workflow
from shelfmark.cli import app

PATHS = [("Shoes", "Boots"), ("Shoes", "Sandals"), ("Home", "Lamps")]


def write_csv(
    path: Path, columns: list[str], separator: str, delimiter: str = ",", rows: int = 60, first: int = 1
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(columns)
        for i in range(rows):
            names = PATHS[i % 3]
            writer.writerow(
                [i + first, f"{names[1]} number {i} of {path.stem}", f"Brand {i % 4}", separator.join(names)]
            )


def write_jsonl(path: Path, start: int = 1, rows: int = 60) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"id": i, "title": f"{PATHS[i % 3][1]} no {i}", "categories": [PATHS[i % 3][0].upper(), PATHS[i % 3][1]]}
        for i in range(start, start + rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def shops(tmp_path: Path) -> list[Path]:
    write_csv(tmp_path / "alpha.csv", ["sku", "product name", "brand", "category path"], " / ", ";")
    write_jsonl(tmp_path / "beta-1.jsonl")
    write_jsonl(tmp_path / "beta-2.jsonl", start=61)
    write_csv(tmp_path / "shops" / "gamma.csv", ["id", "title", "brand", "product_type"], " > ")
    return [tmp_path / "alpha.csv", tmp_path / "beta-1.jsonl", tmp_path / "beta-2.jsonl", tmp_path / "shops"]


def test_what_is_written_reads_every_feed(shops: list[Path], tmp_path: Path) -> None:
    guess = detect(shops)
    file = write_workflow(guess, tmp_path / "out", "mine")[0]
    loaded = load_workflow(file)
    assert check(loaded).problems == []
    assert [(feed.retailer, len(feed.files)) for feed in loaded.workflow.feeds] == [
        ("alpha", 1), ("beta", 2), ("gamma", 1),
    ]  # fmt: skip
    products = {product.id: product for product in read_products(loaded)}
    sizes = {"alpha": 60, "beta": 120, "gamma": 60}
    assert set(products) == {f"{name}:{i}" for name, size in sizes.items() for i in range(1, size + 1)}
    assert products["alpha:1"].text["title"] == "Boots number 0 of alpha"
    assert products["alpha:1"].truth == ("Shoes", "Boots") == products["gamma:1"].truth
    assert products["beta:2"].truth == ("HOME", "Lamps")
    from modules.taxonomy import Taxonomy

    taxonomy = Taxonomy.load(loaded.taxonomy_file or "")
    # 80 products are below "Shoes", 80 below "SHOES": the tie is the alphabet's, whose capitals come first.
    assert {category.path for category in taxonomy.exclusive} == {
        ("HOME", "Lamps"),
        ("SHOES", "Boots"),
        ("SHOES", "Sandals"),
    }
    labels = true_labels(loaded, taxonomy)
    assert set(labels) == set(products), "whatever the spelling of its feed"
    assert labels["alpha:1"].category_id == taxonomy.find(("SHOES", "Boots")).id


def test_the_command_shows_one_table_and_how_to_change(shops: list[Path], tmp_path: Path) -> None:
    arguments = ["init", *map(str, shops), "--output", str(tmp_path / "out"), "--name", "mine"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    table = [line.split() for line in result.output.splitlines()[:4]]
    assert [row[0] for row in table] == ["retailer", "alpha", "beta", "gamma"]
    assert table[2][1:4] == ["2", "jsonl", "120"]
    assert "--together" in result.output and "merged over spellings" in result.output
    written = yaml.safe_load((tmp_path / "out" / "mine.yaml").read_text())
    assert "files" not in written["feed"] and len(written["feeds"]) == 3


@pytest.mark.parametrize("others_have_one", [True, False])
def test_a_feed_without_categories_is_told_by_whether_the_others_have_some(
    shops: list[Path], tmp_path: Path, others_have_one: bool
) -> None:
    for name in ("plain", "bare"):
        rows = "".join(f"{i};{name} product no {i};{i}.50\n" for i in range(60))
        (tmp_path / f"{name}.csv").write_text("sku;name;price\n" + rows)
    own = [tmp_path / "bare.csv", tmp_path / "plain.csv"]
    guess = detect([*shops, *own] if others_have_one else own)
    notes = [note for note in guess.notes if "no category column" in note]
    if others_have_one:
        assert [note.partition(": ")[0] for note in notes] == ["bare", "plain"]
        assert not any("taxonomy file" in note for note in notes)
    else:
        (note,) = notes
        assert "taxonomy file" in note


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["feed-1.csv", "feed-2.csv", "feed-10.csv"], ["feed"]),
        (["north/train.csv", "north/test.csv"], ["north"]),
        (["shop_2024-01-01.csv", "shop_2024-02-01.csv"], ["shop"]),
        (["north.csv", "south.csv"], ["north", "south"]),
        (["north/products.csv", "south/products.csv"], ["north", "south"]),
        (["contest.csv", "con.csv"], ["con", "contest"]),
        (["north/1.csv", "north/2.csv", "south/1.csv"], ["north", "south"]),
    ],
)
def test_files_are_one_feed_by_name_and_columns(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    for name in names:
        write_csv(tmp_path / name, ["id", "title", "brand", "category"], ">", rows=5)
    groups = group_files([tmp_path / name for name in names])
    assert sorted(group.name for group in groups) == expected
    assert sorted(path for group in groups for path in group.paths) == sorted(tmp_path / name for name in names)


def test_other_columns_are_another_feed_and_names_stay_distinct(tmp_path: Path) -> None:
    write_csv(tmp_path / "shop-1.csv", ["id", "title", "brand", "category"], ">")
    write_csv(tmp_path / "shop-2.csv", ["sku", "name", "maker", "product_type"], ">")
    assert [group.name for group in group_files(sorted(tmp_path.glob("*.csv")))] == ["shop", "shop-2"]


def test_together_reads_all_as_one_retailers(tmp_path: Path) -> None:
    for first, name in ((1, "north"), (61, "south")):
        write_csv(tmp_path / f"{name}.csv", ["id", "title", "brand", "category"], ">", first=first)
    guess = detect([tmp_path], together=True)
    assert not guess.feeds and len(guess.files.paths) == 2
    assert [feed.retailer for feed in detect([tmp_path]).feeds] == ["north", "south"]


def test_problems_of_all_feeds_are_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "north.csv").write_text("flag\nx\nx\nx\n")
    (tmp_path / "south.jsonl").write_text('{"flag": "x"}\n{"flag": "x"}\n')
    with pytest.raises(InputError) as caught:
        detect([tmp_path])
    assert "north.csv" in str(caught.value) and "south.jsonl" in str(caught.value)


def test_a_named_category_column_must_be_one_feeds(shops: list[Path]) -> None:
    chosen = {feed.retailer: feed.category for feed in detect(shops, category="product_type").feeds}
    assert chosen["gamma"] is not None and chosen["gamma"].column == "product_type"
    with pytest.raises(InputError, match="--category"):
        detect(shops, category="nowhere")
