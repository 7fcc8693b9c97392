"""An experiment's campaigns: every arm with every seed, kept round by round."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.arms import Experiment
from experiments.play import SimulatedRound
from experiments.results import (
    COMPARISON_FILE,
    PAGE_FILE,
    ROUNDS_FOLDER,
    checkpoint,
    claim,
    describe,
    page_of,
    read_rounds,
    write_atomically,
    write_results,
    write_rounds,
)
from experiments.workers import Task, Timing, finished, play_all
from modules.counting import counted
from modules.errors import InputError, Problem
from modules.locks import lock
from modules.reporting.comparison import compare, markdown
from modules.reporting.learning_curves import LearningCurves, write_learning_curves
from modules.reporting.page import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

Report = Callable[[str], None]


def run(experiment: Experiment, folder: Path, jobs: int = 1, report: Report = lambda text: None) -> LearningCurves:
    """Plays every arm with every seed and writes results and page to ``folder``.

    After each round a checkpoint is written: called again with the same arguments, it goes on where it was stopped, and
    ends with the same results. They do not depend on ``jobs`` either.

    Args:
      experiment: what is compared.
      folder: of this experiment alone.
      jobs: processes at a time.
      report: gets a line after each round.

    Returns:
      What the page shows.

    Raises:
      InputError: the folder holds an experiment with other settings, or another process works on it; the budget is
        larger than the pool; or some of the runs failed, and the results are those of the others.
    """
    check_budget(experiment)
    described = describe(experiment)
    (folder / ROUNDS_FOLDER).mkdir(parents=True, exist_ok=True)
    held = lock(folder / ".lock")
    if held is None:
        raise InputError(Problem(str(folder), "expected a folder that no other process writes an experiment to"))
    with held:
        claim(folder, described)
        keys = [(arm, seed) for seed in experiment.recipe.all_seeds for arm in experiment.arms]
        played = {key: read_rounds(checkpoint(folder, *key)) for key in keys}
        tasks = [Task(*key, tuple(played[key])) for key in keys if not finished(played[key], experiment)]
        progress = _Progress(experiment, tasks)

        def take(task: Task, round_: SimulatedRound | Timing) -> None:
            assert isinstance(round_, SimulatedRound)
            rounds = played[task.arm, task.seed]
            rounds.append(round_)
            write_rounds(checkpoint(folder, task.arm, task.seed), rounds)
            report(f"{task}: {progress.after(task, round_)}")

        failed = play_all(experiment, tasks, jobs, take, lambda _: write_results(folder, experiment, described, played))
        write_results(folder, experiment, described, played)
        page = page_of(experiment, described, played)
        if page.curves:
            write_learning_curves(page, folder / PAGE_FILE)
            compared = compare(page.curves, page.baseline)
            if compared:
                write_atomically(folder / COMPARISON_FILE, markdown(compared).encode())
    if failed:
        hint = "start the same command again: it goes on where these runs stopped"
        raise InputError(
            Problem(str(folder), f"expected all runs to end; {task}: {what}", hint=hint)
            for task, what in failed.items()
        )
    return page


def check_budget(experiment: Experiment) -> None:
    """Refuses a budget that is larger than the pool of a seed.

    Raises:
      InputError: it is.
    """
    recipe = experiment.recipe
    splits = recipe.all_seeds if recipe.held_out_seed is None else (recipe.held_out_seed,)
    smallest = min(len(experiment.products.held_out(recipe.held_out, split)[0]) for split in splits)
    if recipe.budget > smallest:
        expected = f"expected at most the pool's {counted(smallest, 'product')}"
        raise InputError(Problem("", expected, key="budget", value=str(recipe.budget)))


class _Progress:
    """How far the runs are, and when they end if the rounds that are left take as long as those so far."""

    def __init__(self, experiment: Experiment, tasks: Sequence[Task]) -> None:
        self.experiment, self.started, self.played = experiment, time.monotonic(), 0
        self.left = {(task.arm, task.seed): self._left(task.arm, task.rounds) for task in tasks}

    def _left(self, arm: str, rounds: Sequence[SimulatedRound]) -> int:
        return rounds_left(self.experiment, arm, rounds[-1].labels if rounds else 0)

    def after(self, task: Task, round_: SimulatedRound) -> str:
        self.played += 1
        ended = finished([round_], self.experiment)
        self.left[task.arm, task.seed] = 0 if ended else self._left(task.arm, [round_])
        left = sum(self.left.values())
        seconds = (time.monotonic() - self.started) / self.played * left
        return (
            f"{counted(round_.labels, 'label')}, accuracy {round_.accuracy:.3f}, macro-F1 {round_.macro_f1:.3f}, "
            f"top-5 {round_.top_5_accuracy:.3f}, {round_.seconds:.1f} s; "
            f"{counted(left, 'round')} left, about {duration_text(seconds)}"
        )


def rounds_left(experiment: Experiment, arm: str, labels: int) -> int:
    """Rounds until the budget is spent."""
    recipe, rounds = experiment.recipe, 0
    if not labels:
        labels, rounds = recipe.batch, 1
    return rounds + -(-(recipe.budget - labels) // (experiment.arms[arm].settings.batch or recipe.batch))


@dataclass(frozen=True)
class Estimate:
    """What an arm will cost.

    Attributes:
      features: seconds for the features, once per seed at most. rounds: per seed. seconds: of all seeds, on one core.
    """

    arm: str
    features: float
    first: float
    last: float
    rounds: int
    seconds: float


def estimate(experiment: Experiment, jobs: int = 1) -> list[Estimate]:
    """Measures each arm's first round and its last, of which the one between them are taken to be the mean.

    Raises:
      InputError: the budget is larger than the pool, or an arm cannot be played.
    """
    check_budget(experiment)
    recipe, estimates = experiment.recipe, dict[str, Estimate]()

    def take(task: Task, timing: SimulatedRound | Timing) -> None:
        assert isinstance(timing, Timing)
        rounds = rounds_left(experiment, task.arm, 0)
        of_a_seed = timing.features + rounds * (timing.first + timing.last) / 2
        estimates[task.arm] = Estimate(
            task.arm, timing.features, timing.first, timing.last, rounds, recipe.seeds * of_a_seed
        )

    tasks = [Task(arm, recipe.first_seed, timed=True) for arm in experiment.arms]
    failed = play_all(experiment, tasks, jobs, take, lambda _: None)
    if failed:
        raise InputError(Problem("", what, key=f"arms.{task.arm}") for task, what in failed.items())
    return [estimates[arm] for arm in experiment.arms]
