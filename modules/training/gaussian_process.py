"""A Gaussian process that starts from what categories' names say, fitted in closed form.

One regression per category on the targets 1 (the product's category) and 0, all with the same linear kernel on the
products' embedding, and with the probability that the names' prior gives as prior mean (Rasmussen, Williams, Gaussian
Processes for Machine Learning, 2006, sections 2.2, 2.7 and 6.5). With X the labelled products' embeddings and a
constant, P their prior probabilities and Y the targets, the posterior mean of a product x is

    a p(x) + k(x, X) (X X' + noise I)^-1 (Y - a P)

Far from all labels that is what the names say, near them what the labels say. It is linear in x beside the prior, so
the head stays a dense layer. Each name is one more labelled row, so that a category without a label can be told, too.
A category with labels of its own needs its name less: its a may fade as a K / (K + n) with its n labels.

What is free (a, K, the prior's sharpness, whether it whitens, whether it gives all categories equal shares of the
catalogue, the noise, whether names of labelled categories are rows, how loud the encoder is in the kernel) is chosen by
the likelihood of each label under the process fitted without it, which has a closed form as well (section 5.4.2): names
that mislead get a smaller a, down to none, and are then no rows, either. A label is left out with all rows that show
the same product, else these would answer for it. A few labels
fit many choices by chance, so each step away from the choice before any label has to earn its keep.

Where words are not compared, products without a label are rows as well, of what the process says of them
(:mod:`modules.training.self_training`).

The words may have a linear kernel of their own beside the embedding's, b W W' of all pairs of labelled products: the
embedding's directions are those that all products share, and leave out what few have. The labels choose b last.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import linalg, sparse

from modules.arrays import Float32Array, Float64Array
from modules.models.base import MOST_LABELS
from modules.models.name_prior import SHARPNESS, NamePrior, softmax_rows
from modules.training.labelled import CONSTANT, Labelled, Named
from modules.training.left_out import NOISE, TEMPERATURES, Smoother, log_likelihoods
from modules.training.self_training import OVERCONFIDENCE, guesses

NAME_WEIGHTS = (1.0, 0.5, 0.25, 0.0)
"""Shares of the prior, the greatest first: of equal likelihoods the first one wins."""
FADES = (np.inf, 20.0, 5.0)
"""Labels of a category with which its prior counts half."""
LOUDNESS = (1.0, 0.5)
"""Factors of the encoder's columns in the kernel: of a language that it does not read it knows less than the SVD."""
LEXICAL = (0.5, 1.0, 0.0)
"""Factors of what the shop's own words make of a name, where an encoder reads it as well. A name in the shop's language
says more by its words than one that no product repeats."""
WORDS = (0.1, 0.3, 1.0)
"""Factors of the words' own kernel beside the embedding's. None is not one of them: the likelihood may prefer it where
the classes are better told with some, since what words say of rare categories is right more often than it is sure."""
STEP = 1.0
"""What each step away from :data:`BEFORE_LABELS` costs: nats of the likelihood of all labels together."""
LEAST_LABELS = 10
"""Labels that the free numbers are chosen by, at least."""

ROWS = 2000
"""Labels that the free numbers are chosen by, at most."""
CELLS = 800_000
"""Scores, of these labels for all categories, at most: some hundred choices are compared by them."""

WORD_ROWS = 1000
"""Labels that the words' factor is chosen by, at most."""
_AT_ONCE = 4096
"""Labels whose targets, one per category, are held at once."""


_Said = tuple[bool, float, bool]
"""Whether whitened, how sharp, and whether levelled."""


