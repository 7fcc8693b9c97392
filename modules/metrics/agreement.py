"""How far annotators agree beyond chance, for nominal answers.

Answers are an int array of shape (units, annotators), -1 where an annotator did not answer; any other number is a
category's. Where agreement by chance is certain (everybody always says the same) the coefficients are undefined: NaN.
"""

from __future__ import annotations

import numpy as np

from modules.arrays import Float64Array, IntArray


def cohen_kappa(first: IntArray, second: IntArray) -> float:
    """Cohen's kappa (1960) of two annotators, over the units that both answered.

    Args:
      first, second: int arrays of shape (units,).
    """
    both = (first >= 0) & (second >= 0)
    a, b = first[both], second[both]
    if not len(a):
        return float("nan")
    size = int(max(a.max(), b.max())) + 1
    observed = float(np.mean(a == b))
    chance = float(np.bincount(a, minlength=size) @ np.bincount(b, minlength=size)) / len(a) ** 2
    return (observed - chance) / (1.0 - chance) if chance < 1.0 else float("nan")


def krippendorff_alpha(answers: IntArray) -> float:
    """Krippendorff's alpha (2011, "Computing Krippendorff's Alpha-Reliability", nominal data, any number of annotators,
    answers may be missing). Units with fewer than two answers say nothing and are left out."""
    counts = _counts(answers)
    counts = counts[counts.sum(1) >= 2]
    if not len(counts):
        return float("nan")
    pairable = counts.sum(1)
    total = pairable.sum()
    # Pairs of different answers within units, and those expected of the answers thrown together.
    observed = float((((pairable**2) - (counts**2).sum(1)) / (pairable - 1)).sum() / total)
    sums = counts.sum(0)
    expected = float((total**2 - (sums**2).sum()) / (total * (total - 1)))
    return 1.0 - observed / expected if expected > 0 else float("nan")


def one_against_rest(answers: IntArray, category: int) -> IntArray:
    """The same answers to the question whether a unit is in ``category``: 1, 0, -1 for none."""
    return np.where(answers < 0, -1, (answers == category).astype(np.int64))


def _counts(answers: IntArray) -> Float64Array:
    """(units, categories): how many annotators gave each category."""
    answers = np.asarray(answers)
    size = int(answers.max(initial=0)) + 1
    units, _ = np.nonzero(answers >= 0)
    flat = units * size + answers[answers >= 0]
    return np.bincount(flat, minlength=len(answers) * size).reshape(len(answers), size).astype(np.float64)
