"""Which further columns `shelfmark init` makes attributes of, and that none of them gives the category away."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.init import detect, write_workflow
from pipeline.products import read_products
from pipeline.validate import check
from pipeline.workflow_file import load_workflow
from shelfmark.cli import app

PATHS = ["Shoes > Boots", "Shoes > Sandals", "Bags > Totes", "Hats > Caps"]
MADE_OF = ["leather", "cotton", "wool", "felt"]
WORDS = ["warm", "light", "soft", "strong", "for", "rain", "snow", "lining", "wool", "north", "south"]

Column = Callable[[random.Random, int, str], Any]
"""A value of (random numbers, the product's number, its category)."""

COLUMNS: dict[str, tuple[Column, str]] = {
    "Material": (lambda r, i, path: r.choice(MADE_OF), "categorical"),
    "specs.Gewicht": (lambda r, i, path: f"{r.randrange(1, 90)},{r.randrange(10)} kg", "number"),
    "rating": (lambda r, i, path: f"{r.randrange(10, 51) / 10} / 5", "number"),
    "pieces": (lambda r, i, path: r.randrange(1, 9), "number"),
    "Care notes": (lambda r, i, path: " ".join(r.choices(WORDS, k=9)), "text"),
    "embedding_a": (lambda r, i, path: [r.random() for _ in range(8)], "vector"),
    "embedding_b": (lambda r, i, path: [r.random() for _ in range(9)], "vector"),
    "item_length": (lambda r, i, path: f"{r.randrange(5, 90)} cm", "number"),
    "Surface (product)": (lambda r, i, path: r.choice(["matt", "gloss"]), "categorical"),
    "Poids (g)": (lambda r, i, path: r.randrange(200, 9000), "number"),
    "Variant Grams": (lambda r, i, path: r.randrange(200, 9000), "number"),
    "volume": (lambda r, i, path: r.choice(["—", "n/a", "NaN", *(f"{k},5 l" for k in range(8))]), "number"),
    "стиль": (lambda r, i, path: r.choice(["классика", "спорт", "ретро"]), "categorical"),
}

LEFT_OUT: dict[str, Column] = {
    "kennung": lambda r, i, path: 7000 + PATHS.index(path) * 13,
    "wgr_nr": lambda r, i, path: str(PATHS.index(path)),
    "cluster_id": lambda r, i, path: f"c{PATHS.index(path)}",
    "zz": lambda r, i, path: ["alpha", "beta", "gamma", "delta"][PATHS.index(path)],
    "noisy": lambda r, i, path: ["alpha", "beta", "gamma", "delta"][PATHS.index(path) if r.random() < 0.85 else 0],
    "upper": lambda r, i, path: ["a", "b", "c"][["Shoes", "Bags", "Hats"].index(path.split(" > ")[0])],
    "rate": lambda r, i, path: [4.5, 5.5, 6.5, 7.5][PATHS.index(path)],
    "many": lambda r, i, path: f"{PATHS.index(path)}-{r.randrange(6)} of a kind",
    "told": lambda r, i, path: f"Our best {path.split(' > ')[1].lower()} for every day {i}",
    "said": lambda r, i, path: f"One of our {path.split(' > ')[0]} for every day, number {i}",
    "listed": lambda r, i, path: [*path.split(" > "), r.choice(MADE_OF)],
    "one_hot": lambda r, i, path: [float(PATHS.index(path) == k) for k in range(8)],
    "gtin13": lambda r, i, path: str(4006381000000 + i * 7),
    "zahl": lambda r, i, path: 4006381000000 + i * 7,
    "article": lambda r, i, path: f"A{i:05}",
    "mystery": lambda r, i, path: r.randrange(10**6),
    "homepage": lambda r, i, path: f"https://shop.example/{i}",
    "angelegt": lambda r, i, path: f"2024-0{r.randrange(1, 10)}-1{r.randrange(10)}",
    "created_on": lambda r, i, path: 1_700_000_000 + i,
    "constant": lambda r, i, path: "yes",
    "nearly_empty": lambda r, i, path: "wool" if i == 3 else None,
    "switch": lambda r, i, path: r.randrange(2),
    "member": lambda r, i, path: r.choice([True, False]),
    "vegan": lambda r, i, path: r.choice(["Yes", "No"]),
    "stock_count": lambda r, i, path: r.randrange(50),
    "hash": lambda r, i, path: f"{r.randrange(16**20):020x}",
    "ragged": lambda r, i, path: [r.random() for _ in range(8 + i % 3)],
    "Einkaufspreis": lambda r, i, path: f"{r.randrange(5, 90)},99",
    "prix_achat": lambda r, i, path: f"{r.randrange(5, 90)},99",
    "Lagerbestand": lambda r, i, path: r.randrange(50),
    "disponibilité": lambda r, i, path: r.choice(["bientôt", "demain"]),
    "Abteilung": lambda r, i, path: r.choice(["A links", "A rechts"]),
    "mostly_none": lambda r, i, path: "2.5 cm" if i < 9 else f"{i}.5 cm" if i < 18 else "n/a",
    "vectors_and_words": lambda r, i, path: ["none"] * 8 if i % 50 == 7 else [r.random() for _ in range(8)],
    "vectors_or_none": lambda r, i, path: "n/a" if i % 50 == 7 else [r.random() for _ in range(8)],
    "too_large": lambda r, i, path: [1e39 + r.random()] * 8,
    "objects": lambda r, i, path: [{"a": 1}],
}


def feed(folder: Path, columns: dict[str, Column], count: int = 200) -> Path:
    rng = random.Random(3)
    lines = []
    for i in range(count):
        path = PATHS[rng.randrange(4)]
        row = {"sku": f"P-{i:03}", "name": f"Model {i} in red", "category": path, "vector": [rng.random()] * 12}
        for name, make in columns.items():
            outer, dot, inner = name.partition(".")
            value = make(rng, i, path)
            row[outer] = {inner: value} if dot else value
        lines.append(json.dumps(row, ensure_ascii=False))
    file = folder / "feed.jsonl"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def test_what_is_of_use_becomes_an_attribute_and_a_feature(tmp_path: Path) -> None:
    guess = detect([feed(tmp_path, {name: make for name, (make, _) in COLUMNS.items()})])
    assert {own.column: own.taken_as for own in guess.attributes} == {n: kind for n, (_, kind) in COLUMNS.items()}
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    assert not check(loaded).problems
    workflow = loaded.workflow
    assert workflow.feed.fields.image_vector == "vector" and workflow.feed.attributes["gewicht"] == "specs.Gewicht"
    numbers = ("gewicht", "rating", "pieces", "item_length", "poids_g", "variant_grams", "volume")
    assert workflow.product_columns.numbers == numbers
    assert workflow.product_columns.vectors == ("image_vector", "embedding_a", "embedding_b")
    assert "care_notes" in workflow.features["text"].columns_of("text") and "care_notes" not in workflow.features
    read = list(read_products(loaded))
    assert len(read) == 200 and {name for product in read for name in product.untold} == {"volume"}
    assert all(set(numbers) - {"volume"} <= product.numbers.keys() for product in read)
    assert all(1000 <= product.numbers["gewicht"] < 90_000 for product in read)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_gives_the_category_away_or_is_of_no_use_is_left_out(tmp_path: Path, name: str) -> None:
    guess = detect([feed(tmp_path, {name: LEFT_OUT[name], "Material": COLUMNS["Material"][0]})])
    assert [own.column for own in guess.attributes] == ["Material"]
    assert guess.category is not None and guess.category.column == "category"


def test_what_tells_the_category_is_left_out_in_so_many_words(tmp_path: Path) -> None:
    guess = detect([feed(tmp_path, {name: LEFT_OUT[name] for name in ("zz", "many", "hash", "switch")})])
    (note,) = [note for note in guess.notes if "tell the category" in note]
    assert "not used: 'zz', 'many'; name under attributes" in note


def of_variants(make: Column) -> dict[str, Column]:
    """Columns of a feed in which four in a row of the first 160 are variants, and ``make`` the same of them."""
    made: dict[int, Any] = {}
    return {
        "item_group_id": lambda r, i, path: f"G{i // 4}" if i < 160 else "n/a",
        "category": lambda r, i, path: PATHS[i // 4 * 7 % 4],
        "measured": lambda r, i, path: made.setdefault(i // 4 if i < 160 else i, make(r, i, PATHS[i // 4 * 7 % 4])),
    }


def test_variants_that_have_a_weight_in_common_do_not_make_it_a_code_of_the_category(tmp_path: Path) -> None:
    columns = of_variants(lambda r, i, path: f"{r.randrange(1000, 9000)} g")
    assert [own.column for own in detect([feed(tmp_path, columns)]).attributes] == ["measured"]


@pytest.mark.parametrize("share", [0.8, 1.0])
@pytest.mark.parametrize("count", [60, 200])
def test_a_code_of_the_category_is_one_in_a_feed_of_variants_too(tmp_path: Path, count: int, share: float) -> None:
    columns = of_variants(lambda r, i, path: None)
    columns["measured"] = lambda r, i, path: f"{i // 4 * 7 % 4 if r.random() < share else r.randrange(4)} of a kind"
    guess = detect([feed(tmp_path, columns, count)])
    assert guess.attributes == () and guess.category is not None and guess.category.column == "category"


@pytest.mark.parametrize("name", ["one_hot", "vectors_and_words", "vectors_or_none", "too_large", "ragged"])
def test_no_such_vector_is_taken_for_the_picture_s(tmp_path: Path, name: str) -> None:
    rows = [json.loads(line) for line in feed(tmp_path, {name: LEFT_OUT[name]}).read_text().splitlines()]
    kept = [name, "sku", "name", "category"]
    (tmp_path / "feed.jsonl").write_text("\n".join(json.dumps({key: row[key] for key in kept}) for row in rows))
    guess = detect([tmp_path / "feed.jsonl"])
    assert guess.vector is None and guess.attributes == ()


def test_vectors_are_text_in_a_table(tmp_path: Path) -> None:
    file = tmp_path / "feed.csv"
    rng = random.Random(5)
    vectors = [json.dumps([rng.random() for _ in range(length)]) for _ in range(60) for length in (9, 8)]
    rows = [f'{i},Model {i},{PATHS[i % 4]},"{vectors[2 * i]}","{vectors[2 * i + 1]}"' for i in range(60)]
    file.write_text("\n".join(["sku,name,category,embedding,other_embedding", *rows]))
    guess = detect([file])
    assert guess.vector == ("embedding", 9)
    assert [(own.column, own.taken_as, own.length) for own in guess.attributes] == [("other_embedding", "vector", 8)]
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    assert not check(loaded).problems and len(list(read_products(loaded))) == 60


def test_dotted_names_that_end_alike_are_told_apart(tmp_path: Path) -> None:
    columns: dict[str, Column] = {"height.value": lambda r, i, path: r.random(), "sizes.EU": COLUMNS["Material"][0]}
    names = [own.name for own in detect([feed(tmp_path, columns)]).attributes]
    assert names == ["height_value", "eu"]


def test_a_feed_of_schema_columns_gets_no_attributes(tmp_path: Path) -> None:
    guess = detect([feed(tmp_path, {"price": lambda r, i, path: i, "brand": lambda r, i, path: r.choice("ab")})])
    text = write_workflow(guess, tmp_path / "out", "mine")[0].read_text()
    assert guess.attributes == () and "attributes" not in text


def test_the_table_shows_what_they_were_taken_as(tmp_path: Path) -> None:
    file = feed(tmp_path, {name: make for name, (make, _) in COLUMNS.items()})
    done = CliRunner().invoke(app, ["init", str(file), "--output", str(tmp_path / "out")], env={"COLUMNS": "160"})
    assert done.exit_code == 0, done.output
    lines = {line.split()[0]: line for line in done.output.splitlines() if line.strip()}
    assert "categorical: " in lines["material"] and "number: " in lines["gewicht"]
    assert "vector: vectors of 8 numbers" in lines["embedding_a"] and "text: " in lines["care_notes"]


def test_retailers_that_mean_different_things_by_a_name_share_no_attribute(tmp_path: Path) -> None:
    for shop, size in (("north", lambda r, i, path: f"{r.random() * 90:.1f} cm"), ("south", COLUMNS["Material"][0])):
        (tmp_path / shop).mkdir()
        file = feed(tmp_path / shop, {"extent": size, "Material": COLUMNS["Material"][0]})
        file.rename(tmp_path / f"{shop}.jsonl")
    guess = detect([tmp_path / "north.jsonl", tmp_path / "south.jsonl"])
    assert [own.name for own in guess.attributes] == ["material"] and len(guess.feeds) == 2
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    assert not check(loaded).problems
    assert [source.attributes for source in loaded.workflow.sources] == [{"material": "Material"}] * 2


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4, unique=True), st.data())
def test_any_names_give_a_workflow_that_reads_its_feed(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    makers = [make for make, _ in COLUMNS.values()]
    own = {name: data.draw(st.sampled_from(makers)) for name in names if "." not in name and name.isprintable()}
    own = {name: make for name, make in own.items() if name not in ("sku", "name", "category", "vector")}
    loaded = load_workflow(write_workflow(detect([feed(folder, own, 60)]), folder / "out", "mine")[0])
    assert not check(loaded).problems
    assert len(list(read_products(loaded))) == 60
