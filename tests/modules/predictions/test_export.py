"""Predictions as CSV, JSON Lines and Parquet, read back by other readers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.errors import InputError
from modules.predictions.export import export
from modules.predictions.read import PredictionFiles, Query
from modules.predictions.sinks.csv import guarded
from tests.modules.reporting.sample import taxonomy, write_predictions


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[PredictionFiles, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("predictions")
    rows = write_predictions(folder, {"train": 40, "test": 20})
    return PredictionFiles(folder), rows


def unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") else cell


def test_csv_has_a_row_per_product_and_no_formula(written, tmp_path: Path) -> None:
    files, rows = written
    target = tmp_path / "all.csv"
    assert export(files, Query(), taxonomy(), target) == len(rows)
    with target.open(newline="", encoding="utf-8") as stream:
        found = list(csv.DictReader(stream))
    assert [row["id"] for row in found] == [row["id"] for row in rows]
    assert [unguarded(row["title"]) for row in found] == [row["title"] for row in rows]
    paths = [category.text for category in taxonomy().exclusive]
    by_id = {category.id: category.text for category in taxonomy()}
    for row, truth in zip(found, rows, strict=True):
        for cell in (row["title"], row["retailer"], row["exclusive/category"]):
            assert not cell.lstrip().startswith(("=", "+", "-", "@")), cell
        label = truth["exclusive"]["label"]
        assert row["exclusive/label"] == (paths[label] if label >= 0 else "")
        assert row["exclusive/category"] == truth["exclusive"]["category"]
        assert float(row["exclusive/margin"]) == pytest.approx(truth["exclusive"]["margin"], rel=1e-5)
        assigned = {part for part in row["rule_based/assigned"].split(" | ") if part}
        assert assigned == {by_id[identity] for identity in truth["rule_based"]["assigned"]}
        assert row["split"] == truth["split"]
    assert not [path for path in tmp_path.iterdir() if path != target]


def test_numbers_below_zero_are_not_taken_for_formulas(written, tmp_path: Path) -> None:
    files, _rows = written
    export(files, Query(), taxonomy(), tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as stream:
        margins = [row["exclusive/margin"] for row in csv.DictReader(stream)]
    assert all("'" not in margin for margin in margins)


FORMULAS = st.builds("".join, st.tuples(st.text("\t\r\n\x0b \u00a0"), st.sampled_from("=+-@＝＋－＠"), st.text()))


@given(st.lists(st.text() | FORMULAS, min_size=1))
def test_guarding_changes_risky_texts_alone(texts: list[str]) -> None:
    texts = [text for text in texts if not any(0xD800 <= ord(c) <= 0xDFFF for c in text)]
    found = guarded(pa.chunked_array([pa.array(texts, pa.string())])).to_pylist()
    for text, cell in zip(texts, found, strict=True):
        bare = text.lstrip(" \t\r\n\x0b\x0c\x00\u00a0")
        if bare and bare[0] in "=+-@＝＋－＠":
            assert cell == "'" + text
        elif text[:1].isalnum():
            assert cell == text


def test_json_lines_have_objects_per_objective(written, tmp_path: Path) -> None:
    files, rows = written
    target = tmp_path / "test.jsonl"
    assert export(files, Query(split="test"), taxonomy(), target) == 20
    found = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    truth = [row for row in rows if row["split"] == "test"]
    assert [row["title"] for row in found] == [row["title"] for row in truth]
    paths = [category.text for category in taxonomy().exclusive]
    for row, expected in zip(found, truth, strict=True):
        mine = row["exclusive"]
        assert mine["top"][0]["category"] == mine["category"] == expected["exclusive"]["category"]
        assert mine["top"][0]["probability"] == pytest.approx(expected["exclusive"]["probability"], abs=1e-6)
        label = expected["exclusive"]["label"]
        assert mine["label"] == (paths[label] if label >= 0 else None)
        assert mine["ancestors"][-1] == mine["category_id"]
        assert set(row["rule_based"]["assigned"]) == expected["rule_based"]["assigned"]


def test_parquet_has_the_columns_of_the_predictions(written, tmp_path: Path) -> None:
    files, rows = written
    target = tmp_path / "all.parquet"
    assert export(files, Query(objective="exclusive", sort="margin", limit=7), taxonomy(), target) == 7
    table = pq.read_table(target)
    assert {"id", "split", "embedding", "exclusive/classes"} <= set(table.column_names)
    assert not [name for name in table.column_names if name.startswith("rule_based")]
    best = sorted(rows, key=lambda row: row["exclusive"]["margin"])[:7]
    assert table.column("id").to_pylist() == [row["id"] for row in best]
    assert pq.read_metadata(target).num_row_groups == 1


def test_parquet_of_nothing_still_has_its_columns(written, tmp_path: Path) -> None:
    files, _ = written
    assert export(files, Query(min_uncertainty=99.0), taxonomy(), tmp_path / "none.parquet") == 0
    assert set(pq.read_table(tmp_path / "none.parquet").column_names) == {*files.schema.names, "split"}


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.parquet"])
def test_what_fails_leaves_the_old_file_and_nothing_else(written, tmp_path: Path, name: str) -> None:
    files, _ = written
    (tmp_path / name).write_text("old")
    with pytest.raises(InputError, match="splits"):
        export(files, Query(split="nowhere"), taxonomy(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "old"


@pytest.mark.parametrize(("name", "words"), [("x.xls", ".csv, .jsonl, .parquet"), ("no/such/folder/x.csv", "No such")])
def test_a_place_that_cannot_be_written_is_said(written, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        export(written[0], Query(), taxonomy(), tmp_path / name)
