"""How strongly the weights of a linear head are penalised, chosen by cross-validation on its own labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Float64Array, IntpArray
from modules.losses.base import Matrix
from modules.objectives.base import ObjectiveSettings

DEFAULT = 1.0
"""C of a head whose penalty is not chosen."""

FOLDS = 4

ROWS = 2000
"""Labelled products that the values are compared on, at most: with more, C matters less than the time it takes."""

LEAST_ROWS = 40
"""With fewer labelled products the comparison is mostly noise."""


@dataclass(frozen=True)
class LinearHead:
    """One objective's head, as closed forms fit it.

    Attributes:
      objective: its settings.
      classes: how many there are.
      seed: of the solver's order of rows, and of the folds.
      ancestors: :func:`modules.objectives.ancestor_levels` of the classes.
    """

    objective: ObjectiveSettings
    classes: int
    seed: int
    ancestors: Sequence[Sequence[int]] = ()

    def fit(self, matrix: Matrix, labels: npt.NDArray[np.generic], c: float) -> tuple[Float32Array, Float32Array]:
        """Weights (inputs, classes) and biases (classes,) from labelled rows.

        Args:
          c: inverse strength of the L2 penalty.
        """
        return self.objective.fit_linear(matrix, labels, self.classes, c=c, seed=self.seed, ancestors=self.ancestors)


def cross_validated_penalty(
    head: LinearHead, matrix: Matrix, labels: npt.NDArray[np.generic], penalties: Sequence[float]
) -> float:
    """The C whose heads answer best for products that they have not learnt from: of the values in their order, each is
    taken only where it is ahead of the one before by more than a standard error. Variants of a product in other folds
    speak for weak penalties, and a difference that small is as often theirs.

    Only where a product is in one category at most: of independent categories each would want a C of its own, and
    the fits would take minutes.

    Args:
      matrix: shape (n, inputs), a row per labelled product.
      labels: shape (n,), classes.
      penalties: values of C that are compared; the first one where there are too few labels to compare them.
    """
    if not head.objective.single_label:
        return DEFAULT
    if len(labels) < LEAST_ROWS:
        return penalties[0]
    if len(labels) > ROWS:
        rows = np.random.default_rng(head.seed).choice(len(labels), ROWS, replace=False)
        matrix, labels = matrix[rows], labels[rows]
    folds = _folds(labels, head.seed)
    best, most = penalties[0], _hits(head, matrix, labels, folds, penalties[0])
    for c in penalties[1:]:
        hits = _hits(head, matrix, labels, folds, c)
        gains = hits - most
        if gains.mean() > gains.std() / np.sqrt(len(gains)):
            best, most = c, hits
    return best


def _folds(labels: npt.NDArray[np.generic], seed: int) -> IntpArray:
    """The fold of each row; the rows of each class are spread as evenly as they can be."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), np.intp)
    folds[by_class] = np.arange(len(labels)) % FOLDS
    return folds


def _hits(
    head: LinearHead, matrix: Matrix, labels: npt.NDArray[np.generic], folds: IntpArray, c: float
) -> Float64Array:
    """1 for each row that a head without the row's fold is right about, else 0."""
    hits = np.zeros(len(labels))
    for fold in range(FOLDS):
        held_out = folds == fold
        table, bias = head.fit(matrix[~held_out], labels[~held_out], c)
        hits[held_out] = np.asarray(matrix[held_out] @ table + bias).argmax(axis=1) == labels[held_out]
    return hits
