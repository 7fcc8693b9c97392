"""Products and categories' names in one space, and the Gaussian process that learns labels there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from scipy import sparse

from modules.arrays import BoolArray, Float32Array, IntpArray
from modules.models.name_prior import name_prior
from modules.threads import one_blas_thread
from modules.training.fit import balanced_weights
from modules.training.gaussian_process import Numbers, Process, fit_process, spread_over
from modules.training.labelled import Labelled, Named
from modules.training.left_out import equal_rows
from modules.training.self_training import MOST_GUESSED

if TYPE_CHECKING:
    from modules.objectives.base import ObjectiveSettings


MOST_SEEN = 20_000
"""Products that tell where names lie among them, at most."""


class NamesInEmbedding(NamedTuple):
    """Categories' names as products of that text would be embedded.

    Attributes:
      by_loudness: factor of the names' words to float32 (classes, width).
      encoder: bool (width,), the columns that a pretrained encoder has filled.
      words: float32 (classes, words), the columns that the SVD reads.
    """

    by_loudness: Mapping[float, Float32Array]
    encoder: BoolArray
    words: sparse.csr_matrix


@dataclass(frozen=True)
class NamedProducts:
    """What is known before any label; it stays the same from fit to fit.

    Attributes:
      embeddings: float32 (n, width), of all products of the train split, labelled or not.
      named: the names, and what they say of products, by how loud their words are.
      words: float32 (n, words), by which products are compared, too; None: they are not.
    """

    embeddings: Float32Array
    named: Mapping[float, Named]
    words: sparse.csr_matrix | None = None

    @classmethod
    def of(cls, embeddings: Float32Array, names: NamesInEmbedding, words: sparse.csr_matrix | None = None) -> Self:
        """From embeddings and names as the model's graph has them, rows of unit length."""
        seen = embeddings
        if len(embeddings) > MOST_SEEN:
            seen = embeddings[np.sort(np.random.default_rng(0).choice(len(embeddings), MOST_SEEN, replace=False))]
        named = {
            loudness: Named(
                own, {whitened: name_prior(own, seen, whitened=whitened) for whitened in (True, False)},
                names.encoder, names.words,
            )
            for loudness, own in names.by_loudness.items()
        }  # fmt: skip
        return cls(embeddings, named, words)


@one_blas_thread()
def process_of(
    objective: ObjectiveSettings, known: NamedProducts, rows: IntpArray, labels: np.ndarray,
    ancestors: Sequence[Sequence[int]], seed: int, products: IntpArray | None = None, numbers: Numbers | None = None,
) -> Process:  # fmt: skip
    """The Gaussian process of an objective with one category a product.

    Args:
      known: all products of the train split, labelled or not, and the names.
      rows: those that have a label. labels: (n,), the classes.
      products: (n,), the row that each row shows, where some are copies; None: each its own.
      numbers: what is free, as an earlier fit has chosen it; None: the labels choose.
    """
    classes = len(next(iter(known.named.values())).names)
    spread = spread_over(ancestors, classes, getattr(objective, "ancestor_weight", 0.0))
    temperature = objective.uncalibrated().temperature
    own = np.asarray(labels[rows], np.intp)
    weights = np.ones(len(own))
    if objective.class_weights == "balanced":
        weights = np.array(balanced_weights(np.bincount(own, minlength=classes)))[own]
    shown = rows if products is None else products[rows]
    groups = equal_rows(known.embeddings, shown)
    words = None if known.words is None else known.words[rows]
    return fit_process(
        Labelled(known.embeddings[rows], own, groups, weights, words), known.named,
        spread=spread, temperature=1.0 if temperature is None else temperature, seed=seed, numbers=numbers,
        unlabelled=known.embeddings[_others(len(known.embeddings), np.union1d(rows, shown), seed)],
    )  # fmt: skip


def _others(count: int, rows: IntpArray, seed: int) -> IntpArray:
    """Some of the rows up to ``count`` that are none of these, in order."""
    others = np.setdiff1d(np.arange(count), rows)
    if len(others) > MOST_GUESSED:
        others = np.sort(np.random.default_rng(seed).choice(others, MOST_GUESSED, replace=False))
    return others
