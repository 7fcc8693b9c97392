"""What categories' names say of products, before any label: scores that a classifier may start from.

A pretrained encoder puts products and names of categories into one space. Both lie in corners of it, so each is
centred by its own mean, and what all products share may be made less loud (:mod:`modules.models.whitening`). A name
alone is a poor example of its category; what most resembles it in the catalogue is a better one, and brings the shop's
own words with it. So each name is moved towards the products that it attracts, by one step of expectation maximisation
for a mixture on the sphere, with the name as the prior of its direction (Banerjee et al., Clustering on the unit
hypersphere using von Mises-Fisher distributions, 2005).

In many dimensions some points are near to everything (Radovanović et al., Hubs in space, 2010): such a name takes more
products than are its own. So each category's probabilities are divided by the share of the catalogue that it would
take, as for another distribution of the classes (Saerens et al., Adjusting the outputs of a classifier to new a priori
probabilities, 2002): either of those only that take more than the average product's category does, or of all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from modules.arrays import Float32Array
from modules.models.projection import unit_rows
from modules.models.whitening import Whitening

SHARPNESS = (1.0, 2.0, 4.0)
"""Of the probabilities, per standard deviation of a product's cosines with all names."""

STEP_SHARPNESS = 12.0
"""The same of the step that moves names."""

NAME_SHARE = 0.3
"""The products that a name weighs as much as, as a share of the products per category."""

LEAST_SHARE = 1e-6
"""Of an equal share: what a category that no product resembles is taken to have."""

LEAST_DEVIATION = 1e-4
"""Standard deviation of a product's cosines below which only rounding tells its categories apart."""

_ROWS = 4096
"""Products at a time: their scores for a thousand categories fill some megabytes."""


@dataclass(frozen=True)
class NamePrior:
    """Directions that categories' products are expected in.

    Attributes:
      directions: float32 (classes, width), in the space of the products' embedding, of whatever length.
      shares: sharpness to float32 (classes,), the share of the catalogue that the directions alone give each category.
    """

    directions: Float32Array
    shares: Mapping[float, Float32Array]

    def scores(self, embeddings: Float32Array) -> Float32Array:
        """For each product its likeness to each category, standardised over the categories; float32 (n, classes).

        How long a product's embedding is does not matter.
        """
        return standardised(embeddings @ self.directions.T)

    def offsets(self, sharpness: float, levelled: bool) -> Float32Array:
        """What is added to the logarithms of the categories' probabilities; float32 (classes,), 0 of equal shares.

        Args:
          sharpness: one of :attr:`shares`.
          levelled: whether every category is to get an equal share; otherwise none gets more than its expectation
            over products, the sum of squared shares, and the others stay.
        """
        shares = self.shares[sharpness]
        least = LEAST_SHARE / len(shares) if levelled else float((shares**2).sum())
        return -np.log(np.maximum(shares, least) * np.float32(len(shares)))

    def probabilities(self, embeddings: Float32Array, sharpness: float, levelled: bool) -> Float32Array:
        """float32 (n, classes); what ``CategoryNames`` computes in the graph. Equal where a product resembles all
        names alike."""
        scores = self.scores(embeddings)
        logits = scores * np.float32(sharpness) + self.offsets(sharpness, levelled)
        return softmax_rows(np.where(scores.any(axis=1, keepdims=True), logits, np.float32(0.0)))


def name_prior(names: Float32Array, embeddings: Float32Array, *, whitened: bool) -> NamePrior:
    """The prior that follows from the names and the unlabelled catalogue.

    Args:
      names: float32 (classes, width), rows of unit length: the names as products of that text would be embedded.
      embeddings: float32 (products, width), rows of unit length.
      whitened: whether what all products share is made less loud first.
    """
    classes = len(names)
    columns = np.flatnonzero(names.any(axis=0))
    whitening = Whitening.of(embeddings, columns if whitened else columns[:0])
    names = unit_rows(whitening(names))
    pulls = np.zeros(names.shape, np.float64)
    for start in range(0, len(embeddings), _ROWS):
        part = unit_rows(whitening(embeddings[start : start + _ROWS]))
        pulls += softmax_rows(standardised(part @ names.T) * np.float32(STEP_SHARPNESS)).T @ part
    # Without any product the names stay as they are.
    weight = max(NAME_SHARE * len(embeddings) / classes, 1e-6)
    moved = unit_rows((weight * names + pulls).astype(np.float32))
    # Of products as they are these say what the moved names say of whitened ones.
    directions = whitening(moved)
    return NamePrior(directions, _shares(directions, embeddings))


def _shares(directions: Float32Array, embeddings: Float32Array) -> dict[float, Float32Array]:
    """The categories' mean probabilities over the products that resemble some names more than others."""
    sums, count = np.zeros((len(SHARPNESS), len(directions))), 0
    for start in range(0, len(embeddings), _ROWS):
        scores = standardised(embeddings[start : start + _ROWS] @ directions.T)
        scores = scores[scores.any(axis=1)]
        count += len(scores)
        for row, sharpness in enumerate(SHARPNESS):
            sums[row] += softmax_rows(scores * np.float32(sharpness)).sum(axis=0, dtype=np.float64)
    means = (sums / count if count else np.full_like(sums, 1.0 / len(directions))).astype(np.float32)
    return dict(zip(SHARPNESS, means, strict=True))


def standardised(cosines: Float32Array) -> Float32Array:
    """Each row less its mean, by its standard deviation; a row of numbers that only rounding tells apart becomes
    zeros."""
    centred = cosines - cosines.mean(axis=1, keepdims=True)
    deviations = centred.std(axis=1, keepdims=True)
    return np.where(deviations > LEAST_DEVIATION, centred / np.maximum(deviations, LEAST_DEVIATION), np.float32(0.0))


def softmax_rows(logits: Float32Array) -> Float32Array:
    """Probabilities of each row, without overflow."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def names_layer(objective: str) -> str:
    """The Keras layer with what categories' names say for an objective."""
    return f"{objective}_names"
