"""A category that means "the rest of it" belongs to its own branch, for whoever asks for the branches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from modules.objectives import ExclusiveObjective, ancestor_levels
from modules.query_strategies import Pool
from modules.query_strategies.taxonomy_aware import TaxonomyAware
from modules.taxonomy import Taxonomy
from modules.training import heads
from modules.training.heads import fit_exclusive

# Books and Books > Comics are exclusive though they have children: each means the rest of it.
TREE = Taxonomy.from_paths(
    [
        ("Books",), ("Books", "Comics"), ("Books", "Comics", "Manga"), ("Books", "Novels"),
        ("Toys", "Dolls"), ("Toys", "Trains"), ("Vouchers",),
    ],
    exclusive="given",
)  # fmt: skip
CLASSES = [category.text for category in TREE.exclusive]
REST, COMICS, MANGA, NOVELS, DOLLS, TRAINS, VOUCHERS = range(7)


def test_a_rest_stands_at_its_own_level_and_no_deeper() -> None:
    assert CLASSES == [
        "Books", "Books > Comics", "Books > Comics > Manga", "Books > Novels", "Toys > Dolls", "Toys > Trains",
        "Vouchers",
    ]  # fmt: skip
    branches = [
        ["" if index < 0 else list(TREE)[index].text for index in level]
        for level in ancestor_levels(TREE.exclusive, TREE)
    ]
    assert branches == [
        ["Books", "Books", "Books", "Books", "Toys", "Toys", ""],
        ["", "Books > Comics", "Books > Comics", "", "", "", ""],
    ]


def test_without_the_categories_below_it_a_category_is_no_branch() -> None:
    assert ancestor_levels([TREE.find("Books"), TREE.find("Vouchers")], TREE) == []


def test_ancestor_weight_learns_a_branch_from_its_rest_too() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(7), 12)
    matrix = (np.eye(7)[labels] + rng.normal(scale=0.4, size=(84, 7))).astype(np.float32)
    expected = LinearSVC(random_state=1).fit(matrix, labels).decision_function(matrix)
    tops = np.array(["Books"] * 4 + ["Toys"] * 2 + ["Vouchers"])
    second = np.array(["Rest", "Comics", "Comics", "Novels", "Dolls", "Trains", "Vouchers"])
    for groups, inside in ((tops, range(6)), (second, (COMICS, MANGA))):
        above = LinearSVC(random_state=1).fit(matrix, groups[labels])
        scores = above.decision_function(matrix)
        for index in inside:
            expected[:, index] += 0.5 * scores[:, list(above.classes_).index(groups[index])]
    objective = ExclusiveObjective(loss="squared_hinge", ancestor_weight=0.5)
    levels = ancestor_levels(TREE.exclusive, TREE)
    table, bias = fit_exclusive(matrix, labels, 7, objective, c=1.0, seed=1, ancestors=levels)
    np.testing.assert_allclose(matrix @ table + bias, expected, atol=0.02)


def test_branches_of_the_same_classes_are_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([DOLLS, TRAINS, VOUCHERS, NOVELS], 10)
    matrix = rng.normal(size=(40, 7)).astype(np.float32)
    problems = []
    fit = heads._one_versus_rest

    def counted(matrix: np.ndarray, labels: np.ndarray, *rest: Any) -> Any:
        problems.append(np.unique(labels).tolist())
        return fit(matrix, labels, *rest)

    monkeypatch.setattr(heads, "_one_versus_rest", counted)
    levels = ancestor_levels(TREE.exclusive, TREE)
    fit_exclusive(matrix, labels, 7, ExclusiveObjective(ancestor_weight=0.5), c=1.0, seed=1, ancestors=levels)
    # Toys against the rest: Books has labels of Novels alone, whose own problem is the same.
    assert problems == [[NOVELS, DOLLS, TRAINS, VOUCHERS], [-1, 0]]


def pool_of(probabilities: np.ndarray) -> Pool:
    n = len(probabilities)
    return Pool(
        np.ones(n, bool), np.full(n, -1), 7, probabilities.astype(np.float32),
        levels=ancestor_levels(TREE.exclusive, TREE),
    )  # fmt: skip


def between(first: int, second: int) -> np.ndarray:
    probabilities = np.zeros(7)
    probabilities[[first, second]] = 0.5
    return probabilities


def test_a_product_between_a_rest_and_its_child_is_unclear_only_below_the_branch() -> None:
    pool = pool_of(np.stack([between(REST, NOVELS), between(DOLLS, TRAINS), between(REST, DOLLS)]))
    utilities = TaxonomyAware(rarity=0.0).utilities(pool, np.arange(3))
    # Of three levels (branches, branches below, classes) the first is clear, as it is between siblings.
    np.testing.assert_allclose(utilities, [2 / 3, 2 / 3, 1.0], atol=1e-6)


def test_a_branch_and_its_rest_have_one_quota() -> None:
    # Each of the books is less clear than any of the toys.
    books = [1.2 * between(REST if i % 2 else COMICS, NOVELS) for i in range(10)]
    toys = [1.2 * between(DOLLS, TRAINS) for _ in range(10)]
    for row in books:
        row[NOVELS] = 0.4
    for row in toys:
        row[TRAINS] = 0.2
    pool = pool_of(np.stack(books + toys))
    strategy = TaxonomyAware(rarity=0.0, quota=0.25)
    utilities = strategy.utilities(pool, np.arange(20))
    assert utilities[:10].min() > utilities[10:].max()
    selection = strategy.query(pool, 8, np.random.default_rng(0))
    # A quarter of eight for each branch, then the others: the rest had a quota of its own beside that of its branch.
    assert (selection.rows[:4] // 10).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("tops", [1, 2])
def test_the_quota_is_of_the_level_that_tells_classes_apart(tops: int) -> None:
    prefix = ("Default Category",) if tops == 1 else ()
    tree = Taxonomy.from_paths([(*prefix, top, name) for top in "AB" for name in "xy"])
    n = 20
    probabilities = np.full((n, 4), 0.1)
    probabilities[:, 0] = 0.4
    probabilities[:, 1] = 0.4
    probabilities[15:] = probabilities[15:, ::-1]
    pool = Pool(
        np.ones(n, bool), np.full(n, -1), 4, probabilities.astype(np.float32),
        levels=ancestor_levels(tree.exclusive, tree),
    )  # fmt: skip
    selection = TaxonomyAware(quota=0.5).query(pool, 8, np.random.default_rng(0))
    assert (selection.rows >= 15).sum() == 4
