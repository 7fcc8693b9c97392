"""Runs in ML Metadata with folders as a local run makes them: named after the execution, of any state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

from pipeline.run_folder import RunFolder


class History:
    """Writes executions of one pipeline; the folder of an output holds one file."""

    def __init__(self, folder: RunFolder, pipeline: str = "shop"):
        self.folder = folder
        folder.path.mkdir(parents=True, exist_ok=True)
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = folder.metadata
        self.store = metadata_store.MetadataStore(config)
        self._types = {
            name: self.store.put_context_type(pb.ContextType(name=name)) for name in ("pipeline", "pipeline_run")
        }
        self._pipeline = self._context("pipeline", pipeline)
        self._runs: dict[str, int] = {}

    def add(
        self,
        run: str,
        component: str,
        outputs: Mapping[str, Mapping[str, int | str] | int],
        inputs: Iterable[int] = (),
        state: int = pb.Execution.COMPLETE,
    ) -> tuple[int, dict[str, int]]:
        """An execution.

        Args:
          outputs: key to custom properties of a new artifact, or to the id of one that is taken from the cache.
            Executions that are not complete leave folders and no artifacts.

        Returns:
          Its id, and output key to artifact id.
        """
        if any(isinstance(one, int) for one in outputs.values()):
            state = pb.Execution.CACHED
        kind = self.store.put_execution_type(pb.ExecutionType(name=component))
        read = [(artifact, pb.Event(type=pb.Event.INPUT)) for artifact in self.store.get_artifacts_by_id(list(inputs))]
        contexts = self.store.get_contexts_by_id([self._pipeline, self._run(run)])
        execution = pb.Execution(type_id=kind, last_known_state=state)
        identity, _, _ = self.store.put_execution(execution, read, contexts)
        written: list[tuple[Any, Any]] = []
        for key, given in outputs.items():
            event = pb.Event(type=pb.Event.OUTPUT)
            event.path.steps.add().key = key
            event.path.steps.add().index = 0
            if isinstance(given, int):
                written.append((self.store.get_artifacts_by_id([given])[0], event))
                continue
            place = self.folder.root / component / key / str(identity)
            place.mkdir(parents=True)
            (place / "data").write_bytes(b"x" * (100 + identity))
            artifact = pb.Artifact(uri=str(place), state=pb.Artifact.LIVE)
            artifact.type_id = self.store.put_artifact_type(pb.ArtifactType(name=f"type.{key}"))
            for name, value in given.items():
                setattr(
                    artifact.custom_properties[name], "int_value" if isinstance(value, int) else "string_value", value
                )
            written.append((artifact, event))
        if state not in (pb.Execution.COMPLETE, pb.Execution.CACHED):
            return identity, {}
        stored = self.store.get_executions_by_id([identity])[0]
        _, ids, _ = self.store.put_execution(stored, written, contexts)
        return identity, dict(zip(outputs, ids, strict=True))

    def milliseconds(self) -> dict[str, int]:
        """When each run began."""
        contexts = self.store.get_contexts_by_id(list(self._runs.values()))
        return {one.name: one.create_time_since_epoch for one in contexts}

    def states(self) -> list[int]:
        return [one.last_known_state for one in self.store.get_executions()]

    def _run(self, name: str) -> int:
        if name not in self._runs:
            self._runs[name] = self._context("pipeline_run", name)
            link = pb.ParentContext(child_id=self._runs[name], parent_id=self._pipeline)
            self.store.put_parent_contexts([link])
        return self._runs[name]

    def _context(self, kind: str, name: str) -> int:
        return int(self.store.put_contexts([pb.Context(type_id=self._types[kind], name=name)])[0])


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, but for ML Metadata's and the lock."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "metadata.sqlite" not in file.name and file.name != ".lock"
    }
