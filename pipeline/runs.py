"""A workflow's runs as ML Metadata knows them. Light: no TensorFlow, no TFX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.examples import TAXONOMY_FILE
from modules.paths import near
from modules.taxonomy import Taxonomy
from pipeline.checksums import Checksums, DamagedArtifact, folder_of
from pipeline.run_folder import RunFolder
from pipeline.workflow_file import LoadedWorkflow

LATEST = "latest"
PUBLISHED = "published_predictions"

PRODUCED_BY = {
    "examples": "ProductExampleGen",
    "quarantine": "ProductExampleGen",
    "taxonomy": "ProductExampleGen",
    "statistics": "StatisticsGen",
    "best_hyperparameters": "Tuner",
    "tuner_results": "Tuner",
    "model": "Trainer",
    "evaluation": "Evaluator",
    "blessing": "Evaluator",
    "metrics": "ClassMetrics",
    "metrics_record": "ClassMetrics",
    "pushed_model": "Pusher",
    "predictions": "Predictor",
    "published_predictions": "PublishedPredictor",
    "labelling_batch": "ActiveSampler",
    "batch_record": "ActiveSampler",
    "label_review": "ActiveSampler",
    "similarity_index": "ScannIndex",
    "index_record": "ScannIndex",
    "pushed_index": "IndexPusher",
}
"""Output key to the component that makes it."""

_MADE_AGAIN = "the same command will not help; a new run makes it again: {}"

CLEANED = "cleaned"
"""Property of an artifact that a retention deleted."""
CLEANED_AWAY = "that of this run was cleaned away (`shelfmark clean`, or runners.local.retention)"
DAMAGED = "that of this run was damaged, and is not used"

Value = int | float | str


@dataclass(frozen=True)
class Output:
    """An artifact: where it lies, and what ML Metadata says of it. ``id`` tells a new one from one of the cache."""

    id: int
    uri: str
    properties: Mapping[str, Value]

    @property
    def folder(self) -> Path:
        """The folder on this machine.

        Raises:
          InputError: the artifact has no address.
        """
        if not self.uri:
            raise InputError(Problem("", "the artifact has no address of its own: none was given, or several"))
        return folder_of(self.uri)


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
      id: its name in ML Metadata. outputs: output key to the artifact, made by this run or taken from the cache.
      checksums: what the artifacts' files are compared with; None: they are taken as they are.
      run_command: what makes a new run.
      gone: output key to what became of it, as the end of a sentence, where no artifact is left.
    """

    id: str
    outputs: Mapping[str, Output]
    checksums: Checksums | None = None
    run_command: str = "shelfmark run"
    gone: Mapping[str, str] = field(default_factory=dict)

    def taxonomy(self) -> Taxonomy:
        """The taxonomy that the run used.

        Raises:
          InputError: the run has none, or its file is gone.
        """
        return Taxonomy.load(self.folder("taxonomy") / TAXONOMY_FILE)

    def folder(self, key: str) -> Path:
        """The folder of an output, whose files are as they were made.

        Raises:
          InputError: the run has no such output, the folder is gone, or a file in it is damaged.
        """
        if key not in self.outputs:
            what = self.gone.get(key) or f"this one ended before {PRODUCED_BY.get(key, key)}"
            expected = f"a run with {key}; {what}"
            raise InputError(Problem("", expected, key="run", value=self.id))
        path = self.outputs[key].folder
        again = _MADE_AGAIN.format(self.run_command)
        if not path.exists():
            raise InputError(Problem(near(path), f"the {key} of run {self.id}; the folder is gone", hint=again))
        if self.checksums is not None:
            damage = self.checksums.damage(path)
            if damage is not None:
                raise DamagedArtifact(Problem(near(damage.file), damage.what, hint=again))
        return path


