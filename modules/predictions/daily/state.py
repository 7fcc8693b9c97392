"""What is predicted already: per product the digest of what the model reads, the model, and where its prediction lies.

Predictions lie in Parquet files beside the database, as a run's do, and a row of the database says which row of which
file is a product's; rows that no product has any longer are dead. A file is complete before a transaction names it, so
that a kill leaves at most a file that nothing names, which the next pass deletes.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from modules.errors import InputError, Problem, reason
from modules.examples import SPLIT_FOLDER
from modules.locks import lock
from modules.paths import near
from modules.sqlite import damaged, tables_of, transaction, usable

DAILY: str = "daily"
"""The split that the predictions stand in: their products are in none of a run's."""
WHAT, THEN = "the state of the daily predictions", "everything is then predicted anew"

_TABLES = """
create table if not exists pass (
  number integer primary key check (number = 1), run text not null, model text not null, ended real
);
create table if not exists parts (number integer primary key autoincrement, products integer not null);
create table if not exists products (
  id text primary key, digest blob not null, model text not null, retailer text not null, shown text not null,
  part integer not null, row integer not null, categories blob not null
) without rowid;
create index if not exists places on products (part, row);
create table if not exists base (number integer primary key check (number = 1), name text not null, refused integer);
create table if not exists outdated (id text primary key) without rowid;
create temp table seen (
  id text primary key, file integer not null, line integer not null, digest blob not null, retailer text not null,
  shown text not null, shard integer, row integer
) without rowid;
create index temp.shards on seen (shard, row) where shard is not null;
"""
_OUTDATED = "insert or ignore into outdated select id from {} and exists (select 1 from base)"
_SHOWN_ANEW = (
    "select s.id from temp.seen as s join products using (id)"
    " where s.retailer <> products.retailer or s.shown <> products.shown"
)
_CHUNK = 500


class Row(NamedTuple):
    """A product as a feed has it.

    Attributes:
      file, line: where it stands; the number of the file among the feeds'.
      digest: of what the model reads. retailer, shown: what predictions show beside, see :func:`shown_of`.
    """

    id: str
    file: int
    line: int
    digest: bytes
    retailer: str
    shown: str


class Known(NamedTuple):
    """What the state has of a product: the digest, and the model that made the prediction."""

    digest: bytes
    model: str


@dataclass(frozen=True)
class LastPass:
    """The last pass over a feed.

    Attributes:
      run: whose published model it took. ended: seconds since 1970; None: it was cut off.
    """

    run: str
    ended: float | None


class Base(NamedTuple):
    """A published version of the indexes.

    Attributes:
      name: of its folder. refused: so many products were outdated when it was last built anew in vain; None: never.
    """

    name: str
    refused: int | None


def database_of(place: Path) -> Path:
    """The state's file in the folder of the daily predictions."""
    return place / "predictions.sqlite"


def parts_of(place: Path) -> Path:
    """The folder of the files with predictions."""
    return place / f"{SPLIT_FOLDER}{DAILY}"


def part_of(place: Path, number: int) -> Path:
    """The file of a number."""
    return parts_of(place) / f"part-{number:08d}.parquet"


def last_pass(place: Path) -> LastPass | None:
    """The last pass; None: there was none.

    Raises:
      InputError: the file is damaged.
    """
    row = _asked(place, "select run, ended from pass")
    return LastPass(*row) if row else None


def holds(place: Path, product: str) -> bool:
    """Whether a product has a daily prediction.

    Raises:
      InputError: the file is damaged.
    """
    return _asked(place, "select 1 from products where id = ?", product) is not None


def _asked(place: Path, query: str, *values: str) -> tuple[Any, ...] | None:
    """The first row that a query gives, also while a pass is under way; None: there is none, or no state yet."""
    path = database_of(place)
    if not path.exists():
        return None
    with usable(path, WHAT, THEN):
        if not {"pass", "products", "parts"} <= (tables_of(path) or set()):
            raise InputError(damaged(path, WHAT, THEN))
        with closing(sqlite3.connect(path)) as database:
            row: tuple[Any, ...] | None = database.execute(query, values).fetchone()
    return row


