"""What each member of a committee weighs, fitted on the eval split. NumPy in and out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from modules.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from modules.objectives.base import ObjectiveSettings

LEAST = 1e-30


def member_weights(
    combine: str, objective: ObjectiveSettings, probabilities: FloatArray, targets: FloatArray | IntArray, least: int
) -> list[float]:
    """The members' weights for one objective; equal ones with fewer than ``least`` labelled products.

    Args:
      probabilities: (members, rows, classes).
      targets: of the same rows.
    """
    members = len(probabilities)
    if combine == "average" or len(objective.labelled(targets)) < least:
        return [1.0 / members] * members
    if combine == "stacked":
        return objective.stacking_powers(probabilities, targets)
    return mixture_weights(objective.likelihoods(probabilities, targets))


def eval_loss(objective: ObjectiveSettings, probabilities: FloatArray, targets: FloatArray | IntArray) -> float:
    """Mean negative log-likelihood of the labels under (rows, classes) probabilities; 0 without a label."""
    likely = objective.likelihoods(probabilities, targets)
    return float(-np.log(np.maximum(likely, LEAST)).mean()) if len(likely) else 0.0


def mixture_weights(likelihoods: FloatArray, rounds: int = 200) -> list[float]:
    """Factors of a weighted average under which the labels are most likely, by EM (a concave problem).

    Args:
      likelihoods: (members, labels), each member's probability of what turned out to be true.

    Returns:
      Weights, at least 0, of sum 1; equal ones without a label.
    """
    members, labels = likelihoods.shape
    weights = np.full(members, 1.0 / members)
    if labels == 0:
        return [float(w) for w in weights]
    values = np.maximum(likelihoods.astype(np.float64), LEAST)
    for _ in range(rounds):
        shares = weights[:, None] * values
        following = (shares / shares.sum(axis=0)).mean(axis=1)
        if np.abs(following - weights).max() < 1e-7:
            break
        weights = following
    return [float(w) for w in weights]


def stacking_powers(probabilities: FloatArray, labels: IntArray) -> list[float]:
    """Powers a_k >= 0 of the members' probabilities under whose normalised product the labels are most likely.

    Args:
      probabilities: (members, rows, classes).
      labels: (rows,), classes.

    Returns:
      One power per member; 1 / members each without a row.
    """
    members, rows, _ = probabilities.shape
    start = np.full(members, 1.0 / members)
    if rows == 0:
        return [float(a) for a in start]
    logs = np.log(np.maximum(probabilities, LEAST)).astype(np.float32)
    at = np.arange(rows)

    def loss(powers: FloatArray) -> tuple[float, FloatArray]:
        z = np.tensordot(powers.astype(np.float32), logs, 1)
        z -= z.max(axis=1, keepdims=True)
        p = np.exp(z)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        value = float((np.log(total[:, 0].astype(np.float64)) - z[at, labels]).mean())
        slope = np.array([float(((p * log).sum(axis=1) - log[at, labels]).mean()) for log in logs])
        return value, slope

    return _bounded(loss, start)


def odds_powers(probabilities: FloatArray, labels: FloatArray | IntArray) -> list[float]:
    """The same for independent categories: powers of the members' odds.

    Args:
      probabilities: (members, cells).
      labels: (cells,), 1 or 0.
    """
    members, cells = probabilities.shape
    start = np.full(members, 1.0 / members)
    if cells == 0:
        return [float(a) for a in start]
    p = probabilities.astype(np.float64)
    odds = np.log(np.maximum(p, LEAST)) - np.log(np.maximum(1.0 - p, LEAST))

    def loss(powers: FloatArray) -> tuple[float, FloatArray]:
        z = powers @ odds
        value = float((np.logaddexp(0.0, z) - labels * z).mean())
        return value, odds @ (1.0 / (1.0 + np.exp(-z)) - labels) / cells

    return _bounded(loss, start)


def _bounded(loss: Callable[[FloatArray], tuple[float, FloatArray]], start: FloatArray) -> list[float]:
    optimum = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(start))
    powers = optimum.x if optimum.x.sum() > 0 else start
    return [float(a) for a in powers]
