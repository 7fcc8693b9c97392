"""Reading predictions back, against the same rows as plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.objectives import kind_named
from modules.predictions import read
from modules.predictions.read import PredictionFiles, Query, category_and_below
from tests.modules.reporting.sample import PATHS, taxonomy, write_predictions

SIZES = {"train": 60, "eval": 13, "test": 40}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[PredictionFiles, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("predictions")
    rows = write_predictions(folder, SIZES)
    return PredictionFiles(folder), rows


def ids(files: PredictionFiles, query: Query) -> list[str]:
    return [value for table in files.select(query, ["id"]) for value in table.column("id").to_pylist()]


def expected(rows: list[dict[str, Any]], query: Query, category: str | None) -> list[str]:
    name = query.objective or "exclusive"
    below = [] if category is None else [p for p in map(" > ".join, _nodes()) if f"{p} > ".startswith(f"{category} > ")]
    wanted = {c.id for c in taxonomy() if c.text in below}
    found = []
    for row in rows:
        mine = row[name]
        score = mine[query.sort or "entropy"]
        uncertainty = 1.0 - score if query.sort == "margin" else score
        if query.split is not None and row["split"] != query.split:
            continue
        categories = {mine["category_id"]} if name == "exclusive" else mine["assigned"]
        if category is not None and not categories & wanted:
            continue
        if query.min_uncertainty is not None and uncertainty < query.min_uncertainty:
            continue
        found.append((uncertainty, row["id"]))
    if query.sort is not None:
        found = sorted(found, key=lambda pair: -pair[0])
    return [identity for _, identity in found][: query.limit]


def _nodes() -> list[tuple[str, ...]]:
    return [category.path for category in taxonomy()]


@settings(max_examples=120, deadline=None)
@given(
    split=st.sampled_from([None, "train", "eval", "test"]),
    category=st.sampled_from([None, *PATHS, "Shoes", "Bags"]),
    objective=st.sampled_from([None, "exclusive", "rule_based"]),
    sort=st.sampled_from([None, "entropy", "least_confidence", "margin"]),
    least=st.sampled_from([None, 0.0, 0.5, 0.7, 5.0]),
    limit=st.sampled_from([None, 1, 5, 1000]),
)
def test_a_query_finds_what_a_loop_finds(written, split, category, objective, sort, least, limit) -> None:
    files, rows = written
    if sort is not None and limit is None:
        limit = 30
    below = None if category is None else category_and_below(taxonomy(), category)[1]
    query = Query(split, objective, below, least, sort, limit)
    assert ids(files, query) == expected(rows, query, category)


@pytest.mark.parametrize("limit", [1, 3, 20])
def test_the_most_uncertain_are_kept_when_candidates_are_thrown_away(written, monkeypatch, limit: int) -> None:
    files, rows = written
    monkeypatch.setattr(read, "_SPARE", 2)
    query = Query(sort="entropy", limit=limit)
    assert ids(files, query) == expected(rows, query, None)


def test_splits_come_in_their_order_and_are_named(written) -> None:
    files, rows = written
    tables = list(files.select(Query(), ["id", "title"]))
    found = [(row["id"], row["split"]) for table in tables for row in table.to_pylist()]
    assert found == [(row["id"], row["split"]) for row in rows]
    assert [t for table in tables for t in table.column("title").to_pylist()] == [row["title"] for row in rows]
    assert files.products() == sum(SIZES.values()) and files.products("eval") == SIZES["eval"]


def test_a_split_without_products_is_empty(tmp_path) -> None:
    """Predictor writes a file without row groups for it, as here."""
    rows = write_predictions(tmp_path, {"train": 5, "test": 4})
    full = next((tmp_path / "Split-test").glob("*.parquet"))
    (tmp_path / "Split-eval").mkdir()
    pq.ParquetWriter(tmp_path / "Split-eval" / full.name, pq.read_schema(full)).close()
    files = PredictionFiles(tmp_path)
    assert files.products("eval") == 0 and ids(files, Query()) == [row["id"] for row in rows]
    assert [len(batch) for batch in files.scan(["id"], "eval")] == []
    assert sum(len(batch) for batch in files.scan(["id"])) == 9


def test_objectives_and_their_kinds_are_found_in_the_files(written) -> None:
    files, _ = written
    assert files.kinds == {"exclusive": "exclusive", "rule_based": "multi_label"}
    assert files.objective(None) == "exclusive"
    assert kind_named(files.kinds["exclusive"]).classes(taxonomy()) == tuple(taxonomy().exclusive)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda files: list(files.select(Query(objective="colour"), ["id"])), "exclusive, rule_based"),
        (lambda files: list(files.select(Query(split="training"), ["id"])), "train, eval, test"),
        (lambda files: Query(sort="entropy"), "--limit"),
        (lambda files: category_and_below(taxonomy(), "Shoes > Boot"), "did you mean 'Shoes > Boots'"),
        (lambda files: PredictionFiles(files.folder / "Split-train"), "there are none"),
    ],
)
def test_a_wrong_question_is_answered_with_what_is_right(written, make, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make(written[0])


def test_an_empty_split_is_left_out(tmp_path: Path) -> None:
    rows = write_predictions(tmp_path, {"train": 3, "test": 0}, files=1)
    files = PredictionFiles(tmp_path)
    assert ids(files, Query()) == [row["id"] for row in rows]
    assert ids(files, Query(split="test")) == []
    assert ids(files, Query(sort="entropy", limit=2, split="test")) == []
