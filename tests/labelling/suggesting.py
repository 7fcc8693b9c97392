"""Stand-ins for classifiers that are asked for suggestions, and what the store has of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from labelling.store import Store, rows
from labelling.suggesting.asking import Outcome, Task, ask
from modules.errors import InputError
from tests.labelling.shop import TOTES

PATIENT = 60.0
"""Seconds: no test waits for it."""

READING = """
import json, os, sys, time
head, *products = map(json.loads, sys.stdin)
def say(**answer):
    print(json.dumps(answer), flush=True)
"""


def run(store: Store, answerer: Any, **task: Any) -> Outcome:
    return ask(store, Task("parrot", **task), answerer, lambda done, total: None)


def said(store: Store) -> dict[str, tuple[str, str | None]]:
    """Product to value and category of what the log has of the classifier."""
    with store.read() as connection:
        return {row.product_id: (row.value, row.category) for row in rows.read(connection) if row.annotator == "parrot"}


def fails(store: Store, answerer: Any, **task: Any) -> str:
    with pytest.raises(InputError) as caught:
        run(store, answerer, **task)
    assert "Traceback" not in str(caught.value).partition("; it says:")[0]
    return str(caught.value)


def totes(lines: Sequence[Any]) -> bytes:
    return b"".join(orjson.dumps({"product_id": p["product_id"], "category": TOTES}) + b"\n" for p in lines[1:])
