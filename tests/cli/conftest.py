"""What tests of several commands start from."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A workflow file whose runs lie beside it; its feed, taxonomy and rules are not there."""
    (tmp_path / "shop.yaml").write_text(
        "name: shop\nfeed: {files: [feed.csv]}\ntaxonomy: {file: taxonomy.yaml}\nrules: {file: rules.yaml}\n"
        f"runners: {{local: {{folder: {tmp_path / 'runs'}}}}}\n"
    )
    return tmp_path / "shop.yaml"
