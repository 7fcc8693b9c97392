"""A program that publishes once, and that a test kills: FOLDER LOG TARGET [POINT NUMBER].

POINT is where it kills itself, at the batch of that NUMBER: ``sent`` (the target has it, the log does not know) or
``noted`` (the log knows).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from publishing.log import PublicationLog
from publishing.targets import target_for
from publishing.targets.base import Options
from tests.publishing.shop import SECRET, publish_to


def _dying(method, number: int):  # type: ignore[no-untyped-def]
    calls = 0

    def wrapped(*arguments, **named):  # type: ignore[no-untyped-def]
        nonlocal calls
        method(*arguments, **named)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1

    return wrapped


if __name__ == "__main__":
    folder, log, address, *death = sys.argv[1:]
    target = target_for(address, Options(secret=SECRET.encode(), allow_private=True))
    if death:
        point, number = death
        where, name = (type(target), "send") if point == "sent" else (PublicationLog, "acknowledge")
        setattr(where, name, _dying(getattr(where, name), int(number)))
    # The last line on standard input lets it begin, so that a test knows its number.
    sys.stdin.readline()
    publish_to(target, Path(folder), Path(log), parallel=2)
