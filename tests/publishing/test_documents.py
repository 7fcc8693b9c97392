"""Documents say what the predictions say, and nothing that is a guess."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modules.objectives import kind_named
from modules.predictions.read import PredictionFiles
from modules.similarity.neighbour_table import NeighbourTable
from modules.similarity.neighbours import SCHEMA
from tests.modules.reporting.sample import taxonomy, write_predictions
from tests.publishing.shop import documents, expected, predict, rounded


def test_every_product_with_all_that_was_predicted(tmp_path: Path) -> None:
    rows = predict(tmp_path, {"train": 30, "eval": 3, "test": 11})
    made = [document for batch in documents(tmp_path, 7, top=3).batches() for document in batch]
    assert [document.id for document in made] == [row["id"] for row in rows]
    stored = [
        r for files in PredictionFiles(tmp_path).files.values() for f in files for r in pq.read_table(f).to_pylist()
    ]
    for document, row, raw in zip(made, rows, stored, strict=True):
        said = document.values
        assert {name: said[name] for name in ("id", "retailer", "version", "run", "model")} == {
            "id": row["id"], "retailer": row["retailer"], "version": 7, "run": "run-1", "model": "model-1",
        }  # fmt: skip
        assert set(said["objectives"]) == {"exclusive", "rule_based"}
        for name, answer in said["objectives"].items():
            assert answer["category_id"] == row[name]["category_id"] and answer["category"] == row[name]["category"]
            assert answer["probability"] == pytest.approx(row[name]["probability"], abs=6e-5)
            classes = kind_named("exclusive" if name == "exclusive" else "multi_label").classes(taxonomy())
            best = [classes[i] for i in raw[f"{name}/classes"][:3]]
            assert [(top["category_id"], top["category"]) for top in answer["top"]] == [(c.id, c.text) for c in best]
            scores = [top["probability"] for top in answer["top"]]
            assert scores == pytest.approx(raw[f"{name}/probabilities"][:3], abs=6e-5)
        assert said["objectives"]["exclusive"]["categories"] == [row["exclusive"]["category_id"]]
        assert set(said["objectives"]["rule_based"]["categories"]) == row["rule_based"]["assigned"]


def test_a_category_that_nobody_has_taught_is_not_named(tmp_path: Path) -> None:
    rows = write_predictions(tmp_path, {"train": 60}, guessed={"exclusive": [1, 4]})
    classes = kind_named("exclusive").classes(taxonomy())
    guessed = {classes[1].id, classes[4].id}
    made = {document.id: document.values for batch in documents(tmp_path).batches() for document in batch}
    assert {row["exclusive"]["category_id"] for row in rows} >= guessed, "the test has a guess to leave out"
    for row in rows:
        answer = made[row["id"]]["objectives"]["exclusive"]
        if row["exclusive"]["category_id"] in guessed:
            assert answer == {"category_id": None, "category": None, "probability": None, "categories": [], "top": []}
        else:
            assert answer["category_id"] == row["exclusive"]["category_id"]
            assert not guessed & {top["category_id"] for top in answer["top"]}


def test_neither_run_nor_version_is_a_change_but_each_answer_is(tmp_path: Path) -> None:
    predict(tmp_path / "a", {"train": 20})
    digests = [[d.digest for batch in documents(tmp_path / "a", v, r).batches() for d in batch]
               for v, r in ((1, "run-1"), (2, "run-2"))]  # fmt: skip
    assert digests[0] == digests[1] and len(set(digests[0])) == 20
    other = [d.digest for batch in documents(tmp_path / "a", 1, top=2).batches() for d in batch]
    assert not set(other) & set(digests[0])


def test_neighbours_come_by_id_whatever_their_order(tmp_path: Path) -> None:
    rows = predict(tmp_path / "p", {"train": 20})
    assert expected(rows) != rounded(expected(rows))
    ids = [row["id"] for row in rows][::-1][:-1]
    table = {"id": ids, "neighbours": [ids[:3]] * len(ids), "scores": [[0.987654, 0.5, 0.1]] * len(ids)}
    # As ScannIndex writes it: dictionaries, and a row group per leaf.
    with pq.ParquetWriter(tmp_path / "n.parquet", SCHEMA, use_dictionary=["neighbours.list.element"]) as writer:
        for start in range(0, len(ids), 6):
            columns = {name: values[start : start + 6] for name, values in table.items()}
            columns["near_duplicates"] = [0] * len(columns["id"])
            writer.write_table(pa.table(columns, SCHEMA))
    with NeighbourTable(tmp_path / "n.parquet", 2) as near:
        made = {d.id: d.values for batch in documents(tmp_path / "p", neighbours=near).batches() for d in batch}
    two = [{"id": ids[0], "score": 0.9877}, {"id": ids[1], "score": 0.5}]
    assert [made[name]["neighbours"] for name in ids] == [two] * len(ids)
    assert made[rows[0]["id"]]["neighbours"] == []
    # The third one takes the place of the first, whose product is gone.
    with NeighbourTable(tmp_path / "n.parquet", 2, lambda asked: set(asked) - {ids[0]}) as near:
        assert near.of([ids[5], "new"]) == [[{"id": ids[1], "score": 0.5}, {"id": ids[2], "score": 0.1}], []]


def test_a_document_cannot_be_changed(tmp_path: Path) -> None:
    predict(tmp_path, {"train": 2})
    document = next(documents(tmp_path).batches())[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        document.id = "x"  # type: ignore[misc]
