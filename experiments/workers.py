"""Arms played in processes of their own, a core for each."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from experiments.arms import Experiment
from modules.errors import InputError

if TYPE_CHECKING:
    from experiments.learners import Learner
    from experiments.play import Game, SimulatedRound

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS",
            "TF_NUM_INTEROP_THREADS")  # fmt: skip
"""One thread in each worker: sums then do not depend on how many cores or workers there are."""


@dataclass(frozen=True)
class Task:
    """An arm to be played with a seed.

    Attributes:
      rounds: those that were played before. timed: two rounds are measured instead, and nothing is kept.
    """

    arm: str
    seed: int
    rounds: tuple[SimulatedRound, ...] = ()
    timed: bool = False

    def __str__(self) -> str:
        return f"{self.arm} seed {self.seed}"


@dataclass(frozen=True)
class Timing:
    """Seconds that an arm takes: for the features and the first model, for its first round, and for its last."""

    features: float
    first: float
    last: float


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def play_all(
    experiment: Experiment, tasks: Sequence[Task], jobs: int, take: Callable[[Task, SimulatedRound | Timing], None],
    done: Callable[[Task], None],
) -> dict[Task, str]:  # fmt: skip
    """Plays the tasks in at most ``jobs`` processes.

    Args:
      experiment: what is compared.
      tasks: in the order in which they are started.
      jobs: processes at a time.
      take: gets each round, or what a timed task took, as soon as it is there; in this process.
      done: gets each task that was played to its end.

    Returns:
      The tasks that failed, with what happened to them. The others are played all the same.
    """
    waiting, failed = list(tasks), dict[Task, str]()
    workers: dict[Connection, _Worker] = {}
    try:
        while waiting or workers:
            while waiting and len(workers) < min(jobs, len(tasks)):
                worker = _Worker.started(experiment)
                workers[worker.pipe] = worker
                worker.play(waiting)
            for pipe in wait(list(workers)):
                assert isinstance(pipe, Connection)
                worker = workers[pipe]
                task = worker.task
                assert task is not None
                try:
                    kind, content = pipe.recv()
                except (EOFError, OSError):
                    failed[task] = worker.ended()
                    del workers[pipe]
                    continue
                if kind == "result":
                    take(task, content)
                    continue
                if kind == "failed":
                    failed[task] = content
                else:
                    done(task)
                if waiting:
                    worker.play(waiting)
                else:
                    worker.stop()
                    del workers[pipe]
    finally:
        for worker in workers.values():
            worker.stop()
    return failed


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None

    @classmethod
    def started(cls, experiment: Experiment) -> _Worker:
        context = multiprocessing.get_context("spawn")
        pipe, its_end = context.Pipe()
        process = context.Process(target=_serve, args=(its_end,), daemon=True)
        with _single_threaded():
            process.start()
        its_end.close()
        with suppress(OSError):  # It ended at once; the next read says so.
            pipe.send(experiment)
        return cls(process, pipe)

    def play(self, waiting: list[Task]) -> None:
        """Takes one of the tasks, one of an arm and a seed that it has the features for, if there is any."""
        last = self.task
        same = (task for task in waiting if last is not None and task.seed == last.seed)
        self.task = next(same, waiting[0])
        waiting.remove(self.task)
        with suppress(OSError):
            self.pipe.send(self.task)

    def ended(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        self.pipe.close()
        if code < 0:
            return f"its process was killed by {signal.Signals(-code).name}, as the system does when memory runs out"
        return f"its process ended with exit code {code}"

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Libraries read these variables when they are loaded, so a worker has to inherit them."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection) -> None:
    """What a worker does until its parent is gone.

    It writes no file, so that a resumed experiment is alone with its files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout = sys.stderr
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed:
        # What counts cores when it is loaded counts one. The scheduler may then use any again.
        os.sched_setaffinity(0, {min(allowed)})
    import experiments.learners  # noqa: F401 - for what it loads
    import modules.query_strategies  # noqa: F401

    if allowed:
        os.sched_setaffinity(0, allowed)
    try:
        player = _Player(pipe.recv())
        while True:
            task = pipe.recv()
            try:
                player.play(task, lambda content: pipe.send(("result", content)))
            except InputError as error:
                pipe.send(("failed", str(error)))
            except BrokenPipeError:
                return
            except Exception:
                traceback.print_exc()
                pipe.send(("failed", "an error that log.txt describes"))
            else:
                pipe.send(("done", None))
    except (EOFError, OSError):
        return


