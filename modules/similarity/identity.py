"""Which model made an embedding."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modules.errors import InputError, Problem
from modules.similarity.folder import sha256


def fingerprint(model: str | Path) -> str:
    """64 hex digits over the names and contents of a SavedModel folder's files; copies have the same.

    Raises:
      InputError: there is no such folder, or no file in it.
    """
    folder = Path(model)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise InputError(Problem(str(folder), "a folder with a model; there is none"))
    total = hashlib.sha256()
    for path in files:
        total.update(f"{path.relative_to(folder).as_posix()}\0{sha256(path)}\n".encode())
    return total.hexdigest()
