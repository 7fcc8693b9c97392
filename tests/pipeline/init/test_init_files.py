"""`shelfmark init` from files to a workflow that validates as it stands."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.taxonomy import Taxonomy
from pipeline.init import detect, write_workflow
from pipeline.init.output import slug
from pipeline.inputs import taxonomy_of
from pipeline.products import read_products, true_labels
from pipeline.validate import check
from pipeline.workflow_file import LoadedWorkflow, load_workflow

KINDS = [("Shoes", "Boots"), ("Shoes", "Sandals"), ("Bags", "Totes"), ("Bags",), ("Hats", "Caps")]


def products(separator: str | None = " > ", count: int = 60) -> list[dict[str, Any]]:
    return [
        {
            "sku": f"P-{i:03}",
            "name": f"{KINDS[i % 5][-1]} number {i} in red",
            "text": f"<p>A long text about product {i}; with {'many ' * 20}words, and commas</p>",
            "category": list(KINDS[i % 5]) if separator is None else separator.join(KINDS[i % 5]),
            "price": f"{i}.90",
        }
        for i in range(count)
    ]


def write_text(path: Path, text: str) -> Path:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, rows[0], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, text.getvalue())


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    return write_text(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=20)
    return path


def init(output: Path, *feeds: Path) -> LoadedWorkflow:
    files = write_workflow(detect(feeds), output, "mine")
    return load_workflow(files[0])


FEEDS = {
    "jsonl": lambda d: write_jsonl(d / "a.jsonl", products(None)),
    "jsonl.gz": lambda d: write_jsonl(d / "a.jsonl.gz", products(" // ")),
    "csv": lambda d: write_csv(d / "a.csv", products("/")),
    "csv.gz": lambda d: write_csv(d / "a.csv.gz", products(" | "), ";"),
    "tsv": lambda d: write_csv(d / "a.tsv", products(">>"), "\t"),
    "odd name": lambda d: write_csv(d / "export-[1].dat", products("|"), ";"),
    "parquet": lambda d: write_parquet(d / "a.parquet", products(">")),
    "parquet lists": lambda d: write_parquet(d / "a.parquet", products(None)),
    "two files": lambda d: (
        (write_csv(d / "a-1.csv", products(">")[:30]), write_csv(d / "a-2.csv", products(">")[30:]))[0].parent
    ),
}


@pytest.mark.parametrize("make", FEEDS.values(), ids=FEEDS.keys())
def test_what_init_writes_validates_and_reads_every_product(tmp_path: Path, make: Any) -> None:
    (tmp_path / "feeds").mkdir()
    loaded = init(tmp_path / "out", make(tmp_path / "feeds"))
    report = check(loaded)
    assert not report.problems
    found = list(read_products(loaded))
    assert {product.id for product in found} == {f"P-{i:03}" for i in range(60)}
    assert found[0].text["title"] == "Boots number 0 in red"
    taxonomy = taxonomy_of(loaded)
    assert {c.path: c.exclusive for c in taxonomy} == {
        ("Bags",): True, ("Bags", "Totes"): True, ("Hats",): False, ("Hats", "Caps"): True, ("Shoes",): False,
        ("Shoes", "Boots"): True, ("Shoes", "Sandals"): True,
    }  # fmt: skip
    labels = true_labels(loaded, taxonomy)
    assert {key: taxonomy[label.category_id].path for key, label in labels.items() if label.category_id} == {
        f"P-{i:03}": KINDS[i % 5] for i in range(60)
    }


def test_the_category_to_learn_and_its_copies_are_no_features(tmp_path: Path) -> None:
    rows = [
        {**row, "breadcrumb": "Start > " + row["category"] + " > " + row["name"], "department": f"d{i % 3}"}
        for i, row in enumerate(products())
    ]
    guess = detect([write_jsonl(tmp_path / "a.jsonl", rows)])
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    fields = loaded.workflow.feed.fields
    assert fields.truth == "category"
    used = {getattr(fields, field) for field in type(fields).model_fields if field != "truth"}
    assert "category" not in used and "breadcrumb" not in used
    assert any("breadcrumb" in note for note in guess.notes)
    # The department says nothing of the sort: it stays a feature.
    assert fields.raw_category == "department" and "raw_category" in loaded.workflow.features


def test_small_categories_are_cut_and_missing_ones_told(tmp_path: Path) -> None:
    rows = products()
    rows[0]["category"] = "Shoes > Boots > Rare"
    rows[1]["category"] = "Odd > One"
    rows[2]["category"] = None
    guess = detect([write_jsonl(tmp_path / "a.jsonl", rows)])
    loaded = load_workflow(write_workflow(guess, tmp_path / "out", "mine")[0])
    taxonomy = taxonomy_of(loaded)
    assert ("Odd",) not in {category.path for category in taxonomy}
    labels = true_labels(loaded, taxonomy)
    assert taxonomy[labels["P-000"].category_id or ""].path == ("Shoes", "Boots")
    assert "P-001" not in labels and "P-002" not in labels and len(labels) == 58
    assert sum("unlabelled" in note for note in guess.notes) == 2


def test_a_split_column_and_vectors_are_taken(tmp_path: Path) -> None:
    rows = [
        {**row, "fold": ("train", "train", "test")[i % 3], "emb": [i / 100] * 16} for i, row in enumerate(products())
    ]
    loaded = init(tmp_path / "out", write_jsonl(tmp_path / "a.jsonl", rows))
    assert loaded.workflow.feed.split.column == "fold"
    assert loaded.workflow.feed.split.values == {"train": "train", "test": "test"}
    assert loaded.workflow.features["image_vector"].dimension == 16  # type: ignore[union-attr]


def test_without_categories_the_taxonomy_is_left_to_the_user(tmp_path: Path) -> None:
    rows = [{key: value for key, value in row.items() if key != "category"} for row in products()]
    guess = detect([write_csv(tmp_path / "a.csv", rows)])
    assert guess.category is None and any("taxonomy" in note for note in guess.notes)
    files = write_workflow(guess, tmp_path / "out", "mine")
    assert {Path(p.file).name for p in check(load_workflow(files[0])).problems} == {"mine.taxonomy.yaml"}


def test_somebody_may_name_column_and_separator(tmp_path: Path) -> None:
    rows = [{**row, "shelf": f"x-{i % 4}-y"} for i, row in enumerate(products())]
    guess = detect([write_csv(tmp_path / "a.csv", rows)], "shelf", "-")
    assert {node.path for node in guess.nodes if node.exclusive} == {("x", str(i), "y") for i in range(4)}
    with pytest.raises(InputError, match="shelf"):
        detect([tmp_path / "a.csv"], "nothing")


def test_nothing_is_overwritten_unless_forced_and_labels_never(tmp_path: Path) -> None:
    guess = detect([write_csv(tmp_path / "a.csv", products())])
    files = write_workflow(guess, tmp_path / "out", "mine")
    labels = tmp_path / "out" / "mine.labels.jsonl"
    labels.write_text("precious\n")
    files[0].write_text("changed\n")
    with pytest.raises(InputError) as caught:
        write_workflow(guess, tmp_path / "out", "mine")
    assert len(caught.value.problems) == len(files)
    assert files[0].read_text() == "changed\n"
    write_workflow(guess, tmp_path / "out", "mine", force=True)
    assert files[0].read_text() != "changed\n" and labels.read_text() == "precious\n"


def test_hostile_names_survive_the_yaml(tmp_path: Path) -> None:
    weird = ['a: "b"', "null", "# no", "{x}", "tab\there", "true", "ü > ß", "'", "1e3", "- x"]
    rows = [
        {"sku: #1": f"P{i}", "name": f"thing {i} red", "category": [weird[i % 10], f"{weird[i % 10]} sub"]}
        for i in range(60)
    ]
    folder = tmp_path / "an: #odd folder"
    folder.mkdir()
    loaded = init(tmp_path / "out", write_jsonl(folder / "näme *.jsonl", rows))
    assert not check(loaded).problems
    assert loaded.workflow.feed.fields.id == "sku: #1"
    assert len([c for c in taxonomy_of(loaded) if c.exclusive]) == 10


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b""),
        ("a.xml", b"<products/>"),
        ("a.csv", b"only one column\nx\n"),
        ("a.zip", b"PK\x03\x04"),
        ("a.csv.gz", b"\x1f\x8bno gzip"),
        ("a.parquet", b"PAR1 and nothing"),
        ("a.csv", b"color,name\nred,x\nred,x\nred,y\n"),
    ],
)
def test_files_that_cannot_be_a_feed_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        detect([tmp_path / name])
    assert caught.value.problems[0].file == str(tmp_path / name)


def test_missing_files_and_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        detect([tmp_path / "none.csv", tmp_path / "empty"])
    assert len(caught.value.problems) == 2


def test_lines_that_are_no_utf8_are_told(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", products())
    with (tmp_path / "a.csv").open("ab") as file:
        file.write(b"P-999,caf\xe9,x,Shoes > Boots,3\n")
    guess = detect([tmp_path / "a.csv"])
    assert any("Windows-1252" in note for note in guess.notes) and guess.products == len(products()) + 1
    with (tmp_path / "a.csv").open("ab") as file:
        file.write("P-997,Brötchen,x,Shoes > Boots,3\nP-998,Äpfel,x,Shoes > Boots,3\n".encode())
    guess = detect([tmp_path / "a.csv"])
    assert any("UTF-8" in note for note in guess.notes) and guess.products == len(products()) + 2


def test_slugs() -> None:
    assert slug("My Feed (2024)") == "my-feed-2024"
    assert slug("2024 äö") == "feed-2024"
    assert slug("***") == "feed"


DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real catalogues are not at {DATA}")
@pytest.mark.parametrize(
    ("feed", "categories"),
    [
        ("magento_luma", 15),
        ("flipkart_1050", 23),
        ("small_feeds/macys_us.jsonl.gz", 10),
        ("small_feeds/shein_us.jsonl.gz", 50),
    ],
)
def test_real_feeds(tmp_path: Path, feed: str, categories: int) -> None:
    loaded = init(tmp_path / "out", DATA / feed)
    assert not check(loaded).problems
    assert loaded.workflow.feed.fields.truth == "category_path"
    assert loaded.workflow.feed.fields.raw_category is None, "it holds the truth"
    assert len(taxonomy_of(loaded).exclusive) >= categories


def test_a_given_taxonomy_is_taken_in_place_of_the_feeds_categories(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,title\n" + "".join(f"{n},Red boot {n}\n" for n in range(30)))
    (tmp_path / "tree.txt").write_text("166 - Apparel\n187 - Apparel > Boots\n5 - Pets\n")
    file, *_ = write_workflow(detect([tmp_path / "a.csv"]), tmp_path / "o", "shop", taxonomy_file=tmp_path / "tree.txt")
    taxonomy = taxonomy_of(load_workflow(file))
    assert [(c.id, c.text, c.exclusive) for c in taxonomy] == [
        ("166", "Apparel", False), ("187", "Apparel > Boots", True), ("5", "Pets", True)
    ]  # fmt: skip
    (tmp_path / "tree.csv").write_text(
        'path,name,exclusive,description,synonyms\nApparel,,,"A ""quoted"" # {one}: \u202f\\d",\n'
        'Apparel > Boots,Tall,true,,"wellies|a, b"\nPets,,true,,"[""x|y""]"\n', "utf-8"
    )  # fmt: skip
    given = Taxonomy.load(tmp_path / "tree.csv")
    assert [c.synonyms for c in given] == [(), ("wellies", "a, b"), ("x|y",)] and given.find("Apparel").description
    file, *_ = write_workflow(detect([tmp_path / "a.csv"]), tmp_path / "q", "shop", taxonomy_file=tmp_path / "tree.csv")
    assert taxonomy_of(load_workflow(file)) == given
    with pytest.raises(InputError, match=r"none\.yaml"):
        write_workflow(detect([tmp_path / "a.csv"]), tmp_path / "p", "shop", taxonomy_file=tmp_path / "none.yaml")
    assert not (tmp_path / "p").exists()
