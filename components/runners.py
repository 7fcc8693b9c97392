"""Beam's Flink runner with a job server that all components of a run share.

Beam's own starts one for each pipeline, a Java process that stays until this process ends; its Spark runner shares one.
"""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions
from apache_beam.runners.portability import flink_runner

from components.job_servers import shared


class FlinkRunner(flink_runner.FlinkRunner):
    """``--runner=components.runners.FlinkRunner``."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        """One per cluster and jar."""
        own = options.view_as(FlinkRunnerOptions)
        key = (str(own.flink_master), str(own.flink_job_server_jar))
        return shared(key, lambda: super(FlinkRunner, self).default_job_server(options))
