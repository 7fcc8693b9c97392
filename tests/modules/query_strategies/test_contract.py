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
from modules.query_strategies.pool import finite_rows, top_k
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


@pytest.mark.parametrize("form", ["dense", "listed"])
@pytest.mark.parametrize("name", ALL)
def test_the_last_product_left_is_picked(name, form):
    pool = pool_of(60)
    if form == "listed":
        pool = most_probable(pool, 3)
    for row in pool.candidates[:3]:
        last = pool.only(np.array([row]))
        for n in (1, 10):
            assert strategy(name).query(last, n, np.random.default_rng(0)).rows.tolist() == [row]


def _broken(pool, what, rows, value):
    """The pool with ``value`` somewhere in each of ``rows``: of the embeddings, the probabilities or the members."""
    if what == "members":
        whole = pool.members(np.arange(len(pool))).copy()
        whole[1, rows, 2] = value
        return replace(pool, members=lambda some: whole[:, some])
    if what == "scores":
        values = {name: np.linspace(0.1, 1.0, len(pool)) for name in ("vote_entropy", "kl_to_consensus", "bald")}
        for scores in values.values():
            scores[rows] = value
        return replace(pool, scores=values)
    table = getattr(pool, what).copy()
    table[rows, 1] = value
    return replace(pool, **{what: table})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("what", ["embeddings", "probabilities", "members", "scores"])
@pytest.mark.parametrize("name", ALL)
def test_what_is_not_finite_neither_is_picked_nor_touches_the_other_picks(name, what, value):
    pool = pool_of(100)
    # Some that could be picked, one with a label, one that is neither.
    hidden = np.flatnonzero(~pool.available & (pool.labels < 0))[:1]
    rows = np.concatenate([pool.candidates[3:6], pool.labelled[:1], hidden])
    broken = _broken(pool, what, rows, value)
    fine = int(pool.available.sum()) - 3
    for n in (1, 10, fine, 1000):
        found = strategy(name).query(broken, n, np.random.default_rng(2))
        if name == "random":
            assert len(found) == min(n, fine + 3)
            continue
        assert len(set(found.rows.tolist())) == len(found) == min(n, fine)
        assert broken.available[found.rows].all()
        assert not set(found.rows.tolist()) & set(rows.tolist())
        assert np.isfinite(found.utility[found.utility < np.inf]).all()
        # The same as if those products were in no feed.
        kept = np.setdiff1d(np.arange(len(pool)), rows)
        without = strategy(name).query(_broken(pool, what, kept[:0], value).part(kept), n, np.random.default_rng(2))
        assert kept[without.rows].tolist() == found.rows.tolist()


@pytest.mark.parametrize("what", ["embeddings", "probabilities"])
@pytest.mark.parametrize("name", [name for name in ALL if name != "random"])
def test_with_nothing_finite_left_the_error_names_the_products(name, what):
    pool = pool_of(100)
    last = _broken(pool, what, pool.candidates[:7], np.nan).only(pool.candidates[:7])
    last = replace(last, names=lambda rows: [f"shoe-{row}" for row in rows])
    with pytest.raises(MissingInput, match=f"'shoe-{pool.candidates[0]}', .* and 2 more"):
        strategy(name).query(last, 3, np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_are_finite_whatever_their_precision(dtype):
    largest = np.finfo(dtype).max
    rows = [[0.0, -0.0], [largest, -largest], [np.nan, 1.0], [1.0, -np.nan], [np.inf, 0.0], [0.0, -np.inf]]
    table = np.array(rows, dtype)
    assert finite_rows(table).tolist() == [True, True, False, False, False, False]
    assert finite_rows(np.asfortranarray(table)).tolist() == [True, True, False, False, False, False]
    assert finite_rows(table[:, :0]).all()


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
    chosen = top_k(utility, n, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == min(n, len(values))
    assert utility[chosen].tolist() == sorted(values, reverse=True)[:n]


def test_what_is_no_number_comes_last():
    utility = np.array([np.nan, 1.0, np.nan, 2.0])
    assert top_k(utility, 2, np.random.default_rng(0)).tolist() == [3, 1]
    assert set(top_k(utility, 4, np.random.default_rng(0))[2:].tolist()) == {0, 2}


def test_equals_are_drawn_with_equal_probability():
    counts = np.zeros(6)
    for seed in range(3000):
        counts[top_k(np.array([1.0, 1.0, 1.0, 1.0, 5.0, 0.0]), 2, np.random.default_rng(seed))] += 1
    assert counts[4] == 3000 and counts[5] == 0
    assert (abs(counts[:4] - 750) < 5 * np.sqrt(3000 * 0.25 * 0.75)).all()
