"""A feed's profile: what drift is measured by, small enough to lie beside the published predictions."""

from __future__ import annotations

import io
import os
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from modules.arrays import Float32Array, Int64Array, Uint8Array
from modules.drift.words import SLOTS
from modules.errors import InputError, Problem, reason
from modules.examples import RETAILER
from modules.paths import near

FEED_PROFILE = "feed_profile.npz"
"""The file beside published predictions, of the feed that the model was trained on."""
COLUMN_COUNTS = "columns.json"
"""The file beside daily predictions with the last feed's :class:`ColumnCounts`."""
MAX_RETAILERS = 1000
"""Of more, as a marketplace has, those with the most products are told apart, and the others are left out."""
UNKNOWN_BINS = 5
"""Products by the share of their title's words that is unknown: none, up to a quarter, ..., more than 3 quarters."""
PRICES_PER_DECADE, _CHEAPEST, _DECADES = 40, -2, 10
PRICE_BINS = 1 + PRICES_PER_DECADE * _DECADES
"""From a hundredth up, evenly on a logarithmic scale; prices of 0 and below come first."""
CELLS = 32
"""Products by the nearest of so many products' embeddings."""
_MAX_BYTES = 1 << 28
_LAYOUT = 1
_DAMAGE = (
    ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, MemoryError, RuntimeError, SyntaxError,
    zlib.error, zipfile.BadZipFile, struct.error, tokenize.TokenError,
)  # fmt: skip
"""What NumPy and the archive raise at bytes that were changed."""


