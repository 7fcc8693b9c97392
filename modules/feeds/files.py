"""A feed's files: finding them, dividing them among workers, and a fingerprint of their content."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from modules import object_stores
from modules.errors import InputError, Problem
from modules.feeds import formats
from modules.feeds.opening import open_raw, size_of
from modules.object_stores import is_remote
from modules.settings.feed import FeedSettings

_BLOCK = 1 << 20
NO_MATCH = "no file matches"


def resolve(folder: str, path: str) -> str:
    """``path`` relative to ``folder``, unless it is absolute or remote."""
    return path if is_remote(path) else os.path.join(folder, path)


def checksum_of(path: Path) -> str:
    """The checksum of a file, or of all files below a folder and their names; of no bytes where neither exists."""
    total = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        total.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


class FeedFile(NamedTuple):
    """A file of a workflow's feeds.

    Attributes:
      source: the number of its feed among the workflow's.
    """

    path: str
    source: int


def find_feed_files(
    sources: Sequence[FeedSettings], folder: str, exclude: Iterable[str] = (), listed: bool = False,
    snapshots: Sequence[str | None] = (),
) -> list[FeedFile]:  # fmt: skip
    """The files of all feeds, feed by feed, each as :func:`find_files` has them.

    Args:
      folder, exclude: as there.
      listed: the workflow has them as a list, ``feeds``, for a message.
      snapshots: of each feed the file that its source's snapshot is, relative to ``folder`` or a full path; None of a
        feed of files; empty: no feed has one.

    Raises:
      InputError: as there; and a file that two feeds match.
    """
    others = list(exclude)
    files: list[FeedFile] = []
    owners: dict[str, int] = {}
    problems: list[Problem] = []
    for number, settings in enumerate(sources):
        key = f"feeds[{number}].files" if listed else "feed.files"
        snapshot = snapshots[number] if snapshots else None
        try:
            paths = find_files(settings, folder, others, key) if snapshot is None else [resolve(folder, snapshot)]
        except InputError as error:
            problems += error.problems
            continue
        for path in paths:
            owner = owners.setdefault(path if is_remote(path) else os.path.realpath(path), number)
            if owner != number:
                expected = f"expected a file of one feed; {sources[owner].retailer} has it, too"
                problems.append(Problem("", expected, key=key, value=path, hint="narrow the patterns of one of them"))
            files.append(FeedFile(path, number))
    if problems:
        raise InputError(problems)
    return files


def find_files(settings: FeedSettings, folder: str, exclude: Iterable[str] = (), key: str = "feed.files") -> list[str]:
    """The files that the feed's patterns match, each once, sorted: the order in which records count as earlier.

    Args:
      folder: what the patterns are relative to.
      exclude: paths that are no feed even if a pattern matches them (labels and rules lie in the same folder).
      key: where the workflow has the patterns, for a message.

    Raises:
      InputError: a pattern matches nothing (of the default patterns, all of them), or a file that lies outside of the
        folder, and ``settings.outside`` does not allow that; or products come from a source.
    """
    if settings.source is not None:
        raise InputError(Problem("", "expected a snapshot of the source; there is none", key=key))
    others = {os.path.normpath(path) for path in exclude}
    paths: set[str] = set()
    problems = []
    for pattern in settings.files:
        matches = [path for path in _match(resolve(folder, pattern)) if os.path.normpath(path) not in others]
        if not matches:
            problems.append(Problem(resolve(folder, pattern), NO_MATCH, key=key, value=pattern))
        paths.update(matches)
    if not settings.outside:
        _refuse_outside(paths, folder, key)
    by_default = settings.files == FeedSettings.model_fields["files"].default
    if problems and not (by_default and paths):
        raise InputError(problems)
    return sorted(paths)


def leaves(path: str, folder: str) -> bool:
    """Whether a file lies outside of ``folder``, links followed; an object's address says openly where it is."""
    if is_remote(path):
        return False
    inside = os.path.realpath(folder)
    return os.path.commonpath([inside, os.path.realpath(path)]) != inside


def _refuse_outside(paths: Iterable[str], folder: str, key: str) -> None:
    out = sorted(path for path in paths if leaves(path, folder))
    if out:
        expected = f"expected files below {folder}; these lie elsewhere, by '..', by a full path or behind a link"
        hint = "set feed.outside: true if they are meant, or feed.folder to where they are"
        raise InputError(Problem("", expected, None, key, path, hint) for path in out)


def _match(pattern: str) -> list[str]:
    if not is_remote(pattern):
        return [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)]
    try:
        return object_stores.match(pattern)
    except OSError as error:
        raise InputError(Problem(pattern, f"a place that can be listed ({error.strerror or error})")) from error


def format_of(path: str, settings: FeedSettings) -> str:
    """The name of the format that the setting or the file's name gives; raises as :func:`formats.format_of`."""
    return formats.format_of(path, settings.format)


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


def unsplittable(files: Iterable[FeedFile], sources: Sequence[FeedSettings]) -> set[str]:
    """The files whose format several workers cannot share; a file without a known format is left to its reader."""
    whole = set()
    for file in files:
        try:
            if not formats.format_named(format_of(file.path, sources[file.source])).splittable:
                whole.add(file.path)
        except InputError:
            continue
    return whole


def parts(files: Sequence[str], workers: int, whole: Collection[str] = ()) -> list[list[tuple[str, int, int]]]:
    """Divides the files among ``workers``: per worker a list of (file, part, number of parts).

    Files are packed by size, largest first. With fewer files than workers each file is read by several workers, of
    which each takes every n-th stretch of it. Deterministic.

    Args:
      whole: files that only one worker may read, see :func:`unsplittable`.
    """
    if not files:
        return []
    workers = max(1, workers)
    most = -(-workers // len(files))
    pieces = []
    for file in files:
        of = 1 if file in whole else most
        pieces += [(size_of(file) / of, file, part, of) for part in range(of)]
    tasks: list[list[tuple[str, int, int]]] = [[] for _ in range(min(workers, len(pieces)))]
    loads = [0.0] * len(tasks)
    for size, file, part, number in sorted(pieces, key=lambda piece: (-piece[0], piece[1], piece[2])):
        lightest = loads.index(min(loads))
        tasks[lightest].append((file, part, number))
        loads[lightest] += size + 1.0
    return [sorted(task) for task in tasks]
