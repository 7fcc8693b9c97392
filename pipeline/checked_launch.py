"""TFX's launcher, with an artifact's checksums recorded when it is made and compared before it is used (imports TFX).

On a cluster nothing of this is needed: object stores check what they hold against checksums of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils, launcher

from modules.errors import InputError, Problem
from pipeline.checksums import Checksums, Damage, folder_of

Artifacts = Mapping[str, Sequence[Any]]


class CheckedLauncher(launcher.Launcher):  # type: ignore[misc]
    """Launches one node.

    Args:
      checksums: of the run's artifacts.
      remedy: what helps if an input is damaged, as the end of a message.
      launching: what :class:`tfx.orchestration.portable.launcher.Launcher` takes.
    """

    def __init__(self, checksums: Checksums, remedy: str, **launching: Any):
        super().__init__(**launching)
        self._checksums, self._remedy = checksums, remedy

    def _register_or_reuse_execution(
        self, metadata_handle: Any, contexts: Any, input_artifacts: Artifacts | None = None, exec_properties: Any = None
    ) -> Any:
        # The first that TFX does once the inputs are known.
        for artifact in _all(input_artifacts):
            damage = self._checksums.damage(folder_of(artifact.uri))
            if damage is not None:
                raise InputError(Problem(str(damage.file), damage.what, hint=self._remedy))
        return super()._register_or_reuse_execution(metadata_handle, contexts, input_artifacts, exec_properties)

    def _publish_successful_execution(
        self, execution_id: int, contexts: Any, output_dict: Artifacts, executor_output: Any
    ) -> None:
        # Before ML Metadata knows the artifacts: whatever it holds as usable has a record.
        for artifact in _all(output_dict):
            self._checksums.record(folder_of(artifact.uri))
        super()._publish_successful_execution(execution_id, contexts, output_dict, executor_output)


@contextmanager
def checked_cache(checksums: Checksums, say: Callable[[Damage], None]) -> Iterator[None]:
    """While it lasts, TFX takes from its cache only what is as it was made; what is not is withdrawn, and said.

    TFX looks a cached execution up in the midst of its preparation, and asks one function whether the files are still
    there. That function is replaced here: before it the key is not known, after it the result is published.
    """
    found = cache_utils.get_cached_outputs

    def checked(metadata_handle: Any, cache_context: Any) -> Any:
        # Each withdrawn execution makes the next older one of the same key the candidate.
        while (outputs := found(metadata_handle=metadata_handle, cache_context=cache_context)) is not None:
            if not withdraw_damaged(metadata_handle, outputs, checksums, say):
                return outputs
        return None

    cache_utils.get_cached_outputs = checked
    try:
        yield
    finally:
        cache_utils.get_cached_outputs = found


def withdraw_damaged(
    handle: metadata.Metadata, artifacts: Artifacts, checksums: Checksums, say: Callable[[Damage], None]
) -> bool:
    """Marks the artifacts that are not as they were made as deleted, so that nothing takes them any more.

    Returns:
      Whether there were any.
    """
    damaged = []
    for artifact in _all(artifacts):
        damage = checksums.damage(folder_of(artifact.uri))
        if damage is not None:
            say(damage)
            damaged.append(artifact.id)
    if damaged:
        stored = handle.store.get_artifacts_by_id(damaged)
        pb: Any = metadata_store_pb2
        for artifact in stored:
            artifact.state = pb.Artifact.DELETED
        handle.store.put_artifacts(stored)
    return bool(damaged)


def _all(artifacts: Artifacts | None) -> Iterable[Any]:
    return [artifact for several in (artifacts or {}).values() for artifact in several]
