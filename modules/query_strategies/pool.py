"""What a strategy may look at, and what it answers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from modules.arrays import BoolArray, Float32Array, Float64Array, FloatArray, Int64Array, IntArray

# Until k_center.py takes its types from modules.arrays.
Floats = FloatArray
Integers = Int64Array

BLOCK_BYTES = 8 * 2**20
"""Rows are looked at in blocks of about this size: what fits the cache is read once, and memory stays flat."""
_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Pool:
    """Products and what the newest model says of them. Arrays may be memory-mapped; float16 is enough.

    Attributes:
      available: bool (n,): may be picked. All others were labelled, queued, or are not for training.
      labels: int64 (n,): class of those that have a label, -1 of the others.
      classes: how many there are.
      probabilities: (n, k): of each class (k = classes), or of the ``categories``; None before the first model.
      categories: int (n, k): which class each probability is of, most probable first; None: column c is class c.
      scores: name to (n,) values that the model computed over all of its classes: ``entropy`` (nats), ``margin``,
        ``least_confidence``, ``vote_entropy``, ``kl_to_consensus``, ``bald``. What is absent is computed from the
        probabilities, if they allow it.
      embeddings: (n, d), rows of unit length; None: there are none.
      distributions: rows to their probabilities over all classes (rows, classes), where ``categories`` has only some.
      members: rows to the committee's probabilities (members, rows, classes).
      levels: per level of the taxonomy, roots first, each class's branch there (any numbering), -1 where it has none
        (:func:`modules.objectives.ancestor_levels`).
      classes_under: a category's path or id to the classes in its branch.
      names: rows to the ids of their products, for messages; None: rows are named by their numbers.
      checked: everything is known to be finite (:meth:`finite`), so that a strategy of several parts looks once.
    """

    available: BoolArray
    labels: Int64Array
    classes: int
    probabilities: FloatArray | None = None
    categories: IntArray | None = None
    scores: Mapping[str, FloatArray] = field(default_factory=dict)
    embeddings: FloatArray | None = None
    distributions: Callable[[Int64Array], FloatArray] | None = None
    members: Callable[[Int64Array], FloatArray] | None = None
    levels: Sequence[Sequence[int]] = ()
    classes_under: Callable[[str], Int64Array] | None = None
    names: Callable[[Int64Array], Sequence[str]] | None = None
    checked: bool = False

    def __len__(self) -> int:
        return len(self.available)

    @property
    def candidates(self) -> Int64Array:
        """Rows that may be picked, ascending."""
        return np.flatnonzero(self.available)

    @property
    def labelled(self) -> Int64Array:
        """Rows with a label, ascending."""
        return np.flatnonzero(self.labels >= 0)

    def only(self, rows: Int64Array) -> Pool:
        """The same pool, of which only ``rows`` may be picked."""
        available = np.zeros(len(self), bool)
        available[rows] = True
        return replace(self, available=available & self.available)

    def finite(self) -> BoolArray:
        """(n,): whether everything that the model says of a product is a finite number.

        Members are asked only where no score tells already what they disagree about: a score is not finite if they are
        not.
        """
        fine = np.ones(len(self), bool)
        if self.checked:
            return fine
        rows = np.arange(len(self))
        for table in (self.probabilities, self.embeddings):
            if table is not None:
                fine &= per_row(table, rows, finite_rows) > 0.0
        for values in self.scores.values():
            fine &= np.isfinite(values)
        if self.members is not None and not self.scores:
            parts = [np.isfinite(self.members(part)).all(axis=(0, 2)) for part in blocks(rows, self.classes)]
            fine &= np.concatenate([np.zeros(0, bool), *parts])
        return fine

    def part(self, rows: Int64Array) -> Pool:
        """A pool of ``rows`` alone, numbered from 0; holds a copy of their probabilities and embeddings."""
        distributions, members, names = self.distributions, self.members, self.names
        return replace(
            self,
            available=self.available[rows],
            labels=self.labels[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            categories=None if self.categories is None else self.categories[rows],
            scores={name: values[rows] for name, values in self.scores.items()},
            embeddings=None if self.embeddings is None else self.embeddings[rows],
            distributions=None if distributions is None else lambda some: distributions(rows[some]),
            members=None if members is None else lambda some: members(rows[some]),
            names=None if names is None else lambda some: names(rows[some]),
        )

    def shown(self, rows: Int64Array, limit: int = 5) -> str:
        """The first few of ``rows`` by name, for a message."""
        few = rows[:limit]
        named = list(map(repr, self.names(few))) if self.names is not None else [f"row {row}" for row in few.tolist()]
        more = len(rows) - len(few)
        return ", ".join(named) + (f" and {more:,} more" if more else "")

    def listed(self) -> Pool:
        """The same pool without ``distributions``: cheap, and near enough to choose candidates by."""
        return replace(self, distributions=None)

    def predicted(self, rows: Int64Array) -> Int64Array:
        """The most probable class of each row."""
        assert self.probabilities is not None
        if self.categories is not None:
            return self.categories[rows, 0].astype(np.int64)
        parts = [self.probabilities[part].argmax(axis=1) for part in blocks(rows, self.classes)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def full(self, rows: Int64Array) -> FloatArray:
        """Probabilities over all classes, float32 (rows, classes).

        Without ``distributions`` what the most probable classes leave is spread evenly over the others.
        """
        if self.distributions is not None:
            return self.distributions(rows)
        assert self.probabilities is not None
        known = np.asarray(self.probabilities[rows], np.float32)
        if self.categories is None:
            return known
        others = self.classes - known.shape[1]
        rest = np.maximum(1.0 - known.sum(axis=1, keepdims=True), 0.0) / max(others, 1)
        dense = np.repeat(rest.astype(np.float32), self.classes, axis=1)
        np.put_along_axis(dense, self.categories[rows].astype(np.int64), known, axis=1)
        return dense

    def vectors(self, rows: Int64Array) -> Float32Array:
        """Embeddings, float32 (rows, d)."""
        assert self.embeddings is not None
        return np.asarray(self.embeddings[rows], np.float32)


@dataclass(frozen=True)
class Selection:
    """What a strategy picked, best first.

    Attributes:
      rows: int64 (m,), of the pool, each once. utility: float64 (m,), what the order stands on.
      parts: what the utility is made of, name to (m,).
      strategy: the kind that picked.
    """

    rows: Int64Array
    utility: Float64Array
    strategy: str
    parts: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)


def blocks(rows: Int64Array, width: int, size: int = BLOCK_BYTES) -> Iterator[Int64Array]:
    """``rows`` in pieces whose ``width`` float32 values take about ``size`` bytes."""
    step = max(1, size // (4 * max(width, 1)))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def per_row(
    table: FloatArray, rows: Int64Array, of: Callable[[FloatArray], FloatArray | BoolArray], size: int = BLOCK_BYTES
) -> Float32Array:
    """``of(table[rows])``, block by block; ``of`` maps (m, k) to (m,) and must leave its argument as it is.

    Where most rows of a stretch are wanted the stretch is looked at in place: cheaper than a copy of those rows.
    """
    values = np.empty(len(rows), np.float32)
    step = max(1, size // (4 * max(table.shape[1], 1)))

    def fill(start: int) -> None:
        part = rows[start : start + step]
        low, high = int(part.min()), int(part.max()) + 1
        if isinstance(table, np.ndarray) and high - low <= 2 * len(part):
            values[start : start + step] = of(table[low:high])[part - low]
        else:
            values[start : start + step] = of(table[part])

    starts = range(0, len(rows), step)
    if len(starts) < 2:
        for start in starts:
            fill(start)
    else:
        # NumPy lets go of the interpreter in its loops: as many blocks at a time as there are cores.
        with ThreadPoolExecutor(_CORES) as threads:
            list(threads.map(fill, starts))
    return values


def finite_rows(table: FloatArray) -> BoolArray:
    """Whether each row holds finite numbers alone, (m, k) to (m,).

    A number is finite if its exponent's bits are not all set (IEEE 754); NumPy's own test takes many times as long for
    half precision.
    """
    kinds = {np.dtype(np.float16): (np.uint16, 0x7C00), np.dtype(np.float32): (np.uint32, 0x7F80_0000)}
    if table.dtype not in kinds or not table.shape[1]:
        return np.asarray(np.isfinite(table).all(axis=1))
    kind, exponent = kinds[table.dtype]
    bits = np.ascontiguousarray(table).view(kind) & kind(exponent)
    return np.asarray(bits.max(axis=1) < exponent)


def largest(table: FloatArray) -> FloatArray:
    """Largest value of each row, (m, k) to (m,), of numbers that are not negative.

    Of those the bit patterns have the numbers' order (IEEE 754), and NumPy compares integers in 0.7 of the time of
    single and in a fourteenth of that of half precision.
    """
    bits = {np.dtype(np.float16): np.int16, np.dtype(np.float32): np.int32}.get(table.dtype)
    return table.max(axis=1) if bits is None else table.view(bits).max(axis=1).view(table.dtype)


def top_k(utility: FloatArray, n: int, rng: np.random.Generator) -> Int64Array:
    """Positions of the ``n`` largest values, largest first; of equals a random choice, in random order.

    What is no number comes last.
    """
    n = min(n, len(utility))
    if n == 0:
        return np.zeros(0, np.int64)
    unknown = np.isnan(utility)
    if unknown.any():
        utility = np.where(unknown, -np.inf, utility)
    least = np.partition(utility, len(utility) - n)[len(utility) - n]
    above, ties = np.flatnonzero(utility > least), np.flatnonzero(utility == least)
    if len(above) + len(ties) > n:
        ties = rng.choice(ties, n - len(above), replace=False)
    chosen = np.concatenate([above, ties])
    rng.shuffle(chosen)
    return chosen[np.argsort(-utility[chosen], kind="stable")]
