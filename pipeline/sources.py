"""The snapshots of a workflow's sources: taken before a run, and read in place of files by everything behind it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from modules.counting import sized
from modules.errors import InputError, Problem
from modules.feeds.sources.base import Away
from modules.feeds.sources.snapshots import last_snapshot, old_snapshots, take_snapshot
from modules.progress import listening
from pipeline.run_folder import RunFolder

if TYPE_CHECKING:
    from rich.console import Console

    from modules.feeds.sources import Source
    from pipeline.workflow_file import LoadedWorkflow

LAST_SNAPSHOT = "--last-snapshot"


def take_sources(loaded: LoadedWorkflow, console: Console, *, last: bool = False) -> LoadedWorkflow:
    """Takes a snapshot of each source, and says what came; without sources the workflow as it is.

    Args:
      console: where progress and what came is shown.
      last: use the last snapshots, and ask no source.

    Raises:
      InputError: a source gives no feed, or has no snapshot yet.
    """
    problems: list[Problem] = []
    for number, settings in enumerate(loaded.workflow.sources):
        if settings.source is not None:
            try:
                _say_last(loaded, number, console) if last else _take(loaded, number, settings.source, console)
            except InputError as error:
                problems += [_placed(loaded, number, problem) for problem in error.problems]
    if problems:
        raise InputError(problems)
    return loaded


def snapshot_files(loaded: LoadedWorkflow) -> tuple[str | None, ...]:
    """Of each feed the file of its source's last snapshot, None of a feed of files; empty: no feed has a source.

    Files below the base folder are relative to it, since other machines may see that folder elsewhere.

    Raises:
      InputError: a source has no snapshot yet.
    """
    files: list[str | None] = []
    for number, settings in enumerate(loaded.workflow.sources):
        if settings.source is None:
            files.append(None)
            continue
        folder = folder_of(loaded, number)
        snapshot = last_snapshot(folder)
        if snapshot is None:
            command = " ".join(loaded.run_command.split()[2:])
            hint = f"shelfmark validate {command} takes one"
            raise InputError(loaded.problem(_key(loaded, number), "there is no snapshot of it yet", hint=hint))
        path = folder / snapshot.file
        files.append(str(path.relative_to(loaded.folder) if path.is_relative_to(loaded.folder) else path))
    return tuple(files) if any(files) else ()


def folder_of(loaded: LoadedWorkflow, number: int) -> Path:
    """The folder of a source's snapshots."""
    return RunFolder.of(loaded.workflow).sources / (loaded.workflow.sources[number].retailer or "feed")


def obsolete(folder: RunFolder) -> list[Path]:
    """All snapshots but the last one of each source."""
    return [file for own in sorted(folder.sources.glob("*")) if own.is_dir() for file in old_snapshots(own, 1)]


def _take(loaded: LoadedWorkflow, number: int, source: Source, console: Console) -> None:
    folder = folder_of(loaded, number)
    try:
        with (
            console.status(f"asking {source.title()}") as status,
            listening(lambda done, total, text: status.update(f"{done:,} {text}")),
        ):
            snapshot, is_new = take_snapshot(source, folder)
    except Away as away:
        last = last_snapshot(folder)
        hint = away.hint
        if last is not None:
            used = f"{LAST_SNAPSHOT} uses the last snapshot, of {last.when}"
            hint = f"{hint}; {used}" if hint else used
        raise InputError(Problem("", away.why, key="source", hint=hint)) from None
    state = "" if is_new else ", unchanged"
    console.print(f"{_name(loaded, number)}: {sized(snapshot.bytes)} from {source.title()}{state}", soft_wrap=True)


def _say_last(loaded: LoadedWorkflow, number: int, console: Console) -> None:
    snapshot_files(loaded)
    snapshot = last_snapshot(folder_of(loaded, number))
    assert snapshot is not None
    console.print(f"{_name(loaded, number)}: the last snapshot, of {snapshot.when}", soft_wrap=True)


def _placed(loaded: LoadedWorkflow, number: int, problem: Problem) -> Problem:
    """A source's problem at its place in the workflow file."""
    if not problem.key.startswith("source"):
        return problem
    key = _key(loaded, number).removesuffix("source") + problem.key
    placed = loaded.problem(key, problem.expected, problem.value, problem.hint)
    return dataclasses.replace(placed, expected=f"{problem.file}: {problem.expected}") if problem.file else placed


def _key(loaded: LoadedWorkflow, number: int) -> str:
    return f"feeds[{number}].source" if loaded.workflow.feeds else "feed.source"


def _name(loaded: LoadedWorkflow, number: int) -> str:
    return f"feed {loaded.workflow.sources[number].retailer}" if loaded.workflow.feeds else "feed"