class Runs:
    """The runs of one workflow.

    Attributes:
      ids: oldest first.
    """

    def __init__(
        self, store: Any, pipeline: str, checksums: Checksums | None = None, run_command: str = "shelfmark run"
    ):
        """Reads which runs there are.

        Args:
          store: an ``ml_metadata.MetadataStore``.
          pipeline: the workflow's name.
          checksums: what artifacts are compared with before they are read; None: they are taken as they are.
          run_command: what makes a new run, for messages.
        """
        self.run_command = run_command
        self.store, self.pipeline, self.checksums = store, pipeline, checksums
        context = self._context("pipeline", pipeline)
        runs = [] if context is None else store.get_children_contexts_by_context(context.id)
        runs = sorted(
            (run for run in runs if run.type == "pipeline_run"), key=lambda run: (run.create_time_since_epoch, run.id)
        )
        self._contexts = {run.name: run.id for run in runs}
        self.ids = list(self._contexts)

    @classmethod
    def of(cls, loaded: LoadedWorkflow) -> Runs:
        """The runs of a workflow on this machine.

        Raises:
          InputError: there is no ML Metadata yet.
        """
        from components.class_metrics.queries import open_store

        folder = RunFolder.of(loaded.workflow)
        store = open_store(folder.metadata, run_command=loaded.run_command)
        return cls(store, loaded.workflow.name, folder.checksums(), loaded.run_command)

    def find(self, run: str = LATEST, having: str | None = None) -> Run:
        """The run of this id, or the latest one that has the output ``having``.

        Raises:
          InputError: there is none.
        """
        if run == LATEST:
            for name in reversed(self.ids):
                read_run = self._read(name)
                if having is None or having in read_run.outputs:
                    return read_run
            wanted = f" with {having}" if having else ""
            hint = f"run the workflow first: {self.run_command}"
            raise InputError(Problem("", f"no run of {self.pipeline!r}{wanted} yet", hint=hint))
        if run not in self._contexts:
            raise InputError(Problem("", self._expected(), key="run", value=run, hint=self._near(run)))
        read_run = self._read(run)
        if having is not None and having not in read_run.outputs:
            read_run.folder(having)
        return read_run

    def _expected(self) -> str:
        return f"a run of {self.pipeline!r}: {', '.join(self.ids[-5:]) or 'there is none yet'}"

    def _near(self, run: str) -> str:
        # Many people copy the beginning of an id.
        beginning = [name for name in self.ids if run and name.startswith(run)]
        return f"did you mean {beginning[-1]!r}?" if beginning else ""

    def until(self, run: str, key: str, last: int) -> list[tuple[str, Output]]:
        """(run, output) of ``run`` and the runs before it that have the output ``key``, at most ``last``, oldest first.

        An output that was taken from the cache comes as often as there are runs with it.
        """
        ids: list[tuple[str, int]] = []
        for name in reversed(self.ids[: self.ids.index(run) + 1]):
            artifacts = [artifact for artifact, its_key in self._output_ids(name).items() if its_key == key]
            if artifacts:
                ids.append((name, max(artifacts)))
            if len(ids) == last:
                break
        outputs = self._outputs({artifact for _, artifact in ids})
        return [(name, outputs[artifact]) for name, artifact in reversed(ids) if artifact in outputs]

    def parameters(self, run: Run, key: str) -> dict[str, Value]:
        """What the component behind an output was given in this run; empty without the output."""
        from ml_metadata.proto import metadata_store_pb2

        pb: Any = metadata_store_pb2
        if key not in run.outputs:
            return {}
        executions = {own.id: own for own in self.store.get_executions_by_context(self._contexts[run.id])}
        events = self.store.get_events_by_artifact_ids([run.outputs[key].id])
        makers = [event.execution_id for event in events if event.type == pb.Event.OUTPUT]
        return next((_properties(executions[maker]) for maker in makers if maker in executions), {})

    def _read(self, name: str) -> Run:
        keys = self._output_ids(name)
        outputs = {keys[artifact]: output for artifact, output in self._outputs(keys).items()}
        return Run(name, outputs, self.checksums, self.run_command, self._gone(keys))

    def _output_ids(self, name: str) -> dict[int, str]:
        """Artifact id to output key, of a run's outputs."""
        from ml_metadata.proto import metadata_store_pb2

        pb: Any = metadata_store_pb2
        executions = self.store.get_executions_by_context(self._contexts[name])
        events = self.store.get_events_by_execution_ids([execution.id for execution in executions])
        return {
            event.artifact_id: event.path.steps[0].key
            for event in sorted(events, key=lambda event: event.execution_id)
            if event.type == pb.Event.OUTPUT and event.path.steps
        }

    def _outputs(self, ids: Iterable[int]) -> dict[int, Output]:
        """Artifact id to the artifact, oldest first, without those that a failed component left behind."""
        from ml_metadata.proto import metadata_store_pb2

        pb: Any = metadata_store_pb2
        artifacts = self.store.get_artifacts_by_id(sorted(ids))
        return {
            artifact.id: Output(artifact.id, artifact.uri, _properties(artifact))
            for artifact in sorted(artifacts, key=lambda artifact: artifact.id)
            if artifact.state in (pb.Artifact.LIVE, pb.Artifact.UNKNOWN)
        }

    def _gone(self, keys: Mapping[int, str]) -> dict[str, str]:
        """What became of the artifacts that were deleted, by output key."""
        from ml_metadata.proto import metadata_store_pb2

        pb: Any = metadata_store_pb2
        return {
            keys[artifact.id]: CLEANED_AWAY if artifact.custom_properties[CLEANED].int_value else DAMAGED
            for artifact in self.store.get_artifacts_by_id(sorted(keys))
            if artifact.state == pb.Artifact.DELETED
        }

    def _context(self, kind: str, name: str) -> Any:
        return self.store.get_context_by_type_and_name(kind, name)


def _properties(artifact: Any) -> dict[str, Value]:
    properties: dict[str, Value] = {}
    for name, value in [*artifact.properties.items(), *artifact.custom_properties.items()]:
        kind = value.WhichOneof("value")
        if kind in ("int_value", "double_value", "string_value"):
            properties[name] = getattr(value, kind)
    return properties
