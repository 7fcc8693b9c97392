"""What a Gaussian process learns from: labelled products, and categories' names as further rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from modules.arrays import BoolArray, Float32Array, Float64Array, IntpArray
from modules.models.name_prior import NamePrior

CONSTANT = 0.1
"""The kernel's constant: how far categories may differ in frequency."""

Priors = Mapping[bool, NamePrior]
"""What names say, by whether vectors are partly whitened first."""


@dataclass(frozen=True)
class Named:
    """Categories' names and what follows from them and the catalogue.

    Attributes:
      names: float32 (classes, width), the names as products of that text would be embedded.
      priors: what they say of products.
      encoder: bool (width,), the columns that a pretrained encoder has filled.
      words: float32 (classes, words), the names' own; needed where products are compared by words.
    """

    names: Float32Array
    priors: Priors
    encoder: BoolArray
    words: sparse.csr_matrix | None = None

    def factors(self, loudness: float) -> Float64Array:
        """Of each column of the embedding: ``loudness`` of an encoder's, 1 of others."""
        return np.where(self.encoder, loudness, 1.0)


@dataclass(frozen=True)
class Labelled:
    """What a process learns from.

    Attributes:
      embeddings: float32 (n, width). labels: intp (n,), the classes.
      groups: intp (n,): rows that show one product, and are left out together, have the same number.
      weights: float64 (n,): how often each counts.
      words: float32 (n, words), by which they are compared, too; None: they are not.
    """

    embeddings: Float32Array
    labels: IntpArray
    groups: IntpArray
    weights: Float64Array
    words: sparse.csr_matrix | None = None

    def at(self, rows: IntpArray | slice) -> Labelled:
        """Some of the rows."""
        words = None if self.words is None else self.words[rows]
        return Labelled(self.embeddings[rows], self.labels[rows], self.groups[rows], self.weights[rows], words)

    def with_names(self, named: Named, every: bool) -> Labelled:
        """With names of classes as one more row of the class each, at the end.

        Args:
          every: also of classes that have labels; a class without any always has its name.
        """
        classes = np.arange(len(named.names), dtype=np.intp)
        if not every:
            classes = np.setdiff1d(classes, self.labels)
        after, words = self.groups.max(initial=-1) + 1, self.words
        if words is not None:
            assert named.words is not None
            words = sparse.vstack([words, named.words[classes]], "csr")
        return Labelled(
            np.concatenate([self.embeddings, named.names[classes]]), np.concatenate([self.labels, classes]),
            np.concatenate([self.groups, after + classes]), np.concatenate([self.weights, np.ones(len(classes))]),
            words,
        )  # fmt: skip

    def with_guesses(self, guessed: Labelled) -> Labelled:
        """With other products at the end; by words none is compared any more."""
        after = self.groups.max(initial=-1) + 1
        return Labelled(
            np.concatenate([self.embeddings, guessed.embeddings]), np.concatenate([self.labels, guessed.labels]),
            np.concatenate([self.groups, after + guessed.groups]), np.concatenate([self.weights, guessed.weights]),
        )  # fmt: skip

    def inputs(self, factors: Float64Array) -> Float64Array:
        """float64 (n, width + 1): the embeddings, column by column times ``factors``, and the kernel's constant."""
        constant = np.full((len(self.labels), 1), CONSTANT**0.5)
        return np.concatenate([self.embeddings * factors, constant], axis=1)

    def targets(self, classes: int) -> Float64Array:
        """float64 (n, classes): 1 where the class is the label."""
        targets = np.zeros((len(self.labels), classes))
        targets[np.arange(len(self.labels)), self.labels] = 1.0
        return targets

    def counts(self, classes: int) -> Float64Array:
        """float64 (classes,): how many labels each class has."""
        return np.bincount(self.labels, weights=self.weights, minlength=classes).astype(np.float64)

    def counts_without(self, classes: int) -> Float64Array:
        """float64 (n, classes): how many labels each class has beside those of the row's group."""
        numbers, of_group = np.unique(self.groups, return_inverse=True)
        own = np.zeros((len(numbers), classes))
        np.add.at(own, (of_group, self.labels), self.weights)
        return np.asarray(np.maximum(self.counts(classes) - own, 0.0)[of_group])
