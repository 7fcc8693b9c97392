"""Products that a feed has no longer: how many are too many to be believed."""

from __future__ import annotations

from modules.counting import counted
from modules.errors import InputError, Problem

MANY_GONE = 100
"""Products of which more than half may be gone without a question."""


def refused(gone: int, before: int, where: str, done: str) -> InputError | None:
    """What is said where more than half of the products are gone; None: so many may be.

    Args:
      gone: products that are gone. before: products that there were.
      where: what they are gone from. done: what became of them, such as ``were not removed``.
    """
    if gone <= MANY_GONE or 2 * gone <= before:
        return None
    expected = f"{counted(gone, 'product')} of {before:,} are gone from {where}, and {done}"
    return InputError(Problem("", expected, hint="is the feed whole? if so, add --many-gone"))
