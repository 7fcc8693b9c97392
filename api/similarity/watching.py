"""Looks for a new index again and again, while the server runs."""

from __future__ import annotations

import asyncio
import logging

from starlette.concurrency import run_in_threadpool

from api.similarity.engine import Engine
from modules.errors import InputError

_log = logging.getLogger("shelfmark.api")


async def watch(engine: Engine, poll: float) -> None:
    """Loads a new index as soon as there is one, until the task is cancelled; a broken one is logged, and the old one
    goes on.

    Args:
      engine: Loads the index.
      poll: Seconds between two looks.
    """
    logged = ""
    while True:
        await asyncio.sleep(poll)
        try:
            await run_in_threadpool(engine.load)
            logged = ""
        except (InputError, OSError) as error:
            text = f"{error.filename or 'a file'}: {error.strerror}" if isinstance(error, OSError) else str(error)
            # The same broken index is looked at again and again; one line of it is enough.
            if text != logged:
                _log.error("the new index is refused, the old one goes on: %s", text)
            logged = text
        except Exception:
            _log.exception("the new index cannot be loaded, the old one goes on")
