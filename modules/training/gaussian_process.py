"""A Gaussian process that starts from what categories' names say, fitted in closed form.

One regression per category on the targets 1 (the product's category) and 0, all with the same linear kernel on the
products' embedding, and with the probability that the names' prior gives as prior mean (Rasmussen, Williams, Gaussian
Processes for Machine Learning, 2006, sections 2.2, 2.7 and 6.5). With X the labelled products' embeddings and a
constant, P their prior probabilities and Y the targets, the posterior mean of a product x is

    a p(x) + k(x, X) (X X' + noise I)^-1 (Y - a P)

Far from all labels that is what the names say, near them what the labels say. It is linear in x beside the prior, so
the head stays a dense layer. Each name is one more labelled row, so that a category without a label can be told, too.
What is free (a, the prior's sharpness, the noise) is chosen by the likelihood of each label under the process fitted
without it, which has a closed form as well (section 5.4.2): names that mislead get a smaller a, down to none. A few
labels fit many choices by chance, so each step away from the choice before any label has to earn its keep.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modules.arrays import Float32Array, Float64Array
from modules.models.name_prior import NamePrior, softmax_rows

NOISE = (0.05, 0.1, 0.2, 0.4, 0.8)
SHARPNESS = (1.0, 2.0, 4.0)
"""Per standard deviation of a product's cosines with all names."""
NAME_WEIGHTS = (1.0, 0.5, 0.25, 0.0)
"""Shares of the prior, the greatest first: of equal likelihoods the first one wins."""
TEMPERATURES = (0.05, 0.1, 0.2, 0.4)
BEFORE_LABELS = (0.4, 2.0, 1.0, 0.1)
"""Noise, sharpness, share of the prior, and temperature without labels."""
STEP = 1.0
"""What each step away from there costs: nats of all labels' likelihood together. A step is a factor of two, or a
quarter of the prior's share."""

ROWS = 2000
"""Labels that the free numbers are chosen by, at most."""

_CONSTANT = 0.1
"""The kernel's constant: how far categories may differ in frequency."""


@dataclass(frozen=True)
class Process:
    """The fitted head.

    Attributes:
      table: float32 (width, classes). bias: float32 (classes,).
      prior: what it starts from. weight, sharpness: of the prior's probabilities.
      spread: float32 (classes, classes): what a score adds to the scores of its relatives.
      noise: variance of a label around the mean.
      likelihood: mean log likelihood of the labels, each without itself; nan before there are labels.
    """

    table: Float32Array
    bias: Float32Array
    prior: NamePrior
    weight: float
    sharpness: float
    spread: Float32Array
    noise: float
    likelihood: float = field(default=float("nan"))

    def logits(self, embeddings: Float32Array) -> Float32Array:
        """float32 (n, classes); what the model's graph computes."""
        named = self.prior.probabilities(embeddings, self.sharpness) @ self.spread
        return embeddings @ self.table + self.bias + np.float32(self.weight) * named


def fit_process(
    embeddings: Float32Array,
    labels: npt.NDArray[np.generic],
    names: Float32Array,
    prior: NamePrior,
    *,
    spread: Float32Array,
    temperature: float,
    seed: int,
) -> Process:
    """The process after the labels.

    Args:
      embeddings: float32 (n, width), of the labelled products. labels: (n,), their classes.
      names: float32 (classes, width), the names as products of that text would be embedded.
      spread: :func:`spread_over`.
      temperature: what the logits will be divided by before any calibration; they are scaled to suit it.
      seed: draws the labels that the free numbers are chosen by, where there are very many.
    """
    classes, count = len(names), len(labels)
    if not count:
        noise, sharpness, weight, own = BEFORE_LABELS
        table, bias = np.zeros((embeddings.shape[1], classes), np.float32), np.zeros(classes, np.float32)
        return Process(table, bias, prior, temperature / own * weight, sharpness, spread, noise)
    some = np.random.default_rng(seed).permutation(count)[:ROWS]
    noise, sharpness, weight, own, likelihood = _chosen(
        *_regression(embeddings[some], labels[some], names), prior, len(some), spread
    )
    inputs, targets = _regression(embeddings, labels, names)
    named = prior.probabilities(inputs[:, :-1].astype(np.float32), sharpness)
    solved = inputs.T @ _Smoother.of(inputs).dual(targets - weight * named, noise) @ spread
    scale = temperature / own
    return Process(
        (scale * solved[:-1]).astype(np.float32), (scale * _CONSTANT**0.5 * solved[-1]).astype(np.float32), prior,
        scale * weight, sharpness, spread, noise, likelihood,
    )  # fmt: skip