class DailyState:
    """The state for one pass; a context manager. One thread uses it, and one process at a time.

    Args:
      place: the folder, which is made if it is not there.

    Attributes:
      spool: a folder for what the pass does not keep; it is gone at the end, and after a kill at the next beginning.

    Raises:
      InputError: another pass is under way, predictions are being read, or the file is damaged or cannot be written.
    """

    def __init__(self, place: Path):
        self.place, self.spool = place, place / "spool"
        path = database_of(place)
        try:
            self._lock = lock(path.with_suffix(".lock"))
        except OSError as error:
            raise InputError(Problem(near(place), f"expected a folder that can be written: {reason(error)}")) from None
        if self._lock is None:
            expected = "expected that nobody else predicts or publishes meanwhile: these predictions are in use"
            raise InputError(Problem(near(place), expected, hint="wait for the other command"))
        try:
            with usable(path, WHAT, THEN):
                if path.exists() and tables_of(path, write=True) is None:
                    raise InputError(damaged(path, WHAT, THEN))
                # SQLite begins a transaction only where this file says so.
                self._database = sqlite3.connect(path, isolation_level=None)
                self._database.execute("pragma journal_mode = wal")
                self._database.execute("pragma synchronous = full")
                self._database.executescript(_TABLES)
                self._tidy()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> DailyState:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._database.close()
        shutil.rmtree(self.spool, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()

    def _tidy(self) -> None:
        """Deletes what a kill left behind, and forgets products whose file is gone."""
        shutil.rmtree(self.spool, ignore_errors=True)
        self.spool.mkdir()
        parts_of(self.place).mkdir(exist_ok=True)
        numbers = [number for (number,) in self._database.execute("select number from parts")]
        named = {part_of(self.place, number): number for number in numbers}
        for file in parts_of(self.place).iterdir():
            if file not in named:
                file.unlink()
        lost = [(number,) for file, number in named.items() if not file.exists()]
        with transaction(self._database):
            self._database.executemany(_OUTDATED.format("products where part = ?"), lost)
            self._database.executemany("delete from products where part = ?", lost)
            self._database.executemany("delete from parts where number = ?", lost)

    def products(self) -> int:
        """How many have a prediction."""
        return self._value("select count(*) from products")

    def known(self, ids: Sequence[str]) -> dict[str, Known]:
        """What is known of those that are predicted already."""
        return {name: Known(*rest) for name, *rest in self._of("id, digest, model", "products", ids)}

    def places(self, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
        """File and line of those that this pass has seen."""
        return {name: (file, line) for name, file, line in self._of("id, file, line", "temp.seen", ids)}

    def see(self, rows: Iterable[Row]) -> None:
        """Notes for this pass that the feed has the products, none of which was seen before."""
        with usable(database_of(self.place), WHAT, THEN), transaction(self._database):
            self._database.executemany("insert into temp.seen values (?, ?, ?, ?, ?, ?, null, null)", rows)

    def spooled(self, shard: int, products: Sequence[tuple[str, bool]]) -> None:
        """Notes that these products, in this order, are to be predicted as a shard.

        Args:
          products: ids, each with whether the next pass may go by the prediction if nothing changes.
        """
        with usable(database_of(self.place), WHAT, THEN), transaction(self._database):
            self._database.executemany(
                "update temp.seen set shard = ?, row = ?, digest = iif(?, digest, x'') where id = ?",
                ((shard, row, is_final, name) for row, (name, is_final) in enumerate(products)),
            )

    def gone(self) -> int:
        """How many products that have a prediction were not seen."""
        return self._value("select count(*) from products where id not in (select id from temp.seen)")

    def begin(self, run: str, model: str) -> None:
        """From here on the predictions change; they are whole again at :meth:`end`."""
        with usable(database_of(self.place), WHAT, THEN), transaction(self._database):
            self._database.execute("insert or replace into pass values (1, ?, ?, null)", (run, model))

    def new_part(self) -> tuple[int, Path]:
        """Number and name of a file that is not there yet."""
        last = self._value("select coalesce(max(seq), 0) from sqlite_sequence where name = 'parts'")
        return last + 1, part_of(self.place, last + 1)

    def take(self, shard: int, part: int, model: str, categories: Sequence[bytes]) -> int:
        """The products of a shard are predicted, and lie in the file ``part`` in the shard's order.

        Args:
          categories: of each product, a digest of them.

        Returns:
          How many of them had other categories before.
        """
        query = "select id, digest, retailer, shown, row from temp.seen where shard = ? order by row"
        with usable(database_of(self.place), WHAT, THEN):
            rows = self._database.execute(query, (shard,)).fetchall()
            before = dict(self._of("id, categories", "products", [row[0] for row in rows]))
            with transaction(self._database):
                self._database.execute("insert into parts values (?, ?)", (part, len(rows)))
                self._database.execute(_OUTDATED.format("temp.seen where shard = ?"), (shard,))
                self._database.executemany(
                    "insert or replace into products values (?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        (name, digest, model, retailer, shown, part, row, own)
                        for (name, digest, retailer, shown, row), own in zip(rows, categories, strict=True)
                    ),
                )
        return sum(before.get(row[0], own) != own for row, own in zip(rows, categories, strict=True))

    def end(self, run: str, model: str) -> None:
        """Every product of the feed is predicted: forgets those that are gone, and renews what is shown of the rest."""
        with usable(database_of(self.place), WHAT, THEN):
            gone = "products where id not in (select id from temp.seen)"
            with transaction(self._database):
                self._database.execute(_OUTDATED.format(gone))
                self._database.execute(f"delete from {gone}")  # noqa: S608 - of words in this file
                self._database.execute(_OUTDATED.format(f"({_SHOWN_ANEW}) where true"))
                self._database.execute(
                    "update products set retailer = s.retailer, shown = s.shown from temp.seen as s"
                    " where s.id = products.id and (s.retailer <> products.retailer or s.shown <> products.shown)"
                )
                self._database.execute("insert or replace into pass values (1, ?, ?, ?)", (run, model, time.time()))
            self.forget_dead_parts()

    def base(self) -> Base | None:
        """The version of the indexes that :meth:`outdated` compares the products with; None: none yet."""
        with usable(database_of(self.place), WHAT, THEN):
            row = self._database.execute("select name, refused from base").fetchone()
        return Base(*row) if row else None

    def take_base(self, name: str, outdated: Iterable[str]) -> None:
        """From here on products are compared with the version ``name``, which has not ``outdated`` as they are."""
        with usable(database_of(self.place), WHAT, THEN), transaction(self._database):
            self._database.execute("delete from outdated")
            self._database.executemany("insert into outdated values (?)", ((id,) for id in outdated))
            self._database.execute("insert or replace into base values (1, ?, null)", (name,))

    def refuse(self, outdated: int) -> None:
        """Notes that indexes were built anew when so many products were outdated, and were not good enough."""
        with usable(database_of(self.place), WHAT, THEN), transaction(self._database):
            self._database.execute("update base set refused = ?", (outdated,))

    def outdated(self) -> list[str]:
        """Ids, in their order, of all products that came, changed or went since the base was made."""
        with usable(database_of(self.place), WHAT, THEN):
            return [name for (name,) in self._database.execute("select id from outdated order by id")]

    def dead(self) -> int:
        """Rows of the files that are no product's prediction any longer."""
        return self._value("select coalesce(sum(products), 0) from parts") - self.products()

    def move(self, part: int, batches: Iterable[Sequence[str]]) -> None:
        """All products lie in the file ``part`` from now on, in the order of these ids."""
        with usable(database_of(self.place), WHAT, THEN):
            with transaction(self._database):
                row = 0
                for ids in batches:
                    places = ((part, row + i, name) for i, name in enumerate(ids))
                    self._database.executemany("update products set part = ?, row = ? where id = ?", places)
                    row += len(ids)
                self._database.execute("insert into parts values (?, ?)", (part, row))
            self.forget_dead_parts()

    def forget_dead_parts(self) -> None:
        """Deletes the files that have no product's prediction any longer."""
        query = "select number from parts where not exists (select 1 from products where part = parts.number)"
        dead = self._database.execute(query).fetchall()
        with transaction(self._database):
            self._database.executemany("delete from parts where number = ?", dead)
        for (number,) in dead:
            part_of(self.place, number).unlink(missing_ok=True)

    def _of(self, columns: str, table: str, ids: Sequence[str]) -> Iterator[tuple]:  # type: ignore[type-arg]
        with usable(database_of(self.place), WHAT, THEN):
            for start in range(0, len(ids), _CHUNK):
                chunk = ids[start : start + _CHUNK]
                marks = ",".join("?" * len(chunk))
                query = f"select {columns} from {table} where id in ({marks})"  # noqa: S608 - of names in this file
                yield from self._database.execute(query, chunk)

    def _value(self, query: str) -> int:
        with usable(database_of(self.place), WHAT, THEN):
            return int(self._database.execute(query).fetchone()[0])
