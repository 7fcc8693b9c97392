"""The ``runners.kubeflow`` section."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from modules.settings.kubeflow import ComponentResources, KubeflowSettings, seconds
from pipeline.kubeflow.resources import number_of


@pytest.mark.parametrize(
    ("text", "number"),
    [("4", 4), ("500m", 0.5), ("1.5", 1.5), ("2k", 2e3), ("16G", 16e9), ("16Gi", 2**34), ("3Mi", 3 * 2**20)],
)
def test_quantities(text: str, number: float) -> None:
    assert number_of(text) == number
    assert ComponentResources(memory=text).memory == text


def test_durations() -> None:
    assert [seconds(text) for text in ("30s", "10m", "2h")] == [30, 600, 7200]


def test_a_components_own_settings_win() -> None:
    settings = KubeflowSettings.model_validate(
        {
            "defaults": {"memory": "4Gi", "retries": {"count": 3}, "environment": {"A": "1"}},
            "components": {"Trainer": {"memory": "16Gi", "cache": False, "environment": {}}},
        }
    )
    trainer, other = settings.resources("Trainer"), settings.resources("Evaluator")
    assert (trainer.memory, trainer.cache, trainer.environment) == ("16Gi", False, {})
    assert trainer.retries is not None and trainer.retries.count == 3 and other == settings.defaults


@pytest.mark.parametrize(
    "wrong",
    [
        {"pipeline_root": "/local"},
        {"pipeline_root": "minio:bucket"},
        {"feed": "relative/folder"},
        {"metadata": "nohost"},
        {"defaults": {"memory": "16 GB"}},
        {"defaults": {"timeout": "2 hours"}},
        {"defaults": {"volumes": [{"path": "/x"}]}},
        {"defaults": {"volumes": [{"path": "/x", "claim": "c", "secret": "s"}]}},
        {"defaults": {"volumes": [{"path": "x", "claim": "c"}]}},
        {"defaults": {"tolerations": [{"key": "k", "operator": "Equal"}]}},
        {"defaults": {"environment": {"NO-NAME": "x"}}},
        {"defaults": {"gpu": {"count": 0}}},
        {"defaults": {"nodes": 3}},
    ],
    ids=str,
)
def test_mistakes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KubeflowSettings.model_validate(wrong)
