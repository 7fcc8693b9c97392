"""What a target answers: where documents go, and how it says that it has them."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from modules.predictions.documents import Document

MAX_REASON = 300
"""Characters of what a target says of a refusal."""


class Busy(Exception):
    """The target has not taken the batch, and may at another time: why, and after how many seconds, if it says so."""

    def __init__(self, why: str, after: float | None = None):
        self.why, self.after = why, after
        super().__init__(why)


class Refused(Exception):
    """A product of the batch can never be taken, or the batch is too large: status of HTTP if there is one, and why."""

    def __init__(self, why: str, status: int | None = None):
        self.why, self.status = why, status
        super().__init__(why)


class PartlyRefused(Exception):
    """The target has the batch for good, but for some products that it can never take: id to the refusal."""

    def __init__(self, refusals: Mapping[str, Refused]):
        self.refusals = refusals
        super().__init__("; ".join(sorted({refusal.why for refusal in refusals.values()})))


class Unusable(Exception):
    """Nothing can be published to the target as it is now: why, and what to do."""

    def __init__(self, why: str, hint: str = ""):
        self.why, self.hint = why, hint
        super().__init__(why)


@dataclass(frozen=True)
class Options:
    """What the command line says of a target beside its address.

    Attributes:
      secret: that signs a webhook's batches; None: none was given.
      table: of a database. timeout: seconds that one batch may take.
      allow_private: whether a webhook's host may have addresses that are not public.
    """

    secret: bytes | None = None
    table: str = "shelfmark_products"
    timeout: float = 30.0
    allow_private: bool = False


class Target(ABC):
    """One place to publish to.

    :func:`publishing.publish.publish` calls :meth:`start`, then :meth:`send` for each batch, from several threads, then
    :meth:`finish`, also after a failure. A batch may come twice (a kill before it was noted): the same id with a larger
    version replaces what is there.

    Attributes:
      schemes: of its addresses; empty: it is a path.
      name: for people, logs and files: without any secret.
      identity: what tells it from other targets; hashed where it is written.
    """

    schemes: ClassVar[tuple[str, ...]] = ()
    name: str
    identity: str

    @abstractmethod
    def __init__(self, address: str, options: Options, is_hidden: bool):
        """Reads the address, and asks nobody.

        Args:
          address: of one of :attr:`schemes`, or a path.
          options: what was said beside it.
          is_hidden: whether it came from the environment or a file, and so may hold a secret.

        Raises:
          InputError: the address cannot be used.
        """

    @property
    def slug(self) -> str:
        """A name for files: the readable part of :attr:`name`, and a hash of :attr:`identity`."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")[-40:].strip("-").lower()
        return f"{readable or 'target'}-{hashlib.sha256(self.identity.encode()).hexdigest()[:8]}"

    @abstractmethod
    def start(self, version: int) -> None:
        """Connects, or opens a file.

        Raises:
          Unusable: the target cannot be written to.
        """

    @abstractmethod
    def send(self, documents: Sequence[Document]) -> None:
        """Delivers a batch; returns when the target has it for good.

        Raises:
          Busy, Refused, PartlyRefused, Unusable.
        """

    @abstractmethod
    def finish(self) -> None:
        """Nothing more comes: shows what was sent, and disconnects.

        Raises:
          Unusable: what was sent cannot be shown.
        """
