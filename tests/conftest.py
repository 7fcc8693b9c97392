"""Tests that need a server or a browser run in `make test-full` alone; elsewhere they are skipped by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browsing import CHROMIUM

NEEDS = {
    "browser": "Chromium",
    "postgres": "a PostgreSQL server",
    "mysql": "a MariaDB server",
    "rabbitmq": "a RabbitMQ broker",
    "opensearch": "an OpenSearch server",
    "kafka": "a Kafka broker",
    "job_server": "Beam's job service in a process of its own",
    "flink": "Beam's Flink job server",
    "label_studio": "a Label Studio server",
    "image_build": "buildah and debootstrap",
    "damage": "minutes of damaged artifacts",
    "attack": "minutes of attacks on a server",
    "storms": "minutes of sign-ins by many people at once",
    "kills": "minutes of kills of runs at random moments",
    "encoder_download": "Maven and its registry",
    "kfp_backend": "Go and the source of Kubeflow Pipelines",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A file is run by one process: the long ones first, so that none of them is left to a single core at the end.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if os.environ.get("SHELFMARK_TEST_FULL"):
        return
    for item in items:
        for marker, what in NEEDS.items():
            if item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"needs {what}: `make test-full` installs and runs it"))


@pytest.fixture(scope="session", autouse=True)
def no_encoders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty store of encoders, of started processes, too: what a machine has changes what `init` writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHELFMARK_ENCODERS", str(tmp_path_factory.mktemp("encoders")))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, headless."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (make test-full installs it)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield found
        found.close()
