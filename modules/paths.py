"""Paths as people read them."""

from __future__ import annotations

from pathlib import Path


def near(path: Path) -> str:
    """``path`` relative to the current directory where it lies under it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
