"""Counts over predictions, against loops over the same rows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modules.metrics.calibration import calibration_error_of, expected_calibration_error
from modules.predictions.read import PredictionFiles
from modules.reporting import predicted as module
from modules.reporting.collect import top_level
from modules.reporting.predicted import read_predicted
from tests.modules.reporting.sample import taxonomy, write_predictions


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[PredictionFiles, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("predictions")
    rows = write_predictions(folder, {"train": 80, "eval": 20, "test": 120}, seed=3)
    return PredictionFiles(folder), rows


def labelled_test(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] == "test" and row["exclusive"]["label"] >= 0]


def test_products_per_category(written) -> None:
    files, rows = written
    found = read_predicted(files, taxonomy())
    n = len(taxonomy().exclusive)
    predicted = Counter(row["exclusive"]["best"] for row in rows)
    labelled = Counter(row["exclusive"]["label"] for row in rows)
    assert found["exclusive"].predicted.tolist() == [predicted[i] for i in range(n)]
    assert found["exclusive"].labelled is not None
    assert found["exclusive"].labelled.tolist() == [labelled[i] for i in range(n)]
    assigned = Counter(identity for row in rows for identity in row["rule_based"]["assigned"])
    assert found["rule_based"].predicted.tolist() == [assigned[c.id] for c in taxonomy()]
    assert found["rule_based"].labelled is None


def test_confusion_by_top_level_category(written) -> None:
    files, rows = written
    confusion = read_predicted(files, taxonomy())["exclusive"].confusion
    classes = taxonomy().exclusive
    pairs = Counter(
        (classes[r["exclusive"]["label"]].path[0], classes[r["exclusive"]["best"]].path[0]) for r in labelled_test(rows)
    )
    assert confusion is not None and set(confusion.names) == {"Shoes", "Bags", "Hats"}
    for i, label in enumerate(confusion.names):
        for j, best in enumerate(confusion.names):
            assert confusion.counts[i, j] == pairs[label, best]


def test_many_top_level_categories_are_pooled(written, monkeypatch) -> None:
    files, _rows = written
    whole = read_predicted(files, taxonomy())["exclusive"].confusion
    monkeypatch.setattr(module, "_SHOWN_TOP", 1)
    confusion = read_predicted(files, taxonomy())["exclusive"].confusion
    assert whole is not None and confusion is not None
    assert list(confusion.names) == [whole.names[0], "2 others"]
    first, rest = whole.counts[0], whole.counts[1:]
    expected = [[first[0], first[1:].sum()], [rest[:, 0].sum(), rest[:, 1:].sum()]]
    assert confusion.counts.tolist() == np.array(expected).tolist()


def test_the_most_confused_pairs_have_titles_of_their_own(written) -> None:
    files, rows = written
    classes = taxonomy().exclusive
    wrong: dict[tuple[str, str], list[str]] = {}
    for row in labelled_test(rows):
        if row["exclusive"]["label"] != row["exclusive"]["best"]:
            key = classes[row["exclusive"]["label"]].text, classes[row["exclusive"]["best"]].text
            wrong.setdefault(key, []).append(row["title"])
    pairs = read_predicted(files, taxonomy())["exclusive"].pairs
    assert [pair.products for pair in pairs] == sorted((len(t) for t in wrong.values()), reverse=True)[: module.PAIRS]
    for pair in pairs:
        titles = wrong[pair.label, pair.predicted]
        assert pair.products == len(titles) and list(pair.titles) == titles[: module.TITLES]


def test_reliability_has_the_calibration_error_of_the_metrics(written) -> None:
    files, rows = written
    bins = read_predicted(files, taxonomy())["exclusive"].reliability
    known = [row["exclusive"] for row in labelled_test(rows)]
    expected = expected_calibration_error(
        [row["probability"] for row in known], [row["label"] == row["best"] for row in known]
    )
    assert bins is not None and bins[0].sum() == len(known)
    assert calibration_error_of(bins) == pytest.approx(expected, abs=1e-7)


def test_without_labels_there_is_nothing_to_confuse(tmp_path: Path) -> None:
    write_predictions(tmp_path, {"train": 30}, seed=1)
    found = read_predicted(PredictionFiles(tmp_path), taxonomy())["exclusive"]
    assert (found.confusion, list(found.pairs), found.reliability) == (None, [], None)


def test_top_level_sums(written) -> None:
    files, rows = written
    tree = taxonomy()
    found = read_predicted(files, tree)
    exclusive = top_level(tree, tree.exclusive, found["exclusive"])
    assert {name: p for name, p, _ in exclusive} == Counter(
        tree.exclusive[row["exclusive"]["best"]].path[0] for row in rows
    )
    assert sum(labelled or 0 for _, _, labelled in exclusive) == sum(r["exclusive"]["label"] >= 0 for r in rows)
    rules = top_level(tree, tuple(tree), found["rule_based"])
    roots = {c.id: c.name for c in tree.roots}
    assert {name: p for name, p, _ in rules} == Counter(
        roots[identity] for row in rows for identity in row["rule_based"]["assigned"] if identity in roots
    )
    assert all(labelled is None for _, _, labelled in rules)