class Numbers(NamedTuple):
    """What is free.

    Attributes:
      noise: variance of a label around the mean.
      sharpness, weight: of the prior's probabilities.
      temperature: what the scores are divided by to be logits.
      examples: whether names of categories that have labels are labelled rows, too.
      loudness: factor of the encoder's columns in the kernel.
      fade: the labels of a category with which its prior counts half.
      whitened: whether the prior is the one on partly whitened vectors.
      levelled: whether the prior gives all categories equal shares of the catalogue.
      lexical: factor of what the shop's own words make of names.
      words: factor of the words' own kernel.
    """

    noise: float
    sharpness: float
    weight: float
    temperature: float
    examples: bool
    loudness: float
    fade: float
    whitened: bool
    levelled: bool
    lexical: float = LEXICAL[0]
    words: float = 0.0

    def faded(self, counts: Float64Array) -> Float64Array:
        """The prior's weight for categories with so many labels."""
        return self.weight * _share(self.fade, counts)

    @classmethod
    def of(cls, choices: Mapping[str, Any]) -> Self:
        """From :meth:`choices`."""
        return cls(**{**choices, "fade": np.inf if choices["fade"] is None else choices["fade"]})

    def choices(self) -> dict[str, float | bool | None]:
        """By name, for JSON: a prior that does not fade has ``None``."""
        return self._asdict() | {"fade": None if np.isinf(self.fade) else self.fade}

    def steps(self) -> float:
        """How far they are from :data:`BEFORE_LABELS`: a step is a factor of two, a quarter of the prior, a place in
        :data:`FADES` or :data:`WORDS`, the other prior, or names that are read otherwise. Whether categories are
        levelled costs nothing."""
        first = BEFORE_LABELS
        pairs = ((self.noise, first.noise), (self.sharpness, first.sharpness), (self.temperature, first.temperature),
                 (self.loudness, first.loudness))  # fmt: skip
        doublings = sum(abs(float(np.log2(own / other))) for own, other in pairs)
        return (
            doublings
            + 4.0 * abs(self.weight - first.weight)
            + FADES.index(self.fade)
            + (WORDS.index(self.words) if self.words else 0)
            + float(self.whitened != first.whitened)
            + float(self.lexical != first.lexical)
        )


def _share(fade: float, counts: Float64Array) -> Float64Array:
    """What is left of the prior of categories with so many labels."""
    return np.ones(counts.shape) if np.isinf(fade) else fade / (fade + counts)


BEFORE_LABELS = Numbers(0.4, 2.0, 1.0, 0.16, True, 1.0, np.inf, True, False)
"""As long as there are too few labels to choose by. Without any, the best category of a product has a mean probability
of 0.74, 0.35 and 0.89 on fashion titles, amazon_in_112 and pricerunner, and is right for 0.80, 0.43 and 0.83 of the
products."""


@dataclass(frozen=True)
class Process:
    """The fitted head.

    Attributes:
      table: float32 (width, classes). bias: float32 (classes,).
      prior: what it starts from.
      named: float32 (classes, classes): what a category's prior probability adds to the logits, its own and its
        relatives'.
      numbers: what was chosen.
      likelihood: mean log likelihood of the labels, each without itself; nan before there are labels.
      words: float32 (words, classes), what each word adds to the logits; None: words are not compared.
    """

    table: Float32Array
    bias: Float32Array
    prior: NamePrior
    named: Float32Array
    numbers: Numbers
    likelihood: float
    words: Float32Array | None = None

    def logits(self, embeddings: Float32Array, words: sparse.csr_matrix | None = None) -> Float32Array:
        """float32 (n, classes); what the model's graph computes.

        Args:
          words: float32 (n, words), which a process that compares words needs.
        """
        said = self.prior.probabilities(embeddings, self.numbers.sharpness, self.numbers.levelled)
        logits = embeddings @ self.table + self.bias + said @ self.named
        if self.words is None:
            return logits
        assert words is not None
        return np.asarray(logits + words @ self.words, np.float32)


def fit_process(
    labelled: Labelled, known: Mapping[float, Named], *, spread: Float32Array, temperature: float, seed: int,
    unlabelled: Float32Array | None = None, numbers: Numbers | None = None,
) -> Process:  # fmt: skip
    """The process after the labels.

    Args:
      known: names with their words as loud as each key, one of :data:`LEXICAL`; before labels the first counts.
      spread: :func:`spread_over`.
      temperature: what the logits will be divided by before any calibration; they are scaled to suit it.
      seed: draws the labels that the free numbers are chosen by, where there are very many.
      unlabelled: float32 (m, width), products whose guessed categories are learnt as well; None: none.
      numbers: what is free, as an earlier fit has chosen it; None: the labels choose.
    """
    classes, count, likelihood = len(spread), len(labelled.labels), float("nan")
    if numbers is None:
        numbers, likelihood = _numbers(labelled, known, spread, seed)
    named = known[numbers.lexical]
    prior, factors = named.priors[numbers.whitened], named.factors(numbers.loudness)
    weights, scale = numbers.faded(labelled.counts(classes)), temperature / numbers.temperature

    def process(scale: float, solved: Float64Array, worded: Float64Array | None = None) -> Process:
        solved = scale * (solved @ spread)
        solved[:-1] *= factors[:, None]
        words = None if worded is None else (scale * (worded @ spread)).astype(np.float32)
        return Process(
            solved[:-1].astype(np.float32), (CONSTANT**0.5 * solved[-1]).astype(np.float32), prior,
            (scale * weights[:, None] * spread).astype(np.float32), numbers, likelihood, words,
        )  # fmt: skip

    rows = labelled.with_names(named, numbers.examples)
    if numbers.words:
        return process(scale, *_coefficients_of_both(rows, factors, prior, numbers, weights))
    first = np.zeros((len(factors) + 1, classes))
    if count:
        first = _coefficients(rows, factors, prior, numbers, weights)
    taught = process(scale, first)
    guessed = None if unlabelled is None else _guessed(taught, unlabelled, temperature)
    if guessed is None:
        return taught
    return process(scale / OVERCONFIDENCE, _coefficients(rows.with_guesses(guessed), factors, prior, numbers, weights))


