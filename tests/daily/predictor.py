"""A program that predicts a day's feed and kills itself: WORKFLOW POINT NUMBER.

POINT is where, when it is there for the NUMBER-th time: ``predicted`` (a shard's file is made, under another name),
``settled`` (it has its name, and the state does not know it), ``taken`` (the state knows it) or ``ended``.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from modules.predictions import predict as prediction
from modules.predictions.daily import passes
from modules.predictions.daily.state import DailyState
from pipeline.daily import predict
from pipeline.workflow_file import load_workflow

SHARD = 10
POINTS = {
    "predicted": (prediction, "predict_file"),
    "settled": (passes, "_settle"),
    "taken": (DailyState, "take"),
    "ended": (DailyState, "end"),
}


def dying(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = function(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return result

    return wrapped


if __name__ == "__main__":
    workflow, point, number = sys.argv[1:]
    passes.SHARD = SHARD
    where, name = POINTS[point]
    setattr(where, name, dying(getattr(where, name), int(number)))
    predict(load_workflow(workflow))
