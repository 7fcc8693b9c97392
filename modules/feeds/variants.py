"""Which products are variants of one article: beside those of one title, those of one item group, GTIN or picture.

Products and what they share make a graph, whose connected components must not be separated by the split. Of each
product only hashes are kept, 32 bytes for each thing that it may share with others.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from modules.examples import IMAGE, RETAILER
from modules.feeds.identifiers import GTIN, ITEM_GROUP, is_internal
from modules.feeds.mapping import Product

EVIDENCE = (ITEM_GROUP, GTIN, IMAGE)
"""The fields whose equal values make variants of products with different titles."""

MAX_TITLES = {ITEM_GROUP: 100, GTIN: 20, IMAGE: 20}
"""What products of more different titles share is a placeholder. A shop system's item group has up to a hundred
variants, each of which may name its size and colour in its title; a GTIN or a picture has few reasons to come again."""

TitleKey = tuple[int, int]
"""128 bits of the hash of a product's title group: see :meth:`modules.feeds.splitting.Splitter.key`."""

_ROW = np.dtype([("first", "<u8"), ("second", "<u8"), ("shared", "<u8"), ("retailer", "<u4"), ("truth", "<u4")])
"""A title group and something that one of its products may share with others. The last bits of ``shared`` say what it
is (its place in EVIDENCE); ``truth``: 0 if the product has no true category."""
_PACK = struct.Struct("<QQQII")
_KIND_BITS = 2
_TABLE = np.dtype([("title", "<u8"), ("first", "<u8"), ("second", "<u8")])
_PROTOCOL = re.compile(r"(?:https?:)?//", re.I)
_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)


def shared_by(product: Product) -> Iterator[tuple[str, str]]:
    """What the product may share with its variants: the field (of EVIDENCE), and a text that is equal for them.

    Item groups, pictures by relative path and the GTINs that a shop makes up are its own; other GTINs and addresses
    of pictures mean the same everywhere.
    """
    retailer = product.text.get(RETAILER, "")
    for group in product.item_groups:
        yield ITEM_GROUP, f"{retailer}\0{group}"
    for gtin in product.gtins:
        yield GTIN, f"{retailer}\0{gtin}" if is_internal(gtin) else gtin
    picture = product.text.get(IMAGE, "")
    if picture:
        address = _PROTOCOL.match(picture)
        yield IMAGE, picture[address.end() :] if address else f"{retailer}\0{picture}"


class VariantRows:
    """Collects what products may share, in bytes that :func:`find_variants` takes."""

    def __init__(self) -> None:
        self._rows = bytearray()

    def add(self, product: Product, title: TitleKey) -> None:
        """Adds a product, whose title group has the hash ``title``."""
        retailer = truth = 0
        for place, (name, text) in enumerate(shared_by(product)):
            if place == 0:
                retailer = zlib.crc32(product.text.get(RETAILER, "").encode())
                truth = zlib.crc32("\0".join(product.truth).encode("utf-8", "surrogatepass")) if product.truth else 0
            digest = hashlib.blake2b(
                text.encode("utf-8", "surrogatepass"), digest_size=8, person=name.encode()
            ).digest()
            shared = int.from_bytes(digest, "little") >> _KIND_BITS << _KIND_BITS | EVIDENCE.index(name)
            self._rows += _PACK.pack(*title, shared, retailer, truth)

    def take(self, minimum: int = 0) -> bytes:
        """What was collected since the last call, if it has more than ``minimum`` bytes."""
        if len(self._rows) <= minimum:
            return b""
        rows = bytes(self._rows)
        self._rows.clear()
        return rows


