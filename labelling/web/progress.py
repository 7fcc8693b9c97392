"""How far an annotator is: the figures above the labelling page."""

from __future__ import annotations

import math
import time
from typing import Any

from sqlalchemy import Connection

from labelling.store import status
from labelling.store.agreement import agreement
from labelling.store.database import now
from labelling.web.forms import Filters

AGREEMENT_SECONDS = 30.0
"""Seconds between two counts of the same agreement."""


class Progress:
    """Counts progress; keeps agreements for a while, which take long to count."""

    def __init__(self) -> None:
        self._kappas: dict[tuple[str, str], tuple[float, float | None]] = {}

    def of(self, connection: Connection, annotator: str, filters: Filters) -> dict[str, Any]:
        """The figures of an annotator, as the page and its script show them.

        Returns:
          ``done`` and ``total`` products of the open queues, the annotator's labels ``today``, their ``pace`` per hour
          (None: not known), and their ``agreement`` with others (:meth:`agreement`).
        """
        queues = [
            queue for queue in status.queues(connection, filters.batch)
            if queue.state == "open" and filters.wanted_kind in (None, queue.kind)
        ]  # fmt: skip
        work = status.work(connection, annotator, now())
        return {
            "done": sum(queue.done for queue in queues), "total": sum(queue.total for queue in queues),
            "today": work.today, "pace": work.pace and round(work.pace),
            "agreement": self.agreement(connection, annotator, filters.objective),
        }  # fmt: skip

    def agreement(self, connection: Connection, annotator: str, objective: str | None) -> float | None:
        """The mean of Cohen's kappa between the annotator and each other one, counted anew at most twice a minute.

        Args:
          connection: Of a transaction that reads.
          annotator: The annotator's name.
          objective: The objective's name; one that the store does not know counts as the first.

        Returns:
          The mean, to two digits; None where nothing is to be compared.
        """
        kinds = status.kinds(connection)
        name = objective if objective in kinds else next(iter(kinds), None)
        if name is None:
            return None
        key = (annotator, name)
        if key not in self._kappas or time.monotonic() - self._kappas[key][0] > AGREEMENT_SECONDS:
            annotators = agreement(connection, name, kinds[name]).annotators
            kappa = {other.annotator: other.kappa for other in annotators}.get(annotator, math.nan)
            self._kappas[key] = (time.monotonic(), None if math.isnan(kappa) else round(kappa, 2))
        return self._kappas[key][1]
