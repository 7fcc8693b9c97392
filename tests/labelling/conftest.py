"""Stores on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from labelling.store import Store
from labelling.suggesting.command import Command
from tests.labelling import shop
from tests.labelling.suggesting import PATIENT, READING
from tests.servers import postgres_server

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty store is to be, in either database."""
    if request.param == "sqlite":
        return str(tmp_path / "labels.sqlite")
    url: str = request.getfixturevalue("postgres_url")
    name = f"store{next(_numbers)}"
    server = url.rpartition("/")[0]
    engine = create_engine(f"{server}/postgres".replace(":", "+psycopg:", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


@pytest.fixture
def clock() -> Callable[[], int]:
    """Microseconds that go on by a second at each look."""
    return itertools.count(1_800_000_000_000_000, 1_000_000).__next__


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Store]:
    """A store in a file with an open batch of five."""
    with Store(str(tmp_path / "labels.sqlite")) as store:
        shop.fill(store, shop.batch(5))
        yield store


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Command]:
    """Makes a classifier of the lines of a Python program."""

    def make(lines: str, timeout: float = PATIENT) -> Command:
        file = tmp_path / "classifier.py"
        file.write_text(READING + lines, "utf-8")
        return Command(f"'{sys.executable}' '{file}'", timeout)

    return make
