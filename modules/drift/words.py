"""Which words of titles a feed has, in a table of bounded size."""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modules.arrays import Int64Array, Uint8Array

SLOTS = 1 << 22
"""Words share a slot by chance; a feed of 400,000 distinct words fills a tenth of them."""
_SEPARATOR = r"[^\p{L}\p{M}]+"
_SHORTEST = 2


def title_words(titles: pa.Array) -> tuple[Int64Array, Int64Array]:
    """The distinct words of each title, without the case of their letters. Numbers are no words: most of them are new.

    Args:
      titles: texts or nulls.

    Returns:
      The rows of the titles and the slots of their words, int64 of one length; ascending, no pair twice.
    """
    parts = pc.split_pattern_regex(pc.utf8_lower(pc.fill_null(titles, "")), _SEPARATOR)
    rows, words = np.asarray(pc.list_parent_indices(parts), np.int64), parts.flatten()
    keep = np.asarray(pc.greater_equal(pc.utf8_length(words), _SHORTEST))
    encoded = words.dictionary_encode()
    slots = np.array([zlib.crc32(word.encode()) % SLOTS for word in encoded.dictionary.to_pylist()], np.int64)
    if not keep.any():
        return np.empty(0, np.int64), np.empty(0, np.int64)
    pairs = np.unique(rows[keep] * SLOTS + slots[np.asarray(encoded.indices)[keep]])
    return pairs // SLOTS, pairs % SLOTS


def count_words(counts: Uint8Array, slots: Int64Array) -> None:
    """Adds products to the words' counts, which end at 2: one product has the word, or several.

    Args:
      counts: uint8 of shape (SLOTS,), changed in place.
      slots: one per product and word.
    """
    own, products = np.unique(slots, return_counts=True)
    counts[own] = np.minimum(counts[own] + products, 2)
