"""Which files there are, and what they are: told by their content, not only by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from modules.errors import InputError, Problem
from modules.feeds.formats import FORMATS, format_by_suffix
from modules.feeds.formats.base import Head
from modules.feeds.formats.sniffing import sniff
from modules.feeds.quarantine import Tally
from modules.feeds.readers import notes_of
from modules.settings.feed import FeedSettings
from pipeline.peek import flat_records


@dataclass(frozen=True)
class FeedFiles:
    """The feed's files, all of one shape.

    Attributes:
      paths: sorted.
      settings: what ``feed`` must say for a run to read them.
      kinds: the name of each file's format.
      undecodable: share of the looked-at lines that are not UTF-8.
    """

    paths: tuple[Path, ...]
    settings: FeedSettings
    kinds: tuple[str, ...]
    undecodable: float

    def records(self, per_file: int | None = None, tally: Tally | None = None) -> Iterator[dict[str, Any]]:
        """Streams the readable records of all files, flat, at most ``per_file`` of each; ``tally`` gets the others."""
        for path, kind in zip(self.paths, self.kinds, strict=True):
            yield from islice(flat_records(path, kind, self.settings, tally=tally), per_file)

    def notes(self) -> tuple[str, ...]:
        """What somebody should know of how the files are read."""
        return tuple(
            note
            for path, kind in zip(self.paths, self.kinds, strict=True)
            for note in notes_of(str(path), kind, self.settings)
        )


def feed_paths(feeds: Sequence[Path]) -> list[Path]:
    """The files that ``feeds`` (files and folders) name, sorted.

    Raises:
      InputError: one of them is missing, or a folder without any.
    """
    problems: list[Problem] = []
    paths: dict[Path, Path] = {}
    for feed in feeds:
        inside = [feed] if feed.is_file() else _inside(feed) if feed.is_dir() else []
        if not inside:
            problems.append(Problem(str(feed), f"expected a feed file ({_endings()}), or a folder with some"))
        paths.update((path.resolve(), path) for path in inside)
    if problems:
        raise InputError(problems)
    return sorted(paths.values())


def find_files(paths: Sequence[Path]) -> FeedFiles:
    """How to read the files of one feed, and what they are.

    Raises:
      InputError: a file is unreadable or of an unknown format, or the files do not go together.
    """
    problems: list[Problem] = []
    kinds: list[str] = []
    needed: dict[str, set[str]] = {}
    bad = total = 0
    ordered = sorted(paths)
    for path in ordered:
        try:
            kind, sniffed, head = sniff(str(path))
        except InputError as error:
            problems += error.problems
            continue
        kinds.append(kind)
        lines, undecodable = _undecodable(head) if sniffed.confidence < 1.0 else (0, 0)
        bad, total = bad + undecodable, total + lines
        for key, value in sniffed.settings.items():
            needed.setdefault(key, set()).add(value)
    for key, values in needed.items():
        if len(values) > 1:
            shown = " and ".join(sorted(map(repr, values)))
            problems.append(Problem("", f"expected one {key} in all files, found {shown}; take them one by one"))
    by_name = all(format_by_suffix(str(path)) == kind for path, kind in zip(ordered, kinds, strict=False))
    if not by_name and len(set(kinds)) > 1:
        problems.append(Problem("", f"expected names with their formats' endings ({_endings()}), for several formats"))
    if problems:
        raise InputError(problems)
    chosen = {key: next(iter(values)) for key, values in needed.items()}
    settings = FeedSettings.model_validate({"format": "auto" if by_name else kinds[0], **chosen})
    return FeedFiles(tuple(ordered), settings, tuple(kinds), bad / max(total, 1))


def _endings() -> str:
    return ", ".join(suffix for name in FORMATS.names() for suffix in FORMATS.get(name).suffixes)


def _inside(folder: Path) -> list[Path]:
    """A folder's own feed files, else those of the folders in it."""
    for candidates in (folder.glob("*"), folder.rglob("*")):
        feeds = [path for path in candidates if _is_feed(path)]
        if feeds:
            return feeds
    return []


def _is_feed(path: Path) -> bool:
    """By its name; a .txt that nobody named is more likely a note than a feed."""
    return path.is_file() and path.suffix != ".txt" and not path.name.startswith(".") and _has_format(path)


def _has_format(path: Path) -> bool:
    """By its name; an archive with anything else than one table in it is no feed."""
    try:
        return format_by_suffix(str(path)) is not None
    except InputError:
        return False


def _undecodable(head: Head) -> tuple[int, int]:
    """How many lines of the beginning there are, and how many of them are not UTF-8; the last one may be cut off."""
    lines = head.data.split(b"\n")
    lines = lines if head.whole else lines[:-1]
    return len(lines), sum(not _decodes(line) for line in lines)


def _decodes(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
