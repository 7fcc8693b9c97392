"""TFX's launcher, with an artifact's checksums recorded when it is made and compared before it is used (imports TFX).

On a cluster nothing of this is needed: object stores check what they hold against checksums of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.portable import cache_utils, launcher

from modules.errors import Problem
from modules.paths import near
from pipeline.checksums import Checksums, Damage, DamagedArtifact, folder_of

Artifacts = Mapping[str, Sequence[Any]]
_PUSHED = "pushed_destination"


class ArtifactChecks:
    """What a run does about its artifacts' checksums.

    What was made without a record (by an earlier version, or whose record was lost) cannot be compared. The cache does
    not give it out, since a component can make it again. What this run cannot make again is taken as it is and recorded
    then: the last blessed model, and the inputs of ``--from``.

    Args:
      checksums: of the run's artifacts.
      remedy: what helps if an input is damaged, as the end of a message.
      say: prints a line.
    """

    def __init__(self, checksums: Checksums, remedy: str, say: Callable[[str], None]):
        self._checksums, self._remedy, self._say = checksums, remedy, say
        self._said: set[str] = set()

    def record(self, artifacts: Artifacts | None, executor_output: Any = None) -> None:
        """Writes down what was just made, and what was pushed with it.

        Args:
          executor_output: of the execution; executors tell here, and not in the artifacts, where they pushed to.
        """
        for key, several in (artifacts or {}).items():
            told = _told(executor_output, key)
            for i, artifact in enumerate(several):
                folder = folder_of(artifact.uri)
                self._checksums.record(folder)
                pushed = _local(told[i]) if i < len(told) else None
                if pushed is not None:
                    self._checksums.record(pushed, copy_of=folder)

    def require(self, artifacts: Artifacts | None) -> None:
        """What a component reads.

        Raises:
          DamagedArtifact: an artifact is not as it was made.
        """
        for artifact in _all(artifacts):
            self._adopt(artifact)
            damage = self._checksums.damage(folder_of(artifact.uri))
            if damage is not None:
                raise DamagedArtifact(Problem(near(damage.file), damage.what, hint=self._remedy))

    def reusable(self, artifacts: Artifacts) -> bool:
        """Whether each artifact has checksums to compare with; a note says once per run if one has none."""
        fine = all(self._is_recorded(artifact) for artifact in _all(artifacts))
        if not fine:
            self._once("results of earlier runs have no recorded checksums and are made again")
        return fine

    def withdraw(self, handle: metadata.Metadata, artifacts: Artifacts | None, component: str) -> bool:
        """Marks artifacts that are not as they were made as deleted, so that nothing takes them any more.

        Args:
          component: what makes them again; empty: nothing does, so that those without a record are taken as they are.

        Returns:
          Whether there were any.
        """
        damaged = []
        for artifact in _all(artifacts):
            if not component:
                self._adopt(artifact)
            damage = self._damage(artifact)
            if damage is not None:
                then = f"{component} makes it again" if component else "it is not used"
                self._say(f"{near(damage.file)}: {damage.what}; {then}")
                damaged.append(artifact.id)
        if damaged:
            pb: Any = metadata_store_pb2
            stored = handle.store.get_artifacts_by_id(damaged)
            for artifact in stored:
                artifact.state = pb.Artifact.DELETED
            handle.store.put_artifacts(stored)
        return bool(damaged)

    def _adopt(self, artifact: Any) -> None:
        folder = folder_of(artifact.uri)
        if folder.is_dir() and not self._checksums.recorded(folder):
            self._checksums.record(folder)
            self._once("artifacts of earlier runs without recorded checksums are taken as they are, and recorded now")

    def _is_recorded(self, artifact: Any) -> bool:
        folder, pushed = folder_of(artifact.uri), _pushed(artifact)
        return self._checksums.recorded(folder) and (pushed is None or self._checksums.recorded(pushed, copy_of=folder))

    def _damage(self, artifact: Any) -> Damage | None:
        folder, pushed = folder_of(artifact.uri), _pushed(artifact)
        damage = self._checksums.damage(folder)
        return self._checksums.damage(pushed, copy_of=folder) if damage is None and pushed is not None else damage

    def _once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)


class CheckedLauncher(launcher.Launcher):
    """Launches one node.

    Args:
      checks: of the run.
      launching: what :class:`tfx.orchestration.portable.launcher.Launcher` takes.
    """

    def __init__(self, checks: ArtifactChecks, **launching: Any):
        super().__init__(**launching)
        self._checks = checks

    def _register_or_reuse_execution(
        self, metadata_handle: Any, contexts: Any, input_artifacts: Artifacts | None = None, exec_properties: Any = None
    ) -> Any:
        # The first that TFX does once the inputs are known.
        self._checks.require(input_artifacts)
        return super()._register_or_reuse_execution(metadata_handle, contexts, input_artifacts, exec_properties)

    def _publish_successful_execution(
        self, execution_id: int, contexts: Any, output_dict: Artifacts, executor_output: Any
    ) -> None:
        # Before ML Metadata knows the artifacts: whatever it holds as usable has a record.
        self._checks.record(output_dict, executor_output)
        super()._publish_successful_execution(execution_id, contexts, output_dict, executor_output)


@contextmanager
def checked_cache(checks: ArtifactChecks, component: str) -> Iterator[None]:
    """While it lasts, TFX takes from its cache only what is as it was made; what is not is withdrawn, and said.

    TFX looks a cached execution up in the midst of its preparation, and asks one function whether the files are still
    there. That function is replaced here: before it the key is not known, after it the result is published.
    """
    tfx_get_cached_outputs = cache_utils.get_cached_outputs

    def checked(metadata_handle: Any, cache_context: Any) -> Any:
        # Each withdrawn execution makes the next older one of the same key the candidate.
        while (
            outputs := tfx_get_cached_outputs(metadata_handle=metadata_handle, cache_context=cache_context)
        ) is not None:
            if not checks.withdraw(metadata_handle, outputs, component):
                return outputs if checks.reusable(outputs) else None
        return None

    cache_utils.get_cached_outputs = checked
    try:
        yield
    finally:
        cache_utils.get_cached_outputs = tfx_get_cached_outputs


def _pushed(artifact: Any) -> Path | None:
    """Where a pusher put its copy, if that is on this machine."""
    return _local(artifact.get_string_custom_property(_PUSHED))


def _told(executor_output: Any, key: str) -> list[str]:
    """Where the executor pushed each artifact of this output, as it told. Asking a protobuf's map makes an entry."""
    if executor_output is None or key not in executor_output.output_artifacts:
        return []
    several = executor_output.output_artifacts[key].artifacts
    return [
        artifact.custom_properties[_PUSHED].string_value if _PUSHED in artifact.custom_properties else ""
        for artifact in several
    ]


def _local(place: str) -> Path | None:
    return Path(place) if place and "://" not in place else None


def _all(artifacts: Artifacts | None) -> Iterable[Any]:
    return [artifact for several in (artifacts or {}).values() for artifact in several]
