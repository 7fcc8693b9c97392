"""The evaluation notebook's cells run from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "evaluation.ipynb"


def test_the_notebook_shows_an_evaluation(evaluation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALUATION", evaluation)
    names: dict[str, Any] = {}
    cells = [cell for cell in json.loads(NOTEBOOK.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells):
        assert not cell["outputs"], "the notebook is kept without outputs"
        exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, cell {number}", "exec"), names)
    assert names["objectives"] == ["exclusive", "tags", "yes_no"]
    # TFMA's widgets, with the data that they draw.
    assert [row["slice"] for row in names["overall"].data] == ["Overall"]
    assert {row["slice"] for row in names["sliced"].data} == {f"retailer:shop {i}" for i in range(4)}
    assert names["plots"][0].data["calibrationHistogramBuckets"]["buckets"]
    assert names["categories"]["Shoes > Boots"]["support"] > 0
