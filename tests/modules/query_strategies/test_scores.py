"""Utilities beside SciPy, scikit-learn and formulas by hand."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr
from scipy.stats import entropy
from sklearn.metrics.pairwise import euclidean_distances

from modules.query_strategies import Pool, strategy
from modules.query_strategies.batch_bald import BatchBALD
from modules.query_strategies.committee import bald, kl_to_consensus, vote_entropy
from modules.query_strategies.information_density import InformationDensity
from modules.query_strategies.margin import Margin, margin_of
from modules.query_strategies.pool import blocks, largest, per_row
from modules.query_strategies.random_sampling import Random
from modules.query_strategies.schedule import Schedule, Step
from modules.query_strategies.taxonomy_aware import TaxonomyAware
from modules.query_strategies.value_weighted import ValueWeighted
from tests.modules.query_strategies.pools import CLASSES, most_probable, pool_of


@pytest.fixture(scope="module")
def pool() -> Pool:
    return pool_of(300)


def test_entropy_margin_and_least_confidence(pool):
    rows, p = pool.candidates, pool.probabilities
    ranked = np.sort(p[rows], axis=1)[:, ::-1]
    np.testing.assert_allclose(
        strategy("entropy").utilities(pool, rows), entropy(p[rows], axis=1), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        strategy("margin").utilities(pool, rows), 1 - ranked[:, 0] + ranked[:, 1], rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        strategy("least_confidence").utilities(pool, rows), 1 - ranked[:, 0], rtol=1e-4, atol=1e-6
    )


def test_the_models_own_values_come_before_those_of_a_part_of_the_classes(pool):
    listed = most_probable(pool, 3)
    rows = pool.candidates
    exact = entropy(pool.probabilities, axis=1)
    told = replace(listed, scores={"entropy": exact})
    np.testing.assert_array_equal(strategy("entropy").utilities(told, rows), exact[rows])
    # Without them the rest counts as spread evenly, which no distribution with this rest exceeds.
    bound = strategy("entropy").utilities(listed, rows)
    assert (bound >= exact[rows] - 1e-6).all()
    spread = listed.probabilities.copy()
    rest = np.repeat((1 - spread.sum(axis=1, keepdims=True)) / 4, 4, axis=1)
    np.testing.assert_allclose(bound, entropy(np.hstack([spread, rest]), axis=1)[rows], rtol=1e-4, atol=1e-6)


def test_entropy_of_certain_products_is_zero():
    sure = Pool(np.ones(3, bool), np.full(3, -1), 4, np.eye(4, dtype=np.float32)[:3])
    assert abs(strategy("entropy").utilities(sure, np.arange(3))).max() < 1e-6


def test_committees(pool):
    members = pool.members(pool.candidates)
    consensus = members.mean(axis=0)
    votes = members.argmax(axis=2)
    by_hand = [entropy(np.bincount(column, minlength=CLASSES) / 4) for column in votes.T]
    np.testing.assert_allclose(vote_entropy(members), by_hand, atol=1e-5)
    divergence = np.mean([rel_entr(one, consensus).sum(axis=1) for one in members], axis=0)
    np.testing.assert_allclose(kl_to_consensus(members), divergence, atol=1e-5)
    np.testing.assert_allclose(bald(members), divergence, atol=1e-5)
    np.testing.assert_array_equal(strategy("bald").utilities(pool, pool.candidates), bald(members))


def test_batch_bald_is_the_joint_information_of_the_batch():
    pool = pool_of(24, seed=4, labelled=2, members=3)
    rows = pool.candidates
    members = pool.members(rows).astype(float)

    def information(batch: list[int]) -> float:
        """I(labels of the batch; member) by enumerating all joint labels."""
        own = entropy(members[:, batch], axis=2).sum(axis=1).mean()
        joint = [
            np.mean([np.prod([members[m, i, y] for i, y in zip(batch, labels, strict=True)]) for m in range(3)])
            for labels in itertools.product(range(CLASSES), repeat=len(batch))
        ]
        return float(entropy(joint) - own)

    expected: list[int] = []
    for _ in range(3):
        left = [i for i in range(len(rows)) if i not in expected]
        expected.append(max(left, key=lambda i: information([*expected, i])))
    found = BatchBALD().query(pool, 3, np.random.default_rng(0))
    assert found.rows.tolist() == rows[expected].tolist()
    np.testing.assert_allclose(found.utility.sum(), information(expected), atol=1e-6)
    assert (np.diff(found.utility) < 0).all()
    # With few drawn outcomes the estimate stays near.
    drawn = BatchBALD(outcomes=40).query(pool, 3, np.random.default_rng(0))
    assert information([list(rows).index(r) for r in drawn.rows]) > 0.8 * information(expected)


def test_expected_gradient_length_of_gradients_that_are_written_down(pool):
    rows = pool.candidates[:40]
    p, h = pool.probabilities[rows], pool.embeddings[rows]
    expected = np.zeros(40)
    for label in range(CLASSES):
        residual = p - np.eye(CLASSES)[label]
        gradients = np.einsum("rc,rd->rcd", residual, np.hstack([h, np.ones((40, 1))]))
        expected += p[:, label] * np.linalg.norm(gradients.reshape(40, -1), axis=1)
    np.testing.assert_allclose(strategy("expected_gradient_length").utilities(pool, rows), expected, atol=3e-5)


def test_expected_gradient_length_looks_up_all_its_candidates_at_once():
    """Whatever the number of blocks: each look-up loads the model and reads the examples."""
    p = np.random.default_rng(4).dirichlet(np.full(3000, 0.01), 1500).astype(np.float32)
    looked_up = []

    def distributions(rows):
        looked_up.append(rows.tolist())
        return p[rows]

    order = np.argsort(-p, axis=1)[:, :3]
    vectors = np.ones((1500, 1), np.float32)
    dense = Pool(np.ones(1500, bool), np.full(1500, -1), 3000, p, embeddings=vectors)
    few = replace(dense, probabilities=np.take_along_axis(p, order, 1), categories=order, distributions=distributions)
    assert len(list(blocks(few.candidates, few.classes))) > 1
    chosen = strategy("expected_gradient_length")
    found = chosen.query(few, 20, np.random.default_rng(1))
    assert looked_up == [list(range(1500))]
    np.testing.assert_allclose(found.utility, chosen.query(dense, 20, np.random.default_rng(1)).utility, rtol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "euclidean", "gaussian"])
def test_density_is_the_mean_similarity(pool, similarity):
    vectors = pool.embeddings.astype(float)
    distances = euclidean_distances(vectors)
    expected = {
        "cosine": (1 + vectors @ vectors.T) / 2,
        "euclidean": 1 / (1 + distances),
        "gaussian": np.exp(-(distances**2) / 2),
    }[similarity].mean(axis=1)
    chosen = InformationDensity(similarity=similarity, beta=2.0, score="entropy")
    rows = pool.candidates
    np.testing.assert_allclose(chosen.density(pool, rows), expected[rows], rtol=1e-3)
    uncertain = entropy(pool.probabilities[rows], axis=1)
    np.testing.assert_allclose(chosen.utilities(pool, rows), uncertain * expected[rows] ** 2, rtol=3e-3)


def test_taxonomy_aware_by_hand():
    # Classes 0-2 in branch 0, 3-5 in branch 1, 6 at the top. Unsure between siblings, between branches, sure.
    p = np.array([[0.5, 0.5, 0, 0, 0, 0, 0], [0.5, 0, 0, 0.5, 0, 0, 0], [1.0, 0, 0, 0, 0, 0, 0]], np.float32)
    pool = Pool(np.ones(4, bool)[:3], np.full(3, -1), 7, p, levels=[[0, 0, 0, 1, 1, 1, -1]])
    found = TaxonomyAware(rarity=0.0).utilities(pool, np.arange(3))
    np.testing.assert_allclose(found, [0.5, 1.0, 0.0], atol=1e-6)
    labels = np.array([0, 0, 0, -1, -1, -1])
    known = Pool(labels < 0, labels, 7, np.vstack([p, p]), levels=pool.levels)
    rare = TaxonomyAware(rarity=1.0).utilities(known, np.array([3, 4, 5]))
    np.testing.assert_allclose(rare, [0.5 + 0.25 + 0.5, 1.0 + 0.25 + 0.5, 0.5], atol=1e-6)


def test_no_branch_exceeds_its_quota_while_others_have_products(pool):
    found = TaxonomyAware(quota=0.4).query(pool, 20, np.random.default_rng(0))
    tops = np.array([0, 0, 0, 1, 1, 1, 2])[pool.probabilities[found.rows].argmax(axis=1)]
    everything = np.bincount(np.array([0, 0, 0, 1, 1, 1, 2])[pool.probabilities[pool.candidates].argmax(axis=1)])
    assert everything.min() >= 4
    assert np.bincount(tops, minlength=3).max() <= 8


def test_values_multiply_the_uncertainty_by_what_is_expected(pool):
    rows = pool.candidates
    values = np.array([1.0, 5.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    chosen = ValueWeighted(values={"1": 5.0, "6": 0.0})
    expected = strategy("margin").utilities(pool, rows) * (pool.probabilities[rows] @ values)
    np.testing.assert_allclose(chosen.utilities(pool, rows), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(chosen.utilities(most_probable(pool, 7), rows), expected, rtol=1e-4)


def test_a_schedule_follows_the_number_of_labels(pool):
    schedule = Schedule(steps=(Step(below=20, strategy=Random()), Step(strategy=Margin())))
    assert schedule.query(pool, 3, np.random.default_rng(0)).strategy == "margin"
    fewer = replace(pool, labels=np.where(np.cumsum(pool.labels >= 0) < 20, pool.labels, -1))
    assert len(fewer.labelled) == 19
    assert schedule.query(fewer, 3, np.random.default_rng(0)).strategy == "random"
    for steps in ((Step(below=5, strategy=Random()),), (Step(strategy=Random()), Step(strategy=Margin()))):
        with pytest.raises(ValueError, match="below"):
            Schedule(steps=steps)
    with pytest.raises(ValueError, match="rise"):
        Schedule(steps=(Step(below=5, strategy=Random()), Step(below=5, strategy=Random()), Step(strategy=Random())))


@pytest.mark.parametrize("rows", [[], [3], [5, 3, 4], [0, 399, 7], [2, 2, 1]])
def test_scores_of_some_rows_are_those_rows_in_their_order(rows):
    table = np.random.default_rng(1).random((400, 6), np.float32)
    before = table.copy()
    for many in (np.array(rows, np.int64), np.random.default_rng(2).permutation(400)[:250]):
        for size in (64, 2**20):
            found = per_row(table, many, margin_of, size)
            top = np.sort(table[many], axis=1)
            np.testing.assert_array_equal(found, top[:, -1] - top[:, -2])
    np.testing.assert_array_equal(table, before)


@given(
    arrays(np.float64, (4, 5), elements=st.floats(0.0, 1.0)),
    st.sampled_from([np.float16, np.float32, np.float64, ">f4"]),
)
def test_the_largest_of_numbers_that_are_not_negative(table, dtype):
    for some in (table.astype(dtype), table.astype(dtype)[:, ::2], np.asfortranarray(table.astype(dtype))):
        np.testing.assert_array_equal(largest(some), some.max(axis=1))
