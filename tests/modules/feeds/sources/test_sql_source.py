"""Feeds out of databases: real ones, whose rows have to come out as the feed's reader takes them."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from modules.databases import database_url
from modules.errors import InputError
from modules.feeds.mapping import Mapper
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.feeds.sources.base import Away
from modules.feeds.sources.snapshots import last_snapshot, take_snapshot
from modules.feeds.sources.sql import SqlSource
from modules.settings.feed import FeedSettings
from tests.servers import mysql_server, postgres_server

SECRET = "wood-7c1d0a9e55"
ROWS = "SELECT id, title, price FROM products ORDER BY id"
KINDS = [
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.postgres),
    pytest.param("mysql", marks=pytest.mark.mysql),
]
COLUMNS = "id INT PRIMARY KEY, title {}, price {}, made {}, seen DATE, raw {}, more {}, big {}"
TYPES = {
    "sqlite": ("TEXT", "NUMERIC", "TIMESTAMP", "BLOB", "TEXT", "NUMERIC"),
    "postgresql": ("TEXT", "NUMERIC(12,3)", "TIMESTAMP", "BYTEA", "JSONB", "NUMERIC(30)"),
    "mysql": ("TEXT CHARACTER SET utf8mb4", "DECIMAL(12,3)", "DATETIME", "BLOB", "JSON", "DECIMAL(30)"),
}


def execute(address: str, *statements: str) -> None:
    engine = create_engine(database_url(address, "test"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execution_options(no_parameters=True).exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The kind, and the address of an empty database."""
    if request.param == "sqlite":
        yield request.param, f"sqlite:///{tmp_path_factory.mktemp('database') / 'shop.sqlite'}"
        return
    with {"postgresql": postgres_server, "mysql": mysql_server}[request.param]() as url:
        if request.param == "postgresql":
            with psycopg.connect(url.rpartition("/")[0] + "/postgres", autocommit=True) as connection:
                connection.execute("create database shelf")
        yield request.param, url


