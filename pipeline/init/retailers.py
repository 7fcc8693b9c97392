"""Which of somebody's files are one retailer's feed, and what the retailer is called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from modules.errors import InputError
from modules.feeds.formats import format_by_suffix
from modules.feeds.formats.sniffing import sniff
from modules.feeds.readers import columns_of
from modules.settings.feed import FeedSettings
from pipeline.peek import flat_records

LOOKED_AT = 50
SHARED = 0.5
_PARTS = re.compile(
    r"(?:(?<=[\W_])|^)(?:train|training|test|testing|eval|val|valid|validation|dev|part|chunk|shard|page|split|of)"
    r"(?=[\W_\d]|$)|\d+",
    re.I,
)
_MAX_NAME = 40


@dataclass(frozen=True)
class RetailerFiles:
    """The files of one retailer's feed, sorted."""

    name: str
    paths: tuple[Path, ...]


def group_files(paths: Sequence[Path]) -> list[RetailerFiles]:
    """Files by retailer: those whose names differ in numbers, or in words for a part, and that have the same columns.

    A file that cannot be read is a group of its own: reading it as a feed says what is wrong.
    """
    groups: dict[tuple[str, str], list[tuple[list[Path], frozenset[str]]]] = {}
    for path in sorted(paths):
        kind, columns = _look(path)
        alike = groups.setdefault((_pattern(path), kind), [])
        for members, known in alike:
            if columns and len(columns & known) >= SHARED * len(columns | known):
                members.append(path)
                break
        else:
            alike.append(([path], columns))
    grouped = sorted(members for alike in groups.values() for members, _ in alike)
    names = _names([members[0] for members in grouped])
    return [RetailerFiles(name, tuple(members)) for name, members in zip(names, grouped, strict=True)]


def stem_of(path: Path) -> str:
    """A feed file's name without the endings of its format and compression."""
    return path.name.split(".")[0] if format_by_suffix(str(path)) else path.stem


def _pattern(path: Path) -> str:
    """The path without what tells the parts of one feed apart."""
    folder = os.path.abspath(path.parent)
    return os.path.join(_PARTS.sub("#", folder), re.sub(r"[#\W_]+", "#", _PARTS.sub("#", stem_of(path))).strip("#"))


def _look(path: Path) -> tuple[str, frozenset[str]]:
    """The file's format with what it needs to be read, and the columns of its first records; none if it has none."""
    try:
        kind, sniffed, _ = sniff(str(path))
        settings = FeedSettings.model_validate({"format": kind, **sniffed.settings})
        columns = columns_of(str(path), kind, settings)
        if columns is None:
            columns = tuple(
                name for record in islice(flat_records(path, kind, settings, "all"), LOOKED_AT) for name in record
            )
    except InputError:
        return "", frozenset()
    return f"{kind} {sniffed.settings}", frozenset(columns)


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each file's retailer: of the file, or of its folder where files are called the same."""
    by_folder = [_slug(Path(os.path.abspath(path)).parent.name) for path in paths]
    names = [
        _slug(_PARTS.sub("", stem_of(path))) or folder or _slug(stem_of(path))
        for path, folder in zip(paths, by_folder, strict=True)
    ]
    chosen = [
        folder if names.count(name) > 1 and folder and by_folder.count(folder) == 1 else name
        for name, folder in zip(names, by_folder, strict=True)
    ]
    return list(_distinct(name or "feed" for name in chosen))


def _distinct(names: Iterable[str]) -> Iterable[str]:
    taken: set[str] = set()
    for name in names:
        number, candidate = 1, name
        while candidate in taken:
            number += 1
            candidate = f"{name}-{number}"
        taken.add(candidate)
        yield candidate


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:_MAX_NAME].strip("-")
