"""Categories that a model knows by their names alone: marked in the run's own table, left out of all that leaves it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.predictions.export import export
from modules.predictions.guesses import LABELS, NAMES, guessed_classes, remove_guesses, sources_beside, without_guesses
from modules.predictions.read import PredictionFiles, Query
from modules.reporting.model import ObjectiveReport
from modules.reporting.predicted import read_predicted
from modules.reporting.text import guesses_text
from modules.settings.similarity import IndexSettings
from modules.similarity.from_predictions import read_items
from tests.modules.reporting.sample import taxonomy, write_predictions

GUESSED = [1, 4]
EMPTIED = ("category", "category_id", "ancestors", "probability")

Written = tuple[PredictionFiles, list[dict[str, Any]]]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    folder = tmp_path / "predictions"
    rows = write_predictions(folder, {"train": 60, "test": 30}, guessed={"exclusive": GUESSED})
    return PredictionFiles(folder), rows


def is_guess(row: dict[str, Any]) -> bool:
    return row["exclusive"]["best"] in GUESSED


def table_of(files: PredictionFiles) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for some in files.files.values() for file in some])


def test_the_runs_own_table_has_guesses_with_their_source(written: Written) -> None:
    files, rows = written
    table = table_of(files)
    assert table["exclusive/source"].to_pylist() == [NAMES if is_guess(row) else LABELS for row in rows]
    assert table["exclusive/category"].to_pylist() == [row["exclusive"]["category"] for row in rows]
    assert files.guessed == {"exclusive": frozenset(GUESSED)} and "rule_based/source" not in table.column_names
    assert 0 < sum(map(is_guess, rows)) < len(rows)


def compressions(files: PredictionFiles) -> dict[str, str]:
    footer = pq.read_metadata(files.files["train"][0])
    chunks = [footer.row_group(0).column(i) for i in range(footer.num_columns)]
    return {chunk.path_in_schema: chunk.compression for chunk in chunks}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_no_sink_gets_a_guess_for_a_category(written: Written, tmp_path: Path, ending: str) -> None:
    files, rows = written
    target = tmp_path / f"out.{ending}"
    assert export(files, Query(), taxonomy(), target) == len(rows)
    if ending == "csv":
        with target.open(newline="", encoding="utf-8") as stream:
            got = [(r["exclusive/category"] or None, r["exclusive/source"]) for r in csv.DictReader(stream)]
    elif ending == "jsonl":
        objects = [json.loads(line)["exclusive"] for line in target.read_text("utf-8").splitlines()]
        got = [(o["category"], o["source"]) for o in objects]
        names = {taxonomy().exclusive[i].text for i in GUESSED}
        assert not names & {answer["category"] for o in objects for answer in o["top"]}
        assert all((o["probability"] is None) == (o["top"] == []) == (o["category"] is None) for o in objects)
    else:
        table = pq.read_table(target)
        got = list(zip(table["exclusive/category"].to_pylist(), table["exclusive/source"].to_pylist(), strict=True))
        assert table["exclusive/ancestors"].null_count == sum(map(is_guess, rows))
    expected = [(None, NAMES) if is_guess(row) else (row["exclusive"]["category"], LABELS) for row in rows]
    assert got == expected


def test_published_files_lose_guesses_and_nothing_else(written: Written) -> None:
    files, rows = written
    for file in files.folder.rglob("*.parquet"):
        table = pq.read_table(file)
        # As Predictor stores it: vectors as they are, all else compressed.
        leaves = compressions(files)
        plain = {leaf: "NONE" if leaf.startswith("embedding") else "ZSTD" for leaf in leaves}
        pq.write_table(table, file, compression=plain)
    before, stored = table_of(files), compressions(files)
    remove_guesses(files.folder)
    assert compressions(files) == stored and len(set(stored.values())) == 2
    after = table_of(PredictionFiles(files.folder))
    assert after.schema.equals(before.schema, check_metadata=True)
    guesses = np.array([is_guess(row) for row in rows])
    for name in before.column_names:
        old, new = before[name].to_pylist(), after[name].to_pylist()
        if name in {f"exclusive/{part}" for part in EMPTIED}:
            old = [None if guess else value for guess, value in zip(guesses, old, strict=True)]
        assert repr(new) == repr(old), name
    assert not list(files.folder.rglob("*.part"))


def test_files_without_guesses_are_not_written_again(tmp_path: Path) -> None:
    write_predictions(tmp_path, {"train": 10})
    before = {file: (file.stat().st_ino, file.read_bytes()) for file in tmp_path.rglob("*.parquet")}
    remove_guesses(tmp_path)
    assert {file: (file.stat().st_ino, file.read_bytes()) for file in tmp_path.rglob("*.parquet")} == before


def test_an_index_files_products_with_a_guess_under_no_category(written: Written, tmp_path: Path) -> None:
    files, rows = written
    items, partitions = read_items(files, taxonomy(), IndexSettings(partition_level=1), "m", tmp_path / "v.npy")
    category = dict(zip(items.table["id"].to_pylist(), items.table["category"].to_pylist(), strict=True))
    index = {c.id: c.index for c in taxonomy()}
    assert category == {r["id"]: -1 if is_guess(r) else index[r["exclusive"]["category_id"]] for r in rows}
    assert dict(partitions)[""] == sum(map(is_guess, rows))


def test_summary_and_report_say_how_many_products_have_a_guess(written: Written) -> None:
    files, rows = written
    predicted = read_predicted(files, taxonomy())["exclusive"]
    count = sum(map(is_guess, rows))
    assert (predicted.guessed_products, predicted.guessed_categories) == (count, len(GUESSED))
    said = guesses_text(ObjectiveReport("exclusive", "exclusive", predicted=predicted))
    assert f"{count} product" in said and "2 of 6 categories" in said and "names" in said


def test_without_guesses_nothing_is_said_of_them(tmp_path: Path) -> None:
    write_predictions(tmp_path, {"test": 20})
    predicted = read_predicted(PredictionFiles(tmp_path), taxonomy())["exclusive"]
    assert guesses_text(ObjectiveReport("exclusive", "exclusive", predicted=predicted)) == ""


@given(st.lists(st.tuples(st.sampled_from([LABELS, NAMES, None]), st.text(max_size=3)), max_size=30), st.integers(1, 7))
def test_a_category_stays_unless_its_source_is_names(values: list[tuple[str | None, str]], size: int) -> None:
    sources, texts = [source for source, _ in values], [text for _, text in values]
    plain = pa.table({"o/category": pa.array(texts, pa.string()), "o/source": pa.array(sources, pa.string())})
    encoded = pa.Table.from_arrays([column.dictionary_encode() for column in plain.columns], plain.schema.names)
    for table in (plain, encoded):
        # Cut at different places: the columns of a table need not be cut alike.
        cut = pa.concat_tables([table.slice(i, size) for i in range(0, max(len(values), 1), size)])
        uneven = cut.set_column(1, "o/source", table["o/source"])
        for rows in (table, cut, uneven):
            left = without_guesses(rows)
            expected = [None if source == NAMES else text for source, text in values]
            assert left["o/category"].to_pylist() == expected and left["o/source"].to_pylist() == sources
            assert left.schema.equals(rows.schema)


def test_sources_are_read_beside_answers_where_there_are_any() -> None:
    there = ["a/source", "a/category", "b/category"]
    assert sources_beside(["id", "a/category", "b/category"], there) == ["id", "a/category", "b/category", "a/source"]
    assert sources_beside(["id", "a/entropy"], there) == ["id", "a/entropy"]
    assert guessed_classes(pa.schema({"a": pa.int32()})) == {}
