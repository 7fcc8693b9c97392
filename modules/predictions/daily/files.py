"""The daily predictions as everything downstream reads predictions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pyarrow as pa

from modules.errors import InputError, Problem
from modules.examples import AVAILABILITY, PRICE, RETAILER, TITLE
from modules.feeds.mapping import Product
from modules.locks import lock
from modules.paths import near
from modules.predictions.daily.state import DAILY, THEN, WHAT, database_of, part_of
from modules.predictions.read import PredictionFiles
from modules.sqlite import tables_of, usable

_CHUNK = 500
_SHOWN = (TITLE, AVAILABILITY, PRICE)


def shown_of(product: Product, price: float | None) -> str:
    """What predictions show of a product beside its retailer: it may change without the model noticing.

    Args:
      price: as the table of predictions has it.
    """
    return orjson.dumps([product.text.get(TITLE, ""), product.text.get(AVAILABILITY, ""), price]).decode()


class DailyFiles(PredictionFiles):
    """The living rows of the daily predictions; no pass begins as long as an object is there.

    Args:
      place: their folder. is_held: whether this process has the lock already.

    Raises:
      InputError: a pass is under way, or a file is damaged.
    """

    def __init__(self, place: Path, *, is_held: bool = False):
        path = database_of(place)
        self._lock = None if is_held else lock(path.with_suffix(".lock"), shared=True)
        if self._lock is None and not is_held:
            expected = "expected predictions at rest; `shelfmark predict` is at work on them"
            raise InputError(Problem(near(place), expected, hint="wait for it"))
        self.place, self._path = place, path
        with usable(path, WHAT, THEN):
            self._database = sqlite3.connect(path)
            numbers = self._database.execute("select distinct part from products order by part").fetchall()
        self._parts = {part_of(place, number): number for (number,) in numbers}
        super().__init__(place)

    def _find(self) -> dict[str, list[Path]]:
        return {DAILY: list(self._parts)} if self._parts else {}

    def products(self, split: str | None = None) -> int:
        """How many there are."""
        with usable(self._path, WHAT, THEN):
            return int(self._database.execute("select count(*) from products").fetchone()[0])

    def there(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids whose products today's feed has."""
        there: set[str] = set()
        with usable(self._path, WHAT, THEN):
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                query = f"select id from products where id in ({marks})"  # noqa: S608 - of question marks alone
                there.update(name for (name,) in self._database.execute(query, chunk))
        return there

    def base(self) -> str | None:
        """Name of the version of the indexes that :meth:`outdated` compares the products with; None: none yet."""
        with usable(self._path, WHAT, THEN):
            there = {"base", "outdated"} <= (tables_of(self._path) or set())
            row = self._database.execute("select name from base").fetchone() if there else None
        return row[0] if row else None

    def outdated(self) -> list[str]:
        """Ids of all products that came, changed or went since that version was made."""
        with usable(self._path, WHAT, THEN):
            return [name for (name,) in self._database.execute("select id from outdated order by id")]

    def _read(self, file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        query = "select row, retailer, shown from products where part = ? and row >= ? and row < ? order by row"
        start = 0
        for batch in super()._read(file, columns):
            end = start + batch.num_rows
            with usable(self._path, WHAT, THEN):
                living = self._database.execute(query, (self._parts[file], start, end)).fetchall()
            if living:
                rows = batch.take(pa.array([row - start for row, _, _ in living]))
                yield renewed(rows, [retailer for _, retailer, _ in living], [shown for _, _, shown in living])
            start = end


def renewed(rows: pa.RecordBatch, retailers: list[str], shown: list[str]) -> pa.RecordBatch:
    """The rows with what the last feed shows of the products."""
    names = rows.schema.names
    values = {RETAILER: pa.array(retailers, pa.string())} if RETAILER in names else {}
    if not set(names).isdisjoint(_SHOWN):
        titles, availabilities, prices = zip(*map(orjson.loads, shown), strict=True)
        values[TITLE], values[AVAILABILITY] = pa.array(titles, pa.string()), pa.array(availabilities, pa.string())
        values[PRICE] = pa.array([float("nan") if price is None else price for price in prices], pa.float64())
    for name in values.keys() & set(names):
        place = rows.schema.get_field_index(name)
        rows = rows.set_column(place, rows.schema.field(place), values[name])
    return rows
