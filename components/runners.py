"""Beam's Flink and Spark runners, with a job server that all components of a run share.

Beam's own start one for each pipeline, and each of them, a Java process, stays until this process ends.
"""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import FlinkRunnerOptions, PipelineOptions, SparkRunnerOptions
from apache_beam.runners.portability import flink_runner, spark_runner

from components.job_servers import shared


class FlinkRunner(flink_runner.FlinkRunner):
    """``--runner=components.runners.FlinkRunner``."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        """One per cluster and jar."""
        own = options.view_as(FlinkRunnerOptions)
        key = ("flink", str(own.flink_master), str(own.flink_job_server_jar))
        return shared(key, lambda: super(FlinkRunner, self).default_job_server(options))


class SparkRunner(spark_runner.SparkRunner):
    """``--runner=components.runners.SparkRunner``."""

    def default_job_server(self, options: PipelineOptions) -> Any:
        """One per cluster and jar."""
        own = options.view_as(SparkRunnerOptions)
        key = ("spark", str(own.spark_master_url), str(own.spark_job_server_jar))
        return shared(key, lambda: super(SparkRunner, self).default_job_server(options))
