"""A vector's dimensions as words, so that a full-text engine can look for similar vectors.

After Rygl, Pomikálek, Řehůřek, Růžička, Novotný and Sojka (2017), "Semantic Vector Encoding and Similarity Search Using
Fulltext Search Engines", RepL4NLP. A value x of dimension d becomes one token per grid that the encoding has:

- rounding to p decimals: cell ``floor(x 10^p + 1/2)``, token ``{d}P{p}i{rounded value}``, such as ``12P1i0.1``;
- intervals of width w, on two grids that lie half a width apart: cells ``floor(x/w)`` and ``floor(x/w + 1/2)``, tokens
  ``{d}I{w}i{lower end}`` and ``{d}J{w}i{lower end}``. Two values closer than w/2 always share one of the two.

A coarse grid finds many vectors, a fine one ranks those that agree more closely first; the engine's own weight of rare
words does the rest. Two filters keep the words few, as most dimensions of a vector say little: ``trim`` drops small
values, ``best`` all but the largest. Signs count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from modules.arrays import Int64Array
from modules.settings.base import Settings

LARGEST = 1000.0
"""No value may be beyond: vectors are expected with rows of unit length."""
_CELLS = 1 << 31
"""Cells on either side of zero: 1,000 at six decimals."""


@dataclass(frozen=True)
class Grid:
    """One way to cut the values of a dimension into cells: cell = floor(x scale + shift).

    Attributes:
      label: as it stands in a token, ``P1``.
      scale: cells per unit.
      start: what is added to a cell's number to get its name's value, in cells.
    """

    label: str
    scale: float
    shift: float
    start: float


@dataclass(frozen=True)
class Tokens:
    """Tokens of many vectors, one after the other.

    Attributes:
      numbers: int64 array, a token each; by dimension, then by grid.
      offsets: int64 array of shape (n_vectors + 1,): vector i has ``numbers[offsets[i]:offsets[i + 1]]``.
    """

    numbers: Int64Array
    offsets: Int64Array

    def __len__(self) -> int:
        return len(self.offsets) - 1


class Encoding(Settings):
    """How vectors become tokens. At least one of ``decimals`` and ``intervals`` is given."""

    decimals: tuple[Annotated[int, Field(ge=0, le=6)], ...] = ()
    """Precisions to round to, a token per dimension each."""
    intervals: tuple[Annotated[float, Field(ge=1e-6, le=2.0)], ...] = (0.2,)
    """Widths, two tokens per dimension each."""
    trim: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    """Values below it, without their sign, are left out."""
    best: Annotated[int, Field(ge=1)] | None = None
    """Only so many of the largest values, without their sign; null: all."""

    @model_validator(mode="after")
    def _some_grid(self) -> Encoding:
        if not self.decimals and not self.intervals:
            raise ValueError("expected a precision or an interval; both lists are empty")
        labels = [grid.label for grid in self.grids]
        if len(set(labels)) < len(labels):
            raise ValueError("expected precisions and intervals that differ from each other, to six digits")
        return self

    @cached_property
    def grids(self) -> tuple[Grid, ...]:
        """In the order of a dimension's tokens."""
        rounded = [Grid(f"P{p}", 10.0**p, 0.5, 0.0) for p in self.decimals]
        widths = [Grid(f"{name}{w:g}", 1 / w, s, -s) for w in self.intervals for name, s in (("I", 0.0), ("J", 0.5))]
        return (*rounded, *widths)

    def encode(self, vectors: npt.NDArray[Any]) -> Tokens:
        """Tokens of each vector; a vector without a value of ``trim`` or more, or of zeros alone, has none.

        Args:
          vectors: floats of shape (n, dimensions).

        Raises:
          ValueError: the array is not two-dimensional, or a value is not finite or beyond 1,000.
        """
        x = np.asarray(vectors)
        if x.ndim != 2:
            raise ValueError(f"vectors of shape (n, dimensions), not {x.shape}")
        size = np.abs(x)
        if not (size <= LARGEST).all():
            raise ValueError("finite vectors of about unit length")
        kept = (size >= self.trim) & (size > 0)
        if self.best is not None and self.best < x.shape[1]:
            # Stable: of equal values the lower dimension stays, whatever else is in the array.
            order = np.argsort(-size, axis=1, kind="stable")[:, : self.best]
            largest = np.zeros(x.shape, bool)
            np.put_along_axis(largest, order, True, axis=1)
            kept &= largest
        rows, dimensions = np.nonzero(kept)
        values = x[rows, dimensions].astype(np.float64)
        count = len(self.grids)
        numbers = np.empty((len(values), count), np.int64)
        for i, grid in enumerate(self.grids):
            cells = np.floor(values * grid.scale + grid.shift).astype(np.int64)
            numbers[:, i] = (dimensions * count + i) * (2 * _CELLS) + (cells + _CELLS)
        offsets = np.zeros(len(x) + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=len(x)) * count, out=offsets[1:])
        return Tokens(numbers.reshape(-1), offsets)

    def name(self, number: int) -> str:
        """The token as it is written: dimension, grid, ``i``, value; no blanks."""
        place, cell = divmod(number, 2 * _CELLS)
        dimension, i = divmod(place, len(self.grids))
        grid = self.grids[i]
        value = round((cell - _CELLS + grid.start) / grid.scale, 9) + 0.0  # + 0.0: no "-0"
        return f"{dimension}{grid.label}i{value:.9g}"

    def words(self, vectors: npt.NDArray[Any]) -> list[list[str]]:
        """The names of each vector's tokens; raises what :meth:`encode` does."""
        tokens = self.encode(vectors)
        distinct, places = np.unique(tokens.numbers, return_inverse=True)
        names = [self.name(number) for number in distinct.tolist()]
        each = [names[place] for place in places.tolist()]
        offsets = tokens.offsets.tolist()
        return [each[start:end] for start, end in pairwise(offsets)]
