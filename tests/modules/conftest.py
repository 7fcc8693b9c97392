"""Fixtures of more than one folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.object_store import ObjectStore, object_store


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """An object store on loopback, to which AWS's and Google's variables lead."""
    with object_store() as made:
        for name, value in made.variables.items():
            monkeypatch.setenv(name, value)
        yield made
