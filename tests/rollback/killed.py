"""A program that goes back, and that kills itself: WORKFLOW TARGET POINT.

POINT is after what: ``noted`` (the rollback's file is written), ``pushed`` (servers have the model, and the file does
not say so), ``begun`` (the publication is in the log), or ``sent`` (the second batch has arrived, and is not noted).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pipeline.rollback
from publishing.log import PublicationLog
from publishing.targets.folder import FolderTarget
from shelfmark import cli

PLACES: dict[str, tuple[Any, str, int]] = {
    "noted": (pipeline.rollback, "_write", 0),
    "pushed": (pipeline.rollback, "_push", 0),
    "begun": (PublicationLog, "begin", 0),
    "sent": (FolderTarget, "send", 1),
}

if __name__ == "__main__":
    workflow, target, point = sys.argv[1:]
    where, name, number = PLACES[point]
    method, calls = getattr(where, name), iter(range(1000))

    def dying(*arguments: Any, **named: Any) -> Any:
        method(*arguments, **named)
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(where, name, dying)
    cli.main(["publish", target, "-w", workflow, "--rollback", "--batch", "7", "--parallel", "1"])
