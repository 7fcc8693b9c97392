"""One evaluation for all tests that read one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.components import evaluation_data


@pytest.fixture(scope="session")
def data() -> evaluation_data.Data:
    return evaluation_data.make_data()


@pytest.fixture(scope="session")
def examples(data: evaluation_data.Data, tmp_path_factory: pytest.TempPathFactory) -> str:
    import tfx.v1  # noqa: F401  (before TFMA, whose names it mends)

    return evaluation_data.write_examples(data, tmp_path_factory.mktemp("examples") / "examples.tfrecord")


@pytest.fixture(scope="session")
def thresholds() -> dict[str, Any]:
    from components.evaluation.objectives import ObjectiveThresholds

    exclusive = ObjectiveThresholds(
        accuracy=0.5, category_f1={"Shoes > Boots": 0.99, "c3": 0.01}, category_min_support=20, rest_f1=0.999
    )
    return {"exclusive": exclusive, "tags": ObjectiveThresholds(micro_f1=0.01)}


@pytest.fixture(scope="session")
def evaluation(examples: str, thresholds: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Both objectives, sliced by retailer, evaluated by the batch; the folder."""
    config = evaluation_data.config(("retailer",), thresholds)
    return evaluation_data.evaluate(examples, config, tmp_path_factory.mktemp("evaluation") / "out")


@pytest.fixture
def store_uri(tmp_path: Path) -> str:
    return str(tmp_path / "metadata.sqlite")