@dataclass(frozen=True)
class Variants:
    """The title groups that belong together.

    Attributes:
      ignored: field of EVIDENCE to its values that products of different titles share, and that are no evidence:
        placeholders, and what stands at products of several true categories.
    """

    _table: npt.NDArray[np.void] = field(default_factory=lambda: np.empty(0, _TABLE))
    ignored: Counter[str] = field(default_factory=Counter)

    def of(self, title: TitleKey) -> TitleKey | None:
        """The title group that decides for ``title`` and its variants; None if it has no variants of other titles."""
        titles = self._table["title"]
        place = int(np.searchsorted(titles, np.uint64(title[0])))
        if place == len(titles) or titles[place] != title[0]:
            return None
        row = self._table[place]
        return int(row["first"]), int(row["second"])

    def __len__(self) -> int:
        """Number of title groups that have variants of other titles."""
        return len(self._table)

    def to_bytes(self) -> bytes:
        """For other processes; without the counts."""
        stream = io.BytesIO()
        np.save(stream, self._table, allow_pickle=False)
        return stream.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Variants:
        """The inverse of :meth:`to_bytes`."""
        return cls(np.load(io.BytesIO(data), allow_pickle=False))


def find_variants(chunks: Iterable[bytes]) -> Variants:
    """The connected components of all products, whatever their order.

    Args:
      chunks: what :class:`VariantRows` has given, in any order and division.
    """
    rows = np.frombuffer(b"".join(chunks), dtype=_ROW)
    if not len(rows):
        return Variants()
    _, first_rows, title = np.unique(rows["first"], return_index=True, return_inverse=True)
    values, shared = np.unique(rows["shared"], return_inverse=True)
    pairs = np.unique(shared.astype(np.int64) * len(first_rows) + title)
    sharing, titles = np.divmod(pairs, len(first_rows))
    counts = np.bincount(sharing, minlength=len(values))
    kind = (values % np.uint64(1 << _KIND_BITS)).astype(np.int64)
    linking = counts > 1
    limits = np.array([MAX_TITLES[name] for name in EVIDENCE])
    refuted = (counts > limits[kind]) | _contradicted(rows, shared, len(values))
    ignored = np.bincount(kind[linking & refuted], minlength=len(EVIDENCE))
    used = (linking & ~refuted)[sharing]
    return Variants(
        _table_of(rows[first_rows], titles[used], sharing[used], len(values)),
        Counter({name: int(number) for name, number in zip(EVIDENCE, ignored, strict=True) if number}),
    )


def _contradicted(rows: npt.NDArray[np.void], shared: npt.NDArray[np.int64], number: int) -> npt.NDArray[np.bool_]:
    """Which of the shared values stand at products that one retailer puts into several true categories.

    Two retailers name the same category differently, which contradicts nothing.
    """
    known = rows["truth"] != 0
    claims = np.stack([shared[known], rows["retailer"][known], rows["truth"][known]], axis=1).astype(np.int64)
    claims = np.unique(claims, axis=0)
    again = (claims[1:, :2] == claims[:-1, :2]).all(axis=1)
    contradicted = np.zeros(number, dtype=bool)
    contradicted[claims[1:][again, 0]] = True
    return contradicted


def _table_of(
    groups: npt.NDArray[np.void], titles: npt.NDArray[np.int64], sharing: npt.NDArray[np.int64], values: int
) -> npt.NDArray[np.void]:
    """For each title group (of ``groups``) that is joined with another one, the group that decides for all of them.

    It is the least of the component by a number that hangs together with neither half of the hash, as the halves decide
    the split: the least half would be a test product far too often.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(groups) + values
    edges = coo_array((np.ones(len(titles), np.int8), (titles, len(groups) + sharing)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    component = component[: len(groups)]
    rank = (groups["first"] * _MIX[0]) ^ (groups["second"] * _MIX[1])
    order = np.lexsort((rank, component))
    starts = np.flatnonzero(np.diff(component[order], prepend=-1))
    least = order[starts]
    sizes = np.diff(np.append(starts, len(order)))
    deciding = np.empty(len(groups), np.int64)
    deciding[order] = np.repeat(least, sizes)
    several = np.zeros(len(groups), dtype=bool)
    several[order] = np.repeat(sizes > 1, sizes)
    table = np.empty(int(several.sum()), _TABLE)
    table["title"] = groups["first"][several]
    table["first"] = groups["first"][deciding[several]]
    table["second"] = groups["second"][deciding[several]]
    return np.sort(table, order="title")
