"""Looks for something newer to serve again and again, while the server runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from starlette.concurrency import run_in_threadpool

from modules.errors import InputError

_log = logging.getLogger("shelfmark.api")


class Loader(Protocol):
    """What can be looked for anew."""

    def load(self) -> bool:
        """Loads something newer, if there is any; raises InputError where that is broken."""


async def watch(loader: Loader, poll: float, name: str) -> None:
    """Loads something newer as soon as there is any, until the task is cancelled; what is broken is logged, and the
    old one goes on.

    Args:
      loader: Loads it.
      poll: Seconds between two looks.
      name: What it is, for the log.
    """
    logged = ""
    while True:
        await asyncio.sleep(poll)
        try:
            await run_in_threadpool(loader.load)
            logged = ""
        except (InputError, OSError) as error:
            text = f"{error.filename or 'a file'}: {error.strerror}" if isinstance(error, OSError) else str(error)
            # The same broken one is looked at again and again; one line of it is enough.
            if text != logged:
                _log.error("no newer %s is taken, what is served goes on: %s", name, text)
            logged = text
        except Exception:
            _log.exception("a newer %s cannot be loaded, what is served goes on", name)
