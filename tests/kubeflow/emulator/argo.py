"""Retries: what the argocompiler makes of a task's policy (container.go), and what Argo makes of that.

Mirrors ``processNodeRetries`` of Argo's workflow/controller/operator.go at v3.7.8, the version that KFP 2.16.1 is built
with, in its order: maximal duration, pause, policy, limit. Times are seconds on the cluster's clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["Failed", "Error"]
"""Failed: the main container ended with a code, or the pod with a message. Error: the pod is gone, or never began."""


class GaveUp(Exception):
    """No further attempt; Argo's message."""


@dataclass(frozen=True)
class Attempt:
    """One pod of a task, which did not succeed."""

    phase: Phase
    started: float
    finished: float


@dataclass(frozen=True)
class Strategy:
    """Argo's ``retryStrategy``, as texts: the compiler hands the values over as parameters of the template."""

    limit: str
    duration: str
    factor: str
    max_duration: str
    policy: str

    @classmethod
    def of(cls, task: dict[str, Any], policy: str) -> Strategy | None:
        """Of a task of the package.

        Args:
          policy: of the controller's ``templateDefaults``; empty where it has none. The package cannot name one.
        """
        if "retryPolicy" not in task:
            return None
        given = task["retryPolicy"]
        return cls(
            str(given.get("maxRetryCount", 0)),
            # A parameter that is not handed over has the template's default, "0".
            _go_seconds(given.get("backoffDuration")),
            f"{given.get('backoffFactor', 0):g}",
            _go_seconds(given.get("backoffMaxDuration")),
            policy or "OnFailure",
        )

    def next(self, attempts: Sequence[Attempt], now: float) -> tuple[float, float]:
        """After a failed attempt: when the next one starts, and when it is ended if it still runs.

        Raises:
          GaveUp: there is none.
        """
        deadline = attempts[0].started + _seconds(self.max_duration)
        if now > deadline:
            raise GaveUp("Max duration limit exceeded")
        pause = float(_seconds(self.duration))
        factor = _whole(self.factor)
        if factor > 0:
            pause *= factor ** (len(attempts) - 1)
        start = attempts[-1].finished + pause
        if start > deadline:
            raise GaveUp("Backoff would exceed max duration limit")
        on_failed, on_error = {"Always": (True, True), "OnError": (False, True), "OnFailure": (True, False)}[
            self.policy
        ]
        if not (on_failed if attempts[-1].phase == "Failed" else on_error):
            raise GaveUp(f"{attempts[-1].phase} is not retried")
        if len(attempts) > _whole(self.limit):
            raise GaveUp("No more retries left")
        return max(start, now), deadline


def _go_seconds(duration: str | None) -> str:
    """The ``Seconds`` of a protobuf duration: what is below a second goes."""
    return "0" if duration is None else str(int(float(duration.removesuffix("s"))))


def _seconds(text: str) -> int:
    return int(text)


def _whole(text: str) -> int:
    """``intstr.Int32``."""
    if re.fullmatch(r"[+-]?\d+", text) is None:
        raise GaveUp(f"value '{text}' cannot be resolved to an int")
    return int(text)
