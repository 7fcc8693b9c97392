"""Numbered versions (:mod:`modules.versions`) on any file system."""

from __future__ import annotations

import time

from tfx.dsl.io import fileio

from modules.versions import PART, next_number, numbers_of

_OLD = 24 * 60 * 60
"""Seconds after which no push still writes."""


def next_version(folder: str) -> str:
    """The folder of the next version, named by the time, higher than all that are there."""
    return f"{folder}/{next_number(numbers_of(_names(folder)))}"


def remove_old_parts(folder: str) -> None:
    """Removes what pushes that were killed left behind; a young one may be a push that is going on."""
    for name in _names(folder):
        number = name.removeprefix(".").removesuffix(PART)
        if name == f".{number}{PART}" and number.isdigit() and int(number) < time.time() - _OLD:
            fileio.rmtree(f"{folder}/{name}")


def _names(folder: str) -> list[str]:
    # Object stores put a slash behind folders.
    return [str(name).rstrip("/") for name in fileio.listdir(folder)]
