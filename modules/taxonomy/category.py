"""One category, and how its path is written."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

SEPARATOR = " > "

Path_ = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Category:
    """One node of the taxonomy.

    Attributes:
      id: stable and unique; given in the file or made from the path alone.
      path: names from the root to this node.
      name: what people see; by default the path's last name.
      exclusive: a product can be in at most one of the exclusive categories. One that has exclusive descendants means
        "the rest of it".
      parent: the parent's id, None for a root.
      index: position in the file, from 0.
      description: what belongs into it, in free text; empty if nobody has said.
      synonyms: what it is also called, each instead of the path's last name.
    """

    id: str
    path: Path_
    name: str
    exclusive: bool
    parent: str | None
    index: int
    description: str = ""
    synonyms: tuple[str, ...] = ()

    @property
    def level(self) -> int:
        """1 for a root, 2 for its children, and so on."""
        return len(self.path)

    @property
    def text(self) -> str:
        """The path's names joined by " > "."""
        return SEPARATOR.join(self.path)

    @property
    def words(self) -> str:
        """All that is said of it as one text: the path's names, the synonyms and the description."""
        return " ".join(filter(None, (*self.path, *self.synonyms, self.description)))

    @property
    def texts(self) -> tuple[str, ...]:
        """What tells a reader which category it is: the path, the path with each synonym at its end, and the
        description behind the name, which it may not mention. Each once; without either, the path alone."""
        synonyms = (SEPARATOR.join((*self.path[:-1], synonym)) for synonym in self.synonyms)
        described = (f"{self.path[-1]}: {self.description}",) if self.description else ()
        return tuple(dict.fromkeys((self.text, *synonyms, *described)))

    @property
    def explanation(self) -> str:
        """Description and synonyms for people, as one text; empty if there is neither."""
        also = f"Also: {', '.join(self.synonyms)}." if self.synonyms else ""
        return "\n".join(part for part in (self.description, also) if part)


def tidy(name: str) -> str:
    """NFC, runs of white space as one blank, none at the ends."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def split_path(path: str | Sequence[str]) -> Path_:
    """The names of a path given as text with " > " or as a sequence, tidied."""
    names: Collection[str] = tidy(path).split(SEPARATOR) if isinstance(path, str) else path
    return tuple(tidy(name) for name in names)


def default_id(path: Sequence[str]) -> str:
    """An id that depends on nothing but the path: a readable slug and 40 bits of the path's hash.

    The slug alone would not do: 'T Shirts' and 'T-Shirts' share it.
    """
    ascii_text = unicodedata.normalize("NFKD", " ".join(path)).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.replace("'", "")).strip("-")
    if len(slug) > 48:
        # The end says more than the beginning; cut at a word.
        slug = slug[-48:].split("-", 1)[-1]
    digest = hashlib.sha256(json.dumps(list(path)).encode()).hexdigest()[:10]
    return f"{slug}-{digest}" if slug else f"category-{digest}"