class ColumnCounts:
    """How many products of each retailer have a value in a column.

    Attributes:
      products: retailer to its products. present: retailer to column to the products that have it.
    """

    def __init__(self) -> None:
        self.products: Counter[str] = Counter()
        self.present: dict[str, Counter[str]] = {}

    def add(self, retailer: str, columns: Iterable[str]) -> None:
        """Counts a product that has these columns, of which its retailer's name is none."""
        self.add_many(retailer, 1, {column: 1 for column in columns if column != RETAILER})

    def add_many(self, retailer: str, products: int, present: Mapping[str, int]) -> None:
        """Counts several products of one retailer; memory is bounded, so that later retailers are left out."""
        if retailer not in self.present:
            if len(self.present) >= MAX_RETAILERS:
                return
            self.present[retailer] = Counter()
        self.products[retailer] += products
        own = self.present[retailer]
        for column, count in present.items():
            own[column] += count

    def write(self, path: Path) -> None:
        """Writes a JSON file, complete or not at all."""
        part = path.with_suffix(".part")
        part.write_bytes(orjson.dumps({"products": self.products, "present": self.present}))
        os.replace(part, path)

    @classmethod
    def read(cls, path: Path, again: str) -> ColumnCounts:
        """What :meth:`write` has written.

        Args:
          again: what makes the file again, for messages.

        Raises:
          InputError: the file is missing or damaged.
        """
        counts = cls()
        try:
            read = orjson.loads(path.read_bytes())
            for retailer, own in read["present"].items():
                counts.add_many(retailer, *_counted(read["products"][retailer], own))
        except FileNotFoundError:
            raise InputError(Problem(near(path), "expected counts of the last feed's columns", hint=again)) from None
        except OSError as error:
            raise InputError(Problem(near(path), f"cannot be read: {reason(error)}", hint=again)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            expected = "expected counts of columns; the file is damaged"
            raise InputError(Problem(near(path), expected, hint=again)) from None
        return counts


@dataclass
class RetailerProfile:
    """What is counted of a retailer's products.

    Attributes:
      products: how many. counted: those of which ``present`` was counted.
      present: column to the products that have a value there.
      categories: id of a category to the products that are predicted to be in it; the empty id: those in none.
      words, unknown_words: distinct words per title, added up, and those of them that no other product has (in the
        training feed) or that the training feed does not have (in another).
      unknown: int64 (UNKNOWN_BINS,), products. prices: int64 (PRICE_BINS,), products. cells: int64 (CELLS,), products.
    """

    products: int = 0
    counted: int = 0
    present: dict[str, int] = field(default_factory=dict)
    categories: dict[str, int] = field(default_factory=dict)
    words: int = 0
    unknown_words: int = 0
    unknown: Int64Array = field(default_factory=lambda: np.zeros(UNKNOWN_BINS, np.int64))
    prices: Int64Array = field(default_factory=lambda: np.zeros(PRICE_BINS, np.int64))
    cells: Int64Array = field(default_factory=lambda: np.zeros(CELLS, np.int64))


@dataclass
class FeedProfile:
    """A feed's profile.

    Attributes:
      retailers: name to profile. is_whole: whether there are no others.
      words: uint8 (SLOTS,): products that have a word, at most 2; see :mod:`modules.drift.words`.
      prototypes: float32 (at most CELLS, dim): embeddings of products, to which others are the nearest.
    """

    retailers: dict[str, RetailerProfile]
    is_whole: bool
    words: Uint8Array
    prototypes: Float32Array

    @property
    def products(self) -> int:
        """Of all retailers."""
        return sum(own.products for own in self.retailers.values())

    def write(self, path: Path) -> None:
        """Writes the profile, complete or not at all."""
        facts = {
            name: [own.products, own.counted, own.present, own.categories, own.words, own.unknown_words]
            for name, own in self.retailers.items()
        }
        head = orjson.dumps({"layout": _LAYOUT, "is_whole": self.is_whole, "retailers": facts})
        parts: dict[str, Any] = {
            "head": np.frombuffer(head, np.uint8), "words": np.packbits(self.words > 0),
            "prototypes": self.prototypes.astype(np.float32),
        } | {
            name: np.array([getattr(own, name) for own in self.retailers.values()], np.int64)
            for name in ("unknown", "prices", "cells")
        }  # fmt: skip
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez_compressed(stream, **parts)
        os.replace(part, path)

    @classmethod
    def read(cls, path: Path, again: str) -> FeedProfile:
        """What :meth:`write` has written; of ``words`` whether there are any.

        Args:
          again: what makes the file again, for messages.

        Raises:
          InputError: the file is damaged, or of another version.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ValueError
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as parts:
                return cls._of(parts)
        except OSError as error:
            raise InputError(Problem(near(path), f"cannot be read: {reason(error)}", hint=again)) from None
        except _DAMAGE:
            expected = "expected a feed's profile; the file is damaged, or another version of Shelfmark wrote it"
            raise InputError(Problem(near(path), expected, hint=again)) from None

    @classmethod
    def _of(cls, parts: Mapping[str, np.ndarray]) -> FeedProfile:
        """What a file's arrays say; any error means that they are not those of :meth:`write`."""
        head = orjson.loads(parts["head"].tobytes())
        words, prototypes = np.unpackbits(parts["words"]), np.asarray(parts["prototypes"], np.float32)
        if head["layout"] != _LAYOUT or words.shape != (SLOTS,) or prototypes.ndim != 2 or len(prototypes) > CELLS:
            raise ValueError
        facts: Mapping[str, Any] = head["retailers"]
        widths = {"unknown": UNKNOWN_BINS, "prices": PRICE_BINS, "cells": CELLS}
        tables = {name: np.asarray(parts[name], np.int64) for name in widths}
        if any(tables[name].shape != (len(facts), widths[name]) or (tables[name] < 0).any() for name in widths):
            raise ValueError
        retailers = {}
        for row, (name, (products, counted, present, categories, all_words, unknown_words)) in enumerate(facts.items()):
            retailers[name] = RetailerProfile(
                int(products), *_counted(counted, present), {identity: int(n) for identity, n in categories.items()},
                int(all_words), int(unknown_words), *(tables[part][row] for part in widths),
            )  # fmt: skip
        return cls(retailers, bool(head["is_whole"]), words, prototypes)


def _counted(products: Any, present: Any) -> tuple[int, dict[str, int]]:
    """Products, and those of them that have a value in each column.

    Raises:
      ValueError, TypeError, AttributeError: they are no such counts.
    """
    counts = {column: int(n) for column, n in present.items()}
    if any(not 0 <= n <= int(products) for n in counts.values()):
        raise ValueError
    return int(products), counts


def price_bins(prices: np.ndarray) -> Int64Array:
    """The bin of each price; int64 of the same shape.

    Args:
      prices: finite floats.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        place = np.floor((np.log10(prices) - _CHEAPEST) * PRICES_PER_DECADE)
    bins = np.clip(np.nan_to_num(place, nan=0.0, posinf=PRICE_BINS, neginf=0.0) + 1, 1, PRICE_BINS - 1)
    return np.where(prices > 0, bins, 0).astype(np.int64)


def price_of(place: int) -> float:
    """The middle of a bin, within 3% of each price in it; 0 for those of 0 and below."""
    return float(10.0 ** (_CHEAPEST + (place - 0.5) / PRICES_PER_DECADE)) if place > 0 else 0.0
