"""What an experiment's recipe holds: arms that are compared on one catalogue, with the truth as the labeller."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modules.errors import InputError, Problem
from modules.query_strategies import strategy
from modules.settings.base import NotNegative, Probability, Settings, contradiction
from modules.settings.workflow import ContradictionError

Count = Annotated[int, Field(ge=1, le=10_000_000)]
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,63}$")]
Target = Annotated[float, Field(gt=0.0, le=1.0)]
SHARED = ("name", "feed", "feeds", "taxonomy", "rules", "labels")
"""Sections of the workflow that all arms have in common, so that they learn from the same products."""


class LabellingSeconds(Settings):
    """What labelling costs a person."""

    label: NotNegative = 0.0
    """Seconds for each label."""
    round: NotNegative = 0.0
    """Seconds for each round on top."""


class LabellerSettings(Settings):
    """A labeller who errs. With the same seed a product gets the same answer in all arms of the same settings, and
    those who err at a lower rate err on a part of the products that those of a higher rate err on."""

    error_rate: Probability = 0.0
    """Share of the products, on average, whose label is a wrong category."""
    errors: Literal["siblings", "all"] = "siblings"
    """Where a wrong category is drawn from: those with the same parent (all others where there is none), or all."""
    seconds: LabellingSeconds = LabellingSeconds()


class LabelSettings(Settings):
    """Which products an arm labels."""

    sampling: Literal["random", "strategy", "both"] = "strategy"
    """``random``: drawn at random. ``strategy``: what the strategy picks. ``both``: half of all labels each, as far as
    the first batch allows."""


class ArmSettings(Settings):
    """One of the things that are compared."""

    strategy: str = "default"
    """A query strategy with its default parameters."""
    batch: Count | None = None
    """Labels per round; null: the recipe's. The first batch always has the recipe's size."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings of the workflow, merged into it after the recipe's own."""
    labels: LabelSettings = LabelSettings()
    labeller: LabellerSettings = LabellerSettings()


class Recipe(Settings):
    """A comparison: every arm is played with every seed."""

    description: Annotated[str, Field(min_length=1)]
    """The command, what it costs, and which question it answers."""
    workflow: str | None = None
    """The workflow file, relative to the recipe; null: the command line names one."""
    feed: str | None = None
    """The folder of the feed, relative to the recipe; null: the workflow's."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Settings of the workflow for all arms, merged deeply: a mapping that names another ``kind`` or ``solver``
    replaces the whole mapping, and null takes a feature or an objective out."""
    arms: Annotated[dict[ArmName, ArmSettings], Field(min_length=1)]
    baseline: str | None = None
    """The arm that the others are compared with; null: the first."""
    seeds: Annotated[int, Field(ge=1, le=1000)] = 5
    """How many runs of each arm."""
    first_seed: Annotated[int, Field(ge=0)] = 1
    budget: Count = 600
    """Labels in all."""
    batch: Count = 50
    """Labels per round."""
    first_batch: Literal["random", "strategy"] = "random"
    """``random``: drawn at random, the same for all arms of a seed. ``strategy``: each arm's own, which is fair where
    a strategy has a cold start of its own."""
    held_out: Annotated[float, Field(ge=0.01, le=0.9)] = 0.2
    """Share of the products to measure on."""
    held_out_seed: int | None = None
    """Draws them; null: each seed draws its own. All arms of a seed are measured on the same ones."""
    minimum: Count = 10
    """Products of distinct titles that a category needs."""
    targets: dict[str, Target] = Field(default_factory=dict)
    """Figure to the value that a run aims at."""
    stop_at_target: bool = False
    """A run ends with the first round after which it has reached all targets."""

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.first_seed, self.first_seed + self.seeds))

    @property
    def compared_with(self) -> str:
        """The baseline's name."""
        return self.baseline or next(iter(self.arms))

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        problems = list(self._contradictions())
        if problems:
            raise ContradictionError(problems)
        return self

    def _contradictions(self) -> Iterator[Problem]:
        if self.baseline is not None and self.baseline not in self.arms:
            yield contradiction("baseline", self.baseline, f"one of: {', '.join(self.arms)}")
        if self.batch > self.budget:
            yield contradiction("batch", self.batch, f"at most the budget of {self.budget:,}")
        for figure in self.targets.keys() - {"accuracy", "macro_f1"}:
            yield contradiction(f"targets.{figure}", figure, "one of: accuracy, macro_f1")
        if self.stop_at_target and not self.targets:
            yield contradiction("stop_at_target", True, "targets to stop at")
        for name, arm in self.arms.items():
            place = f"arms.{name}"
            try:
                strategy(arm.strategy)
            except InputError as error:
                yield contradiction(
                    f"{place}.strategy", arm.strategy, error.problems[0].expected.removeprefix("expected ")
                )
            if arm.labels.sampling == "random" and arm.strategy not in ("default", "random"):
                yield contradiction(f"{place}.strategy", arm.strategy, "no strategy beside labels.sampling: random")
            for section in sorted(set(SHARED) & set(arm.changes)):
                yield contradiction(
                    f"{place}.changes.{section}", "", f"this under the recipe's own changes: all arms share {section}"
                )
