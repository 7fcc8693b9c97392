"""A user's own files: `init` looks at them, and the workflow that it writes runs as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.workflow_file import REPOSITORY

pytestmark = pytest.mark.slow
FOLDER = Path(os.environ.get("SHELFMARK_DATA_FLIPKART_1050") or REPOSITORY.parent / "shared" / "data" / "flipkart_1050")


@pytest.mark.skipif(
    not FOLDER.is_dir(),
    reason="the catalogue flipkart_1050 is not here; name its folder in SHELFMARK_DATA_FLIPKART_1050",
)
def test_init_then_run_without_touching_a_file(tmp_path: Path) -> None:
    feed = next(FOLDER.glob("products.jsonl*"))

    def shelfmark(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "shelfmark", *arguments], cwd=tmp_path, capture_output=True, text=True,
            timeout=900, env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    shelfmark("init", str(feed), "--output", "shop", "--name", "shop")
    written = tmp_path / "shop" / "shop.yaml"
    shelfmark("run", str(written))
    metrics = json.loads(shelfmark("metrics", "--workflow", str(written), "--json"))

    import pyarrow.dataset as ds

    predictions = next((tmp_path / "runs" / "shop" / "pipeline" / "Predictor" / "predictions").iterdir())
    table = ds.dataset(predictions / "Split-test").to_table(columns=["exclusive/label", "exclusive/classes"])
    label = table["exclusive/label"].to_pylist()
    best = [row[0] for row in table["exclusive/classes"].to_pylist()]
    known = [pair for pair in zip(label, best, strict=True) if pair[0] >= 0]
    assert len(known) > 100
    # 136 categories; the largest holds less than a fifth of the products.
    assert sum(a == b for a, b in known) / len(known) > 0.5
    assert "exclusive" in json.dumps(metrics)
