"""One labelling campaign played in process: a strategy asks, the truth answers, the model learns."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from experiments.catalogue import LabelledCatalogue
from experiments.learners import Learner
from modules.arrays import Int64Array
from modules.metrics import ExclusiveCounts, ExclusiveFacts
from modules.objectives import ancestor_levels
from modules.query_strategies import Pool, QueryStrategy


@dataclass(frozen=True)
class SimulatedRound:
    """The result of one simulated labelling round.

    Attributes:
      labels: human labels so far. accuracy, macro_f1: on the held-out products, after training on them all.
      labelled_classes: classes with a label. picked: ids of the round's products, in the order of the picks.
      select_seconds, fit_seconds: of choosing the batch, of training and measuring.
      top_5_accuracy: how many held-out products have their class among the five most probable ones.
    """

    labels: int
    accuracy: float
    macro_f1: float
    labelled_classes: int
    select_seconds: float
    fit_seconds: float
    picked: tuple[str, ...]
    top_5_accuracy: float = math.nan

    @property
    def seconds(self) -> float:
        return self.select_seconds + self.fit_seconds


class Game:
    """A strategy's campaign with one seed.

    Args:
      pool: rows that may be picked and learnt from. held_out: rows that are measured on.
      temperature: what scores are divided by before the softmax.
    """

    def __init__(
        self, catalogue: LabelledCatalogue, learner: Learner, pool: Int64Array, held_out: Int64Array,
        strategy: QueryStrategy, seed: int, temperature: float = 1.0,
    ) -> None:  # fmt: skip
        self.catalogue, self.learner, self.pool, self.held_out = catalogue, learner, pool, held_out
        self.strategy, self.seed, self.temperature = strategy, seed, temperature
        self.levels = ancestor_levels(catalogue.taxonomy.exclusive, catalogue.taxonomy)
        self.picked: list[Int64Array] = []
        self.fitted = False

    @property
    def labelled(self) -> Int64Array:
        """Rows with a label, in the order that they were picked in."""
        return np.concatenate([np.zeros(0, np.int64), *self.picked])

    def resume(self, rounds: Sequence[SimulatedRound]) -> None:
        """Puts the game where it was after these rounds."""
        row_of = {product.id: row for row, product in enumerate(self.catalogue.products)}
        self.picked = [np.array([row_of[name] for name in r.picked], np.int64) for r in rounds if r.picked]
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
        self.picked.append(self._pick(n, rng))
        selected = time.perf_counter()
        self._fit()
        accuracy, macro_f1, top_5 = self._measured()
        labelled = self.labelled
        return SimulatedRound(
            len(labelled), accuracy, macro_f1, len(np.unique(self.catalogue.truth[labelled])), selected - started,
            time.perf_counter() - selected, tuple(self.catalogue.products[row].id for row in self.picked[-1]), top_5,
        )  # fmt: skip

    def _fit(self) -> None:
        rows = self.labelled
        self.learner.fit(rows, self.catalogue.truth[rows], self.seed)
        self.fitted = len(rows) > 0 or self.learner.informed

    def _measured(self) -> tuple[float, float, float]:
        """Accuracy, macro-F1 and top-5 accuracy."""
        counts = ExclusiveCounts(self.catalogue.classes)
        counts.update(ExclusiveFacts.of(self.catalogue.truth[self.held_out], self.learner.logits(self.held_out))[0])
        report = counts.report()
        return float(report.accuracy.value), float(report.macro_f1.value), float(report.top_k.value)

    def _pick(self, n: int, rng: np.random.Generator) -> Int64Array:
        labelled = np.isin(self.pool, self.labelled)
        labels = np.where(labelled, self.catalogue.truth[self.pool], -1)
        probabilities = None
        if self.fitted:
            probabilities = softmax(self.learner.logits(self.pool) / self.temperature, axis=1)
        view = Pool(
            ~labelled, labels, self.catalogue.classes, probabilities,
            embeddings=self.learner.embeddings(self.pool), levels=self.levels,
        )  # fmt: skip
        return self.pool[self.strategy.query(view, n, rng).rows]
