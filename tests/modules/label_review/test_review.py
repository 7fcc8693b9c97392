"""Suspected label errors: found again where they were put."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import softmax
from sklearn.linear_model import Ridge

from labelling.batches.artifact import read_review
from modules.label_review.confident_learning import out_of_sample, suspected_labels, suspects
from modules.label_review.contradictions import contradicted
from modules.label_review.disagreement import disputes
from modules.label_review.queue import write_review
from modules.labels.model import LabelRow
from modules.objectives import ExclusiveObjective
from modules.predictions.read import PredictionFiles
from modules.training.labelled import CONSTANT
from modules.training.left_out import NOISE, TEMPERATURES, equal_rows
from tests.modules.sampling.shop import TREE, fixed

CLASSES = list(ExclusiveObjective().classes(TREE))
NODES = list(TREE)


class TestConfidentLearning:
    def test_the_confident_joint_by_hand(self):
        p = np.array(
            [[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.2, 0.8, 0.0], [0.1, 0.9, 0.0], [0.95, 0.05, 0.0], [0.5, 0.3, 0.2]]
        )
        labels = np.array([0, 0, 1, 1, 1, 2])
        # Thresholds: class 0: 0.8; class 1: (0.8 + 0.9 + 0.05) / 3; class 2: 0.2.
        found = suspects(p, labels)
        # The last one: 0.5 of class 0 is below its threshold.
        assert found.rows.tolist() == [4] and found.suggested.tolist() == [0]
        np.testing.assert_allclose(found.score, [0.9])

    def test_wrong_labels_are_found_among_clusters(self):
        rng = np.random.default_rng(1)
        centres = rng.normal(size=(6, 16))
        truth = np.repeat(np.arange(6), 40)
        vectors = centres[truth] + 0.5 * rng.normal(size=(240, 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        labels = truth + 3  # numbers with a gap before them
        wrong = rng.choice(240, 20, replace=False)
        labels[wrong] = (truth[wrong] + 1) % 6 + 3
        labels[0] = 50  # the only one of its class cannot be judged
        found = suspected_labels(vectors, labels, 7)
        hits = np.isin(found.rows[:20], wrong).mean()
        assert hits >= 0.9 and 0 not in found.rows
        right = np.isin(found.rows, wrong)
        np.testing.assert_array_equal(found.suggested[right], truth[found.rows[right]] + 3)
        assert (np.diff(found.score) <= 0).all()

    def test_probabilities_are_of_regressions_that_have_not_seen_the_label(self):
        rng = np.random.default_rng(3)
        vectors, labels = rng.normal(size=(62, 8)).astype(np.float32), np.append(rng.integers(0, 3, 60), [9, 9])
        vectors[:30] += 2 * np.eye(3, 8, dtype=np.float32)[labels[:30]]
        vectors[31] = vectors[30]  # two of one product, neither of which vouches for the other
        probabilities, present = out_of_sample(vectors, labels, equal_rows(vectors, np.arange(62)))
        assert present.tolist() == [0, 1, 2, 9]
        np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
        inputs, targets = (
            np.column_stack([vectors, np.full(62, CONSTANT**0.5)]),
            np.eye(4)[np.searchsorted(present, labels)],
        )

        def refitted(noise: float) -> np.ndarray:
            answers = np.zeros_like(targets)
            for row in range(62):
                seen = (vectors != vectors[row]).any(axis=1)
                answers[row] = inputs[row] @ Ridge(noise, fit_intercept=False).fit(inputs[seen], targets[seen]).coef_.T
            return answers

        choices = [softmax(refitted(noise) / t, axis=1) for noise in NOISE for t in TEMPERATURES]
        likeliest = max(choices, key=lambda p: np.log(p[targets == 1]).mean())
        np.testing.assert_allclose(probabilities, likeliest, atol=2e-4)

    def test_a_class_that_one_product_shows_twice_is_not_judged(self):
        rng = np.random.default_rng(2)
        vectors, labels = rng.normal(size=(40, 8)), np.repeat([0, 1, 2], [19, 19, 2])
        vectors[39] = vectors[38]
        assert not np.isin(suspected_labels(vectors, labels, 1).rows, [38, 39]).any()

    def test_nothing_to_judge(self):
        for labels in ([], [3], [1, 2, 3], [4, 4, 4]):
            found = suspected_labels(np.eye(8)[: len(labels)], np.array(labels, np.int64), 1)
            assert len(found.rows) == 0


def test_rules_that_the_model_contradicts(tmp_path):
    index = {c.path: i for i, c in enumerate(CLASSES)}
    boots, sandals, totes = (index[p] for p in (("shoes", "boots"), ("shoes", "sandals"), ("bags", "totes")))
    ids = {c.path: c.id for c in NODES}
    shoes, shoes_boots = ids[("shoes",)], ids[("shoes", "boots")]
    bags, bags_totes = ids[("bags",)], ids[("bags", "totes")]
    rows = [
        ("agrees", [shoes, shoes_boots], boots, 0.9, sandals, 0.05),
        ("other branch", [shoes, shoes_boots], totes, 0.95, sandals, 0.02),
        ("sibling", [shoes, shoes_boots], sandals, 0.8, totes, 0.1),
        ("unsure", [shoes, shoes_boots], totes, 0.45, sandals, 0.2),
        ("half in it", [shoes, shoes_boots], totes, 0.6, boots, 0.4),
        ("parent only", [shoes], totes, 0.7, sandals, 0.05),
        ("one of two", [shoes, shoes_boots, bags, bags_totes], totes, 0.9, sandals, 0.05),
        ("no rule", [], totes, 0.99, sandals, 0.0),
    ]
    table = pa.table(
        {
            "id": [row[0] for row in rows],
            "rules": [["r1"] if row[1] else [] for row in rows],
            "rule_based/given": pa.array([row[1] for row in rows], pa.list_(pa.string())),
            "rule_based/category_id": [shoes] * len(rows),
            "rule_based/assigned": pa.array([[shoes]] * len(rows), pa.list_(pa.string())),
            "exclusive/category_id": [CLASSES[row[2]].id for row in rows],
            "exclusive/label": pa.array([-1] * len(rows), pa.int32()),
            "exclusive/classes": fixed(np.array([[row[2], row[4]] for row in rows], np.int32)),
            "exclusive/probabilities": fixed(np.array([[row[3], row[5]] for row in rows], np.float32)),
        }
    )
    (tmp_path / "Split-train").mkdir()
    pq.write_table(table, tmp_path / "Split-train" / "part-00000.parquet")
    files = PredictionFiles(tmp_path)
    found = contradicted(files, "rule_based", "exclusive", CLASSES, TREE, 10)
    assert [one.product_id for one in found] == ["other branch", "sibling", "parent only"]
    assert NODES[found[0].given].path == ("shoes", "boots") and found[0].suggested == totes
    np.testing.assert_allclose([one.score for one in found], [0.95, 0.8, 0.7 * 0.95], rtol=1e-5)
    assert NODES[found[2].given].path == ("shoes",) and found[0].rules == ("r1",)
    assert [one.product_id for one in contradicted(files, "rule_based", "exclusive", CLASSES, TREE, 1)] == [
        "other branch"
    ]


def label(product, who, category="a", value="yes", minutes=0, source="margin", objective="exclusive") -> LabelRow:
    time = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    return LabelRow(product, objective, category, value, who, time, None, source, None)


KINDS = {"exclusive": "exclusive", "rule_based": "multi_label"}


def test_disputes_stand_on_the_newest_answers():
    rows = [
        label("agreed", "ann"), label("agreed", "bob"),
        label("split", "ann"), label("split", "bob", "b"),
        label("majority", "ann"), label("majority", "bob"), label("majority", "cy", "b"),
        label("mended", "ann"), label("mended", "bob", "b"), label("mended", "bob", "a", minutes=5),
        label("skipped", "ann"), label("skipped", "bob", value="skip"),
        label("undone", "ann"), label("undone", "bob", "b"), label("undone", "bob", value="retracted", minutes=5),
        label("none", "ann"), label("none", "bob", None, value="none_of_these"),
        label("reviewed", "ann"), label("reviewed", "bob", "b"), label("reviewed", "cy", minutes=9, source="review"),
        label("pair", "ann", "x", objective="rule_based"), label("pair", "bob", "x", "no", objective="rule_based"),
        label("pair", "bob", "y", "no", objective="rule_based"),
    ]  # fmt: skip
    found = disputes(rows, KINDS)
    assert [one.product_id for one in found] == ["none", "split", "pair", "majority"]
    by_id = {one.product_id: one for one in found}
    assert by_id["split"].answers == {"a": ("ann",), "b": ("bob",)} and by_id["split"].score == 0.5
    assert by_id["majority"].score == pytest.approx(1 / 3) and by_id["pair"].category == "x"


def test_the_queue_is_what_the_label_store_imports(tmp_path):
    rows = [
        {
            "product_id": "p",
            "objective": "exclusive",
            "reason": "label_error",
            "given": "a",
            "suggested": "b",
            "score": 0.9,
        },
        {"product_id": "p", "objective": "exclusive", "reason": "disagreement", "score": 0.5, "annotators": ["ann: a"]},
        {"product_id": "q", "objective": "exclusive", "reason": "rule_contradicted", "score": 0.95, "rule": "r"},
    ]
    counts = write_review(str(tmp_path), rows, {"model": "m"})
    assert counts == {"label_error": 1, "rule_contradicted": 1, "disagreement": 0}
    (batch,) = read_review(tmp_path, "review-1")
    assert batch.kind == "review" and [item.product_id for item in batch.items] == ["q", "p"]
    assert batch.items[1].reason == {"reason": "label_error", "given": "a", "suggested": "b", "score": 0.9}
    assert batch.items[0].model == "m"
    assert json.loads((tmp_path / "review.json").read_text())["reasons"] == counts
    write_review(str(tmp_path / "none"), [], {})
    assert read_review(tmp_path / "none", "review-2") == []
