"""What a feed's format answers: which files are of it, and which records are in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

from modules.errors import InputError, Problem
from modules.feeds.quarantine import BadRecord

BLANK = "blank"
"""A line, or a row of a table, with nothing in it."""

TITLE = "above_the_header"
"""A row with one cell above the header: a sheet's title, or the date of the export."""


class Record(NamedTuple):
    """One record as the file has it.

    Attributes:
      line: 1-based line it starts at; of a format without lines its 1-based number among the file's records.
      data: the parsed value, as a rule a mapping of column to value.
      raw: the record's text, for quarantine; None where it is to be made from ``data``.
    """

    line: int
    data: Any
    raw: bytes | str | None


@dataclass(frozen=True)
class ReadOptions:
    """How the records of a file are wanted.

    Attributes:
      max_record_bytes: a longer record becomes a :class:`BadRecord`. A reader never holds much more than that of one
        record, and of a file as a whole no more than what does not grow with its length.
      delimiter: of formats whose fields have one between them; None: the file itself tells it.
      encoding: of formats of text; None: the file itself tells it.
      columns: those that will be looked at, dotted where nested: a format that can do so reads no others. None: all.
      required: a column without which every record would be unusable: a format that states its columns raises
        InputError where it is missing. None: no column is.
      passed_over: counts what is no record and may be passed over, by a word for it; the parts together count it once.
      part, of: only each ``of``-th stretch of the file, starting with stretch ``part``, of a splittable format.
    """

    max_record_bytes: int
    delimiter: str | None = None
    encoding: str | None = None
    columns: tuple[str, ...] | None = None
    required: str | None = None
    passed_over: Counter[str] = field(default_factory=Counter)
    part: int = 0
    of: int = 1

    def is_mine(self, stretch: int) -> bool:
        """Whether the file's stretch of this number, counted from 0, is to be read."""
        return stretch % self.of == self.part


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
      name: the name of the file's content, as :func:`modules.feeds.opening.content_name` gives it.
      data: the first bytes, uncompressed; of text as UTF-8.
      whole: whether they are the whole file.
    """

    name: str
    data: bytes
    whole: bool


@dataclass(frozen=True)
class Sniffed:
    """That a file's beginning looks like a format.

    Attributes:
      confidence: from 0 to 1. 1: an unmistakable mark, such as a magic number.
      settings: the keys of ``feed`` that a workflow must have to read the file, and their values.
    """

    confidence: float
    settings: Mapping[str, str] = field(default_factory=dict)


class FeedFormat(ABC):
    """One format of feed files.

    Readers stream: they yield every record of the file in its order, good ones as :class:`Record` and those that cannot
    be read as :class:`BadRecord`. A file that cannot be read to its end raises an error (OSError, EOFError, zlib.error
    or InputError): unlike a bad record it says nothing about how much is missing.
    """

    kind: ClassVar[str]
    """The name in ``feed.format``, and of the entry point."""
    title: ClassVar[str]
    """The name for people."""
    suffixes: ClassVar[tuple[str, ...]]
    """How the names of such files end, in lower case, without what tells compression."""
    splittable: ClassVar[bool] = False
    """Whether :meth:`read` heeds ``part`` and ``of``, so that several workers share a file. A file of any other format
    is read by one worker."""

    @abstractmethod
    def read(self, path: str, options: ReadOptions) -> Iterator[Record | BadRecord]:
        """Streams the file's records in bounded memory.

        All parts together give every record exactly once, with its line in the whole file.
        """

    def columns(self, path: str, options: ReadOptions) -> tuple[str, ...] | None:
        """The dotted names of all columns, of a format that states them ahead of the records; None of any other."""
        return None

    def notes(self, path: str, options: ReadOptions) -> tuple[str, ...]:
        """What somebody should know of how the file is read, in words: `init` and `validate` show it."""
        return ()

    def sniff(self, head: Head) -> Sniffed | None:
        """How much a file's beginning looks like this format; None: not at all."""
        return None


def check_required(path: str, names: list[str], required: str | None, where: str) -> None:
    """Raises InputError if the stated columns lack the required one, since the reason would drown in bad records.

    Args:
      names: the file's top-level columns.
      where: what states them (``header``).
    """
    if required is None or required in names or required.split(".")[0] in names:
        return
    shown = ", ".join(names[:30]) or "none"
    raise InputError(Problem(path, f"a column of the {where}; it has: {shown}", 1, "feed.fields.id", required))
