"""Beam's runners where Beam's own fall short of what a run needs; Beam finds them by the names of their classes.

Beam's Flink runner starts a job server for each pipeline, a Java process that stays until this process ends; its Spark
runner shares one. Beam's runner in this process starts worker processes without the pipeline's options.
"""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from apache_beam.pipeline import Pipeline
from apache_beam.runners.portability import flink_runner
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle

from components.job_servers import shared


class FlinkRunner(flink_runner.FlinkRunner):
    """``--runner=components.runners.FlinkRunner``."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        """One per cluster and jar."""
        own = options.view_as(FlinkRunnerOptions)
        key = (str(own.flink_master), str(own.flink_job_server_jar))
        return shared(key, lambda: super(FlinkRunner, self).default_job_server(options))


class FnApiRunner(fn_runner.FnApiRunner):
    """``--runner=components.runners.FnApiRunner``: the pipeline's options reach the worker processes.

    Workers need them for ``--beam_plugins``, the modules that they import before they unpickle any code.
    """

    def __init__(self) -> None:
        self.for_workers = fn_runner.ExtendedProvisionInfo()
        super().__init__(provision_info=self.for_workers)

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> fn_runner.RunnerResult:
        """Runs the pipeline, with its options in what each worker process is started with."""
        given = JobServiceHandle.encode_pipeline_options(options.get_all_options(drop_default=True))
        self.for_workers.provision_info.pipeline_options.CopyFrom(given)
        return super().run_pipeline(pipeline, options)
