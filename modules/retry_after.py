"""How long a host asks to wait."""

from __future__ import annotations

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry


def seconds_of(header: str | None) -> float | None:
    """The seconds to wait by a ``Retry-After`` header, which holds a number of seconds or a date; None if neither."""
    try:
        return float(Retry().parse_retry_after(header)) if header else None
    except (InvalidHeader, ValueError, OverflowError):
        return None
