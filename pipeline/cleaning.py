"""Which artifacts of older runs may go, and their removal. Their records in ML Metadata stay."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.class_metrics.store import open_store
from pipeline.checksums import folder_of
from pipeline.run_folder import RunFolder


@dataclass(frozen=True)
class Retention:
    """What is kept for its own sake: the newest ``runs``, and runs younger than ``seconds``.

    None: that does not count. With both, a run goes only if neither keeps it.
    """

    runs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Removable:
    """A folder or file that may go.

    Attributes:
      path: where it lies. what: for people: the component and its output, or a pushed version.
      run: the newest run that used it. bytes: its size. artifact: its id in ML Metadata, if it is an artifact.
    """

    path: Path
    what: str
    run: str
    bytes: int
    artifact: int | None = None


@dataclass(frozen=True)
class _Run:
    name: str
    milliseconds: int
    outputs: dict[int, str]
    inputs: frozenset[int]


def removable(folder: RunFolder, pipeline: str, retention: Retention, now: float) -> list[Removable]:
    """What the retention lets go, the largest first.

    Kept are, with all that they read and wrote, taken from the cache or not: the runs of the retention; of each output
    the newest run that has it (what commands and servers look for); the newest run that published predictions; the
    newest run that made the last blessed model or took it from the cache. Of pushed versions, only those of runs that
    go, and never the highest. Nothing outside the run folder, no label and no label store is ever looked at.

    Args:
      now: seconds since the epoch.

    Raises:
      InputError: ML Metadata cannot be read.
    """
    store = open_store(folder.metadata)
    runs = _runs(store, pipeline)
    artifacts = {one.id: one for one in _artifacts(store, runs) if folder_of(one.uri).is_relative_to(folder.root)}
    live = {identity for identity, one in artifacts.items() if _is_live(one)}
    kept = _kept(runs, artifacts, live, retention, now)
    used = {identity for run in runs if run.name in kept for identity in {*run.outputs, *run.inputs}} & live
    # Executions with several outputs are taken from the cache as a whole, so one folder that stays keeps no other: what
    # is looked at is the folder, which two records may share.
    stay = {folder_of(artifacts[identity].uri) for identity in used}
    found: dict[Path, Removable] = {}
    for run in runs:
        for identity, key in run.outputs.items():
            path = folder_of(artifacts[identity].uri) if identity in artifacts else None
            if path is None or path in stay or path.is_symlink() or not path.is_dir():
                continue
            component = path.relative_to(folder.root).parts[0]
            found[path] = Removable(path, f"{component} {key}", run.name, _size(path), identity)
    found |= {one.path: one for one in _pushed(folder, runs, artifacts, kept)}
    return sorted(found.values(), key=lambda one: (-one.bytes, str(one.path)))


def remove(folder: RunFolder, several: Iterable[Removable]) -> None:
    """Deletes them: first in ML Metadata, so that no cache gives out what is half deleted.

    Raises:
      InputError: ML Metadata cannot be written to.
    """
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    several = list(several)
    store = open_store(folder.metadata, write=True)
    ids = [one.artifact for one in several if one.artifact is not None]
    # Another record of the same folder is as dead.
    gone = {str(one.path) for one in several}
    artifacts = [one for one in store.get_artifacts() if one.id in ids or str(folder_of(one.uri)) in gone]
    for artifact in artifacts:
        artifact.state = pb.Artifact.DELETED
    if artifacts:
        store.put_artifacts(artifacts)
    for one in several:
        shutil.rmtree(one.path)
        folder.checksums().forget(one.path)


def _runs(store: Any, pipeline: str) -> list[_Run]:
    """Oldest first."""
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    children = store.get_children_contexts_by_context(context.id) if context is not None else []
    found = []
    for run in children:
        if run.type != "pipeline_run":
            continue
        executions = store.get_executions_by_context(run.id)
        events = store.get_events_by_execution_ids([one.id for one in executions]) if executions else []
        # What a resolver found is no output of the run, but read by it.
        outputs = {
            one.artifact_id: one.path.steps[0].key if one.path.steps else ""
            for one in events
            if one.type == pb.Event.OUTPUT
        }
        inputs = frozenset(one.artifact_id for one in events if one.type != pb.Event.OUTPUT)
        found.append(_Run(run.name, run.create_time_since_epoch, outputs, inputs))
    return sorted(found, key=lambda run: (run.milliseconds, run.name))


def _artifacts(store: Any, runs: Iterable[_Run]) -> list[Any]:
    ids = {identity for run in runs for identity in {*run.outputs, *run.inputs}}
    return list(store.get_artifacts_by_id(sorted(ids))) if ids else []


def _is_live(artifact: Any) -> bool:
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    return artifact.state in (pb.Artifact.LIVE, pb.Artifact.UNKNOWN)


def _kept(
    runs: list[_Run], artifacts: dict[int, Any], live: Collection[int], retention: Retention, now: float
) -> set[str]:
    kept: set[str] = set()
    if retention.runs is not None:
        kept |= {run.name for run in runs[max(0, len(runs) - retention.runs) :]}
    if retention.seconds is not None:
        kept |= {run.name for run in runs if run.milliseconds / 1000 > now - retention.seconds}
    newest: dict[str, str] = {}
    blessed: int | None = None
    for run in runs:
        for identity, key in run.outputs.items():
            if identity not in live:
                continue
            newest[key] = run.name
            properties = artifacts[identity].custom_properties
            if key == "published_predictions" and properties["products"].int_value:
                newest["published products"] = run.name
            if key == "blessing" and properties["blessed"].int_value == 1:
                blessed = properties["current_model_id"].int_value
    if blessed is not None:
        its = [run.name for run in runs if blessed in run.outputs]
        kept |= set(its[-1:])
    return kept | set(newest.values())


def _pushed(folder: RunFolder, runs: list[_Run], artifacts: dict[int, Any], kept: set[str]) -> Iterator[Removable]:
    """Versions in the run folder's own places whose runs all go; never the highest one, nor one of unknown origin."""
    origins: dict[Path, list[str]] = {}
    for run in runs:
        for identity in run.outputs:
            if identity in artifacts:
                written = artifacts[identity].custom_properties["pushed_destination"].string_value
                origins.setdefault(Path(written), []).append(run.name)
    for place, what in ((folder.pushed, "pushed model"), (folder.pushed_indexes, "pushed index")):
        versions = [one for one in place.iterdir() if one.name.isdigit()] if place.is_dir() else []
        newest = max(versions, key=lambda one: int(one.name), default=None)
        for path in versions:
            its = origins.get(path)
            if path != newest and its and not kept.intersection(its) and path.is_dir() and not path.is_symlink():
                yield Removable(path, what, its[-1], _size(path))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
