"""Which products people are asked about next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from modules.errors import Problem
from modules.query_strategies.registry import Strategy
from modules.query_strategies.schedule import Schedule
from modules.settings.base import Settings, contradiction

if TYPE_CHECKING:
    from modules.settings.workflow import Workflow

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class StoppingSettings(Settings):
    """When labelling on is not worth it."""

    kappa: Fraction = 0.99
    """Predictions count as stable where a round agrees with the one before by at least this (Cohen's kappa)."""
    rounds: Annotated[int, Field(ge=1, le=20)] = 3
    """How many rounds in a row have to agree so (Bloodgood and Vijay-Shanker 2009)."""
    min_gain: Fraction = 0.002
    """Accuracy that a batch must be expected to add, by the learning curve."""
    min_support: Annotated[int, Field(ge=1)] = 30
    """Rounds with fewer labelled test products are left out of the learning curve."""


class SamplingSettings(Settings):
    """The next batch of each objective."""

    size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Questions per objective and batch."""
    strategy: Strategy = Schedule()
    """How the products of a batch are picked, but for those that are drawn at random."""
    random_share: Fraction = 0.1
    """Of a batch, drawn at random over all splits: what the evaluation stands on."""
    first_random_share: Fraction = 0.2
    """The same, as long as an objective has fewer than ``first_labels`` random labels."""
    first_labels: Annotated[int, Field(ge=0)] = 100
    """Random labels that an objective needs before ``random_share`` takes the place of ``first_random_share``."""
    objectives: tuple[str, ...] = ()
    """Whose products are asked about; none named: the exclusive ones. Of a multi-label objective yes or no is asked
    about a product and a category."""
    review: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Suspected label errors of each kind in the review queue; 0: none are looked for."""
    stopping: StoppingSettings = StoppingSettings()

    def check(self, workflow: Workflow, place: str) -> Iterator[Problem]:
        yield from super().check(workflow, place)
        disagreeing = workflow.committee is not None and workflow.committee.answers > 0
        if self.strategy.all_needs() & {"committee", "members"} and not disagreeing:
            expected = "another strategy, or a committee whose members can disagree (see committee)"
            yield contradiction(f"{place}.strategy", self.strategy.kind, expected)
        for name in self.objectives:
            if name not in workflow.objectives:
                yield contradiction(f"{place}.objectives", name, f"one of: {', '.join(workflow.objectives)}")