def _numbers(
    labelled: Labelled, known: Mapping[float, Named], spread: Float32Array, seed: int
) -> tuple[Numbers, float]:
    """What the labels choose, and their likelihood; nan where they are too few to choose."""
    count = len(labelled.labels)
    if count < LEAST_LABELS:
        return BEFORE_LABELS._replace(lexical=next(iter(known))), float("nan")
    some = labelled.at(np.random.default_rng(seed).permutation(count)[: min(ROWS, CELLS // len(spread))])
    numbers, likelihood = _chosen(some, known, spread)
    if some.words is not None and count <= MOST_LABELS:
        return _with_words(some.at(slice(WORD_ROWS)), known[numbers.lexical], spread, numbers)
    return numbers, likelihood


def _guessed(process: Process, embeddings: Float32Array, temperature: float) -> Labelled | None:
    """Products with the classes that the process finds likeliest; None where it says nothing of any.

    A product without text or picture shows nothing that could be learnt.
    """
    embeddings = embeddings[embeddings.any(axis=1)]
    rows, classes, weights = guesses(softmax_rows(process.logits(embeddings) / np.float32(temperature)))
    return Labelled(embeddings[rows], classes, np.arange(len(rows)), weights) if len(rows) else None


def _coefficients(
    rows: Labelled, factors: Float64Array, prior: NamePrior, numbers: Numbers, weights: Float64Array
) -> Float64Array:
    """X' (X X' + noise I)^-1 (Y - a P), float64 (width + 1, classes); ``weights``: of each class's prior.

    As (X' X + noise I)^-1 X' (Y - a P), which is the same and whose matrices do not grow with the labels; rows that
    count w times are rows times the square root of w.
    """
    width, classes = rows.embeddings.shape[1] + 1, len(prior.directions)
    products, sums = numbers.noise * np.eye(width), np.zeros((width, classes))
    for start in range(0, len(rows.labels), _AT_ONCE):
        part = rows.at(slice(start, start + _AT_ONCE))
        inputs = part.inputs(factors)
        counted = part.weights[:, None] * inputs
        products += counted.T @ inputs
        named = weights * prior.probabilities(part.embeddings, numbers.sharpness, numbers.levelled)
        sums += counted.T @ (part.targets(classes) - named)
    coefficients: Float64Array = linalg.solve(products, sums, assume_a="pos")
    return coefficients


def _coefficients_of_both(
    rows: Labelled, factors: Float64Array, prior: NamePrior, numbers: Numbers, weights: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """As :func:`_coefficients`, with the words' kernel beside the embedding's: by the matrix of all pairs of rows.

    Returns:
      Coefficients of the embedding and the constant (width + 1, classes), and of the words (words, classes).
    """
    inputs, words = _rooted(rows, factors)
    kernel = inputs @ inputs.T + numbers.words * _pairs(words)
    kernel[np.diag_indices_from(kernel)] += numbers.noise
    named = weights * prior.probabilities(rows.embeddings, numbers.sharpness, numbers.levelled)
    errors = np.sqrt(rows.weights)[:, None] * (rows.targets(len(prior.directions)) - named)
    solved = linalg.solve(kernel, errors, assume_a="pos", overwrite_a=True)
    return inputs.T @ solved, numbers.words * np.asarray(words.T @ solved)


def _rooted(rows: Labelled, factors: Float64Array) -> tuple[Float64Array, sparse.csr_matrix]:
    """Inputs and words, each row times the square root of its weight."""
    root = np.sqrt(rows.weights)
    return root[:, None] * rows.inputs(factors), sparse.diags(root) @ rows.words


def _pairs(words: sparse.csr_matrix) -> Float64Array:
    """The words' kernel of all pairs of rows."""
    return np.asarray((words @ words.T).toarray(), np.float64)


def _chosen(labelled: Labelled, known: Mapping[float, Named], spread: Float32Array) -> tuple[Numbers, float]:
    """The numbers of the greatest leave-one-out likelihood less their cost, and that likelihood.

    Of equal ones the first, which trust names most.
    """
    best, most, classes, counted = (BEFORE_LABELS, -np.inf), -np.inf, len(spread), float(labelled.weights.sum())
    shares = {fade: _share(fade, labelled.counts_without(classes)).astype(np.float32) for fade in FADES}
    for (lexical, named), examples in itertools.product(known.items(), (True, False)):
        # Names that are no examples beside labels are no prior, either: what the labels say alone.
        rows = labelled.with_names(named, examples)
        said = {
            key: named.priors[key[0]].probabilities(rows.embeddings, *key[1:])
            for key in itertools.product(named.priors, SHARPNESS if examples else (), (False, True))
        }
        for loudness, noise, learnt, parts in _left_out_scores(rows, named, len(labelled.labels), said):
            taught = learnt @ spread
            faded = {(key, fade): (shares[fade] * parts[key]) @ spread for key, fade in itertools.product(said, FADES)}
            for key, weight, fade in _uses_of(said):
                scores = taught
                if weight:
                    scores = (taught + weight * faded[key, fade]).astype(np.float32, copy=False)
                for temperature, own in zip(TEMPERATURES, log_likelihoods(scores, labelled.labels), strict=True):
                    likelihood = float(np.average(own, weights=labelled.weights))
                    whitened, sharpness, levelled = key
                    numbers = Numbers(
                        noise, sharpness, weight, temperature, examples, loudness, fade, whitened, levelled, lexical
                    )
                    value = likelihood - STEP * numbers.steps() / counted
                    if value > most + 1e-9:
                        best, most = (numbers, likelihood), value
    return best


def _with_words(labelled: Labelled, named: Named, spread: Float32Array, numbers: Numbers) -> tuple[Numbers, float]:
    """The numbers with the words' factor, the noise and the temperature that the labels are likeliest by, and that
    likelihood; the others were chosen without words and stay."""
    classes = len(spread)
    rows, count = labelled.with_names(named, numbers.examples), len(labelled.labels)
    inputs, words = _rooted(rows, named.factors(numbers.loudness))
    embedded, worded = inputs @ inputs.T, _pairs(words)
    said = named.priors[numbers.whitened].probabilities(rows.embeddings, numbers.sharpness, numbers.levelled)
    shares = numbers.weight * _share(numbers.fade, labelled.counts_without(classes))
    root, targets = np.sqrt(rows.weights)[:, None], rows.targets(classes)
    best, most = (numbers, float("nan")), -np.inf
    both = (root * np.concatenate([targets, said], axis=1)).astype(np.float32)
    for factor in WORDS:
        smoother = Smoother.of_pairs(embedded + factor * worded)
        for noise, left_out in zip(NOISE, smoother.left_out(both, NOISE, labelled.groups), strict=True):
            errors, prior = np.split(left_out / root[:count], 2, axis=1)
            scores = ((targets[:count] - errors + shares * prior) @ spread).astype(np.float32)
            for temperature, own in zip(TEMPERATURES, log_likelihoods(scores, labelled.labels), strict=True):
                chosen = numbers._replace(noise=noise, temperature=temperature, words=factor)
                likelihood = float(np.average(own, weights=labelled.weights))
                value = likelihood - STEP * chosen.steps() / float(labelled.weights.sum())
                if value > most + 1e-9:
                    best, most = (chosen, likelihood), value
    return best


def _uses_of(said: Iterable[_Said]) -> Iterator[tuple[_Said, float, float]]:
    """Prior, weight and fading to compare; without weight the others say nothing."""
    yield from itertools.product(said, [weight for weight in NAME_WEIGHTS if weight], FADES)
    first = BEFORE_LABELS
    yield (first.whitened, first.sharpness, first.levelled), 0.0, first.fade


def _left_out_scores(
    rows: Labelled, named: Named, count: int, said: Mapping[_Said, Float32Array]
) -> Iterator[tuple[float, float, Float32Array, dict[_Said, Float32Array]]]:
    """For each loudness and noise what the labels, and each prior, give to each class of the first ``count`` rows.

    Each row's are those without its group (Rasmussen and Williams, equation 5.12), and so the errors' complement.
    """
    root, groups = np.sqrt(rows.weights)[:, None].astype(np.float32), rows.groups[:count]
    targets = rows.targets(len(named.names)).astype(np.float32)
    stacked = np.concatenate([targets, *said.values()], axis=1)
    stacked *= root
    for loudness in LOUDNESS if named.encoder.any() else LOUDNESS[:1]:
        smoother = Smoother.of(np.sqrt(rows.weights)[:, None] * rows.inputs(named.factors(loudness)))
        for noise, errors in zip(NOISE, smoother.left_out(stacked, NOISE, groups), strict=True):
            own, *others = np.split(errors / root[:count], len(said) + 1, axis=1)
            yield loudness, noise, targets[:count] - own, dict(zip(said, others, strict=True))


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
