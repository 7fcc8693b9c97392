"""TFX's runner for Vertex AI, which writes this project's package in place of its own (imports TFX)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.orchestration.pipeline import Pipeline

from pipeline.kubeflow.compiler import compile_workflow
from pipeline.workflow_file import LoadedWorkflow


class PackageRunner(kubeflow_v2_dag_runner.KubeflowV2DagRunner):
    """What ``tfx pipeline create --engine vertex`` needs of a runner: that command decides where the file lies."""

    def __init__(self, loaded: LoadedWorkflow):
        """Takes the workflow whose package is written."""
        image = loaded.workflow.runners.kubeflow.image
        super().__init__(config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image=image))
        self._loaded = loaded

    def run(self, pipeline: Pipeline, parameter_values: Any = None, write_out: bool | None = True) -> dict[str, Any]:
        """Writes the package for Vertex AI.

        Raises:
          InputError: the workflow cannot run there, for instance because its pipeline root is no ``gs://`` address.
        """
        # TFX's command line replaces the parent's method, to read the pipeline's name and to choose the output's place.
        job: dict[str, Any] = super().run(pipeline, parameter_values, write_out=False)
        if write_out:
            output = Path(self._output_dir) / self._output_filename
            output.parent.mkdir(parents=True, exist_ok=True)
            compile_workflow(self._loaded, output, target="vertex")
        return job
