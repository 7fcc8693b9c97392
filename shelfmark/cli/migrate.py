"""``shelfmark migrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def migrate(
    workflows: Annotated[list[Path], typer.Argument(metavar="WORKFLOW...", help="Workflow files.", show_default=False)],
    write: Annotated[
        bool, typer.Option("--write", help="Write the new files; the old ones are kept beside them as .bak.")
    ] = False,
) -> None:
    """Bring workflow files of older versions to today's shape: shows the new YAML, and says why of each change.

    On a terminal, and of several files, it shows the differences. Exit code 2: a person must decide something; such a
    file is not written.
    """
    import sys

    from modules.errors import InputError, Problem
    from pipeline.migrate import migrate_file, write_file

    problems: list[Problem] = []
    differences = len(workflows) > 1 or sys.stdout.isatty()
    for path in workflows:
        try:
            migrated = migrate_file(path)
            for change in migrated.changes:
                typer.echo(str(change), err=True)
            if migrated.changes:
                typer.echo(_differences(path, migrated.old, migrated.new) if differences else migrated.new, nl=False)
            if migrated.problems:
                problems += migrated.problems
            elif not migrated.changes:
                typer.echo(f"{path}: nothing to do", err=True)
            elif write:
                typer.echo(f"{path}: written; the old file is {write_file(migrated)}", err=True)
            else:
                typer.echo(f"{path}: not written yet; --write writes it", err=True)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def _differences(path: Path, old: str, new: str) -> str:
    """The two texts as a unified diff."""
    import difflib

    from modules.errors import visible

    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), str(path), str(path), lineterm="")
    return "".join(f"{visible(line)}\n" for line in lines)
