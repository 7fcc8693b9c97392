"""What every strategy promises, whichever it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modules.errors import InputError
from modules.query_strategies import STRATEGIES, MissingInput, ScoreStrategy, strategy
from modules.query_strategies.pool import best
from tests.modules.query_strategies.pools import most_probable, pool_of

ALL = sorted(STRATEGIES)
SCORES = [name for name in ALL if issubclass(STRATEGIES[name], ScoreStrategy)]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n", [1, 7, 40])
def test_picks_are_available_distinct_and_as_many_as_asked_for(name, n):
    pool = pool_of()
    found = strategy(name).query(pool, n, np.random.default_rng(3))
    assert len(found) == len(set(found.rows.tolist())) == n
    assert pool.available[found.rows].all()
    assert found.utility.shape == (n,)
    assert all(values.shape == (n,) for values in found.parts.values())
    assert found.strategy


@pytest.mark.parametrize("name", ALL)
def test_a_small_pool_is_picked_whole_and_an_empty_one_not_at_all(name):
    pool = pool_of(60)
    found = strategy(name).query(pool, 1000, np.random.default_rng(0))
    assert sorted(found.rows.tolist()) == pool.candidates.tolist()
    nothing = replace(pool, available=np.zeros(60, bool))
    assert len(strategy(name).query(nothing, 5, np.random.default_rng(0))) == 0
    assert len(strategy(name).query(pool, 0, np.random.default_rng(0))) == 0


@pytest.mark.parametrize("name", ALL)
def test_same_pool_and_seed_same_picks(name):
    first, second = (strategy(name).query(pool_of(), 15, np.random.default_rng(5)) for _ in range(2))
    assert first.rows.tolist() == second.rows.tolist()
    np.testing.assert_array_equal(first.utility, second.utility)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_the_same_from_the_most_probable_classes(name):
    pool = pool_of()
    rows = pool.candidates
    dense = strategy(name).utilities(pool, rows)
    listed = strategy(name).utilities(most_probable(pool, 7), rows)
    np.testing.assert_allclose(listed, dense, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in SCORES if name != "taxonomy_aware"])
def test_the_best_by_utility_are_picked(name):
    pool = pool_of()
    found = strategy(name).query(pool, 10, np.random.default_rng(0))
    utility = strategy(name).utilities(pool, pool.candidates)
    np.testing.assert_allclose(found.utility, np.sort(utility)[::-1][:10], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in ALL if name != "random"])
def test_what_a_strategy_needs_is_said_by_name(name):
    pool = replace(
        pool_of(),
        probabilities=None,
        embeddings=None,
        members=None,
        labels=np.full(200, -1),
        available=np.ones(200, bool),
    )
    with pytest.raises(MissingInput, match="needs"):
        strategy(name).query(pool, 3, np.random.default_rng(0))


@pytest.mark.parametrize("name", ["facility_location", "k_center", "typiclust", "probcover", "random", "schedule"])
def test_cold_starts_need_neither_model_nor_labels(name):
    pool = replace(pool_of(), probabilities=None, members=None, labels=np.full(200, -1))
    assert len(strategy(name).query(pool, 12, np.random.default_rng(0))) == 12


def test_the_readme_has_a_row_for_every_strategy_and_the_projects_own_leads_there():
    repository = Path(__file__).parents[3]
    rows = (repository / "modules/query_strategies/README.md").read_text().splitlines()
    told = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert told == set(ALL)
    assert "modules/query_strategies/README.md" in (repository / "README.md").read_text()


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'entropy'"):
        strategy("entropie")
    assert strategy("default").kind == "schedule"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 35), st.integers(0, 5))
def test_best_takes_the_largest_and_draws_among_equals(values, n, seed):
    utility = np.array(values, float)
    chosen = best(utility, n, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == min(n, len(values))
    assert utility[chosen].tolist() == sorted(values, reverse=True)[:n]


def test_equals_are_drawn_with_equal_probability():
    counts = np.zeros(6)
    for seed in range(3000):
        counts[best(np.array([1.0, 1.0, 1.0, 1.0, 5.0, 0.0]), 2, np.random.default_rng(seed))] += 1
    assert counts[4] == 3000 and counts[5] == 0
    assert (abs(counts[:4] - 750) < 5 * np.sqrt(3000 * 0.25 * 0.75)).all()
