"""Shows what a retention lets go, and lets it go. The caller holds the run folder's lock."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from modules.counting import counted, sized
from modules.errors import InputError, Problem, reason
from modules.feeds.sources.snapshots import remove as remove_snapshots
from modules.paths import near
from modules.settings.retention import RetentionSettings
from pipeline.cleaning import Retention, removable, remove
from pipeline.run_folder import RunFolder
from pipeline.sources import obsolete
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console


def clean_folder(
    loaded: LoadedWorkflow, settings: RetentionSettings, console: Console, *, dry_run: bool = False, short: bool = False
) -> None:
    """Deletes what the retention lets go.

    Args:
      dry_run: delete nothing.
      short: a line in place of the table; none if there is nothing.

    Raises:
      InputError: ML Metadata cannot be read or written to.
    """
    folder = RunFolder.of(loaded.workflow)
    folders = removable(folder, loaded.workflow.name, Retention(settings.runs, settings.seconds()), time.time())
    if folders and not short:
        from rich.table import Table

        from modules.reporting.console import show, text

        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("what", "run", "size"):
            table.add_column(heading, justify="right" if heading == "size" else "left")
        table.add_column("folder", overflow="fold")
        for removed in folders:
            table.add_row(text(removed.what), text(removed.run), sized(removed.bytes), text(near(removed.path)))
        show(console, table)
    if not dry_run:
        remove(folder, folders)
    if folders or not short:
        total = sized(sum(removed.bytes for removed in folders))
        done = "would be deleted" if dry_run else "deleted"
        console.print(f"retention: {counted(len(folders), 'folder')} of older runs {done}, {total}", soft_wrap=True)


def clean_encodings(loaded: LoadedWorkflow, console: Console, *, dry_run: bool = False) -> None:
    """Deletes the run folder's cache of texts' vectors; one that the workflow names may be others' too, and stays.

    Raises:
      InputError: a file cannot be deleted.
    """
    cache = RunFolder.of(loaded.workflow).encodings
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    if cache.is_dir() and not dry_run:
        try:
            shutil.rmtree(cache)
        except OSError as error:
            raise InputError(Problem(str(cache), f"cannot be deleted: {reason(error)}")) from error
    done = "would be deleted" if dry_run else "deleted"
    console.print(f"cache of texts' vectors: {sized(size)} {done}", soft_wrap=True)


def clean_sources(loaded: LoadedWorkflow, console: Console, *, dry_run: bool = False) -> None:
    """Deletes all snapshots of feeds' sources but the last one of each.

    Raises:
      InputError: a file cannot be deleted.
    """
    files = obsolete(RunFolder.of(loaded.workflow))
    size = sum(file.stat().st_size for file in files)
    if not dry_run:
        try:
            remove_snapshots(files)
        except OSError as error:
            place = str(error.filename or "")
            raise InputError(Problem(place, f"cannot be deleted: {reason(error)}")) from error
    done = "would be deleted" if dry_run else "deleted"
    console.print(f"snapshots of sources: {counted(len(files), 'file')} {done}, {sized(size)}", soft_wrap=True)