class _Player:
    """Plays tasks, and keeps the last learner for those that learn from the same products in the same way."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self.learner: Learner | None = None
        self.made_for: Any = None

    def play(self, task: Task, say: Callable[[SimulatedRound | Timing], None]) -> None:
        if task.timed:
            say(self._timed(task))
            return
        game, rounds = self._game(task), list(task.rounds)
        game.resume(rounds)
        while not finished(rounds, self.experiment):
            if not rounds and game.learner.informed:
                rounds.append(game.before_labels())
            else:
                rounds.append(game.next_round(self._batch(task, rounds[-1].labels if rounds else 0)))
            say(rounds[-1])

    def _batch(self, task: Task, labels: int) -> int:
        recipe = self.experiment.recipe
        batch = self.experiment.arms[task.arm].settings.batch if labels else None
        return min(batch or recipe.batch, recipe.budget - labels)

    def _game(self, task: Task) -> Game:
        from experiments.learners import OBJECTIVE, memory_learner
        from experiments.play import Game, answers_of
        from modules.query_strategies import strategy
        from modules.training.calibration import Calibration

        recipe, arm = self.experiment.recipe, self.experiment.arms[task.arm]
        settings, labeller = arm.settings, arm.settings.labeller
        split = recipe.held_out_seed if recipe.held_out_seed is not None else task.seed
        pool, held_out = arm.catalogue.held_out(recipe.held_out, split)
        made_for = (arm.workflow, split)
        if self.learner is None or self.made_for != made_for:
            self.learner = None  # Before the next one is made: both may not fit into memory.
            self.learner = memory_learner(arm.workflow, arm.catalogue, pool, arm.rules)
            self.made_for = made_for
        temperature = Calibration.before_eval(arm.workflow.objectives).temperature[OBJECTIVE]
        answers = answers_of(arm.catalogue, labeller.error_rate, siblings=labeller.errors == "siblings", seed=task.seed)
        return Game(
            arm.catalogue, self.learner, pool, held_out, strategy(settings.strategy), task.seed, temperature,
            answers=answers, sampling=settings.labels.sampling, draws_first=recipe.first_batch == "random",
        )  # fmt: skip

    def _timed(self, task: Task) -> Timing:
        """The first round, and one with all labels, most of which are drawn at random."""
        self.learner = None
        started = time.perf_counter()
        game = self._game(task)
        game.resume([])
        features = time.perf_counter() - started
        first = game.next_round(self._batch(task, 0))
        rest = self.experiment.recipe.budget - first.labels
        last = min(self._batch(task, first.labels), rest)
        if not last:
            return Timing(features, first.seconds, first.seconds)
        game.draw(rest - last)
        return Timing(features, first.seconds, game.next_round(last).seconds)


def finished(rounds: Sequence[SimulatedRound], experiment: Experiment) -> bool:
    """Whether a run has spent its budget, or reached what it was to reach."""
    recipe, targets = experiment.recipe, experiment.recipe.targets
    if not rounds:
        return False
    reached = _reached(rounds, targets) if recipe.stop_at_target else False
    return rounds[-1].labels >= recipe.budget or reached


def _reached(rounds: Sequence[SimulatedRound], targets: Mapping[Any, float]) -> bool:
    return all(max(getattr(round_, figure) for round_ in rounds) >= target for figure, target in targets.items())
