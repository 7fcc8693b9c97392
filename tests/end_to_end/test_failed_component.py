"""A component that fails for a reason that nobody foresaw."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_outside_files import write
from tests.outside import CLASS_NAME

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]


def test_it_is_told_in_a_sentence_with_the_log_and_the_next_command(tmp_path: Path) -> None:
    workflow = write(tmp_path)
    root = tmp_path / "runs" / "shop" / "pipeline"
    root.mkdir(parents=True)
    (root / "ProductExampleGen").write_text("a file where the component makes a folder")
    done = subprocess.run(
        [sys.executable, "-m", "shelfmark", "run", workflow.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert not CLASS_NAME.search(said), said
    (sentence,) = [line for line in said.splitlines() if line.startswith("ProductExampleGen failed: ")]
    assert str(root / "ProductExampleGen") in sentence
    log = re.search(r"^log: (.+)$", said, re.MULTILINE)
    assert log is not None and "Traceback" in (tmp_path / log[1]).read_text()
    assert "shelfmark run shop.yaml" in said
