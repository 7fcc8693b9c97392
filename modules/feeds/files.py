"""A feed's files: finding, opening, naming their format, and a fingerprint of their content."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Sequence
from typing import IO, Literal

from modules import object_stores
from modules.errors import InputError, Problem
from modules.object_stores import is_remote
from modules.settings.feed import FeedSettings

Format = Literal["jsonl", "csv", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_BLOCK = 1 << 20
NO_MATCH = "no file matches"
UNREADABLE = (OSError, EOFError, zlib.error)
"""What reading a file to its end raises where that cannot be, gzip or not."""


def resolve(folder: str, path: str) -> str:
    """``path`` relative to ``folder``, unless it is absolute or remote."""
    return path if is_remote(path) else os.path.join(folder, path)


def find_files(settings: FeedSettings, folder: str, exclude: Iterable[str] = ()) -> list[str]:
    """The files that the feed's patterns match, each once, sorted: the order in which records count as earlier.

    Args:
      folder: what the patterns are relative to.
      exclude: paths that are no feed even if a pattern matches them (labels and rules lie in the same folder).

    Raises:
      InputError: a pattern matches nothing (of the default patterns, all of them), or a file that lies outside of the
        folder, and ``settings.outside`` does not allow that.
    """
    others = {os.path.normpath(path) for path in exclude}
    found: set[str] = set()
    problems = []
    for pattern in settings.files:
        matches = [path for path in _match(resolve(folder, pattern)) if os.path.normpath(path) not in others]
        if not matches:
            problems.append(Problem(resolve(folder, pattern), NO_MATCH, key="feed.files", value=pattern))
        found.update(matches)
    if not settings.outside:
        _refuse_outside(found, folder)
    by_default = settings.files == FeedSettings.model_fields["files"].default
    if problems and not (by_default and found):
        raise InputError(problems)
    return sorted(found)


def leaves(path: str, folder: str) -> bool:
    """Whether a file lies outside of ``folder``, links followed; an object's address says openly where it is."""
    if is_remote(path):
        return False
    inside = os.path.realpath(folder)
    return os.path.commonpath([inside, os.path.realpath(path)]) != inside


def _refuse_outside(paths: Iterable[str], folder: str) -> None:
    out = sorted(path for path in paths if leaves(path, folder))
    if out:
        expected = f"expected files below {folder}; these lie elsewhere, by '..', by a full path or behind a link"
        hint = "set feed.outside: true if they are meant, or feed.folder to where they are"
        raise InputError(Problem("", expected, None, "feed.files", path, hint) for path in out)


def _match(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    try:
        return object_stores.match(pattern)
    except OSError as error:
        raise InputError(Problem(pattern, f"a place that can be listed ({error.strerror or error})")) from error


def open_raw(path: str) -> IO[bytes]:
    """The file's own bytes."""
    if not is_remote(path):
        return open(path, "rb")
    return object_stores.open_object(path)


def open_plain(path: str) -> IO[bytes]:
    """The file's content; gzip is recognised by its first bytes, whatever the file is called."""
    raw = open_raw(path)
    magic = raw.read(2)
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw, mode="rb") if magic == b"\x1f\x8b" else raw  # type: ignore[return-value]


def size_of(path: str) -> int:
    """Bytes as stored."""
    if not is_remote(path):
        return os.path.getsize(path)
    return object_stores.size_of(path)


def format_of(path: str, settings: FeedSettings) -> Format:
    """The format that the setting or the file's name gives.

    Raises:
      InputError: the name says nothing.
    """
    if settings.format != "auto":
        return settings.format
    name = path.lower().removesuffix(".gz")
    suffix = os.path.splitext(name)[1]
    if suffix not in _SUFFIXES:
        known = ", ".join(_SUFFIXES)
        raise InputError(
            Problem(path, f"a name that ends in one of: {known} (.gz may follow)", hint="or set feed.format")
        )
    return _SUFFIXES[suffix]


def fingerprint(paths: Iterable[str], folder: str = "") -> str:
    """A text that changes when a file's content changes, or a file comes, goes or is renamed.

    Per file its name relative to ``folder``, its size and a BLAKE2b of its bytes, so that a copy of the same files
    elsewhere has the same fingerprint. Costs about a second per gigabyte.

    Raises:
      InputError: a file cannot be read.
    """
    combined = 0
    size = count = 0
    for path in sorted(set(paths)):
        digest = hashlib.blake2b(digest_size=16)
        name = os.path.relpath(path, folder) if folder and not is_remote(path) else path
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0")
        try:
            with open_raw(path) as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise InputError(Problem(path, f"a readable file ({error.strerror or error})")) from error
        combined ^= int.from_bytes(digest.digest(), "big")
        count += 1
    return f"files:{count},bytes:{size},blake2b:{combined:032x}"


def parts(files: Sequence[str], workers: int) -> list[list[tuple[str, int, int]]]:
    """Divides the files among ``workers``: per worker a list of (file, part, number of parts).

    Files are packed by size, largest first. With fewer files than workers each file is read by several workers, of
    which each takes every n-th block of lines. Deterministic.
    """
    if not files:
        return []
    workers = max(1, workers)
    of = -(-workers // len(files))
    pieces = [(size_of(file) / of, file, part, of) for file in files for part in range(of)]
    tasks: list[list[tuple[str, int, int]]] = [[] for _ in range(min(workers, len(pieces)))]
    loads = [0.0] * len(tasks)
    for size, file, part, number in sorted(pieces, key=lambda piece: (-piece[0], piece[1], piece[2])):
        lightest = loads.index(min(loads))
        tasks[lightest].append((file, part, number))
        loads[lightest] += size + 1.0
    return [sorted(task) for task in tasks]
