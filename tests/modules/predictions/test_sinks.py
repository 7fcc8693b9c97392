"""What every sink of files promises: the rows come back in their order, and a failure leaves nothing behind."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from modules.errors import InputError
from modules.predictions.export import export
from modules.predictions.read import PredictionFiles, Query
from modules.predictions.sinks import SINKS, sink_for
from modules.predictions.sinks.base import Delivery
from tests.modules.reporting.sample import taxonomy, write_predictions


def _csv_rows(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [(row["id"], row["split"]) for row in csv.DictReader(stream)]


READERS: dict[str, Callable[[Path], list[tuple[str, str]]]] = {
    "csv": _csv_rows,
    "jsonl": lambda path: [(r["id"], r["split"]) for r in map(json.loads, path.read_text("utf-8").splitlines())],
    "parquet": lambda path: [
        (row["id"], row["split"]) for row in pq.read_table(path, columns=["id", "split"]).to_pylist()
    ],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[PredictionFiles, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("predictions")
    rows = write_predictions(folder, {"train": 40, "test": 20})
    return PredictionFiles(folder), rows


def test_every_sink_is_read_here() -> None:
    assert set(READERS) == set(SINKS.builtin)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("wanted", [{}, {"split": "test"}, {"limit": 7}, {"min_uncertainty": 99.0}])
def test_rows_come_back_in_their_order(written: Any, tmp_path: Path, name: str, wanted: dict[str, Any]) -> None:
    files, rows = written
    query, target = Query(**wanted), tmp_path / f"x.{name}"
    expected = [(row["id"], row["split"]) for row in rows if wanted.get("split", row["split"]) == row["split"]]
    expected = [] if "min_uncertainty" in wanted else expected[: wanted.get("limit")]
    assert export(files, query, taxonomy(), target) == len(expected)
    assert READERS[name](target) == expected
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("batches", [0, 1])
def test_a_failure_between_batches_leaves_the_old_file(written: Any, tmp_path: Path, name: str, batches: int) -> None:
    files, _ = written
    target = tmp_path / f"x.{name}"
    target.write_text("old")
    sink = sink_for(str(target))(str(target), Delivery(files, Query(), taxonomy()))
    assert sink.start() == 0
    for table in list(sink.delivery.tables(sink.columns()))[:batches]:
        sink.write(table)
    sink.abort()
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("skip", [0, 1, 39, 40, 41, 60])
def test_a_delivery_that_resumes_skips_what_is_there(written: Any, skip: int) -> None:
    files, rows = written
    tables = Delivery(files, Query(), taxonomy()).tables(["id"], skip)
    assert [value for table in tables for value in table.column("id").to_pylist()] == [row["id"] for row in rows][skip:]


def test_a_target_for_which_there_is_no_sink() -> None:
    with pytest.raises(InputError, match=r"\.csv, \.jsonl, \.parquet; did you mean 'parquet'\?"):
        sink_for("x.parket")
