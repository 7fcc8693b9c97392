"""The contract that all strategies keep."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

import numpy as np

from modules.arrays import FloatArray, Int64Array
from modules.predictions.columns import DISAGREEMENT
from modules.query_strategies.pool import Pool, Selection, top_k
from modules.settings.base import Settings


class MissingInput(ValueError):
    """A strategy was asked for what the pool cannot give."""


class NotFinite(MissingInput):
    """The model gave NaN or infinity for every product that could be asked about; the message names some of them."""


class QueryStrategy(Settings):
    """Picks the products that people are asked about next. Its parameters are its fields.

    Same pool, parameters and random generator: same picks. A strategy that looks at what a model says never sees a
    product of which the model says NaN or infinity: nothing can be told about it, and one such row would spoil means,
    distances and clusters of all others.
    """

    kind: str = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Of ``probabilities``, ``embeddings``, ``committee``, ``members``, ``labels``."""

    def query(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """The ``n`` best available products, or all if there are fewer.

        Raises:
          MissingInput: the pool lacks something of ``needs``.
          NotFinite: there are products to ask about, but of none of them all numbers are finite.
        """
        self.check_pool(pool)
        if n == 0 or not pool.available.any():
            return Selection(np.zeros(0, np.int64), np.zeros(0), self.kind)
        if not self.all_needs():
            return self._pick(pool, min(n, int(pool.available.sum())), rng)
        fine = pool.finite()
        if fine.all():
            return self._pick(replace(pool, checked=True), min(n, int(pool.available.sum())), rng)
        rows = np.flatnonzero(fine)
        usable = replace(pool.part(rows), checked=True)
        if not usable.available.any():
            names = pool.shown(np.flatnonzero(pool.available & ~fine))
            raise NotFinite(
                f"strategy {self.kind} needs finite numbers; those of every product left are not finite: {names}"
            )
        self.check_pool(usable)
        selection = self._pick(usable, min(n, int(usable.available.sum())), rng)
        return replace(selection, rows=rows[selection.rows])

    def all_needs(self) -> frozenset[str]:
        """``needs`` of it and of the strategies that it is made of."""
        return self.needs

    def check_pool(self, pool: Pool) -> None:
        """Raises :class:`MissingInput` if the pool lacks something of ``needs``."""
        for need in sorted(self.needs):
            if not _has(pool, need):
                raise MissingInput(f"strategy {self.kind} needs {_NAMES[need]}")

    @abstractmethod
    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        """Exactly ``n`` rows; as many are available at least."""


class ScoreStrategy(QueryStrategy):
    """Gives each product a utility of its own; the best are picked, whatever else is."""

    @abstractmethod
    def utilities(self, pool: Pool, rows: Int64Array) -> FloatArray:
        """(rows,): the higher, the sooner to be asked about."""

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        rows = pool.candidates
        utility = self.utilities(pool, rows)
        chosen = top_k(utility, n, rng)
        return Selection(rows[chosen], utility[chosen].astype(np.float64), self.kind)


_NAMES = {
    "probabilities": "a model's probabilities",
    "embeddings": "embeddings",
    "committee": "a committee's disagreement",
    "members": "the probabilities of a committee's members",
    "labels": "labels",
}


def _has(pool: Pool, need: str) -> bool:
    if need == "probabilities":
        return pool.probabilities is not None
    if need == "embeddings":
        return pool.embeddings is not None
    if need == "members":
        return pool.members is not None
    if need == "committee":
        return pool.members is not None or bool(pool.scores.keys() & set(DISAGREEMENT))
    return bool((pool.labels >= 0).any())
