"""Products and categories' names in one space, and the Gaussian process that learns labels there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from modules.arrays import Float32Array, IntpArray
from modules.models.name_prior import name_prior
from modules.training.fit import balanced_weights
from modules.training.gaussian_process import Labelled, Priors, Process, fit_process, spread_over
from modules.training.self_training import MOST_GUESSED

if TYPE_CHECKING:
    from modules.objectives.base import ObjectiveSettings


@dataclass(frozen=True)
class NamedProducts:
    """What is known before any label; it stays the same from fit to fit.

    Attributes:
      embeddings: float32 (n, width), of all products of the train split, labelled or not.
      names: float32 (classes, width), the names as products of that text would be embedded.
      priors: what they say of products, whitened and as they are.
      words: float32 (n, words), by which products are compared, too; None: they are not.
    """

    embeddings: Float32Array
    names: Float32Array
    priors: Priors
    words: sparse.csr_matrix | None = None

    @classmethod
    def of(cls, embeddings: Float32Array, names: Float32Array, words: sparse.csr_matrix | None = None) -> NamedProducts:
        """From embeddings and names as the model's graph has them, rows of unit length."""
        priors = {whitened: name_prior(names, embeddings, whitened=whitened) for whitened in (True, False)}
        return cls(embeddings, names, priors, words)


def process_of(
    objective: ObjectiveSettings, known: NamedProducts, rows: IntpArray, labels: np.ndarray,
    ancestors: Sequence[Sequence[int]], seed: int, products: IntpArray | None = None,
) -> Process:  # fmt: skip
    """The Gaussian process of an objective with one category a product.

    Args:
      known: all products of the train split, labelled or not, and the names.
      rows: those that have a label. labels: (n,), the classes.
      products: (n,), the row that each row shows, where some are copies; None: each its own.
    """
    spread = spread_over(ancestors, len(known.names), getattr(objective, "ancestor_weight", 0.0))
    temperature = objective.uncalibrated().temperature
    own = np.asarray(labels[rows], np.intp)
    weights = np.ones(len(own))
    if objective.class_weights == "balanced":
        weights = np.array(balanced_weights(np.bincount(own, minlength=len(known.names))))[own]
    shown = rows if products is None else products[rows]
    groups = _equal_rows(known.embeddings, shown)
    words = None if known.words is None else known.words[rows]
    return fit_process(
        Labelled(known.embeddings[rows], own, groups, weights, words), known.names, known.priors,
        spread=spread, temperature=1.0 if temperature is None else temperature, seed=seed,
        unlabelled=known.embeddings[_others(len(known.embeddings), shown, seed)],
    )  # fmt: skip


def _others(count: int, rows: IntpArray, seed: int) -> IntpArray:
    """Some of the rows up to ``count`` that are none of these, in order."""
    others = np.setdiff1d(np.arange(count), rows)
    if len(others) > MOST_GUESSED:
        others = np.sort(np.random.default_rng(seed).choice(others, MOST_GUESSED, replace=False))
    return others


def _equal_rows(embeddings: Float32Array, rows: IntpArray) -> IntpArray:
    """A number per row, the same for equal ones: a product that a resample has drawn twice, or a variant."""
    numbers: dict[bytes, int] = {}
    digests = (hashlib.blake2b(embeddings[row].tobytes(), digest_size=16).digest() for row in rows)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests], np.intp)
