"""A schedule: which strategy when."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from modules.plugins import WithEntryPoints
from modules.query_strategies.base import QueryStrategy
from modules.query_strategies.combined import Combined
from modules.query_strategies.facility_location import FacilityLocation
from modules.query_strategies.kinds import QUERY_STRATEGIES, Single
from modules.query_strategies.pool import Pool, Selection
from modules.settings.base import Settings

Plain = Annotated[Single | Combined, Field(discriminator="kind"), WithEntryPoints(QUERY_STRATEGIES, QueryStrategy)]
"""All but the schedule."""


class Step(Settings):
    """One strategy and how long it is used."""

    below: Annotated[int, Field(ge=1)] | None = None
    """As long as the pool has fewer labels than this; none: from here on."""
    strategy: Plain
    """How products are picked as long as this step lasts."""


class Schedule(QueryStrategy):
    """A cold start before the first labels, then uncertainty with diversity."""

    kind: Literal["schedule"] = "schedule"
    steps: Annotated[tuple[Step, ...], Field(min_length=1)] = (
        Step(below=1, strategy=FacilityLocation(score="margin")),
        Step(strategy=FacilityLocation()),
    )
    """Strategies in the order in which they are used, as labels come in."""

    @model_validator(mode="after")
    def _ascending(self) -> Schedule:
        bounds = [step.below for step in self.steps]
        if bounds[-1] is not None or any(bound is None for bound in bounds[:-1]):
            raise ValueError("every step but the last has `below`, the last has none")
        if any(a >= b for a, b in pairwise(bounds[:-1])):  # type: ignore[operator]
            raise ValueError("`below` must rise from step to step")
        return self

    def step(self, labels: int) -> QueryStrategy:
        """The strategy with so many labels."""
        return next(step.strategy for step in self.steps if step.below is None or labels < step.below)

    def all_needs(self) -> frozenset[str]:
        """Of all steps."""
        return frozenset().union(*(step.strategy.all_needs() for step in self.steps))

    def _pick(self, pool: Pool, n: int, rng: np.random.Generator) -> Selection:
        return self.step(len(pool.labelled)).query(pool, n, rng)
