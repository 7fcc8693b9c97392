"""A workflow with the feeds of several retailers: what may stand in it, and what `validate` says of each feed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modules.errors import InputError
from modules.feeds.plan import ExampleSettings
from modules.settings.workflow import Workflow
from pipeline.inputs import sampling_labels, taxonomy_of
from pipeline.similarity_labels import read_similarity_labels
from pipeline.validate import check
from pipeline.workflow_file import LoadedWorkflow, load_workflow

TWO = """\
name: two
feed:
  folder: data
feeds:
  - retailer: north
    files: [north.csv]
    fields: {id: sku, truth: path, retailer: null}
    truth_separator: /
  - retailer: south
    files: ["south*.jsonl"]
    fields: {truth: tree}
taxonomy: {from_truth: true}
"""


def write(folder: Path, text: str = TWO) -> Path:
    data = folder / "data"
    data.mkdir(exist_ok=True)
    (data / "north.csv").write_text("sku,title,path\n1,boot,Shoes/Boots\n2,lamp,Home/Lamps\n")
    lines = [{"id": 1, "title": "boot", "tree": ["SHOES", "Boots"]}, {"id": 3, "title": "doll", "tree": ["Toys"]}]
    (data / "south-1.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = folder / "two.yaml"
    path.write_text(text)
    return path


def problems_of(path: Path) -> list[tuple[str, int | None, str]]:
    with pytest.raises(InputError) as caught:
        load_workflow(path)
    return [(problem.key, problem.line, problem.expected) for problem in caught.value.problems]


def test_every_source_is_complete(tmp_path: Path) -> None:
    loaded = load_workflow(write(tmp_path))
    north, south = loaded.workflow.sources
    assert (north.retailer, north.ids, north.fields.id, north.truth_separator) == ("north", "retailer", "sku", "/")
    assert (south.retailer, south.ids, south.fields.id, south.truth_separator) == ("south", "retailer", "id", ">")
    assert north.quarantine == south.quarantine == loaded.workflow.feed.quarantine
    files = [(Path(file.path).name, file.source) for file in loaded.feed_files()]
    assert files == [("north.csv", 0), ("south-1.jsonl", 1)]
    settings = ExampleSettings.of(loaded.workflow)
    again = ExampleSettings.model_validate_json(settings.model_dump_json())
    assert again == settings and again.sources == settings.sources


def test_a_single_feed_is_its_own_only_source() -> None:
    workflow = Workflow.model_validate({"name": "alone", "feed": {"files": ["a.csv"]}})
    assert workflow.sources == (workflow.feed,) and workflow.feed.ids == "plain"


@pytest.mark.parametrize(
    ("old", "new", "key", "line", "expected"),
    [
        ("  folder: data", "  files: [a.csv]", "feed.files", 3, "no files here"),
        ("  folder: data", "  delimiter: ';'", "feed.delimiter", 3, "no delimiter here"),
        ("  folder: data", "  fields: {id: sku}", "feed.fields", 3, "no fields here"),
        ("  folder: data", "  demo: {products: 100}", "feed.demo", 3, "no demo beside feeds"),
        ("retailer: south", "retailer: North", "feeds[1].retailer", 9, "another retailer"),
        ("retailer: south", "retailer: 'a:b'", "feeds[1].retailer", 9, "text that matches"),
        ("retailer: south", "retailer: ''", "feeds[1].retailer", 9, "text that matches"),
        ("files: [north.csv]", "files: []", "feeds[0].files", 6, "at least one pattern"),
        ("retailer: null", "retailer: shop", "feeds[0].fields.retailer", 7, "no column"),
        ("  - retailer: south\n    files", "  - files", "feeds[1].retailer", 9, "required"),
    ],
)
def test_what_contradicts_is_said_with_its_line(
    tmp_path: Path, old: str, new: str, key: str, line: int, expected: str
) -> None:
    assert old in TWO
    said = problems_of(write(tmp_path, TWO.replace(old, new)))
    assert [(key, line)] == [entry[:2] for entry in said] and expected in said[0][2]


def test_ids_of_one_feed_need_its_retailer(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("name: one\nfeed: {ids: retailer}\n")
    assert [entry[0] for entry in problems_of(path)] == ["feed.ids"]
    path.write_text("name: one\nfeed: {ids: retailer, retailer: north}\n")
    assert load_workflow(path).workflow.sources[0].ids == "retailer"


def test_a_feature_needs_its_column_in_one_feed(tmp_path: Path) -> None:
    text = TWO.replace("truth: path", "brand: null, truth: path") + "features: {brand: {kind: categorical}}\n"
    assert "brand" in load_workflow(write(tmp_path, text)).workflow.features
    said = problems_of(write(tmp_path, text.replace("truth: tree", "brand: null, truth: tree")))
    assert [entry[0] for entry in said] == ["features.brand"]


def checked(path: Path) -> tuple[LoadedWorkflow, list[str], dict[str, str], list[str]]:
    loaded = load_workflow(path)
    report = check(loaded)
    return loaded, list(map(str, report.problems)), report.counts, report.notes


def test_validate_speaks_of_each_feed_and_of_what_is_merged(tmp_path: Path) -> None:
    _, problems, counts, notes = checked(write(tmp_path))
    assert not problems
    assert counts["feed north"].startswith("1 file") and counts["feed south"].startswith("1 file")
    assert counts["taxonomy"] == "built from the feeds' columns 'path' and 'tree': 3 paths"
    assert "'SHOES' (also 'Shoes')" in " ".join(notes)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("id: sku", "id: code", "feeds[0].fields.id"),
        ("truth: tree", "truth: trees", "feeds[1].fields.truth"),
        ("south*.jsonl", "west*.jsonl", "feeds[1].files"),
        ("south*.jsonl", "*", "feeds[1].files"),
        ("folder: data", "folder: data\n  split: {column: fold}", "feed.split.column"),
    ],
)
def test_validate_names_the_feed_that_is_wrong(tmp_path: Path, old: str, new: str, key: str) -> None:
    loaded = load_workflow(write(tmp_path, TWO.replace(old, new)))
    problems = check(loaded).problems
    assert key in {problem.key for problem in problems}
    assert all(problem.line is not None for problem in problems if problem.key == key)


def test_what_else_reads_feeds_sees_all_of_them(tmp_path: Path) -> None:
    loaded = load_workflow(write(tmp_path))
    assert [category.text for category in taxonomy_of(loaded) if category.exclusive] == [
        "Home > Lamps", "SHOES > Boots", "Toys",
    ]  # fmt: skip
    assert json.loads(sampling_labels(loaded))["retailers"] == ["north", "south"]
    assert read_similarity_labels(loaded).ids.to_pylist() == ["north:1", "north:2", "south:1", "south:3"]
