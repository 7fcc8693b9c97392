"""What a format of taxonomy files answers: whether a file is of it, and which categories are in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

from modules.errors import InputError, Problem
from modules.taxonomy.documents import line_of

SAMPLE_LINES = 200
OWN_KEYS = ("path", "id", "name", "exclusive", "parent", "description", "synonyms")
"""What the project's own form says of a category."""


class Entry(NamedTuple):
    """A category as a file has it.

    Attributes:
      path: names from the root down.
      line: 1-based, None of a format without lines.
      id: the source's own; None where it has none.
      description: the source's definition of it, as it is written there; empty where it has none.
      synonyms: other names, with "|" between them.
      exclusive: whether people label it; None where the source does not say: then it is if it is a leaf.
    """

    path: tuple[str, ...]
    line: int | None = None
    id: str | None = None
    description: str = ""
    synonyms: str = ""
    exclusive: bool | None = None


@dataclass(frozen=True)
class Source:
    """A taxonomy file's content.

    Attributes:
      path: the file, for messages.
      suffix: of its name, in lower case, with the dot.
      data: all of it; who reads it has bounded it.
    """

    path: str
    suffix: str
    data: bytes

    @cached_property
    def text(self) -> str:
        """The content as text.

        Raises:
          InputError: it is not UTF-8.
        """
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            shown = repr(self.data[error.start : error.end])
            raise InputError(Problem(self.path, "not UTF-8", line_of(self.data, error.start), value=shown)) from None

    @cached_property
    def head(self) -> str:
        """The beginning as text, whatever is in it."""
        return self.data[: 1 << 16].decode("utf-8-sig", "replace")

    @property
    def is_binary(self) -> bool:
        return "\0" in self.head or self.data.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF"))

    def lines(self) -> Iterator[tuple[int, str]]:
        """Lines with something in them that are no comment, with their numbers; blanks at their ends go."""
        for number, line in enumerate(self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), start=1):
            if line.strip() and not line.lstrip().startswith("#"):
                yield number, line.rstrip()

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """The first lines with something in them that are no comment."""
        lines = self.head.splitlines()
        kept = (line.rstrip() for line in (lines if len(self.data) <= 1 << 16 else lines[:-1]))
        return tuple(line for line in kept if line and not line.lstrip().startswith("#"))[:SAMPLE_LINES]


def delimiter_of(line: str) -> str:
    """What parts the columns of a table, by its header."""
    return max(",;\t|", key=line.count)


class TaxonomyFormat(ABC):
    """One format of taxonomy files of others. Hardly one says which categories are exclusive: leaves are, then."""

    kind: ClassVar[str]
    """Its short name."""
    title: ClassVar[str]
    """What such a file is, for people."""

    @abstractmethod
    def sniff(self, source: Source) -> float:
        """How much the content looks like this format, from 0 to 1 (an unmistakable mark)."""

    @abstractmethod
    def entries(self, source: Source) -> Iterator[Entry]:
        """The categories of the file in its order; those above one may be left out.

        Raises:
          InputError: the content cannot be read.
        """
