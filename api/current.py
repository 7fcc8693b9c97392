"""What a server answers from, and how something newer takes its place without a gap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from api.refusals import Refused


class Versioned(Protocol):
    """Something that is served: ``version`` tells a newer one from it."""

    @property
    def version(self) -> str:
        """Another text for another one."""


Thing = TypeVar("Thing", bound=Versioned)


class Current(Generic[Thing]):
    """Holds what is served. What was served stays until its last request is answered, and is then let go.

    Args:
      source: Opens what is to be served now; its argument is the version that is served (None: nothing is), and it
        answers None if that is still the one. Raises InputError where there is none, or it is broken.
      missing: What a request is told as long as there is none.
    """

    def __init__(self, source: Callable[[str | None], Thing | None], missing: str):
        self._source, self._missing = source, missing
        self._loading = threading.Lock()
        self.loaded: Thing | None = None

    def load(self) -> bool:
        """Opens what is to be served now, beside what is served, which it then replaces; False if that is the same.

        Raises:
          InputError: There is none, or the new one is broken; what was served goes on being served.
        """
        with self._loading:
            newer = self._source(self.loaded.version if self.loaded is not None else None)
            if newer is None:
                return False
            self.loaded = newer
            return True

    def current(self) -> Thing:
        """What is served.

        Raises:
          Refused: Nothing is, yet.
        """
        if self.loaded is None:
            raise Refused(
                503, self._missing, "", "", "run the workflow until a model is blessed; the server looks for it"
            )
        return self.loaded
