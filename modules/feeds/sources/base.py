"""What a source answers: what it is called, and the feed's content as one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field

from modules.errors import InputError, Problem, reason
from modules.settings.base import Settings

TO_HIDE = "set an environment variable to it and write env:NAME here, or a file's path and write file:PATH"
"""What to do with a secret that stands in a workflow."""


@dataclass(frozen=True)
class Fetched:
    """What a source gave.

    Attributes:
      suffix: what the file's name has to end with, so that its format is known, such as ``.csv.gz``.
      validators: what the source wants to be asked with the next time (``ETag`` and the like), without secrets.
    """

    suffix: str
    validators: Mapping[str, str] = field(default_factory=dict)


class Away(Exception):
    """A source does not give the feed now: why, and what to do. Neither text holds a secret."""

    def __init__(self, why: str, hint: str = ""):
        self.why, self.hint = why, hint
        super().__init__(why)


class SourceSettings(Settings):
    """One source of a feed."""

    max_bytes: Annotated[int, Field(ge=1024, le=2**44)] = 20 * 10**9
    """A larger feed is refused; of a compressed transfer what comes out counts."""
    deadline: Annotated[float, Field(gt=0.0, le=7 * 86400.0)] = 4 * 3600.0
    """Seconds for the feed in all, retries and redirects included."""

    @abstractmethod
    def title(self) -> str:
        """What people, logs and files call it: without anything that may be a secret.

        Raises:
          InputError: the address stands in an environment variable or a file that cannot be read, or is none.
        """

    @abstractmethod
    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        """Writes the whole content to ``file``, in bounded memory; None: it is what it was with these validators.

        Args:
          file: is replaced; holds anything after an error.
          validators: those of the last snapshot of the same source; empty: there is none.

        Raises:
          InputError: the settings cannot be used. Away: the source does not give it, or not as a whole.
        """

    def too_large(self) -> Away:
        """The error about a feed of more than :attr:`max_bytes`."""
        hint = "set source.max_bytes if it is meant"
        return Away(f"{self.title()} gives more than {self.max_bytes:,} bytes", hint)

    def too_late(self) -> Away:
        """The error about a feed that took longer than :attr:`deadline`."""
        hint = "set source.deadline if that is too short"
        return Away(f"{self.title()} is not there within {self.deadline:,.0f} seconds", hint)


class Writable(Protocol):
    """What takes bytes: a file, or what packs them."""

    def write(self, data: bytes, /) -> object: ...


def write_to(stream: Writable, data: bytes, file: Path) -> None:
    """Writes a piece of the content.

    Raises:
      InputError: the disk does not take it; a source's own failures are other errors.
    """
    try:
        stream.write(data)
    except OSError as error:
        raise InputError(Problem(str(file.parent), f"cannot be written to: {reason(error)}")) from None
