"""Numbered versions in a folder that servers look into: each appears as a whole, and none twice in a row."""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import time
from collections.abc import Iterable

PART = ".part"
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def open_part(folder: str) -> str:
    """Makes a temporary folder for a version; ``folder`` is one of a file system, made if absent."""
    os.makedirs(folder, exist_ok=True)
    number = int(time.time())
    while True:
        part = f"{folder}/.{number}{PART}"
        try:
            os.mkdir(part)
        except FileExistsError:
            number += 1
        else:
            return part


def settle(whole: str, folder: str) -> str:
    """Gives a version that is whole its number, higher than all that are there.

    A push that was killed before ML Metadata knew of it is made again; nothing then tells the two apart. So if the
    newest version has the same files, byte for byte, that one is taken, and ``whole`` is removed.

    Args:
      whole: on the same file system as ``folder``.
      folder: where the versions lie.

    Returns:
      The version's folder.
    """
    numbers = numbers_of(os.listdir(folder))
    if numbers:
        newest = f"{folder}/{max(numbers)}"
        if _same_files(newest, whole):
            shutil.rmtree(whole)
            return newest
    number = next_number(numbers)
    while True:
        target = f"{folder}/{number}"
        try:
            os.rename(whole, target)
        except OSError as error:
            # Another push was faster.
            if error.errno not in _TAKEN:
                raise
            number += 1
        else:
            return target


def numbers_of(names: Iterable[str]) -> list[int]:
    """The numbers of the versions among the names of a folder's files."""
    return [int(name) for name in names if name.isdigit()]


def next_number(numbers: list[int]) -> int:
    """The time in seconds, or one more than the highest of ``numbers``."""
    return max(int(time.time()), max(numbers, default=0) + 1)


def _same_files(folder: str, other: str) -> bool:
    names = _sizes(folder)
    if names != _sizes(other):
        return False
    return all(filecmp.cmp(f"{folder}/{name}", f"{other}/{name}", shallow=False) for name in names)


def _sizes(folder: str) -> dict[str, int]:
    return {
        os.path.relpath(f"{place}/{name}", folder): os.path.getsize(f"{place}/{name}")
        for place, _, names in os.walk(folder)
        for name in names
    }
