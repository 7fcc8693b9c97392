"""A workflow compiled to TFX's intermediate form, and its nodes launched one after the other (imports TFX)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_metadata.proto import metadata_store_pb2

# The first of TFX, TFDV and TFMA to be imported: it mends what they miss of each other. Not tfx.v1: that loads the
# client of Vertex AI as well, a quarter of the whole start.
from tfx import components as _components  # noqa: F401
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import data_types, partial_run_utils, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components.class_metrics.store import connection_config
from modules.errors import Problem
from pipeline.checked_launch import ArtifactChecks, CheckedLauncher, checked_cache
from pipeline.checksums import Checksums, DamagedArtifact
from pipeline.pipeline import Places, create_pipeline
from pipeline.run_folder import RunFolder
from pipeline.schema import write_run_schema
from pipeline.steps import RunProgress, StepResult
from pipeline.workflow_file import LoadedWorkflow

FROM_THE_BEGINNING = "the same command will not help; without --from it makes it again"


def local_pipeline(loaded: LoadedWorkflow, folder: RunFolder, *, cache: bool = True) -> Pipeline:
    """The workflow's pipeline with the places of runs on this machine.

    Args:
      folder: the run folder; the schema that products are validated against is written there.
      cache: whether results of an earlier run are used where inputs and settings are the same.
    """
    places = Places(
        root=str(folder.root),
        pushed=loaded.workflow.push.folder or str(folder.pushed),
        pushed_indexes=loaded.workflow.push.indexes or str(folder.pushed_indexes),
        schema=str(write_run_schema(loaded, folder.path / "schema")),
        checkpoints=str(folder.checkpoints),
        encodings=str(folder.encodings),
    )
    connection = connection_config(folder.metadata)
    return create_pipeline(loaded, places, metadata_connection_config=connection, enable_cache=cache)


def compile_local(
    loaded: LoadedWorkflow, folder: RunFolder, run_id: str, *, cache: bool = True
) -> tuple[pipeline_pb2.Pipeline, list[str]]:
    """The pipeline in TFX's intermediate form, and its component names in order."""
    compiled = compiler.Compiler().compile(local_pipeline(loaded, folder, cache=cache))
    runtime_parameter_utils.substitute_runtime_parameter(compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return compiled, [node.pipeline_node.node_info.id for node in compiled.nodes]


def launch_nodes(
    pipeline: pipeline_pb2.Pipeline,
    progress: RunProgress,
    checksums: Checksums,
    *,
    to: str | None = None,
    from_: str | None = None,
) -> Iterator[StepResult]:
    """Launches the nodes in order; yields each when it ended. The one that fails is yielded before its error rises.

    What a node takes from an earlier run is compared with ``checksums`` first: of the cache only what is as it was made
    is used, the rest is made again.
    """
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    connection = getattr(
        deployment.metadata_connection_config, deployment.metadata_connection_config.WhichOneof("connection_config")
    )
    if to is not None or from_ is not None:
        partial_run_utils.mark_pipeline(pipeline, from_nodes=[from_] if from_ else None, to_nodes=[to] if to else None)
    remedy = "the same command makes it again" if from_ is None else FROM_THE_BEGINNING
    checks = ArtifactChecks(checksums, remedy, lambda line: progress.console.print(line, soft_wrap=True))

    for node in pipeline.nodes:
        pipeline_node = node.pipeline_node
        name = pipeline_node.node_info.id
        if pipeline_node.execution_options.HasField("skip"):
            continue
        progress.start(name)
        try:
            if pipeline_node.execution_options.run.perform_snapshot:
                with metadata.Metadata(connection) as handle:
                    _take_over(handle, pipeline)
            launching = {
                "pipeline_node": pipeline_node,
                "mlmd_connection": metadata.Metadata(connection),
                "pipeline_info": pipeline.pipeline_info,
                "pipeline_runtime_spec": pipeline.runtime_spec,
                "executor_spec": runner_utils.extract_executor_spec(deployment, name),
                "custom_driver_spec": runner_utils.extract_custom_driver_spec(deployment, name),
            }
            with checked_cache(checks, name):
                info = CheckedLauncher(checks, **launching).launch()
                # A resolver has no cache: it gives the newest artifact that is left.
                while _is_resolver(pipeline_node) and info is not None and _withdrawn(connection, info, checks):
                    info = CheckedLauncher(checks, **launching).launch()
        except KeyboardInterrupt:
            yield StepResult(name, "stopped", progress.end("stopped"))
            raise
        except Exception:
            yield StepResult(name, "failed", progress.end("failed"))
            raise
        state = "done"
        if info is not None and info.execution_id is not None:
            with metadata.Metadata(connection) as handle:
                execution = handle.store.get_executions_by_id([info.execution_id])[0]
            if execution.last_known_state == metadata_store_pb2.Execution.CACHED:
                state = "cached"
        yield StepResult(name, state, progress.end(state))


def _take_over(handle: metadata.Metadata, pipeline: pipeline_pb2.Pipeline) -> None:
    """Gives the run what the last one made before --from.

    Raises:
      DamagedArtifact: there is no run, or it ended before.
    """
    try:
        partial_run_utils.snapshot(handle, pipeline)
    except LookupError:
        expected = "a last run that made all that lies before it; it ended earlier, or there is none"
        raise DamagedArtifact(Problem("--from", expected, hint=FROM_THE_BEGINNING)) from None


def _is_resolver(node: pipeline_pb2.PipelineNode) -> bool:
    return "resolver" in node.node_info.type.name.lower()


def _withdrawn(connection: Any, info: data_types.ExecutionInfo, checks: ArtifactChecks) -> bool:
    """Whether what the resolver found is damaged; it is withdrawn then, and the resolver's execution with it."""
    if info.execution_id is None:
        return False
    with metadata.Metadata(connection) as handle:
        if not checks.withdraw(handle, info.output_dict, ""):
            return False
        (execution,) = handle.store.get_executions_by_id([info.execution_id])
        execution.last_known_state = metadata_store_pb2.Execution.CANCELED
        handle.store.put_executions([execution])
    return True
