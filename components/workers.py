"""How far Beam spreads a component's work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from apache_beam.options.pipeline_options import (
    DirectOptions,
    FlinkRunnerOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)

_WORKERS_ELSEWHERE = 8
"""Assumed of a runner that does not say."""


def workers_of(beam_pipeline_args: Sequence[Any] | None) -> int:
    """How many tasks Beam can do at a time, as far as its arguments say."""
    options = PipelineOptions(list(beam_pipeline_args or []))
    runner = options.view_as(StandardOptions).runner or "DirectRunner"
    if "Direct" in runner or "FnApi" in runner:
        direct = options.view_as(DirectOptions)
        if direct.direct_running_mode == "in_memory":
            return 1
        return direct.direct_num_workers or os.cpu_count() or 1
    parallelism = options.view_as(FlinkRunnerOptions).parallelism
    if parallelism > 0:
        return int(parallelism)
    workers = options.view_as(WorkerOptions)
    return workers.max_num_workers or workers.num_workers or _WORKERS_ELSEWHERE