def _regression(
    embeddings: Float32Array, labels: npt.NDArray[np.generic], names: Float32Array
) -> tuple[Float64Array, Float64Array]:
    """Inputs (n + classes, width + 1), of the products, then of the names, and targets (n + classes, classes)."""
    rows = np.concatenate([embeddings, names]).astype(np.float64)
    inputs = np.concatenate([rows, np.full((len(rows), 1), _CONSTANT**0.5)], axis=1)
    classes = np.arange(len(names))
    return inputs, np.eye(len(names))[np.concatenate([np.asarray(labels, np.intp), classes])]


@dataclass(frozen=True)
class _Smoother:
    """X X' by its eigenvectors: from it all fits follow, for any noise.

    Attributes:
      vectors: (n, rank), orthonormal columns. values: (rank,), the eigenvalues, positive.
    """

    vectors: Float64Array
    values: Float64Array

    @classmethod
    def of(cls, inputs: Float64Array) -> _Smoother:
        """By the smaller one of the two matrices of products."""
        rows, columns = inputs.shape
        values, vectors = np.linalg.eigh(inputs @ inputs.T if rows <= columns else inputs.T @ inputs)
        kept = values > 1e-9 * max(float(values[-1]), 1e-12)
        values, vectors = values[kept], vectors[:, kept]
        return cls(vectors if rows <= columns else inputs @ (vectors / np.sqrt(values)), values)

    def fitted(self, targets: Float64Array, noise: float) -> Float64Array:
        """What a fit with this noise gives for its own rows."""
        fitted: Float64Array = self.vectors @ (self.shrunk(noise)[:, None] * (self.vectors.T @ targets))
        return fitted

    def shrunk(self, noise: float) -> Float64Array:
        """How much of each eigenvector stays."""
        return self.values / (self.values + noise)

    def leverage(self, noise: float) -> Float64Array:
        """How far each row's own target decides its fit; (n,), below 1."""
        leverage: Float64Array = (self.vectors**2) @ self.shrunk(noise)
        return np.minimum(leverage, 1.0 - 1e-9)

    def dual(self, targets: Float64Array, noise: float) -> Float64Array:
        """(X X' + noise I)^-1 times the targets."""
        return (targets - self.fitted(targets, noise)) / noise


def _chosen(
    inputs: Float64Array, targets: Float64Array, prior: NamePrior, count: int, spread: Float32Array
) -> tuple[float, float, float, float, float]:
    """Noise, sharpness, weight and temperature of the greatest leave-one-out likelihood less its cost, and that.

    Args:
      count: how many rows, the first ones, are labelled products; the others are names.
    """
    smoother, labels = _Smoother.of(inputs), targets[:count].argmax(axis=1)
    priors = {s: prior.probabilities(inputs[:, :-1].astype(np.float32), s).astype(np.float64) for s in SHARPNESS}
    best, most = (0.0, 0.0, 0.0, 0.0, 0.0), -np.inf
    for noise in NOISE:
        alone = 1.0 / (1.0 - smoother.leverage(noise)[:count, None])
        errors = (targets[:count] - smoother.fitted(targets, noise)[:count]) * alone
        named = {s: (p[:count] - smoother.fitted(p, noise)[:count]) * alone for s, p in priors.items()}
        for sharpness, weight in itertools.product(priors, NAME_WEIGHTS):
            if not weight and sharpness != SHARPNESS[0]:
                continue
            # Each label's score without itself (Rasmussen and Williams, equation 5.12).
            scores = (targets[:count] - (errors - weight * named[sharpness])).astype(np.float32) @ spread
            for temperature in TEMPERATURES:
                likely = softmax_rows(scores / np.float32(temperature))[np.arange(count), labels]
                likelihood = float(np.log(np.maximum(likely, 1e-12)).mean())
                value = likelihood - STEP * _steps(noise, sharpness, weight, temperature) / count
                if value > most + 1e-9:
                    best, most = (noise, sharpness, weight, temperature, likelihood), value
    return best


def _steps(noise: float, sharpness: float, weight: float, temperature: float) -> float:
    """How far a choice is from :data:`BEFORE_LABELS`."""
    first_noise, first_sharpness, first_weight, first_temperature = BEFORE_LABELS
    factors = (noise / first_noise, sharpness / first_sharpness, temperature / first_temperature)
    return float(np.abs(np.log2(factors)).sum()) + 4.0 * abs(weight - first_weight)


def spread_over(ancestors: Sequence[Sequence[int]], classes: int, weight: float) -> Float32Array:
    """What each class's score adds to each class's: to its own 1, and ``weight`` for every ancestor that they share.

    With it a class's score becomes its own plus ``weight`` times its ancestors', each the sum of the scores below it.

    Args:
      ancestors: per level of the taxonomy, each class's branch there, -1 where it has none
        (:func:`modules.objectives.ancestor_levels`).

    Returns:
      float32 (classes, classes), symmetric.
    """
    spread = np.eye(classes, dtype=np.float32)
    for level in map(np.asarray, ancestors if weight else ()):
        inside = level >= 0
        spread += np.float32(weight) * ((level[:, None] == level[None, :]) & inside[:, None] & inside[None, :])
    return spread