@pytest.fixture
def database(server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The kind, and the address of a database with three products."""
    kind, address = server
    blob = {"sqlite": "x'ff00'", "postgresql": "'\\xff00'::bytea", "mysql": "x'ff00'"}[kind]
    execute(
        address,
        "DROP TABLE IF EXISTS products",
        f"CREATE TABLE products ({COLUMNS.format(*TYPES[kind])})",
        "INSERT INTO products VALUES (1, 'Red boots, 100% wool', 1.299, '2026-11-30 08:09:10', '2026-11-30', "
        f"""{blob}, '{{"url": "https://shop.example/1"}}', 123456789012345678901234)""",
        "INSERT INTO products VALUES (2, 'Grüne Lampe \u2603', 20, NULL, NULL, NULL, NULL, 7)",
        "INSERT INTO products VALUES (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    )
    monkeypatch.setenv("SHOP_DATABASE", address)
    return server


def source(query: str = ROWS, **more: Any) -> SqlSource:
    return SqlSource(**{"url": "env:SHOP_DATABASE", "query": query, **more})


def rows_of(folder: Path) -> list[dict[str, Any]]:
    snapshot = last_snapshot(folder)
    assert snapshot is not None and snapshot.file.endswith(".jsonl.gz")
    with gzip.open(folder / snapshot.file, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def test_each_type_comes_as_the_reader_takes_it(database: tuple[str, str], tmp_path: Path) -> None:
    kind, _ = database
    folder = tmp_path / "out"
    snapshot = take_snapshot(
        source("SELECT * FROM products WHERE title LIKE '%' OR id = 3 ORDER BY id"), folder
    ).snapshot
    first, second, third = rows_of(folder)
    assert first["id"] == 1 and first["title"] == "Red boots, 100% wool" and first["price"] == 1.299
    assert first["made"].replace("T", " ") == "2026-11-30 08:09:10" and first["seen"] == "2026-11-30"
    assert first["raw"] == "/wA="
    # SQLite has no type for JSON, and MariaDB's is another name for a text.
    more = first["more"] if kind == "postgresql" else json.loads(first["more"])
    assert more == {"url": "https://shop.example/1"}
    if kind != "sqlite":  # which rounds it to a float itself
        assert first["big"] == "123456789012345678901234"
    assert (second["title"], second["price"], second["big"], second["made"]) == ("Grüne Lampe \u2603", 20, 7, None)
    assert set(third.values()) == {3, None}
    # A price of three decimals is one euro and not a thousand, as it could be in a text.
    settings = FeedSettings()
    records = list(read_records(str(folder / snapshot.file), "jsonl", settings))
    assert not any(isinstance(record, BadRecord) for record in records)
    product = Mapper(settings).product(records[0].data)  # type: ignore[union-attr]
    assert product.id == "1" and product.numbers["price"] == pytest.approx(1.299)


def test_the_same_rows_are_the_same_snapshot(database: tuple[str, str], tmp_path: Path) -> None:
    _, address = database
    folder = tmp_path / "out"
    first = take_snapshot(source(), folder)
    again = take_snapshot(source(), folder)
    assert first.is_new and not again.is_new and first.snapshot.file == again.snapshot.file
    execute(address, "UPDATE products SET price = 30 WHERE id = 2")
    changed = take_snapshot(source(), folder)
    assert changed.is_new and [row["price"] for row in rows_of(folder)] == [1.299, 30, None]


WRITES = [
    "DELETE FROM products", "UPDATE products SET title = 'x'", "DROP TABLE products", "CREATE TABLE other (id INT)",
    "INSERT INTO products (id) VALUES (9) RETURNING id",
]  # fmt: skip


def test_a_query_that_writes_is_refused(database: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    before = take_snapshot(source(), folder).snapshot
    for query in WRITES:
        with pytest.raises((Away, InputError)):
            take_snapshot(source(query), folder)
        again = take_snapshot(source(), folder)
        assert again.snapshot.file == before.file and not again.is_new
    with pytest.raises(Away, match="other"):
        take_snapshot(source("SELECT * FROM other"), folder)


def test_a_function_of_the_database_cannot_write_either(database: tuple[str, str], tmp_path: Path) -> None:
    kind, address = database
    if kind != "postgresql":
        pytest.skip("only PostgreSQL has queries that write")
    execute(address, "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM products RETURNING id'")
    with pytest.raises(Away, match="read-only transaction"):
        take_snapshot(source("SELECT wipe() AS id"), tmp_path / "out")
    take_snapshot(source(), tmp_path / "out")
    assert len(rows_of(tmp_path / "out")) == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT id, title AS id, title FROM products", "another name for each column"),
        ("SELECT nothing FROM products", "nothing"),
        ("SELEC 1", "SELEC"),
    ],
)
def test_what_is_wrong_with_a_query_is_said(database: tuple[str, str], tmp_path: Path, query: str, said: str) -> None:
    with pytest.raises((Away, InputError), match=said) as caught:
        take_snapshot(source(query), tmp_path / "out")
    assert "Error" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert last_snapshot(tmp_path / "out") is None
    # The error, which still holds what raised it, keeps no lock.
    execute(database[1], "DROP TABLE products")


SLOW = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n"


def test_a_query_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"sqlite:///{tmp_path / 'shop.sqlite'}")
    sqlite3.connect(tmp_path / "shop.sqlite").close()
    with pytest.raises(Away, match=r"not there within 1 seconds"):
        take_snapshot(source(SLOW, deadline=1.0), tmp_path / "out")


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    wanted = source(url=f"sqlite:///{tmp_path / 'none.sqlite'}")
    with pytest.raises(Away, match="unable to open"):
        take_snapshot(wanted, tmp_path / "out")
    assert not (tmp_path / "none.sqlite").exists()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_password_is_in_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv("SHOP_DATABASE", f"{scheme}://shop:{SECRET}@127.0.0.1:9/shop")
    with pytest.raises(Away) as caught:
        take_snapshot(source(), tmp_path / "out")
    assert SECRET not in caught.value.why and caught.value.why.startswith(f"{scheme}://127.0.0.1:9/shop: ")
    monkeypatch.setenv("SHOP_DATABASE", f"oracle://shop:{SECRET}@host/shop")
    with pytest.raises(InputError, match="an address like") as refused:
        take_snapshot(source(), tmp_path / "out")
    assert SECRET not in str(refused.value)


def numbers(kind: str, count: int) -> str:
    title = "'A product with a title of some length, number '"
    if kind == "postgresql":
        return f"SELECT id, {title} || id AS title FROM generate_series(1, {count}) AS n(id)"
    if kind == "mysql":
        return f"SELECT seq AS id, CONCAT({title}, seq) AS title FROM seq_1_to_{count}"
    recursive = f"WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {count})"
    return f"{recursive} SELECT id, {title} || id AS title FROM n"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(database: tuple[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    tracemalloc.start()
    try:
        snapshot = take_snapshot(source(numbers(database[0], 1_000_000)), folder).snapshot
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The rows are some 200 MB as Python's objects.
    assert peak < 16 * 2**20
    with gzip.open(folder / snapshot.file) as stream:
        assert sum(1 for _ in stream) == 1_000_000


def test_a_feed_that_is_too_large_is_refused(database: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(Away, match="more than 1,024 bytes"):
        take_snapshot(source(numbers(database[0], 20_000), max_bytes=1024), tmp_path / "out")
    assert last_snapshot(tmp_path / "out") is None
