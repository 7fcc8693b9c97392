from __future__ import annotations

from pathlib import Path

import pytest

from modules.demo import DemoSummary, write_demo


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    """The default catalogue, without images. Tests only read it."""
    return write_demo(tmp_path_factory.mktemp("demo") / "out", images=False)


@pytest.fixture(scope="session")
def output(demo: DemoSummary) -> Path:
    return demo.output
