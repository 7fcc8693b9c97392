"""One labelling campaign played in process: a strategy asks, the truth answers, the model learns."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from experiments.catalogue import LabelledCatalogue
from modules.arrays import Int64Array
from modules.metrics import ExclusiveCounts, ExclusiveFacts
from modules.objectives import ancestor_levels
from modules.query_strategies import Pool, QueryStrategy

if TYPE_CHECKING:
    from experiments.learners import Learner


@dataclass(frozen=True)
class SimulatedRound:
    """The result of one simulated labelling round.

    Attributes:
      labels: human labels so far. accuracy, macro_f1: on the held-out products, after training on them all.
      labelled_classes: classes with a label. picked: ids of the round's products, in the order of the picks.
      select_seconds, fit_seconds: of choosing the batch, of training and measuring.
      top_5_accuracy: how many held-out products have their class among the five most probable ones.
      drawn: how many of the round's products were drawn at random, and not picked by the strategy.
      wrong: how many of them the labeller put into a wrong category.
    """

    labels: int
    accuracy: float
    macro_f1: float
    labelled_classes: int
    select_seconds: float
    fit_seconds: float
    picked: tuple[str, ...]
    top_5_accuracy: float = math.nan
    drawn: int = 0
    wrong: int = 0

    @property
    def seconds(self) -> float:
        return self.select_seconds + self.fit_seconds


class Game:
    """A strategy's campaign with one seed.

    Args:
      pool: rows that may be picked and learnt from. held_out: rows that are measured on.
      temperature: what scores are divided by before the softmax.
      answers: int64 (products,): the class that the labeller gives each product; None: the truth.
      sampling: where labels come from, as in :class:`modules.settings.recipe.LabelSettings`.
      draws_first: the first batch is drawn at random, the same for all games of the seed and the pool.
    """

    def __init__(
        self, catalogue: LabelledCatalogue, learner: Learner, pool: Int64Array, held_out: Int64Array,
        strategy: QueryStrategy, seed: int, temperature: float = 1.0, *, answers: Int64Array | None = None,
        sampling: str = "strategy", draws_first: bool = False,
    ) -> None:  # fmt: skip
        self.catalogue, self.learner, self.pool, self.held_out = catalogue, learner, pool, held_out
        self.strategy, self.seed, self.temperature = strategy, seed, temperature
        self.levels = ancestor_levels(catalogue.taxonomy.exclusive, catalogue.taxonomy)
        self.answers = catalogue.truth if answers is None else answers
        self.sampling, self.draws_first = sampling, draws_first
        self.picked: list[Int64Array] = []
        self.drawn = 0
        self.fitted = False

    @property
    def labelled(self) -> Int64Array:
        """Rows with a label, in the order that they were picked in."""
        return np.concatenate([np.zeros(0, np.int64), *self.picked])

    def resume(self, rounds: Sequence[SimulatedRound]) -> None:
        """Puts the game where it was after these rounds."""
        row_of = {product.id: row for row, product in enumerate(self.catalogue.products)}
        self.picked = [np.array([row_of[name] for name in r.picked], np.int64) for r in rounds if r.picked]
        self.drawn = sum(r.drawn for r in rounds)
        # Also without labels: the learner forgets those of the games before.
        self._fit()

    def before_labels(self) -> SimulatedRound:
        """What a learner that knows something before the first label knows."""
        started = time.perf_counter()
        accuracy, macro_f1, top_5 = self._measured()
        return SimulatedRound(0, accuracy, macro_f1, 0, 0.0, time.perf_counter() - started, (), top_5)

    def next_round(self, n: int) -> SimulatedRound:
        """Picks ``n`` products, labels them, trains and measures."""
        started = time.perf_counter()
        # Of the round alone, so that a resumed game draws what an uninterrupted one would have drawn.
        rng = np.random.default_rng([self.seed, len(self.picked)])
        drawn = self._share_to_draw(n)
        self.picked.append(self._pick(n, drawn, rng))
        self.drawn += drawn
        selected = time.perf_counter()
        self._fit()
        accuracy, macro_f1, top_5 = self._measured()
        labelled, last = self.labelled, self.picked[-1]
        return SimulatedRound(
            len(labelled), accuracy, macro_f1, len(np.unique(self.answers[labelled])), selected - started,
            time.perf_counter() - selected, tuple(self.catalogue.products[row].id for row in last), top_5,
            drawn, int((self.answers[last] != self.catalogue.truth[last]).sum()),
        )  # fmt: skip

    def draw(self, n: int) -> None:
        """Labels ``n`` products at random, without training on them."""
        rest = np.setdiff1d(self.pool, self.labelled)
        self.picked.append(np.random.default_rng(self.seed).choice(rest, n, replace=False))
        self.drawn += n

    def _fit(self) -> None:
        rows = self.labelled
        self.learner.fit(rows, self.answers[rows], self.seed)
        self.fitted = len(rows) > 0 or self.learner.informed

    def _measured(self) -> tuple[float, float, float]:
        """Accuracy, macro-F1 and top-5 accuracy."""
        counts = ExclusiveCounts(self.catalogue.classes)
        counts.update(ExclusiveFacts.of(self.catalogue.truth[self.held_out], self.learner.logits(self.held_out))[0])
        report = counts.report()
        return float(report.accuracy.value), float(report.macro_f1.value), float(report.top_k.value)

    def _share_to_draw(self, n: int) -> int:
        """How many of the next ``n`` products are drawn at random."""
        if self.sampling == "random" or (self.draws_first and not self.picked):
            return n
        if self.sampling == "strategy":
            return 0
        return min(max((len(self.labelled) + n) // 2 - self.drawn, 0), n)

    def _pick(self, n: int, drawn: int, rng: np.random.Generator) -> Int64Array:
        labelled = np.isin(self.pool, self.labelled)
        random = np.zeros(0, np.int64)
        if drawn:
            random = rng.choice(np.flatnonzero(~labelled), drawn, replace=False)
        if drawn == n:
            return self.pool[random]
        labels = np.where(labelled, self.answers[self.pool], -1)
        probabilities = None
        if self.fitted:
            probabilities = softmax(self.learner.logits(self.pool) / self.temperature, axis=1)
        available = ~labelled
        available[random] = False
        view = Pool(
            available, labels, self.catalogue.classes, probabilities,
            embeddings=self.learner.embeddings(self.pool), levels=self.levels,
        )  # fmt: skip
        return self.pool[np.concatenate([random, self.strategy.query(view, n - drawn, rng).rows])]


def answers_of(catalogue: LabelledCatalogue, error_rate: float, *, siblings: bool, seed: int) -> Int64Array:
    """What a labeller says who errs: int64 array (products,) of classes.

    The answer depends on seed and product alone, so that all arms hear the same, and those of a lower rate err on a
    part of the products that those of a higher rate err on.

    Args:
      catalogue: the products and their truth.
      error_rate: share of wrong answers, on average.
      siblings: a wrong category is one with the same parent, where there is one; otherwise any other.
      seed: of the campaign.
    """
    rng = np.random.default_rng([seed, len(catalogue.products)])
    chance, which = rng.random((2, len(catalogue.products)))
    answers = catalogue.truth.copy()
    paths = [category.path for category in catalogue.taxonomy.exclusive]
    by_parent: dict[tuple[str, ...], list[int]] = {}
    for number, path in enumerate(paths):
        by_parent.setdefault(tuple(path[:-1]), []).append(number)
    for number, path in enumerate(paths):
        near = [other for other in by_parent[tuple(path[:-1])] if other != number] if siblings else []
        others = np.array(near or [other for other in range(len(paths)) if other != number])
        rows = np.flatnonzero((catalogue.truth == number) & (chance < error_rate))
        answers[rows] = others[(which[rows] * len(others)).astype(np.int64)]
    return answers
