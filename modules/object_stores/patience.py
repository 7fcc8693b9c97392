"""How long a store is waited for."""

from __future__ import annotations

from typing import NamedTuple


class Patience(NamedTuple):
    """The limits and retries of requests for one object.

    Attributes:
      connect, read: seconds until there is a connection, and until something comes over it.
      attempts: of a request to S3, with growing pauses between.
      deadline: seconds for an object that is read at once, all in all; and after which Google's client does not try
        again.
    """

    connect: float = 5.0
    read: float = 20.0
    attempts: int = 3
    deadline: float = 60.0


PATIENCE = Patience()
