"""Which products people are asked about next."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.query_strategies.registry import Strategy
from modules.query_strategies.schedule import Schedule
from modules.settings.base import Settings

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class SamplingSettings(Settings):
    """The next batch of each objective."""

    size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Questions per objective and batch."""
    strategy: Strategy = Schedule()
    random_share: Fraction = 0.1
    """Of a batch, drawn at random over all splits: what the evaluation stands on."""
    first_random_share: Fraction = 0.2
    """The same, as long as an objective has fewer than ``first_labels`` random labels."""
    first_labels: Annotated[int, Field(ge=0)] = 100
    objectives: tuple[str, ...] = ()
    """Whose products are asked about; none named: the exclusive ones. Of a multi-label objective yes or no is asked
    about a product and a category."""
