"""Efforts reach what they promise; recall is counted as it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.similarity.items import Items
from modules.similarity.protocol import Queries
from modules.similarity.scann_index.compared import MANY
from modules.similarity.scann_index.index import ScannIndex
from modules.similarity.scann_index.quality import GLOBAL, failed, tune_and_measure
from modules.similarity.scann_index.settings import Effort, ScannSettings, effort_of, leaves_of
from modules.similarity.scann_index.tuning import Truth, leaf_steps, recall_with
from tests.modules.similarity.shops import shop

SETTINGS = ScannSettings(min_products=1000, scoring="codes")
VECTORS = SETTINGS.model_copy(update={"scoring": "vectors"})


def test_recall_counts_equals_as_equal() -> None:
    vectors = np.array([[1, 0], [0.8, 0], [0.8, 0], [0.1, 0]], np.float32)
    truth = Truth.of(np.array([[1, 0], [0, 1]] * MANY, np.float32), vectors, 2).first(2)
    found = np.array([[0, 2], [3, 1]])
    np.testing.assert_allclose(truth.recall(found), [1, 1])  # the second query is as far from each
    np.testing.assert_allclose(truth.recall(np.array([[0, 3], [-1, 1]])), [0.5, 0.5])
    few = Truth(truth.queries, vectors, np.array([[0, -1], [-1, -1]]), np.array([[1, -np.inf]] * 2, np.float32))
    np.testing.assert_allclose(few.recall(np.array([[0, 3], [-1, -1]])), [1, 1])


@pytest.mark.parametrize("recall", [0.9, 0.98])
@pytest.mark.parametrize("leaves", [SETTINGS, VECTORS], ids=["codes", "vectors"])
def test_the_tuner_reaches_the_recall_and_says_what_it_reached(leaves: ScannSettings, recall: float) -> None:
    items = shop(6000, 24)
    index = ScannIndex.build(items, leaves, partitions=[("a", 4000), ("b", 1500), ("", 500)])
    quality = tune_and_measure(index, k=10, recall=recall, queries=600, seed=0)
    assert [(one.name, one.method) for one in quality] == [
        (GLOBAL, "scann"), ("a", "scann"), ("b", "scann"), ("", "exact"),
    ]  # fmt: skip
    for one in quality:
        assert one.recall >= recall - 0.02 and one.milliseconds > 0 and one.queries_per_second > 0
    assert index.whole is not None
    assert [effort.k for effort in index.whole.efforts] == [10, 40, 160]
    assert not failed(quality, recall - 0.02)
    assert len(failed([*quality, quality[0].__class__("x", 1, "scann", 10, 5, 0.5, 1, 1)], 0.6)) == 1


def test_cheaper_where_less_is_wanted() -> None:
    items = shop(6000, 24)
    index = ScannIndex.build(items, SETTINGS)
    found = []
    for recall in (0.8, 0.99):
        tune_and_measure(index, k=10, recall=recall, queries=400, seed=0)
        assert index.whole is not None
        found.append(index.whole.efforts[0])
    assert (found[0].leaves, found[0].reorder) < (found[1].leaves, found[1].reorder)


def test_what_is_compared_whole_is_not_scored_again() -> None:
    index = ScannIndex.build(shop(6000, 24), VECTORS)
    tune_and_measure(index, k=10, recall=0.95, queries=400, seed=0, reorder=500)
    assert index.whole is not None and not index.whole.codes
    assert [(one.reorder, one.refine) for one in index.whole.efforts] == [(10, 0), (40, 0), (160, 0)]


@pytest.mark.parametrize("mapped", [False, True])
def test_products_that_int8_cannot_tell_apart(mapped: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(100, 24)), 40, axis=0) + 0.004 * rng.normal(size=(4000, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    items = Items.of(pa.array([str(i) for i in range(4000)]), vectors.astype(np.float32))
    ScannIndex.build(items, SETTINGS.model_copy(update={"mapped": mapped})).save(tmp_path / "index")
    index = ScannIndex.load(tmp_path / "index")
    (quality,) = tune_and_measure(index, k=10, recall=0.97, queries=600, seed=0)
    assert quality.recall >= 0.96
    assert index.whole is not None and (effort := index.whole.efforts[0]).refine > 10
    truth = Truth.of(vectors[::10].astype(np.float32), items.vectors, 10)
    assert recall_with(index.whole, truth, effort.model_copy(update={"refine": 0})).mean() < 0.9
    found = index.search(Queries(truth.queries), 10)
    exact = np.asarray(index.rows.base.vectors[found.rows], np.float32)
    np.testing.assert_allclose(found.scores, np.einsum("qkd,qd->qk", exact, truth.queries), rtol=1e-5)


@pytest.mark.parametrize("refine", [0, 40])
@pytest.mark.parametrize("few", [SETTINGS, VECTORS], ids=["codes", "vectors"])
def test_leaves_with_too_few_products_are_no_end_of_a_search(few: ScannSettings, refine: int) -> None:
    index = ScannIndex.build(shop(3000, 24), few.model_copy(update={"leaves": 300}))
    assert index.whole is not None
    index.whole.efforts = (Effort(k=40, leaves=1, reorder=40, refine=refine),)
    found = index.search(Queries(np.asarray(index.rows.base.vectors[:200], np.float32)), 40)
    assert (found.rows >= 0).all() and np.isfinite(found.scores).all()
    assert all(len(set(row)) == 40 for row in found.rows.tolist())


def test_between_two_efforts_it_is_a_power_of_the_neighbours() -> None:
    known = (Effort(k=100, leaves=10, reorder=150, seconds=1e-5), Effort(k=400, leaves=40, reorder=600, seconds=4e-5))
    for k in (101, 150, 200, 399):  # proportional here: the power is 1
        found = effort_of(known, k, 2000, 10**6)
        assert (found.k, found.leaves, found.reorder) == (k, round(k / 10), pytest.approx(1.5 * k, abs=1))
        assert found.seconds == pytest.approx(k * 1e-7)
    level = (known[0], known[1].model_copy(update={"leaves": 10}))
    assert effort_of(level, 250, 2000, 10**6).leaves == 10
    assert effort_of(known, 200, 5, 10**6).leaves == 5  # not more than there are


@pytest.mark.parametrize("leaves", [SETTINGS, VECTORS], ids=["codes", "vectors"])
def test_between_two_efforts_the_recall_holds(leaves: ScannSettings) -> None:
    items = shop(8000, 24)
    index = ScannIndex.build(items, leaves)
    tune_and_measure(index, k=10, recall=0.95, queries=1000, seed=0)
    assert index.whole is not None
    asked = np.ascontiguousarray(items.vectors[1::11])
    truth = Truth.of(asked, items.vectors, 160, own=np.arange(1, 8000, 11))
    for k in (10, 14, 20, 30, 40, 60, 90, 130):
        assert recall_with(index.whole, truth, index.whole.effort(k)).mean() > 0.92


def test_a_query_that_is_a_product_is_not_its_own_neighbour() -> None:
    vectors = np.array([[1, 0], [1, 0], [0.8, 0.6], [0, 1]], np.float32)
    truth = Truth.of(vectors, vectors, 2, own=np.arange(4))
    assert truth.asked(2) == 3
    np.testing.assert_allclose(truth.scores, [[1, 0.8], [1, 0.8], [0.8, 0.8], [0.6, 0]], atol=1e-6)
    # Itself alone is nothing; of two equal ones the other one counts.
    assert truth.recall(np.array([[0, -1, -1], [1, 0, -1], [2, 0, 1], [2, 1, 0]])).tolist() == [0, 0.5, 1, 1]


def test_the_recall_at_one_is_no_product_that_finds_itself() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6000, 32)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = ScannIndex.build(Items.of([str(i) for i in range(6000)], vectors), VECTORS)
    (quality,) = tune_and_measure(index, k=1, recall=0.9, queries=1000, seed=0)
    # The nearest other product, of all that there are, by hand.
    scores = vectors[::7] @ vectors.T
    scores[np.arange(len(scores)), np.arange(0, 6000, 7)] = -1
    found = index.search(Queries(np.ascontiguousarray(vectors[::7])), 2).rows[:, 1]
    assert (found == scores.argmax(1)).mean() > 0.85
    assert abs(quality.recall - (found == scores.argmax(1)).mean()) < 0.06


def test_given_settings_stay() -> None:
    index = ScannIndex.build(shop(3000, 24), SETTINGS.model_copy(update={"leaves": 30}))
    tune_and_measure(index, k=10, recall=0.9, queries=100, seed=0, leaves=7, reorder=33)
    assert index.whole is not None and index.whole.leaves == 30
    assert (index.whole.efforts[0].leaves, index.whole.efforts[0].reorder) == (7, 33)


@given(k=st.integers(1, 5000), leaves=st.integers(1, 2000), products=st.integers(1, 10**6))
@settings(deadline=None)
def test_an_effort_fits_the_index(k: int, leaves: int, products: int) -> None:
    known = (Effort(k=100, leaves=10, reorder=150), Effort(k=400, leaves=50, reorder=500))
    for efforts in ((), known):
        effort = effort_of(efforts, k, leaves, products)
        assert effort.k == k and 1 <= effort.leaves <= leaves and effort.reorder >= min(k, 150)
    assert effort_of(known, 100, 2000, 10**6) == known[0]
    assert effort_of(known, 400, 2000, 10**6) == known[1]
    assert 1 <= leaves_of(products) <= max(1, products // 40)
    steps = leaf_steps(leaves)
    assert steps[0] == 1 and steps[-1] == leaves and steps == sorted(set(steps))
