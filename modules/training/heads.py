"""Linear heads at their exact optimum, NumPy (or SciPy) in and NumPy out, by LIBLINEAR through scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from modules.arrays import Float32Array, Int64Array
from modules.losses import loss_named
from modules.losses.base import Matrix

if TYPE_CHECKING:
    from modules.objectives.exclusive import ExclusiveObjective
    from modules.objectives.multi_label import MultiLabelObjective


NEVER = -10.0
"""Bias of a class without any label, so that it never wins."""

_Classes: TypeAlias = tuple[int, ...]
_Solved: TypeAlias = dict[_Classes, tuple[Float32Array, float]]
"""Classes to the weights (inputs,) and the bias of their products against all others."""


def fit_exclusive(
    matrix: Matrix,
    labels: Int64Array,
    classes: int,
    objective: ExclusiveObjective,
    *,
    c: float,
    seed: int,
    ancestors: Sequence[Sequence[int]] = (),
) -> tuple[Float32Array, Float32Array]:
    """One-versus-rest weights of an exclusive objective.

    With ``objective.ancestor_weight`` w, each level of the taxonomy gets one-versus-rest scores of its own, and a
    class's score becomes its own plus w times the sum of its ancestors'. What categories of one branch have in
    common is then learnt from the labels of all of them. Sums of linear scores are linear: the head keeps its form.

    Args:
      matrix: shape (n, inputs), a row per labelled product.
      labels: shape (n,), classes in [0, classes).
      c: inverse strength of the L2 penalty (scikit-learn's C).
      seed: of LIBLINEAR's order of rows.
      ancestors: per level of the taxonomy, each class's branch there, -1 where it has none
        (:func:`modules.objectives.ancestor_levels`).

    Returns:
      Weights (inputs, classes) and biases (classes,), float32.
    """
    table = np.zeros((matrix.shape[1], classes), np.float32)
    bias = np.full(classes, NEVER, np.float32)
    present = np.unique(labels)
    if len(present) == 0:
        return table, bias
    own, offsets = _one_versus_rest(matrix, labels, objective, c, seed)
    table[:, present], bias[present] = own, offsets
    # Branches of the same classes, on whichever level, are one problem: in a deep tree most are one class's own.
    solved: _Solved = {(label,): (own[:, at], float(offsets[at])) for at, label in enumerate(present.tolist())}
    for level in map(np.asarray, ancestors if objective.ancestor_weight else ()):
        branches = [
            tuple(present[level[present] == branch].tolist()) for branch in np.unique(level[present]) if branch >= 0
        ]
        _solve(matrix, labels, objective, c, seed, [b for b in branches if b not in solved], solved)
        for branch in branches:
            weights, offset = solved[branch]
            table[:, branch] += objective.ancestor_weight * weights[:, None]
            bias[list(branch)] += objective.ancestor_weight * offset
    return table, bias


def _solve(
    matrix: Matrix, labels: Int64Array, objective: ExclusiveObjective, c: float, seed: int, branches: list[_Classes],
    solved: _Solved,
) -> None:  # fmt: skip
    """Adds the problems of branches that have no class in common."""
    if not branches:
        return
    branch_of = np.full(int(labels.max()) + 1, -1)
    for number, branch in enumerate(branches):
        branch_of[list(branch)] = number
    groups = branch_of[labels]
    weights, offsets = _one_versus_rest(matrix, groups, objective, c, seed)
    # The products of none of them, if there are any, are the first group.
    first = int(groups.min() < 0)
    for number, branch in enumerate(branches):
        solved[branch] = weights[:, first + number], float(offsets[first + number])


def _one_versus_rest(
    matrix: Matrix, labels: Int64Array, objective: ExclusiveObjective, c: float, seed: int
) -> tuple[Float32Array, Float32Array]:
    """Weights (inputs, present) and biases (present,) of the classes that occur, in ascending order."""
    present = np.unique(labels)
    if len(present) == 1:
        return np.zeros((matrix.shape[1], 1), np.float32), np.zeros(1, np.float32)
    coefficients, intercepts = loss_named(objective.loss).fit_liblinear(
        matrix, labels, balanced=objective.class_weights == "balanced", c=c, seed=seed
    )
    if len(present) == 2:
        # scikit-learn gives only the second one's.
        coefficients = np.vstack([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    return coefficients.T.astype(np.float32), intercepts.astype(np.float32)


def fit_multi_label(
    matrix: Matrix, labels: Float32Array, objective: MultiLabelObjective, *, c: float, seed: int
) -> tuple[Float32Array, Float32Array]:
    """One binary problem per category over the products with a known yes or no.

    A category that has only one of the two gets a constant no: nothing tells what is not in it, and a yes to every
    product would be believed.

    Args:
      matrix: shape (n, inputs).
      labels: shape (n, classes): 1 yes, 0 no, -1 unknown.

    Returns:
      Weights (inputs, classes) and biases (classes,), float32.
    """
    loss, balanced = loss_named(objective.loss), objective.class_weights == "balanced"
    classes = labels.shape[1]
    table, bias = np.zeros((matrix.shape[1], classes), np.float32), np.zeros(classes, np.float32)
    for index in range(classes):
        column = labels[:, index]
        # Without weight a "no" is no label.
        used = (column > 0.5) if objective.negative_weight == 0.0 else (column >= 0)
        yes = column[used] > 0.5
        if not used.any() or yes.all() or not yes.any():
            bias[index] = -5.0
            continue
        weights = np.where(yes, 1.0, objective.negative_weight)
        inputs = matrix[used] if not used.all() else matrix
        weight, intercept = loss.fit_liblinear(inputs, yes, balanced=balanced, c=c, seed=seed, weights=weights)
        table[:, index], bias[index] = weight[0], intercept[0]
    return table, bias
