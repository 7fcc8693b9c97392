"""Runs whose feed is a query: the same rows are not read twice, changed rows are not, and no secret stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.workflow_file import REPOSITORY
from tests.end_to_end.test_demo_run import states

pytestmark = pytest.mark.slow

SECRET = "wood-7c1d0a9e55"
WORDS = {"Shoes > Boots": "boot", "Shoes > Sandals": "sandal", "Bags > Totes": "tote", "Bags > Packs": "pack"}
OTHERS = ("brand", "raw_category", "gender", "size", "color", "availability", "image", "retailer", "url")
WORKFLOW: dict[str, Any] = {
    "name": "shop",
    "feed": {
        "source": {"kind": "sql", "url": "env:SHOP_DATABASE", "query": "SELECT * FROM products ORDER BY id"},
        "fields": {"truth": "kind", "description": None, "currency": None, **dict.fromkeys(OTHERS)},
    },
    "taxonomy": {"from_truth": True},
    "labels": {"truth": {"evaluate": True}},
    "features": {"title": {"kind": "text", "vocabulary": 200}},
    "evaluation": {"thresholds": {"exclusive": {"accuracy": 0.5}}},
    "sampling": None,
}


def shelfmark(folder: Path, *arguments: str, code: int = 0) -> str:
    address = f"sqlite:///{folder / 'shop.sqlite'}?password={SECRET}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "shelfmark", *arguments], cwd=folder, capture_output=True, text=True, timeout=900,
        env={**environment, "SHOP_DATABASE": address},
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert done.returncode == code and "Traceback" not in said and SECRET not in said, said
    return said


def test_a_run_and_its_repetition_and_a_day(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    kinds = [list(WORDS)[rng.integers(4)] for _ in range(600)]
    rows = [(i, f"{WORDS[kind]} model {i}", i / 8, kind) for i, kind in enumerate(kinds)]
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database, database:
        database.execute("CREATE TABLE products (id INTEGER, title TEXT, price NUMERIC, kind TEXT)")
        database.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", rows)
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(WORKFLOW))

    said = shelfmark(tmp_path, "run", "shop.yaml")
    assert f"from sqlite:///{tmp_path / 'shop.sqlite'}\n" in said
    assert set(states(said).values()) == {"done"}
    again = states(shelfmark(tmp_path, "run", "shop.yaml"))
    assert again["ProductExampleGen"] == again["Trainer"] == "unchanged"

    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as database, database:
        database.execute("INSERT INTO products VALUES (600, 'boot model 600', 1.5, 'Shoes > Boots')")
        database.execute("UPDATE products SET title = 'tote model 0' WHERE id = 0")
    said = shelfmark(tmp_path, "predict", "--workflow", "shop.yaml")
    assert "601 products: 601 new, 0 changed, 0 unchanged, 0 gone" in said
    (tmp_path / "shop.sqlite").rename(tmp_path / "away.sqlite")
    said = shelfmark(tmp_path, "predict", "--workflow", "shop.yaml", code=2)
    assert "shop.yaml" in said and "--last-snapshot uses the last snapshot" in said
    said = shelfmark(tmp_path, "predict", "--workflow", "shop.yaml", "--last-snapshot")
    assert "601 products: 0 new, 0 changed, 601 unchanged, 0 gone" in said

    files = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert any(file.name == "metadata.sqlite" for file in files)
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
