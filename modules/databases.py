"""Addresses of SQL databases, and what a database says of an error, without its password."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from modules.errors import InputError, Problem, reason, shorten

DRIVERS = {
    "sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql",
}  # fmt: skip
"""Scheme of an address to the database and Python's driver for it."""


def database_url(address: str, key: str) -> URL:
    """The address with the driver that comes with the package.

    Args:
      key: the argument or setting that holds it, for messages.

    Raises:
      InputError: it is none, or names no database.
    """
    expected = "expected an address like postgresql://USER@HOST/DATABASE or sqlite:///FILE"
    try:
        url = make_url(address)
        driver = DRIVERS[url.drivername.partition("+")[0]]
    except (ArgumentError, ValueError, KeyError):
        # It may hold a password.
        raise InputError(Problem("", expected, key=key)) from None
    if not url.database:
        raise InputError(Problem("", expected, key=key))
    return url.set(drivername=driver)


def title_of(url: URL) -> str:
    """The database for people: neither user, password nor parameters."""
    return URL.create(url.get_backend_name(), host=url.host, port=url.port, database=url.database).render_as_string()


def said_by(error: BaseException, url: URL, limit: int) -> str:
    """What the database says, in one line of at most ``limit`` characters and without the password."""
    text = reason(getattr(error, "orig", None) or error, limit)
    password = url.password
    return shorten(text.replace(str(password), "***") if password else text, limit)
