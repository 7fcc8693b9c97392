"""What a sink answers: where predictions go, batch by batch."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modules.errors import InputError, Problem
from modules.predictions.columns import (
    ACCEPTED,
    ID,
    PROBABILITY,
    RETAILER,
    SOURCE,
    SPLIT,
    TITLE,
    UNCERTAINTIES,
    objective_column,
)
from modules.predictions.guesses import sources_beside, without_guesses
from modules.predictions.read import PredictionFiles, Query
from modules.taxonomy import Taxonomy

BASE = (ID, TITLE, RETAILER)
SCORES = (PROBABILITY, *UNCERTAINTIES)
OPTIONAL = (SOURCE, ACCEPTED)
"""Parts of an objective that predictions of earlier runs, or of other workflows, lack."""


@dataclass(frozen=True)
class Delivery:
    """Which predictions are delivered.

    Attributes:
      files: the predictions of one run.
      query: which of them, in which order.
      taxonomy: of the run that made them.
    """

    files: PredictionFiles
    query: Query
    taxonomy: Taxonomy

    @property
    def objectives(self) -> dict[str, str]:
        """Name to kind of the objectives that the query asks for."""
        return {name: kind for name, kind in self.files.kinds.items() if self.query.objective in (None, name)}

    def tells(self, objective: str, part: str) -> bool:
        """Whether the predictions have a column that only some runs write, such as what categories stand on."""
        return objective_column(objective, part) in self.files.schema.names

    def told(self, objective: str) -> list[str]:
        """Those of :data:`OPTIONAL` that the predictions have of an objective."""
        return [part for part in OPTIONAL if self.tells(objective, part)]

    def tables(self, columns: list[str], skip: int = 0) -> Iterator[pa.Table]:
        """Streams the rows in their order, all but the first ``skip``, in tables of bounded size.

        Where a category is only a guess, there is none in its place.
        """
        for guesses in self.files.select(self.query, sources_beside(columns, self.files.schema.names)):
            table = without_guesses(guesses).select([*columns, SPLIT])
            left_out = min(skip, table.num_rows)
            skip -= left_out
            if left_out < table.num_rows:
                yield table.slice(left_out)


class Sink(ABC):
    """One delivery to one place.

    :func:`modules.predictions.export.export` makes a sink, calls :meth:`start`, then :meth:`write` for each batch, then
    :meth:`finish`; if anything fails, :meth:`abort`. ``write`` may take its time: the next batch is read when it
    returns, so that a slow receiver slows the reading and nothing queues up in memory.

    The name under which a sink is listed, or provided by an entry point, is the scheme of its targets
    (``kafka`` for ``kafka://host/topic``) or, without ``://``, the ending of their names (``csv`` for ``x.csv``).

    Args:
      target: the file or address, as it was given.
      delivery: what will be written.
    """

    def __init__(self, target: str, delivery: Delivery):
        self.target = target
        self.delivery = delivery

    @abstractmethod
    def columns(self) -> list[str]:
        """The columns of the predictions that :meth:`write` needs; ``split`` comes with them in any case."""

    @abstractmethod
    def start(self) -> int:
        """Connects, or opens a file.

        Returns:
          How many of the delivery's first products the target already has, from an attempt that was interrupted: they
          are not written again. 0 where a sink does not resume.

        Raises:
          InputError: the target cannot be written.
        """

    @abstractmethod
    def write(self, table: pa.Table) -> None:
        """Delivers one batch of some thousand products; returns when the target has taken it."""

    @abstractmethod
    def finish(self) -> None:
        """Everything was written: makes it visible, and disconnects."""

    @abstractmethod
    def abort(self) -> None:
        """Something failed, perhaps :meth:`start` itself: disconnects, and leaves no half of a delivery in sight."""


class FileSink(Sink):
    """A file that appears under its name when it is complete, and until then leaves the old one as it is."""

    def __init__(self, target: str, delivery: Delivery):
        super().__init__(target, delivery)
        self._temporary: Path | None = None
        self._is_closed = False

    @abstractmethod
    def open_file(self, path: str) -> None:
        """Opens the new file, which is there and empty."""

    @abstractmethod
    def close_file(self) -> None:
        """Closes it, whether all was written or not; called once."""

    def start(self) -> int:
        target = Path(self.target)
        try:
            handle, name = tempfile.mkstemp(target.suffix, f".{target.name}.", target.parent or Path())
            os.close(handle)
        except OSError as error:
            raise InputError(Problem(self.target, f"a file that can be written: {error.strerror}")) from None
        self._temporary = Path(name)
        self.open_file(name)
        return 0

    def finish(self) -> None:
        assert self._temporary is not None
        self._close()
        # mkstemp lets nobody else read; the file is to be like any other that the user writes.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(self._temporary, 0o666 & ~mask)
        os.replace(self._temporary, self.target)

    def abort(self) -> None:
        if self._temporary is not None:
            try:
                self._close()
            finally:
                self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.close_file()
