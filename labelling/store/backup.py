"""A backup of a store: one file, the same for SQLite and PostgreSQL, and the way back from it.

The file is gzip-compressed JSON Lines. The first line is ``{"format": "shelfmark label store", "version": 1, "schema":
...}``, with the Alembic revision of the tables. Of each table comes ``{"table", "columns"}``, then a list of values per
row. The last line is ``{"rows": {table: count}, "sha256"}``, with the SHA-256 of all bytes of text before it. Columns
of JSON are kept as the text that the database holds. The same state of a store gives the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import JSON, Column, Connection, MetaData, Table, Text, bindparam, cast, func, inspect, literal, select
from sqlalchemy import insert as insert_into
from sqlalchemy.exc import DBAPIError, StatementError

from labelling.store.database import Store
from labelling.store.migrate import check_revision, upgrade
from labelling.store.tables import metadata
from modules.errors import InputError, Problem, reason
from modules.progress import report

FORMAT, VERSION = "shelfmark label store", 1
CHUNK = 1000
CHUNK_BYTES = 16 << 20
"""Bytes of rows that are held at once while a backup is read, beyond those of one line."""
LONGEST = 256 << 20
"""Bytes of a line; a taxonomy is the longest value."""


@dataclass(frozen=True)
class Backup:
    """What a backup holds.

    Attributes:
      schema: the Alembic revision of its tables. rows: table to how many rows it has.
    """

    schema: str
    rows: dict[str, int]

    @property
    def total(self) -> int:
        """Rows of all tables."""
        return sum(self.rows.values())


def back_up(store: Store, file: Path) -> Backup:
    """Writes one state of the store, whatever others write meanwhile, and reads the file again.

    Args:
      store: people may go on labelling in it.
      file: replaced as a whole at the end; only its owner may read it, since it holds the hashes of passwords.

    Raises:
      InputError: the file is the store's own, cannot be written, or its disk gives back something else.
      Unavailable: the store cannot be read.
    """
    if store.is_at(file):
        expected = "expected another file than the label store's own, which the backup would replace"
        raise InputError(Problem(str(file), expected, hint="name a file such as labels.jsonl.gz"))
    with _replaced(file) as part:
        with part.open("wb") as plain:
            # Neither a name nor a time goes into its header.
            with store.read() as connection, gzip.GzipFile("", "wb", 6, plain, mtime=0) as stream:
                _write(connection, stream)
            plain.flush()
            os.fsync(plain.fileno())
        written = check(part)
    return written


def check(file: Path) -> Backup:
    """Reads a backup to its end.

    Raises:
      InputError: it cannot be read, is none, is cut short, or was changed.
    """
    reader = _Reader(file)
    for _ in reader.tables():
        pass
    return Backup(reader.schema, reader.rows)


def restore(place: str, file: Path) -> Backup:
    """Puts a backup into a store without rows, made where there is none: all of it, or nothing.

    A backup of an older version of Shelfmark is restored as it was, then brought up to date.

    Args:
      place: of the store, in either database.
      file: a backup, of a store in either database.

    Raises:
      InputError: the file is no whole backup, a newer version wrote it, or the store has rows.
      Unavailable: the store cannot be written to.
    """
    backup = check(file)
    check_revision(backup.schema, str(file), "backup")
    with Store(place, schema=backup.schema) as store:
        try:
            with store.write() as connection:
                _refuse_rows(connection, store, backup.schema)
                _fill(connection, _Reader(file), backup.total)
        # Drivers let pass as they are what comes of numbers beyond 64 bits, and of half surrogates.
        except (DBAPIError, StatementError, OverflowError, UnicodeError) as error:
            raise InputError(Problem(str(file), f"does not fit a label store: {reason(error)}")) from None
        upgrade(store.engine, store.name)
    return backup


def _write(connection: Connection, stream: gzip.GzipFile) -> None:
    digest = hashlib.sha256()

    def line(value: object) -> None:
        data = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        digest.update(data)
        stream.write(data)

    revision = MigrationContext.configure(connection).get_current_revision()
    line({"format": FORMAT, "version": VERSION, "schema": revision})
    # Those that others refer to come first.
    tables = metadata.sorted_tables
    total = sum(connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
    rows: dict[str, int] = {}
    done = 0
    for table in tables:
        line({"table": table.name, "columns": [column.name for column in table.columns]})
        columns = [cast(column, Text) if isinstance(column.type, JSON) else column for column in table.columns]
        count = 0
        query = select(*columns).order_by(*table.primary_key)
        for row in connection.execute(query, execution_options={"yield_per": CHUNK}):
            line(list(row))
            count += 1
            if (done + count) % CHUNK == 0:
                report(done + count, total, "rows written")
        rows[table.name] = count
        done += count
    line({"rows": rows, "sha256": digest.hexdigest()})


class _Reader:
    """Streams a backup, and compares it with its checksum and its counts.

    Attributes:
      schema: of its first line, which is read at once.
      rows: counts per table, complete when :meth:`tables` has ended.
    """

    def __init__(self, file: Path):
        self._file, self._digest, self._bytes = file, hashlib.sha256(), 0
        self.rows: dict[str, int] = {}
        self._lines = self._read()
        head = next(self._lines, None)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise self._wrong("expected a backup that `shelfmark label backup` wrote")
        if head.get("version") != VERSION or not isinstance(head.get("schema"), str):
            hint = "install the version that wrote it, or a newer one"
            raise InputError(Problem(str(file), "another version of Shelfmark wrote this backup", hint=hint))
        self.schema: str = head["schema"]

    def tables(self) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
        """(table, its columns, up to :data:`CHUNK` rows of some :data:`CHUNK_BYTES`), no rows where a table begins.

        Raises:
          InputError: the file is cut short, or was changed.
        """
        name, columns = "", list[str]()
        rows: list[list[Any]] = []
        before = self._digest.hexdigest()
        for line in self._lines:
            if isinstance(line, list) and name and len(line) == len(columns):
                rows.append(line)
                self.rows[name] += 1
                if len(rows) == CHUNK or self._bytes > CHUNK_BYTES:
                    yield name, columns, rows
                    rows, self._bytes = [], 0
            elif isinstance(line, dict):
                if rows:
                    yield name, columns, rows
                    rows = []
                if "sha256" in line:
                    if line != {"rows": self.rows, "sha256": before} or next(self._lines, None) is not None:
                        raise self._wrong("the backup was changed: its checksum is another")
                    return
                name, columns = self._begun(line)
                yield name, columns, rows
            else:
                raise self._wrong("the backup is damaged: a line is no row of its table")
            before = self._digest.hexdigest()
        raise self._wrong("the backup is cut short: its last line is missing")

    def _begun(self, line: dict[str, Any]) -> tuple[str, list[str]]:
        name, columns = line.get("table"), line.get("columns")
        if not isinstance(name, str) or name in self.rows or not isinstance(columns, list) or not columns:
            raise self._wrong("the backup is damaged: a line names no table")
        if not all(isinstance(column, str) for column in columns):
            raise self._wrong("the backup is damaged: a column has no name")
        self.rows[name] = 0
        return name, columns

    def _read(self) -> Iterator[Any]:
        try:
            with gzip.open(self._file, "rb") as stream:
                while data := stream.readline(LONGEST + 1):
                    if len(data) > LONGEST:
                        raise self._wrong(f"a line is longer than {LONGEST >> 20} MiB")
                    self._digest.update(data)
                    self._bytes += len(data)
                    yield json.loads(data)
        except EOFError:
            raise self._wrong("the backup is cut short") from None
        except (ValueError, gzip.BadGzipFile, zlib.error, RecursionError) as error:
            raise self._wrong(f"no backup, or a damaged one: {reason(error)}") from None
        except OSError as error:
            raise InputError(Problem(str(self._file), f"cannot be read: {reason(error)}")) from None

    def _wrong(self, expected: str) -> InputError:
        return InputError(Problem(str(self._file), expected, hint="take another backup"))


def _refuse_rows(connection: Connection, store: Store, schema: str) -> None:
    """Refuses a store that has rows, or tables of another revision than the backup's."""
    there = set(inspect(connection).get_table_names())
    for table in metadata.sorted_tables:
        if table.name in there and connection.scalar(select(literal(1)).select_from(table).limit(1)) is not None:
            expected = "expected an empty label store: this one has rows, which a backup is never mixed with"
            raise InputError(Problem(store.name, expected, hint="name another file or database by --store"))
    if MigrationContext.configure(connection).get_current_revision() != schema:
        expected = "this store's tables are empty, but of another version of Shelfmark than the backup"
        raise InputError(Problem(store.name, expected, hint="name a file or database without tables by --store"))


