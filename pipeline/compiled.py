"""A workflow compiled to TFX's intermediate form, and its nodes launched one after the other (imports TFX)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

# The first of TFX, TFDV and TFMA to be imported: it mends what they miss of each other. Not tfx.v1: that loads the
# client of Vertex AI as well, a quarter of the whole start.
from tfx import components as _components  # noqa: F401
from tfx.dsl.compiler import compiler, constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, partial_run_utils, runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

from components.class_metrics.store import connection_config
from pipeline.pipeline import Places, create_pipeline
from pipeline.run_folder import RunFolder
from pipeline.schema import write_run_schema
from pipeline.steps import Progress, Step
from pipeline.workflow_file import LoadedWorkflow


def compile_local(
    loaded: LoadedWorkflow, folder: RunFolder, run_id: str, *, cache: bool = True
) -> tuple[pipeline_pb2.Pipeline, list[str]]:
    """The pipeline in TFX's intermediate form, and its component names in order."""
    places = Places(
        root=str(folder.root),
        pushed=loaded.workflow.push.folder or str(folder.pushed),
        pushed_indexes=loaded.workflow.push.indexes or str(folder.pushed_indexes),
        schema=str(write_run_schema(loaded, folder.path / "schema")),
        checkpoints=str(folder.checkpoints),
    )
    built = create_pipeline(
        loaded,
        places,
        metadata_connection_config=connection_config(folder.metadata),
        enable_cache=cache,
    )
    compiled = compiler.Compiler().compile(built)
    runtime_parameter_utils.substitute_runtime_parameter(compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id})
    return compiled, [node.pipeline_node.node_info.id for node in compiled.nodes]


def launch_nodes(
    pipeline: pipeline_pb2.Pipeline, progress: Progress, *, to: str | None = None, from_: str | None = None
) -> Iterator[Step]:
    """Launches the nodes in order; yields each when it ended. The one that fails is yielded before its error rises."""
    deployment = runner_utils.extract_local_deployment_config(pipeline)
    connection = getattr(
        deployment.metadata_connection_config, deployment.metadata_connection_config.WhichOneof("connection_config")
    )
    if to is not None or from_ is not None:
        partial_run_utils.mark_pipeline(pipeline, from_nodes=[from_] if from_ else None, to_nodes=[to] if to else None)
    for node in pipeline.nodes:
        one = node.pipeline_node
        name = one.node_info.id
        if one.execution_options.HasField("skip"):
            continue
        progress.start(name)
        try:
            if one.execution_options.run.perform_snapshot:
                with metadata.Metadata(connection) as handle:
                    partial_run_utils.snapshot(handle, pipeline)
            info = launcher.Launcher(
                pipeline_node=one,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
            ).launch()
        except KeyboardInterrupt:
            yield Step(name, "stopped", progress.end("stopped"))
            raise
        except Exception:
            yield Step(name, "failed", progress.end("failed"))
            raise
        state = "done"
        if info is not None and info.execution_id is not None:
            with metadata.Metadata(connection) as handle:
                execution = handle.store.get_executions_by_id([info.execution_id])[0]
            if execution.last_known_state == metadata_store_pb2.Execution.CACHED:
                state = "cached"
        yield Step(name, state, progress.end(state))


def cancel_running(folder: RunFolder, run_id: str) -> None:
    """Marks the run's executions that are under way as cancelled and removes what they had written."""
    store = metadata_store.MetadataStore(connection_config(folder.metadata))
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return
    stopped = []
    for execution in store.get_executions_by_context(context.id):
        if execution.last_known_state in (metadata_store_pb2.Execution.RUNNING, metadata_store_pb2.Execution.NEW):
            execution.last_known_state = metadata_store_pb2.Execution.CANCELED
            stopped.append(execution)
    if stopped:
        store.put_executions(stopped)
    for execution in stopped:
        for written in Path(folder.root).glob(f"*/*/{execution.id}"):
            shutil.rmtree(written, ignore_errors=True)
