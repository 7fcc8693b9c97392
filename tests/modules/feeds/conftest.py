from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest


class Folder:
    """Writes feed files into a test's folder."""

    def __init__(self, path: Path):
        self.path = path

    def jsonl(self, name: str, *rows: Any) -> str:
        """Bytes are written as they are, everything else as JSON."""
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        return self.write(name, b"\n".join(lines) + b"\n")

    def write(self, name: str, content: bytes) -> str:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(target)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
