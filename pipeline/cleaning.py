"""Which artifacts of older runs may go, and their removal. Their records in ML Metadata stay."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.class_metrics.store import open_store
from modules.errors import InputError, Problem
from modules.similarity.daily import base_of
from pipeline.checksums import folder_of
from pipeline.rollback import read_rollback, standing
from pipeline.run_folder import RunFolder
from pipeline.runs import CLEANED, PUBLISHED

HISTORY = frozenset(
    ("metrics", "metrics_record", "labelling_batch", "batch_record", "index_record", "blessing", "schema")
)
"""Outputs that stay, whatever their age: figures over time are read from their records, and they take kilobytes."""


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
    """The folders that the retention no longer keeps, the largest first.

    Kept are, with all that they read and wrote, taken from the cache or not: the runs of the retention; of each output
    the newest run that has it (what commands and servers look for); the newest run that published predictions, and
    the one that a standing rollback went back to; of the last blessed model, each output's newest run among those that
    made the model or took it from the cache. Of pushed versions, only those of runs that go, and never the highest.
    Figures over time (:data:`HISTORY`) stay. Nothing outside the run folder, no label and no label store is ever
    looked at.

    Args:
      now: seconds since the epoch.

    Raises:
      InputError: ML Metadata cannot be read.
    """
    store = open_store(folder.metadata)
    runs = _runs(store, pipeline)
    artifacts = {
        artifact.id: artifact
        for artifact in _artifacts(store, runs)
        if folder_of(artifact.uri).is_relative_to(folder.root)
    }
    live = {identity for identity, artifact in artifacts.items() if _is_live(artifact)}
    rollback = read_rollback(folder)
    kept = _kept(runs, artifacts, live, retention, now)
    if rollback is not None and standing(rollback, _published_by(runs, artifacts, live)):
        kept.add(rollback.run)
    used = {identity for run in runs if run.name in kept for identity in {*run.outputs, *run.inputs}} & live
    # Executions with several outputs are taken from the cache as a whole, so one folder that stays keeps no other: what
    # is looked at is the folder, which two records may share.
    stay = {folder_of(artifacts[identity].uri) for identity in used}
    removables: dict[Path, Removable] = {}
    for run in runs:
        for identity, key in run.outputs.items():
            path = folder_of(artifacts[identity].uri) if identity in artifacts and key not in HISTORY else None
            if path is None or path in stay or path.is_symlink() or not path.is_dir():
                continue
            component = path.relative_to(folder.root).parts[0]
            removables[path] = Removable(path, f"{component} {key}", run.name, _size(path), identity)
    went_back = {} if rollback is None else {Path(version): [rollback.run] for version in rollback.pushed}
    removables |= {pushed.path: pushed for pushed in _pushed(folder, runs, artifacts, kept, went_back)}
    return sorted(removables.values(), key=lambda obsolete: (-obsolete.bytes, str(obsolete.path)))


def remove(folder: RunFolder, several: Iterable[Removable]) -> None:
    """Deletes them: first in ML Metadata, so that no cache gives out what is half deleted.

    Raises:
      InputError: ML Metadata cannot be written to, or a file cannot be deleted.
    """
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    several = list(several)
    store = open_store(folder.metadata, write=True)
    ids = [obsolete.artifact for obsolete in several if obsolete.artifact is not None]
    # Another record of the same folder is as dead.
    gone = {str(obsolete.path) for obsolete in several}
    artifacts = [
        artifact for artifact in store.get_artifacts() if artifact.id in ids or str(folder_of(artifact.uri)) in gone
    ]
    for artifact in artifacts:
        artifact.state = pb.Artifact.DELETED
        artifact.custom_properties[CLEANED].int_value = 1
    if artifacts:
        store.put_artifacts(artifacts)
    for obsolete in several:
        try:
            shutil.rmtree(obsolete.path)
        except OSError as error:
            place, reason = error.filename or str(obsolete.path), error.strerror or "it did not go"
            hint = "the same command goes on once that is mended"
            raise InputError(Problem(str(place), f"cannot be deleted: {reason}", hint=hint)) from error
        folder.checksums().forget(obsolete.path)


def _runs(store: Any, pipeline: str) -> list[_Run]:
    """Oldest first."""
    from ml_metadata.proto import metadata_store_pb2

    pb: Any = metadata_store_pb2
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    children = store.get_children_contexts_by_context(context.id) if context is not None else []
    pipeline_runs = []
    for run in children:
        if run.type != "pipeline_run":
            continue
        executions = store.get_executions_by_context(run.id)
        events = store.get_events_by_execution_ids([execution.id for execution in executions]) if executions else []
        # An artifact that a resolver chose is an input of the run, not an output.
        outputs = {
            event.artifact_id: event.path.steps[0].key if event.path.steps else ""
            for event in events
            if event.type == pb.Event.OUTPUT
        }
        inputs = frozenset(event.artifact_id for event in events if event.type != pb.Event.OUTPUT)
        pipeline_runs.append(_Run(run.name, run.create_time_since_epoch, outputs, inputs))
    return sorted(pipeline_runs, key=lambda run: (run.milliseconds, run.name))


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
    kept |= _newest(runs, artifacts, live)
    for model in _blessed(runs, artifacts, live):
        kept |= _newest([run for run in runs if model in run.outputs], artifacts, live)
    return kept


def _newest(runs: Iterable[_Run], artifacts: dict[int, Any], live: Collection[int]) -> set[str]:
    """Of each output the newest run that has it, and of those that may be empty the newest where they are not."""
    newest: dict[str, str] = {}
    for run in runs:
        for identity, key in run.outputs.items():
            if identity in live:
                newest[key] = run.name
                for count in ("products", "blessed", "pushed"):
                    if artifacts[identity].custom_properties[count].int_value > 0:
                        newest[f"{key} {count}"] = run.name
    return set(newest.values())


def _published_by(runs: Iterable[_Run], artifacts: dict[int, Any], live: Collection[int]) -> str:
    """The address of the model that the newest run with published predictions has published by."""
    published = [
        artifacts[identity].custom_properties["model"].string_value
        for run in runs
        for identity, key in run.outputs.items()
        if key == PUBLISHED and identity in live
    ]
    return published[-1] if published else ""


def _blessed(runs: Iterable[_Run], artifacts: dict[int, Any], live: Collection[int]) -> set[int]:
    """The last blessed model as Evaluator and PublishedPredictor look it up, and the one that was blessed last.

    They differ if an older model was taken from the cache and blessed again: TFX takes the highest id.
    """
    blessings = [
        artifacts[identity].custom_properties["current_model_id"].int_value
        for run in runs
        for identity, key in run.outputs.items()
        if key == "blessing" and identity in live and artifacts[identity].custom_properties["blessed"].int_value == 1
    ]
    live_models = [model for model in blessings if model in live]
    return {max(live_models), live_models[-1]} if live_models else set()


def _pushed(
    folder: RunFolder, runs: list[_Run], artifacts: dict[int, Any], kept: set[str], origins: dict[Path, list[str]]
) -> Iterator[Removable]:
    """Versions in the run folder's own places whose runs all go; never the highest one and what it is a layer over, nor
    one of unknown origin.

    Args:
      origins: versions that no run has pushed, and the runs that they are of.
    """
    for run in runs:
        for identity in run.outputs:
            if identity in artifacts:
                written = artifacts[identity].custom_properties["pushed_destination"].string_value
                origins.setdefault(Path(written), []).append(run.name)
    for place, what in ((folder.pushed, "pushed model"), (folder.pushed_indexes, "pushed index")):
        versions = [version for version in place.iterdir() if version.name.isdigit()] if place.is_dir() else []
        newest = max(versions, key=lambda version: int(version.name), default=None)
        base = base_of(newest) if newest is not None else None
        for path in versions:
            its = origins.get(path)
            if path in (newest, base) or path.is_symlink() or not path.is_dir():
                continue
            if its and not kept.intersection(its):
                yield Removable(path, what, its[-1], _size(path))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