def _fill(connection: Connection, reader: _Reader, total: int) -> None:
    schema = MetaData()
    schema.reflect(connection)
    done = 0
    for name, columns, rows in reader.tables():
        table = schema.tables.get(name)
        if table is None or set(columns) != set(table.columns.keys()):
            raise InputError(Problem("", f"expected a table of label stores with its columns; {name!r} is none"))
        if rows:
            connection.execute(
                _insertion(table, columns, connection), [dict(zip(columns, row, strict=True)) for row in rows]
            )
            done += len(rows)
            report(done, total, "rows restored")
    if connection.dialect.name == "postgresql":
        for table in schema.sorted_tables:
            _count_on(connection, table)


def _insertion(table: Table, columns: list[str], connection: Connection) -> Any:
    """Inserts rows whose JSON is text."""

    def value(column: Column[Any]) -> Any:
        if not isinstance(column.type, JSON):
            return bindparam(column.name, type_=column.type)
        as_text = bindparam(column.name, type_=Text)
        # SQLite keeps JSON as text anyway, and would make a number of a text like 12 here.
        return as_text if connection.dialect.name == "sqlite" else cast(as_text, JSON)

    return insert_into(table).values({name: value(table.columns[name]) for name in columns})


def _count_on(connection: Connection, table: Table) -> None:
    """Has PostgreSQL number new rows behind those that brought their numbers along."""
    column = table.autoincrement_column
    if column is not None:
        newest = connection.scalar(select(func.max(column)))
        if newest is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(select(func.setval(sequence, newest)))


@contextmanager
def _replaced(file: Path) -> Iterator[Path]:
    """A new file beside ``file``, for its owner alone, which takes its place when the block ends without an error."""
    if file.exists() and not file.is_file():
        raise InputError(Problem(str(file), "cannot be written: expected no folder or device, but a file"))
    try:
        handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}-")
        os.close(handle)
    except OSError as error:
        raise InputError(Problem(str(file), f"cannot be written: {error.strerror}")) from None
    part = Path(name)
    try:
        yield part
        os.replace(part, file)
    except OSError as error:
        raise InputError(Problem(str(file), f"cannot be written: {reason(error)}")) from None
    finally:
        part.unlink(missing_ok=True)
