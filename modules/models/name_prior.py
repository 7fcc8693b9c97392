"""What categories' names say of products, before any label: scores that a classifier may start from.

A pretrained encoder puts products and names of categories into one space. Both lie in corners of it, so each is
centred by its own mean, and what all products share may be made less loud (:mod:`modules.models.whitening`). A name
alone is a poor example of its category; what most resembles it in the catalogue is a better one, and brings the shop's
own words with it. So each name is moved towards the products that it attracts, by one step of expectation maximisation
for a mixture on the sphere, with the name as the prior of its direction (Banerjee et al., Clustering on the unit
hypersphere using von Mises-Fisher distributions, 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modules.arrays import Float32Array
from modules.models.projection import unit_rows
from modules.models.whitening import Whitening

SHARPNESS = 12.0
"""How sure the step is of the category that a product resembles most, in standard deviations over the categories."""

NAME_SHARE = 0.3
"""The products that a name weighs as much as, as a share of the products per category."""

LEAST_DEVIATION = 1e-4
"""Standard deviation of a product's cosines below which only rounding tells its categories apart."""

_ROWS = 4096
"""Products at a time: their scores for a thousand categories fill some megabytes."""


@dataclass(frozen=True)
class NamePrior:
    """Directions that categories' products are expected in.

    Attributes:
      directions: float32 (classes, width), in the space of the products' embedding, of whatever length.
    """

    directions: Float32Array

    def scores(self, embeddings: Float32Array) -> Float32Array:
        """For each product its likeness to each category, standardised over the categories; float32 (n, classes).

        How long a product's embedding is does not matter.
        """
        return standardised(embeddings @ self.directions.T)

    def probabilities(self, embeddings: Float32Array, sharpness: float) -> Float32Array:
        """float32 (n, classes); what ``CategoryNames`` computes in the graph."""
        return softmax_rows(self.scores(embeddings) * np.float32(sharpness))


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
        pulls += softmax_rows(standardised(part @ names.T) * np.float32(SHARPNESS)).T @ part
    # Without any product the names stay as they are.
    weight = max(NAME_SHARE * len(embeddings) / classes, 1e-6)
    moved = unit_rows((weight * names + pulls).astype(np.float32))
    # Of products as they are these say what the moved names say of whitened ones.
    return NamePrior(whitening(moved))


def standardised(cosines: Float32Array) -> Float32Array:
    """Each row less its mean, by its standard deviation; a row of equal numbers becomes zeros."""
    centred = cosines - cosines.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), LEAST_DEVIATION)


def softmax_rows(logits: Float32Array) -> Float32Array:
    """Probabilities of each row, without overflow."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def names_layer(objective: str) -> str:
    """The Keras layer with what categories' names say for an objective."""
    return f"{objective}_names"
