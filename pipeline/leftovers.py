"""What runs that were killed left behind, and its removal at the next start. The caller holds the run folder's lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from components.class_metrics.store import open_store
from modules.counting import counted
from modules.paths import near
from pipeline.run_folder import RunFolder

_SYSTEM = ".system"
"""TFX's folder of a component for what lasts as long as an execution."""
_ASKED = 1000
"""Ids in one question to ML Metadata."""


def clear(folder: RunFolder, pipeline: str) -> str:
    """Ends what ML Metadata believes to be under way, and removes what no finished execution made.

    Only folders of the form that runs give them are touched: ``<component>/<output>/<execution>`` in the pipeline root,
    temporary ones of pushes. Artifacts that ML Metadata knows nothing of, because its database is another or lost, are
    moved aside, since a new execution of the same number would mix its files with theirs.

    Returns:
      What was done, as one sentence; empty: there was nothing.
    """
    store = open_store(folder.metadata, write=True)
    ended = _end(store, folder, pipeline, "FAILED")
    folders = list(_execution_folders(folder.root))
    states = _states(store, folders)
    removed, unknown = [], []
    for path in folders:
        state = states.get(int(path.name))
        if state is None:
            unknown.append(path)
        elif state not in ("COMPLETE", "CACHED"):
            removed.append(path)
    half = [*_half_pushed(folder.pushed, "saved_model.pb"), *_half_pushed(folder.pushed_indexes)]
    _remove([*removed, *half, *_system_folders(folder.root)])
    done = []
    if ended:
        done.append(f"{counted(len(ended), 'execution')} set to failed")
    if removed:
        done.append(f"{counted(len(removed), 'unfinished folder')} removed")
    if half:
        done.append(f"{counted(len(half), 'half push', 'half pushes')} removed")
    if unknown:
        aside = _move_aside(folder, unknown)
        done.append(f"{counted(len(unknown), 'folder')} that {_shown(folder)} does not know moved to {near(aside)}")
    return f"cleared what an earlier run left: {', '.join(done)}" if done else ""


def cancel(folder: RunFolder, pipeline: str) -> None:
    """Marks what this run had under way as cancelled, and removes what that had written."""
    store = open_store(folder.metadata, write=True)
    ended = _end(store, folder, pipeline, "CANCELED")
    _remove([path for path in _execution_folders(folder.root) if int(path.name) in ended])
    _remove(_system_folders(folder.root))


def _end(store: Any, folder: RunFolder, pipeline: str, state: str) -> list[int]:
    """Gives the executions of this run folder that are under way another state; returns their ids.

    A database on a server may hold runs of the same workflow from other machines, which are under way there.
    """
    from ml_metadata.metadata_store.metadata_store import ListOptions
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    # Asked so, it takes milliseconds; to list the executions of a thousand runs takes seconds.
    query = (
        "(last_known_state = RUNNING OR last_known_state = NEW) "
        f'AND contexts_p.type = "pipeline" AND contexts_p.name = "{pipeline}"'
    )
    executions = store.get_executions(list_options=ListOptions(filter_query=query))
    if folder.metadata_url is not None:
        executions = [execution for execution in executions if _is_own(store, folder, execution.id)]
    for execution in executions:
        execution.last_known_state = pb.Execution.State.Value(state)
    if executions:
        store.put_executions(executions)
    return [execution.id for execution in executions]


def _is_own(store: Any, folder: RunFolder, execution: int) -> bool:
    contexts = store.get_contexts_by_execution(execution)
    return any((folder.logs / f"{context.name}.log").exists() for context in contexts if context.type == "pipeline_run")


def _states(store: Any, folders: list[Path]) -> dict[int, str]:
    """State of the executions that folders are named after, of all pipelines: ids are those of the whole database."""
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    ids = sorted({int(path.name) for path in folders})
    executions = [
        execution
        for start in range(0, len(ids), _ASKED)
        for execution in store.get_executions_by_id(ids[start : start + _ASKED])
    ]
    return {execution.id: pb.Execution.State.Name(execution.last_known_state) for execution in executions}


def _execution_folders(root: Path) -> Iterator[Path]:
    for path in sorted(root.glob("*/*/*")):
        component, output = path.parent.parent, path.parent
        # More digits than an id of ML Metadata has are somebody else's.
        numbered = path.name.isascii() and path.name.isdigit() and len(path.name) < 19
        if numbered and output.name != _SYSTEM and not any(folder.is_symlink() for folder in (component, output, path)):
            yield path


def _system_folders(root: Path) -> Iterator[Path]:
    return (path for path in root.glob(f"*/{_SYSTEM}") if not path.parent.is_symlink())


def _half_pushed(folder: Path, last: str | None = None) -> Iterator[Path]:
    """Temporary folders of pushes in a run's own place; with ``last``, versions without the file written last."""
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        number = path.name.removeprefix(".").removesuffix(".part")
        if path.is_symlink() or not path.is_dir() or not number.isdigit():
            continue
        if path.name == f".{number}.part" or (last is not None and path.name == number and not (path / last).exists()):
            yield path


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)


def _move_aside(folder: RunFolder, paths: list[Path]) -> Path:
    number = 1
    while (aside := folder.path / f"unknown-artifacts-{number}").exists():
        number += 1
    for path in paths:
        to = aside / path.relative_to(folder.root)
        to.parent.mkdir(parents=True, exist_ok=True)
        os.rename(path, to)
        folder.checksums().forget(path)
    return aside


def _shown(folder: RunFolder) -> str:
    return "the database of ML Metadata" if folder.metadata_url is not None else near(Path(folder.metadata))
