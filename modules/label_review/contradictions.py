"""Rules that the model contradicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.arrays import BoolArray, Int64Array
from modules.predictions.columns import CLASSES, GIVEN, ID, PROBABILITIES, RULES, objective_column
from modules.predictions.read import PredictionFiles
from modules.taxonomy import Category, Taxonomy

LEAST_PROBABILITY = 0.5
"""The model's own category must be at least so probable."""
MOST_LEFT = 0.1
"""The rule's category, with all below it, must be at most so probable."""


@dataclass(frozen=True)
class Contradiction:
    """One product that a rule put into a category which the model holds for wrong.

    Attributes:
      given: index in the taxonomy of the rule's category. suggested: class of the model. score: its probability times
        the improbability of the rule's.
    """

    product_id: str
    split: str
    rules: tuple[str, ...]
    given: int
    suggested: int
    score: float


def contradicted(
    files: PredictionFiles, ruled: str, exclusive: str, classes: list[Category], taxonomy: Taxonomy, most: int
) -> list[Contradiction]:
    """The most contradicted products, the worst first; one pass in batches.

    Args:
      ruled: objective whose labels are the rules'.
      exclusive: the one that people's labels teach, which is the judge.
      classes: of ``exclusive``.
      most: how many at most.
    """
    given_column, classes_column = objective_column(ruled, GIVEN), objective_column(exclusive, CLASSES)
    probabilities_column = objective_column(exclusive, PROBABILITIES)
    if given_column not in files.schema.names:
        return []
    nodes = {category.id: category.index for category in taxonomy}
    parent = np.full(len(taxonomy), -1)
    under = np.zeros((len(taxonomy), len(classes)), bool)
    for category in taxonomy:
        above = taxonomy.ancestors(category)
        if above:
            parent[category.index] = above[-1].index
    for number, category in enumerate(classes):
        for ancestor in (*taxonomy.ancestors(category), category):
            under[ancestor.index, number] = True
    columns = [ID, given_column, RULES, classes_column, probabilities_column]
    contradictions: list[Contradiction] = []
    least = 0.0
    for split in files.files:
        for batch in files.scan(columns, split):
            given = batch.column(given_column)
            sizes = np.diff(given.offsets.to_numpy())
            rows = np.repeat(np.arange(batch.num_rows), sizes)
            names = given.flatten().dictionary_encode()
            index = np.array([nodes.get(name, -1) for name in names.dictionary.to_pylist()] or [-1])
            at = index[names.indices.to_numpy()] if len(names) else np.zeros(0, np.int64)
            deepest = _deepest(rows, at, parent, len(taxonomy))
            rows, at = rows[deepest], at[deepest]
            top = _matrix(batch.column(classes_column))
            probabilities = _matrix(batch.column(probabilities_column))
            inside = (under[at[:, None], top[rows]] * probabilities[rows]).sum(axis=1)
            first = probabilities[rows, 0]
            # A product may be in several branches: one rule that the model agrees with is enough.
            agrees = np.bincount(rows, under[at, top[rows, 0]], batch.num_rows) > 0
            outside = ~agrees[rows]
            score = first * (1.0 - inside)
            wrong = outside & (first >= LEAST_PROBABILITY) & (inside <= MOST_LEFT) & (score > least)
            for pair in np.flatnonzero(wrong):
                row = int(rows[pair])
                contradictions.append(
                    Contradiction(
                        batch.column(ID)[row].as_py(), split, tuple(batch.column(RULES)[row].as_py() or ()),
                        int(at[pair]), int(top[row, 0]), float(score[pair]),
                    )
                )  # fmt: skip
            if len(contradictions) > 4 * most:
                contradictions = _worst(contradictions, most)
                least = contradictions[-1].score
    return _worst(contradictions, most)


def _worst(contradictions: list[Contradiction], most: int) -> list[Contradiction]:
    return sorted(
        contradictions, key=lambda contradiction: (-contradiction.score, contradiction.product_id, contradiction.given)
    )[:most]


def _deepest(rows: Int64Array, at: Int64Array, parent: Int64Array, nodes: int) -> BoolArray:
    """Which of a product's categories are no other one's parent."""
    known = at >= 0
    above = np.where(known, parent[at], -1)
    parents = (rows * nodes + above)[above >= 0]
    return known & ~np.isin(rows * nodes + at, parents)


def _matrix(column) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.asarray(column.flatten()).reshape(-1, column.type.list_size)
