"""Products without a label as examples of what a first model says of them: self-training.

A model that is fitted once more, to its own best guesses as well (Lee, Pseudo-label, 2013), heeds how the catalogue's
products lie together, and not the labelled ones alone. Guesses favour frequent categories, and with them the next
model would all the more, so those of rarely guessed categories count more (Zou et al., Unsupervised domain adaptation
for semantic segmentation via class-balanced self-training, 2018).
"""

from __future__ import annotations

import numpy as np

from modules.arrays import Float32Array, Float64Array, IntpArray

MOST_GUESSED = 4000
"""Products whose guesses are learnt, at most: more of them change nothing that can be measured."""

WEIGHT = 0.1
"""Of a guess, where a label counts 1 and all categories are guessed alike."""

BALANCE = 0.75
"""0: every guess counts the same; 1: all guessed categories together do."""

OVERCONFIDENCE = 1.25
"""What logits are divided by after guesses were learnt as if they were true: with that they are likeliest on test
products of fashion titles, amazon_in_112 and pricerunner, at 0 to 300 labels."""


def guesses(probabilities: Float32Array) -> tuple[IntpArray, IntpArray, Float64Array]:
    """The likeliest class of each product, and how much it counts.

    Args:
      probabilities: float32 (n, classes), of the products.

    Returns:
      rows: intp (m,), the products of which the model says anything: not all classes alike.
      classes: intp (m,). weights: float64 (m,).
    """
    rows = np.flatnonzero(np.ptp(probabilities, axis=1) > 1e-6)
    said = probabilities[rows]
    classes = said.argmax(axis=1)
    shares = said.sum(axis=0, dtype=np.float64)
    # A category that next to no product is expected in: its few guesses count as those of a category with one.
    weights = WEIGHT * (shares.mean() / np.maximum(shares, 1.0)) ** BALANCE
    return rows, classes, weights[classes]
