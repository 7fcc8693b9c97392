"""A version of a shop's indexes: what belongs together, and the list by which damage to any of it is seen.

Each index has a manifest of its own files. Nothing but this list tells that a whole index, the taxonomy or the model
that embeds queries is gone or has rotted: a server would answer by fewer methods, or with other categories.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from modules.errors import InputError, Problem, reason
from modules.similarity.folder import File, sha256

VERSION_FILE = "version.json"
"""Written last: a version with it is whole, or damaged."""

_FORMAT = "shelfmark index version"
_FILES = TypeAdapter(dict[str, File])
_REPAIR = "the same command will not help; run the workflow again, which pushes a whole version, or bring back a copy"


def version_text(files: Mapping[str, File]) -> str:
    """The content of ``version.json`` for a version with these files."""
    return json.dumps({"format": _FORMAT, "files": dict(sorted(files.items()))}, indent=1, ensure_ascii=False) + "\n"


def check_version(folder: Path) -> None:
    """Compares every file of a version with its list.

    A version without a list, which an older program pushed, or a run's own indexes, pass.

    Raises:
      InputError: the list cannot be read, or a file is missing, differs, or was not pushed.
    """
    place = folder / VERSION_FILE
    try:
        document = json.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            Problem(str(place), f"the list of a version's files ({reason(error)})", hint=_REPAIR)
        ) from None
    try:
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise ValueError
        files = _FILES.validate_python(document.get("files"))
    except (ValidationError, ValueError):
        raise InputError(Problem(str(place), "the list of a version's files", hint=_REPAIR)) from None
    problems = []
    for name, file in files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            problems.append(Problem(str(place), "names of files inside the folder", key=name, hint=_REPAIR))
        elif not path.is_file():
            problems.append(Problem(str(path), "a file of this version; it is missing", hint=_REPAIR))
        elif path.stat().st_size != file["bytes"] or sha256(path) != file["sha256"]:
            problems.append(
                Problem(str(path), f"the checksum that {VERSION_FILE} lists; the file is damaged", hint=_REPAIR)
            )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in files and name != VERSION_FILE and not path.name.startswith("."):
            problems.append(Problem(str(path), "only files that were pushed with this version", hint=_REPAIR))
    if problems:
        raise InputError(problems)
