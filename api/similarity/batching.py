"""Gathers what arrives while the machine is busy into one call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Full(Exception):
    """More waits than can be answered soon."""


@dataclass
class _Waiting(Generic[Job, Answer]):
    key: Hashable
    jobs: Sequence[Job]
    answer: asyncio.Future[list[Answer]]


class Batcher(Generic[Job, Answer]):
    """Calls ``work`` with the jobs of several callers at once, in a thread of the executor, one call at a time.

    While a call runs, jobs gather; the next call takes those of the oldest one's key. A job that finds nothing running
    waits for others at most ``max_wait``, and not at all while nobody else is about.

    Args:
      work: key and jobs to one answer per job; what it raises goes to all callers of that call.
      max_jobs: jobs in a call, at most (one caller's jobs stay together).
      max_wait: seconds that a call waits for more.
      max_waiting: jobs that may wait.
      seen: is told the number of jobs of each call.
    """

    def __init__(
        self,
        work: Callable[[Hashable, list[Job]], Sequence[Answer]],
        executor: Executor,
        *,
        max_jobs: int = 256,
        max_wait: float = 0.002,
        max_waiting: int = 4096,
        seen: Callable[[int], None] = lambda jobs: None,
    ):
        self._work, self._executor = work, executor
        self._max_jobs, self._max_wait, self._max_waiting, self._seen = max_jobs, max_wait, max_waiting, seen
        self._queue: deque[_Waiting[Job, Answer]] = deque()
        self._waiting = 0
        self._last = 0
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, key: Hashable, jobs: Sequence[Job]) -> list[Answer]:
        """The jobs' answers, in their order.

        Raises:
          Full: too many jobs wait. Whatever ``work`` raises.
        """
        if self._waiting + len(jobs) > self._max_waiting:
            raise Full
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(key, jobs, future))
        self._waiting += len(jobs)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                # Alone a moment ago, most likely alone now: waiting would only cost time.
                if self._max_wait and self._last > 1 and self._waiting < min(self._last, self._max_jobs):
                    await asyncio.sleep(self._max_wait)
                taken = self._take()
                if not taken:
                    continue
                jobs = [job for waiting in taken for job in waiting.jobs]
                self._last = len(jobs)
                self._seen(len(jobs))
                try:
                    answers = list(await loop.run_in_executor(self._executor, self._work, taken[0].key, jobs))
                except Exception as error:
                    for waiting in taken:
                        if not waiting.answer.done():
                            waiting.answer.set_exception(error)
                    continue
                start = 0
                for waiting in taken:
                    end = start + len(waiting.jobs)
                    if not waiting.answer.done():
                        waiting.answer.set_result(answers[start:end])
                    start = end
                del taken, jobs, answers, waiting
        finally:
            self._running = None

    def _take(self) -> list[_Waiting[Job, Answer]]:
        """The oldest caller and those of the same key; callers that have gone are left out."""
        taken: list[_Waiting[Job, Answer]] = []
        kept: deque[_Waiting[Job, Answer]] = deque()
        count = 0
        while self._queue:
            waiting = self._queue.popleft()
            if waiting.answer.done():
                self._waiting -= len(waiting.jobs)
            elif not taken or (waiting.key == taken[0].key and count + len(waiting.jobs) <= self._max_jobs):
                taken.append(waiting)
                count += len(waiting.jobs)
            else:
                kept.append(waiting)
        self._queue = kept
        self._waiting -= count
        return taken
