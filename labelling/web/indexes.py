"""The similarity indexes that the pages look into: opened when first asked for, and anew when there are newer ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from modules.errors import InputError, Problem

if TYPE_CHECKING:
    from modules.similarity.catalogue import Catalogue, SimilarityQuery, SimilarProduct
    from modules.similarity.items import Restriction

_log = logging.getLogger("shelfmark.labelling")

Source = Callable[[str | None], "Catalogue | None"]
"""Opens the newest indexes; None if they still are the version of the argument; InputError: there are none."""

EVERY = 5.0
"""Seconds between looks for newer ones."""


class Indexes:
    """The catalogue that is shown; safe for threads."""

    def __init__(self, source: Source | None = None, every: float = EVERY):
        self._source, self._every = source, every
        self._opening, self._searching = threading.Lock(), threading.Lock()
        self._catalogue: Catalogue | None = None
        self._error: InputError | None = None
        self._looked = -every

    def current(self) -> Catalogue:
        """The newest catalogue. A broken new one is passed over as long as there is an older one.

        Raises:
          InputError: there is none.
        """
        if self._source is None:
            raise InputError(Problem("", "an index to look into; this server was started without one"))
        # Who comes while another thread opens a newer one sees the older one.
        if self._due() and self._opening.acquire(blocking=self._catalogue is None):
            try:
                if self._due():
                    self._look(self._source)
            finally:
                self._opening.release()
        if self._catalogue is None:
            assert self._error is not None
            raise self._error
        return self._catalogue

    def current_or_none(self) -> Catalogue | None:
        """The newest catalogue; None if there is none."""
        try:
            return self.current()
        except InputError:
            return None

    def search(
        self, catalogue: Catalogue, by: str, asked: SimilarityQuery, k: int, within: Restriction | None
    ) -> Sequence[SimilarProduct]:
        """See :meth:`modules.similarity.catalogue.Catalogue.search`; one search at a time, which uses all cores."""
        with self._searching:
            return catalogue.search(by, [asked], k, within)[0]

    def _due(self) -> bool:
        return time.monotonic() - self._looked >= self._every

    def _look(self, source: Source) -> None:
        try:
            newer = source(self._catalogue.version if self._catalogue is not None else None)
            # Not its truth: an index without products is one, too.
            self._catalogue, self._error = self._catalogue if newer is None else newer, None
        except InputError as error:
            # The pages show no paths; the log does, once for each reason.
            if str(error) != str(self._error):
                _log.warning("the similarity index cannot be opened: %s", error)
            self._error = error
        finally:
            self._looked = time.monotonic()
