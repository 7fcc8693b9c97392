"""The trained model of the tiny catalogue, by which the days of these tests are predicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daily.shop import Shop
from tests.modules.training.shared import built, exported  # noqa: F401


@pytest.fixture
def shop(tmp_path: Path, exported) -> Shop:  # noqa: F811 - pytest's way
    """A shop with a run whose model was blessed, and no feed yet."""
    return Shop(tmp_path, exported[1])
