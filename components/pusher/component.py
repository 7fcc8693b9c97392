"""Pusher that makes a version appear at once."""

from __future__ import annotations

from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base import executor_spec

from components.pusher.executor import WholePusherExecutor


class WholePusher(Pusher):
    """TFX's Pusher with another executor; arguments as there."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(WholePusherExecutor)
