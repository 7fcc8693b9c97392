"""The formats of feed files. A kind is a file of this folder and a line of :data:`FORMATS`, or an entry point."""

from __future__ import annotations

import os

from modules.errors import InputError, Problem
from modules.feeds.formats.base import FeedFormat
from modules.feeds.formats.csv import Csv
from modules.feeds.formats.jsonl import JsonLines
from modules.feeds.formats.parquet import Parquet
from modules.feeds.formats.xlsx import Xlsx
from modules.feeds.formats.xml import Xml
from modules.feeds.opening import content_name
from modules.plugins import Kinds

FORMATS: Kinds[FeedFormat] = Kinds(
    "shelfmark.feed_formats",
    "feed format",
    FeedFormat,  # type: ignore[type-abstract]
    {kind.kind: kind for kind in (JsonLines, Csv, Parquet, Xml, Xlsx)},
)


def format_named(name: str) -> FeedFormat:
    """The format of this name.

    Raises:
      InputError: there is none, or the distribution that provides it cannot be imported.
    """
    return FORMATS.get(name)()


def format_by_suffix(path: str) -> str | None:
    """The name of the format that the file's name tells (``.gz``, ``.zst``, ``.zip`` may follow), or None.

    Of a ``.zip`` without another suffix the name of the file in it counts.

    Formats of entry points are imported only where no format of the package claims the suffix.

    Raises:
      InputError: a distribution that provides a format cannot be imported, or an archive cannot be read.
    """
    suffix = os.path.splitext(content_name(path))[1]
    for name in FORMATS.builtin if suffix in _builtin_suffixes() else FORMATS.names():
        if suffix in FORMATS.get(name).suffixes:
            return name
    return None


def format_of(path: str, format: str) -> str:
    """The name of the file's format.

    Args:
      format: ``auto`` (by the file's name) or a format's name.

    Raises:
      InputError: the name tells none.
    """
    name = format if format != "auto" else format_by_suffix(path)
    if name is None:
        known = [suffix for kind in FORMATS.names() for suffix in FORMATS.get(kind).suffixes]
        expected = f"a name that ends in one of: {', '.join(known)} (.gz, .zst or .zip may follow)"
        raise InputError(Problem(path, expected, hint="or set feed.format"))
    return name


def _builtin_suffixes() -> set[str]:
    return {suffix for kind in FORMATS.builtin.values() for suffix in kind.suffixes}
