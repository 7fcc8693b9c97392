"""What `shelfmark validate` finds in a workflow's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.errors import Problem
from pipeline.validate import check, validate_workflow
from pipeline.workflow_file import load_workflow
from tests.encoders import tiny_encoder

WORKFLOW = """\
name: shop
feed:
  files: ["*.csv"]
  fields: {title: name, truth: null}
taxonomy: {file: t.yaml}
rules: {file: r.yaml}
labels: {files: [l.jsonl]}
features:
  title: {kind: text}
"""
TAXONOMY = """\
categories:
  - path: Shoes
  - {path: Shoes > Boots, exclusive: true}
  - {path: Shoes > Sandals, exclusive: true}
"""
RULES = "rules:\n  - {id: boots, category: Shoes > Boots, when: {field: title, word: boots}}\n"


def label(**changes: object) -> str:
    row: dict[str, object] = {
        "product_id": "1", "objective": "exclusive", "category": "Shoes > Boots", "value": "yes",
        "annotator": "annotator-1",
        "time": "2026-01-01T00:00:00Z", "batch": "b", "source": "random", "inclusion_probability": 0.5,
    }  # fmt: skip
    return json.dumps({**row, **changes}) + "\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    for name, text in {
        "w.yaml": WORKFLOW, "t.yaml": TAXONOMY, "r.yaml": RULES, "l.jsonl": label(),
        "a.csv": "id,name,brand\n1,Red boots,x\n2,Sandals,y\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def problems(shop: Path, *overrides: str) -> list[Problem]:
    return validate_workflow(load_workflow(shop / "w.yaml", overrides))


def test_a_good_workflow_has_counts_and_no_problem(shop: Path) -> None:
    report = check(load_workflow(shop / "w.yaml"))
    assert not report.problems
    assert report.counts["taxonomy"] == "3 categories, 2 of them exclusive"
    assert report.counts["rules"] == "1"
    assert report.counts["labels"] == "1 row"
    assert report.counts["feed"].startswith("1 file")


def test_all_files_are_looked_at_and_all_their_problems_told(shop: Path) -> None:
    (shop / "r.yaml").write_text(RULES.replace("Shoes > Boots", "Shoe > Boots").replace("title", "titel"))
    (shop / "l.jsonl").write_text(label() + label(category="Shoes > Boot") + label(value="maybe"))
    (shop / "a.csv").write_text("id,names\n1,x\n")
    found = problems(shop)
    files = [Path(p.file).name for p in found]
    assert files.count("r.yaml") == 2
    assert files.count("l.jsonl") == 2
    assert {p.line for p in found if p.file.endswith("l.jsonl")} == {2, 3}
    column = next(p for p in found if p.key == "feed.fields.title")
    assert (column.line, column.value, column.hint) == (4, "name", "did you mean 'names'?")


@pytest.mark.parametrize(
    ("name", "key", "line"),
    [
        ("t.yaml", "taxonomy.file", 5),
        ("r.yaml", "rules.file", 6),
        ("l.jsonl", "labels.files[0]", 7),
        ("a.csv", "feed.files", 3),
    ],
)
def test_missing_files_are_told_with_the_setting_that_names_them(shop: Path, name: str, key: str, line: int) -> None:
    (shop / name).unlink()
    found = problems(shop)
    assert [(p.file, p.key, p.line) for p in found] == [(str(shop / "w.yaml"), key, line)]


def test_a_broken_taxonomy_is_told_and_stops_only_what_needs_it(shop: Path) -> None:
    (shop / "t.yaml").write_text(TAXONOMY + "  - path: Shoes\n")
    (shop / "a.csv").write_text("id,brand\n1,x\n")
    found = problems(shop)
    assert {Path(p.file).name for p in found} == {"t.yaml", "w.yaml"}


def test_a_taxonomy_with_one_exclusive_category_has_nothing_to_tell_apart(shop: Path) -> None:
    (shop / "t.yaml").write_text("categories:\n  - {path: Shoes}\n  - {path: Shoes > Boots, exclusive: true}\n")
    assert any("exclusive" in p.expected for p in problems(shop))


def test_columns_that_nobody_wrote_down_may_be_missing(shop: Path) -> None:
    (shop / "w.yaml").write_text(WORKFLOW.replace("features:\n  title: {kind: text}\n", ""))
    assert not problems(shop)
    (shop / "w.yaml").write_text(WORKFLOW + "  description: {kind: text}\n")
    assert [p.key for p in problems(shop)] == ["features.description"]


def test_nested_columns_split_and_id(shop: Path) -> None:
    (shop / "b.jsonl").write_text('{"sku": 1, "name": "x", "extra": {"split": "train"}}\n')
    good = ("feed.files=[b.jsonl]", "feed.fields.id=sku", "feed.split.column=extra.split")
    assert not problems(shop, *good)
    found = problems(shop, *good, "feed.fields.id=nr", "feed.split.column=extra.fold")
    assert {(p.key, p.file) for p in found} == {("feed.fields.id", "--set"), ("feed.split.column", "--set")}


def test_feeds_that_are_something_else(shop: Path) -> None:
    (shop / "b.parquet").write_bytes(b"PAR1 no")
    (shop / "c.jsonl").write_text("no json\n")
    (shop / "d.csv.gz").write_bytes(b"\x1f\x8b no")
    (shop / "e.doc").write_text("x")
    found = problems(shop, "feed.files=[b.parquet, c.jsonl, d.csv.gz, e.doc, a.csv]")
    assert {Path(p.file).name for p in found} == {"b.parquet", "c.jsonl", "d.csv.gz", "e.doc"}


def test_thresholds_name_categories_of_the_taxonomy(shop: Path) -> None:
    (shop / "w.yaml").write_text(
        WORKFLOW
        + "evaluation:\n  thresholds:\n    exclusive:\n      category_f1:\n"
        + "        Shoes > Boots: 0.5\n        Shoes > Boot: 0.5\n"
    )
    (problem,) = problems(shop)
    assert (problem.line, problem.value) == (15, "Shoes > Boot")
    assert "Shoes > Boots" in problem.hint


def test_other_files(shop: Path) -> None:
    (shop / "s.pbtxt").write_text("feature {")
    found = problems(
        shop, "validation.schema_file=s.pbtxt", "model={kind: wide_deep}",
        "features.title={kind: text, embedding: pretrained, pretrained: v.txt}",
    )  # fmt: skip
    assert len(found) == 2
    (shop / "s.pbtxt").write_text('feature { name: "title" }')
    assert not problems(shop, "validation.schema_file=s.pbtxt")


def test_a_demo_that_is_not_written_yet_is_noted(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("name: d\nfeed: {folder: none, demo: {}}\n")
    report = check(load_workflow(tmp_path / "w.yaml"))
    assert not report.problems and "none" in report.notes[0]


def test_attributes_are_looked_up_and_looked_into(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(TAXONOMY)
    rows = [
        {
            "id": i,
            "title": "t",
            "kg": "2 kg" if i else "1-2 kg",
            "rrp": "call",
            "v": [1, 2],
            "w": [1, 2, 3],
            "m": "felt",
        }
        for i in range(4)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    attributes = "{weight: kg, was: rrp, shape: v, sound: w, material: m, colour: mm}"
    (tmp_path / "w.yaml").write_text(
        f"name: shop\nfeed:\n  files: [a.jsonl]\n  attributes: {attributes}\ntaxonomy: {{file: t.yaml}}\n"
        "features:\n  title: {kind: text}\n  weight: {kind: number}\n  was: {kind: price, column: was}\n"
        "  shape: {kind: dense, dimension: 3}\n  sound: {kind: dense, dimension: 3}\n"
    )
    report = check(load_workflow(tmp_path / "w.yaml"))
    told = {(problem.key, problem.value): problem for problem in report.problems}
    assert set(told) == {
        ("feed.attributes.colour", "mm"), ("feed.attributes.was", "call"), ("feed.attributes.shape", "[1, 2]")
    }  # fmt: skip
    assert (
        "expected a vector of 3 numbers, as features.shape reads it" in told["feed.attributes.shape", "[1, 2]"].expected
    )
    assert [note for note in report.notes if note.startswith("attribute")] == [
        "attribute weight: 1 of the first 4 values is not a number (such as '1-2 kg'): counted as missing"
    ]


def test_an_encoder_that_is_not_there(shop: Path) -> None:
    [missing] = problems(shop, "features.meaning={kind: encoded, encoder: no-such, columns: [title, brand]}")
    assert (missing.key, missing.value) == ("features.meaning.encoder", "no-such")
    assert "shelfmark encoder add no-such" in f"{missing.expected} {missing.hint}"
    [path] = problems(shop, f"features.meaning={{kind: encoded, encoder: {shop}/none, columns: [title]}}")
    assert (path.key, path.value) == ("features.meaning.encoder", f"{shop}/none")
    (shop / "empty").mkdir()
    [empty] = problems(shop, "features.meaning={kind: encoded, encoder: empty, columns: [title]}")
    assert empty.key == "features.meaning.encoder"
    tiny_encoder(shop / "tiny")
    assert not problems(shop, "features.meaning={kind: encoded, encoder: tiny, columns: [title]}")
