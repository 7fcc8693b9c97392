"""``shelfmark migrate``: workflow files of older versions, brought to today's shape."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from modules.errors import InputError, Problem, reason
from pipeline.migrations import migrate_text
from pipeline.settings_errors import validate_data
from pipeline.workflow_file import read_text
from pipeline.yaml_tree import KeyPath, read_tree

_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}".encode()
"""The byte order mark that some editors write, which the text is read without."""


@dataclass(frozen=True)
class MigratedFile:
    """A workflow file and what it becomes.

    Attributes:
      path: of the file.
      old, new: its text before and after.
      changes: each change, at its line.
      problems: what a person must decide or mend before the file is written.
    """

    path: Path
    old: str
    new: str
    changes: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def migrate_file(path: Path) -> MigratedFile:
    """What becomes of the workflow file at ``path``, which is left as it is.

    The files that the workflow names are not looked at.

    Raises:
      InputError: the file cannot be read.
    """
    text = read_text(path)
    migration = migrate_text(text, str(path))
    problems = list(migration.decisions)
    decided = {problem.key for problem in problems}
    problems += [problem for problem in _problems(migration.text, path) if problem.key not in decided]
    return MigratedFile(path, text, migration.text, list(migration.changes), problems)


def _problems(text: str, path: Path) -> list[Problem]:
    """What is wrong with a workflow, the files that it names aside."""
    tree = read_tree(text, str(path))
    if tree.problems:
        return tree.problems
    if not isinstance(tree.data, dict):
        return [Problem(str(path), "expected a mapping of settings (name: ..., feed: ..., ...)", line=1)]

    def place(key: KeyPath) -> tuple[str, int | None]:
        return str(path), tree.line_of(key)

    return validate_data(tree.data, place)[1]


def write_file(migrated: MigratedFile) -> Path:
    """Writes the new text in place of the old one, in one step.

    Returns:
      The copy of the old file: ``<name>.bak``, or with a number behind it where such a file is there already.

    Raises:
      InputError: the file has changed since it was read, or the folder cannot be written to.
    """
    path = migrated.path.resolve()
    try:
        before = path.read_bytes()
        mark = _MARK if before.startswith(_MARK) else b""
        if before != mark + migrated.old.encode():
            raise InputError(Problem(str(migrated.path), "changed while it was migrated", hint="run the command again"))
        backup = keep_copy(path, before)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(mark + migrated.new.encode())
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, path.stat().st_mode)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(Problem(str(migrated.path), f"cannot be written: {reason(error)}")) from None
    return backup


def keep_copy(path: Path, content: bytes) -> Path:
    """Writes the copy of the old file under a name that is free, with the rights of the file."""
    for number in count():
        backup = path.with_name(f"{path.name}.bak{number or ''}")
        try:
            backup.touch(path.stat().st_mode & 0o777, exist_ok=False)
        except FileExistsError:
            continue
        backup.write_bytes(content)
        return backup
    raise AssertionError("numbers do not end")
