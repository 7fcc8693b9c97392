"""The rows of a query as JSON Lines: a transaction that cannot write, and memory for some thousand rows."""

from __future__ import annotations

import base64
import datetime
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, CursorResult
from sqlalchemy.exc import SQLAlchemyError

from modules.counting import counted
from modules.databases import said_by, title_of
from modules.errors import InputError, Problem
from modules.feeds.sources.base import Away
from modules.feeds.sources.packed import write_packed
from modules.progress import report

if TYPE_CHECKING:
    from modules.feeds.sources.sql import SqlSource

_ROWS = 1000
"""Rows that are in memory at a time."""
_CONNECT = 10
"""Seconds."""
_EXACT = 2**53
"""Larger integers are text: no reader of JSON numbers has to keep all of their digits."""
_MOST_SAID = 500
_MYSQL = ("mysql", "mariadb")
_MYSQL_JSON = 245
_STEPS = 100_000
"""SQLite's instructions between two looks at the clock."""


def write_rows(settings: SqlSource, url: URL, file: Path) -> None:
    """Writes a gzip file with a JSON object per row. The same rows in the same order are the same bytes.

    Raises:
      InputError: the query gives no rows, or two columns of one name. Away: the database does not answer, or not all.
    """
    deadline = time.monotonic() + settings.deadline
    engine = _engine(url, settings.deadline, deadline)
    try:
        with _reading(engine) as connection, file.open("wb") as raw:
            result = connection.exec_driver_sql(settings.query)
            if not result.returns_rows:
                raise InputError(Problem("", "expected a query that gives rows", key="source.query"))
            try:
                write_packed(_lines(result), raw, settings, deadline, file)
            except BaseException:
                _abandon(engine, connection, result)
                raise
    except (SQLAlchemyError, ImportError) as error:
        if time.monotonic() >= deadline:
            raise settings.too_late() from None
        raise Away(f"{title_of(url)}: {said_by(error, url, _MOST_SAID)}") from None
    finally:
        engine.dispose()


def _abandon(engine: Engine, connection: Connection, result: CursorResult[Any]) -> None:
    """Ends a query whose rows are not wanted any more: MySQL would send all of them before it takes a word."""
    if engine.dialect.name not in _MYSQL:
        result.close()
        return
    driver: Any = connection.connection.driver_connection
    with suppress(SQLAlchemyError):
        with engine.connect() as other:
            other.exec_driver_sql(f"KILL QUERY {int(driver.thread_id())}")
        while result.fetchmany(_ROWS):
            pass


def _lines(result: CursorResult[Any]) -> Iterator[bytes]:
    names = list(result.keys())
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        expected = f"expected another name for each column; {counted(len(twice), 'name')} stand twice"
        hint = "name them with AS"
        raise InputError(Problem("", expected, key="source.query", value=", ".join(twice), hint=hint))
    converters = _converters(result)
    count = 0
    for rows in result.partitions(_ROWS):
        yield b"".join(_line(names, row, converters) for row in rows)
        count += len(rows)
        report(count, 0, "rows of the database")


def _line(names: Sequence[str], row: Sequence[Any], converters: dict[int, Callable[[Any], Any]]) -> bytes:
    values = list(row)
    for number, convert in converters.items():
        values[number] = convert(values[number])
    record = {name: _value(value) for name, value in zip(names, values, strict=True)}
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def _converters(result: CursorResult[Any]) -> dict[int, Callable[[Any], Any]]:
    """MySQL gives a JSON column's text; PostgreSQL's driver its content, and of SQLite it is text like any other."""
    if result.dialect.name not in _MYSQL:
        return {}
    return {number: _parsed for number, column in enumerate(result.cursor.description) if column[1] == _MYSQL_JSON}


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value


def _value(value: Any) -> Any:
    """What orjson would refuse, or write so that a digit is lost."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        return str(value)
    return value if value is None or isinstance(value, str | bool | int | float) else _other(value)


def _other(value: Any) -> Any:
    """Types that JSON has not: exact numbers as numbers, times as ISO 8601, bytes as text or, if they are none, Base64.

    A price with a decimal point would be ambiguous as text: ``1.299`` is a thousand euros in some feeds.
    """
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        whole = value == value.to_integral_value()
        return str(int(value)) if whole and abs(value) > _EXACT else orjson.Fragment(format(value, "f"))
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return base64.b64encode(data).decode()
    if isinstance(value, dict):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item) for item in value]
    return str(value)


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """One state of the database, which the transaction cannot change."""
    options: dict[str, Any] = {"stream_results": True, "max_row_buffer": _ROWS, "no_parameters": True}
    backend = engine.url.get_backend_name()
    if backend == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection:
        if backend in _MYSQL:
            plain = {"stream_results": False}
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY", execution_options=plain)
            start = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
            connection.exec_driver_sql(start, execution_options=plain)
        yield connection


def _engine(url: URL, seconds: float, deadline: float) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return create_engine(url, creator=partial(_sqlite, Path(url.database or ""), deadline))
    if backend == "postgresql":
        given = url.query.get("options", "")
        limit = f"-c statement_timeout={max(1, int(1000 * seconds))}"
        options = f"{given if isinstance(given, str) else ' '.join(given)} {limit}".strip()
        arguments: dict[str, Any] = {"connect_timeout": _CONNECT, "options": options}
    else:
        arguments = {"connect_timeout": _CONNECT, "read_timeout": max(1, math.ceil(seconds))}
    return create_engine(url, connect_args=arguments, hide_parameters=True)


def _sqlite(file: Path, deadline: float) -> sqlite3.Connection:
    """A connection that can neither make the file nor change it, and gives up at the deadline."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_CONNECT)
    connection.execute("PRAGMA query_only = ON")
    connection.set_progress_handler(lambda: time.monotonic() >= deadline, _STEPS)
    # Text that is no UTF-8 comes as bytes.
    connection.text_factory = _text
    return connection


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data
