"""What a step of a migration yields: changes to a workflow file, and questions that only a person can answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeline.yaml_tree import KeyPath


@dataclass(frozen=True)
class Removal:
    """A key or list item that goes, with all that is inside it.

    Attributes:
      path: of the key.
      why: the reason, as the end of the sentence "removed, because ...".
    """

    path: KeyPath
    why: str

    def __str__(self) -> str:
        return f"removed, because {self.why}"


@dataclass(frozen=True)
class Addition:
    """A key that a mapping of the file gets, before its other keys.

    Attributes:
      path: of the new key, whose mapping the file has.
      value: a scalar.
      why: the reason, as the end of the sentence "added, because ...".
    """

    path: KeyPath
    value: str
    why: str

    def __str__(self) -> str:
        return f"added with the value {self.value}, because {self.why}"


@dataclass(frozen=True)
class Decision:
    """A key that means something else to each of the two versions, so that a person has to say what is meant.

    Attributes:
      path: of the key.
      why: what the file says, and why it cannot stay.
      write: what to write instead.
    """

    path: KeyPath
    why: str
    write: str


Change: TypeAlias = Removal | Addition
Step: TypeAlias = Callable[[dict[str, Any], str], Iterator[Change | Decision]]
"""Takes the settings and the name of the file. It must yield nothing for a workflow that is of its newer shape."""
