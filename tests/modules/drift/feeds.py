"""Tables of predicted products, drawn from distributions that a test says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from modules.drift.building import Scan, build_profile
from modules.drift.profile import ColumnCounts, FeedProfile
from modules.examples import PRICE, RETAILER, TITLE

CATEGORY, EMBEDDING = "exclusive/category_id", "embedding"
SHARES = {"boots": 0.4, "bags": 0.3, "hats": 0.2, "gloves": 0.1}
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz"))


def vocabulary(words: int, seed: int) -> list[str]:
    """Words of eight letters, as of a language of its own."""
    random = np.random.default_rng(seed)
    return ["".join(random.choice(LETTERS, 8)) for _ in range(words)]


LANGUAGE, OTHER_LANGUAGE = vocabulary(400, 1), vocabulary(400, 2)


class Feed:
    """Products of retailers; ``profile`` makes their profile."""

    def __init__(self, batch: int = 97):
        self._batch = batch
        self.rows: dict[str, list[Any]] = {name: [] for name in (RETAILER, TITLE, PRICE, CATEGORY, EMBEDDING)}
        self.columns = ColumnCounts()

    def add(
        self, retailer: str, products: int, seed: int, *, shares: dict[str, float] = SHARES, factor: float = 1.0,
        language: Sequence[str] = LANGUAGE, lost: Sequence[str] = (), shift: float = 0.0,
    ) -> Feed:  # fmt: skip
        """Draws a retailer's products: words by Zipf's law, prices log-normal, embeddings normal around ``shift``."""
        random = np.random.default_rng(seed)
        weights = 1.0 / np.arange(1, len(language) + 1)
        for _ in range(products):
            title = " ".join(random.choice(language, 5, p=weights / weights.sum()))
            self.rows[TITLE].append("" if TITLE in lost else title)
            price = factor * float(np.exp(random.normal(3.0, 1.0)))
            self.rows[PRICE].append(float("nan") if PRICE in lost else price)
            self.rows[CATEGORY].append(str(random.choice(list(shares), p=list(shares.values()))))
            self.rows[EMBEDDING].append((random.normal(size=8) + shift).astype(np.float32))
            has = {TITLE: 1.0, PRICE: 1.0, "brand": 0.9, "color": 0.5}
            present = [name for name, share in has.items() if random.random() < share]
            self.columns.add(retailer, [name for name in present if name not in lost])
        self.rows[RETAILER] += [retailer] * products
        return self

    @property
    def scan(self) -> Scan:
        """The products in batches, whose text columns are dictionaries now and then, as Parquet files have them."""
        dimension = len(self.rows[EMBEDDING][0])
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(self.rows[EMBEDDING])), dimension)
        arrays = {
            RETAILER: pa.array(self.rows[RETAILER], pa.string()).dictionary_encode(),
            TITLE: pa.array(self.rows[TITLE], pa.string()),
            PRICE: pa.array(self.rows[PRICE], pa.float64()),
            CATEGORY: pa.array(self.rows[CATEGORY], pa.string()).dictionary_encode(),
            EMBEDDING: vectors,
        }
        table = pa.table(arrays)

        def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
            yield from table.select(list(columns)).to_batches(max_chunksize=self._batch)

        return read

    def profile(self, reference: FeedProfile | None = None) -> FeedProfile:
        """As the product code makes it of a table."""
        return build_profile(self.scan, CATEGORY, EMBEDDING, self.columns, reference)
