"""One broker of each kind and one search server for all tests of this folder, as they take seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.kafka_server import KafkaBroker, kafka_broker
from tests.opensearch_server import SearchServer, opensearch_server
from tests.rabbitmq import Broker, rabbitmq_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    with rabbitmq_broker() as started:
        yield started


@pytest.fixture(scope="session")
def search_server() -> Iterator[SearchServer]:
    with opensearch_server() as started:
        yield started


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaBroker]:
    with kafka_broker() as started:
        yield started
