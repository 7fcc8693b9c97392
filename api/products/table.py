"""A run's documents in a SQLite file, so that an answer costs little and memory stays bounded."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from modules.predictions.documents import Document
from modules.taxonomy import Taxonomy

_SCHEMA = """
create table document (number integer primary key, body blob not null);
create table product (
  id text primary key, number integer not null, retailer text, probability real
) without rowid;
create table member (category text, id text, primary key (category, id)) without rowid;
create table figures (category text primary key, body blob not null) without rowid;
"""
_INDEXES = """
create index by_retailer on product (retailer, id, probability, number);
create table counts as select category, count(*) as products from member group by category;
create unique index by_category on counts (category);
"""


@dataclass(frozen=True)
class Filters:
    """Which products; None restricts nothing.

    Attributes:
      category: the id of a category; products in it and below it count.
      min_probability, max_probability: of the first objective's category; both ends count.
    """

    category: str | None = None
    retailer: str | None = None
    min_probability: float | None = None
    max_probability: float | None = None


class ProductTable:
    """The products of one run. Every thread reads through a connection of its own; the file goes with the table.

    Args:
      version: of the predictions. run: its id.
      taxonomy: the run's.
      batches: the products' documents, each id once.
      figures: category id to what is known of it from the runs' metrics, oldest first.

    Raises:
      OSError, sqlite3.Error: the disk is full. InputError: a file of predictions is damaged.
    """

    def __init__(
        self, version: str, run: str, taxonomy: Taxonomy, batches: Iterable[list[Document]],
        figures: Mapping[str, list[dict[str, Any]]] | None = None,
    ):  # fmt: skip
        self.version, self.run, self.taxonomy = version, run, taxonomy
        folder = tempfile.mkdtemp(prefix="shelfmark-products-")
        self.close = weakref.finalize(self, shutil.rmtree, folder, True)
        self._file = Path(folder) / "products.sqlite"
        self._threads = threading.local()
        self._lineages: dict[str, tuple[str, ...]] = {
            category.id: (*(above.id for above in taxonomy.ancestors(category.id)), category.id)
            for category in taxonomy
        }
        try:
            self.products = self._write(batches, figures or {})
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self.products

    def document(self, product: str) -> bytes | None:
        """A product's document as JSON; None if there is no such product."""
        query = "select body from product join document using (number) where id = ?"
        row = self._database().execute(query, (product,)).fetchone()
        return None if row is None else row[0]

    def page(self, filters: Filters, after: str, limit: int) -> list[tuple[str, bytes]]:
        """(id, document) of the first products whose ids come after ``after``, in the order of the ids' code points."""
        conditions, values = ["product.id > ?"], [after]
        source = "product join document using (number)"
        if filters.category is not None:
            source = f"member cross join product on product.id = member.id {source.removeprefix('product ')}"
            conditions = ["member.category = ?", "member.id > ?"]
            values = [filters.category, after]
        for condition, value in (
            ("retailer = ?", filters.retailer),
            ("probability >= ?", filters.min_probability),
            ("probability <= ?", filters.max_probability),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)  # type: ignore[arg-type]
        order = "member.id" if filters.category is not None else "product.id"
        # Made of the constants above alone; what was asked for is bound.
        query = f"select product.id, body from {source} where {' and '.join(conditions)} order by {order} limit ?"  # noqa: S608
        return self._database().execute(query, (*values, limit)).fetchall()

    def count(self, category: str) -> int:
        """Products in a category and below it."""
        row = self._database().execute("select products from counts where category = ?", (category,)).fetchone()
        return row[0] if row is not None else 0

    def figures(self, category: str) -> list[dict[str, Any]]:
        """What the runs' metrics say of a category, oldest first; empty where no run has measured it."""
        row = self._database().execute("select body from figures where category = ?", (category,)).fetchone()
        return orjson.loads(row[0]) if row is not None else []

    def _write(self, batches: Iterable[list[Document]], figures: Mapping[str, list[dict[str, Any]]]) -> int:
        with closing(sqlite3.connect(self._file, isolation_level=None)) as database:
            # Nobody reads a file that is half written: a crash loses nothing.
            database.executescript("pragma journal_mode = off; pragma synchronous = off;" + _SCHEMA)
            database.execute("begin")
            number = 0
            for documents in batches:
                rows = list(enumerate(documents, number))
                number += len(rows)
                database.executemany(
                    "insert into document values (?, ?)", ((place, document.as_json()) for place, document in rows)
                )
                database.executemany(
                    "insert into product values (?, ?, ?, ?)",
                    (
                        (document.id, place, document.values["retailer"], _probability(document))
                        for place, document in rows
                    ),
                )
                database.executemany(
                    "insert into member values (?, ?)",
                    ((category, document.id) for document in documents for category in self._categories(document)),
                )
            database.executemany(
                "insert into figures values (?, ?)", ((name, orjson.dumps(body)) for name, body in figures.items())
            )
            database.execute("commit")
            database.executescript(_INDEXES)
            products: int = database.execute("select count(*) from product").fetchone()[0]
            return products

    def _categories(self, document: Document) -> Iterator[str]:
        """The categories that a product is in by the first objective, and all above them."""
        first = next(iter(document.values["objectives"].values()), None)
        return iter({name for own in (first["categories"] if first else ()) for name in self._lineages.get(own, ())})

    def _database(self) -> sqlite3.Connection:
        database: sqlite3.Connection | None = getattr(self._threads, "database", None)
        if database is None:
            address = f"{self._file.as_uri()}?mode=ro&immutable=1"
            database = self._threads.database = sqlite3.connect(address, uri=True, check_same_thread=False)
        return database


def _probability(document: Document) -> float | None:
    first: dict[str, Any] = next(iter(document.values["objectives"].values()), {})
    return first.get("probability")
