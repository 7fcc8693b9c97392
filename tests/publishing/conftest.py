"""One broker for all tests of this folder, as it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rabbitmq import Broker, rabbitmq_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with rabbitmq_broker() as started:
        yield started
