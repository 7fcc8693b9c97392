"""What stands in a store, asked of the database itself."""

from __future__ import annotations

from sqlalchemy import inspect, text

from labelling.store import Store


def rows_of(place: str) -> dict[str, list[str]]:
    """Table to its rows as the database itself writes them, JSON as its text."""
    with Store(place, create=False) as store, store.read() as connection:
        kept = {}
        for name in inspect(connection).get_table_names():
            columns = [column["name"] for column in inspect(connection).get_columns(name)]
            texts = ", ".join(f"CAST({column} AS TEXT)" for column in columns)
            kept[name] = sorted(map(repr, connection.execute(text(f"SELECT {texts} FROM {name}"))))
    return kept
