"""The demo catalogue as a workflow's feed: written when it is not there, or was made with other settings."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.settings.feed import DemoSettings
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console

STAMP = ".demo.json"
"""Lies in the catalogue's folder and says how it was made. A folder without it is somebody's own and is left alone."""

FORMAT = 1
"""Raised when the generator's output changes, so that catalogues of older versions are written anew."""


def ensure_demo(loaded: LoadedWorkflow, console: Console | None = None) -> bool:
    """Writes the catalogue that ``feed.demo`` asks for into the base folder, unless it is there already.

    Returns:
      Whether it was written.

    Raises:
      InputError: the folder holds something else.
    """
    settings = loaded.workflow.feed.demo
    if settings is None or _stamp_of(loaded.folder) == _stamp(settings):
        return False
    write_demo_folder(loaded.folder, settings, console)
    return True


def write_demo_folder(folder: Path, settings: DemoSettings, console: Console | None = None) -> str:
    """Writes a catalogue beside ``folder`` and moves it there in one step; an older catalogue is replaced.

    Returns:
      One line that says what was written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(Problem(str(folder), "expected a folder, or nothing yet"))
    if folder.is_dir() and any(folder.iterdir()) and _stamp_of(folder) is None:
        expected = "expected an empty folder or an older demo catalogue; nothing of yours is overwritten"
        raise InputError(Problem(str(folder), expected, hint="name another folder"))
    folder = Path(os.path.abspath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        summary = _write(fresh / "new", settings, console)
        (fresh / "new" / STAMP).write_text(json.dumps(_stamp(settings)) + "\n", "utf-8")
        if folder.exists():
            folder.rename(fresh / "old")
        (fresh / "new").rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return f"{folder}: {counted(settings.products, 'product')}, seed {settings.seed} ({summary})"


def _write(output: Path, settings: DemoSettings, console: Console | None) -> str:
    from modules.demo import write_demo

    options: dict[str, Any] = {"products": settings.products, "seed": settings.seed, "images": settings.images}
    output.mkdir()
    if console is None or not console.is_terminal:
        summary = write_demo(output, **options)
    else:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("demo catalogue"), BarColumn(), MofNCompleteColumn(), TextColumn("products"))
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=settings.products)

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            summary = write_demo(output, **options, progress=show)
    labels = counted(sum(summary.labels.values()), "label")
    return f"{labels}, {counted(summary.rules, 'rule')}, {counted(summary.categories, 'category')}"


def _stamp(settings: DemoSettings) -> dict[str, Any]:
    return {"format": FORMAT, **settings.model_dump()}


def _stamp_of(folder: Path) -> dict[str, Any] | None:
    """None where there is no stamp; a stamp that cannot be read is an empty one: a catalogue, but not this one."""
    try:
        stamp = json.loads((folder / STAMP).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}
