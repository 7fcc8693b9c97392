"""One fixed-size row per example, to find duplicate ids and leaking titles without carrying the products around.

Rows are divided into partitions by the hash of the id, so that each partition fits into memory whatever the catalogue's
size: 48 bytes a product.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from modules.feeds.splitting import normalised

ROW = np.dtype([
    ("high", "<u8"), ("low", "<u8"), ("title", "<u8"), ("line", "<u8"),
    ("file", "<u4"), ("task", "<u2"), ("signature", "<u2"), ("position", "<u4"), ("shard", "<u2"), ("split", "<u2"),
])  # fmt: skip
"""``high`` and ``low``: 128 bits of the id's hash; ``title``: 64 of the normalised title's, or of what stands for all
titles of its variants, 0 if it is empty or no matter; ``file`` and ``line``: where the product stood; ``task``,
``split``, ``shard`` and ``position``: where its example went; ``signature``: what is to be counted about it, an index
into the task's list."""

_PACK = struct.Struct("<QQQQIHHIHH")
assert _PACK.size == ROW.itemsize
_TITLE = np.dtype([("title", "<u8"), ("split", "<u2")])


class IndexWriter:
    """Collects the rows of one task by partition."""

    def __init__(self, task: int, partitions: int, titles: bool):
        """``titles``: whether leaking titles are looked for."""
        self._task = task
        self._titles = titles
        self._rows = [bytearray() for _ in range(partitions)]

    def add(
        self,
        product_id: str,
        title: str,
        file: int,
        line: int,
        signature: int,
        split: int,
        shard: int,
        position: int,
        group: int = 0,
    ) -> None:
        """Adds one example; ``group``: 64 bits that stand for its variants in the title's place, 0 if it has none."""
        digest = hashlib.blake2b(product_id.encode(), digest_size=16).digest()
        high = int.from_bytes(digest[:8], "little")
        row = _PACK.pack(
            high,
            int.from_bytes(digest[8:], "little"),
            (group or title_hash(title)) if self._titles else 0,
            line,
            file,
            self._task,
            signature,
            position,
            shard,
            split,
        )
        self._rows[high % len(self._rows)] += row

    def take(self, minimum: int = 0) -> Iterator[tuple[int, bytes]]:
        """(partition, packed rows) of every partition with more than ``minimum`` bytes, which are then empty."""
        for partition, rows in enumerate(self._rows):
            if len(rows) > minimum:
                yield partition, bytes(rows)
                rows.clear()


def title_hash(title: str) -> int:
    """64 bits of the normalised title; 0 if it is empty."""
    text = normalised(title)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") if text else 0


class ExaminedPartition(NamedTuple):
    """The result of examining one partition.

    Attributes:
      duplicates: rows (of type ROW) whose id an earlier record has.
      first: (file, line) of that record, an integer array of shape (number of duplicates, 2).
      counts: (task, signature, number of kept examples).
      titles: packed distinct (title, split) pairs of the kept examples, for :func:`leaks`.
    """

    duplicates: np.ndarray
    first: np.ndarray
    counts: list[tuple[int, int, int]]
    titles: bytes


def examine(chunks: Iterable[bytes]) -> ExaminedPartition:
    """Finds the duplicates of one partition: the first record in file and line order is kept."""
    rows = np.frombuffer(b"".join(chunks), dtype=ROW)
    rows = rows[np.lexsort((rows["line"], rows["file"], rows["low"], rows["high"]))]
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[1:] = (rows["high"][1:] == rows["high"][:-1]) & (rows["low"][1:] == rows["low"][:-1])
    # For each row the place of the first one with its id.
    origin = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(rows))))[repeated]
    first = np.stack([rows["file"][origin].astype(np.int64), rows["line"][origin].astype(np.int64)], axis=1)
    kept = rows[~repeated]
    codes, numbers = np.unique(kept["task"].astype(np.int64) << 16 | kept["signature"], return_counts=True)
    counts = [(int(code >> 16), int(code & 0xFFFF), int(n)) for code, n in zip(codes, numbers, strict=True)]
    titled = kept[kept["title"] != 0]
    titles = np.empty(len(titled), dtype=_TITLE)
    titles["title"], titles["split"] = titled["title"], titled["split"]
    return ExaminedPartition(rows[repeated], first, counts, np.unique(titles).tobytes())


def by_title(titles: bytes, partitions: int) -> Iterator[tuple[int, bytes]]:
    """(partition, packed pairs): all pairs of a title go to one partition."""
    pairs = np.frombuffer(titles, dtype=_TITLE)
    place = pairs["title"] % np.uint64(partitions)
    for partition in range(partitions):
        chosen = pairs[place == partition]
        if len(chosen):
            yield partition, chosen.tobytes()


def leaks(chunks: Iterable[bytes]) -> int:
    """Number of titles that stand in more than one split."""
    pairs = np.unique(np.frombuffer(b"".join(chunks), dtype=_TITLE))
    _, splits = np.unique(pairs["title"], return_counts=True)
    return int((splits > 1).sum())
