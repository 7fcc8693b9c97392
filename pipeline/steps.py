"""Progress of a run on the console: one line per component, the current one alive."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from modules import progress as reports

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

SIGNS = {"done": "done", "cached": "unchanged", "failed": "FAILED", "stopped": "stopped"}


@dataclass
class StepResult:
    """One component of a run; ``state``: done, cached, failed, stopped or left out."""

    component: str
    state: str
    seconds: float = 0.0


class RunProgress:
    """Shows the running component with what it reports (a spinner on a terminal), and a line when it ends."""

    def __init__(self, console: Console):
        self.console = console
        self.live: Live | None = None
        self.name = ""
        self.started = 0.0
        self._listening = reports.listening(self._reported)

    def __enter__(self) -> RunProgress:
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()
        self._listening.__exit__(kind, error, trace)

    def start(self, name: str) -> None:
        """``name`` begins."""
        self.name, self.started = name, time.monotonic()
        if self.console.is_terminal:
            from rich.live import Live
            from rich.spinner import Spinner

            self.spinner = Spinner("dots", f"{name} ...")
            # Not console.status: that sends to the screen whatever anybody prints meanwhile, and libraries print much.
            self.live = Live(
                self.spinner, console=self.console, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self.live.start()

    def clear(self) -> None:
        """Removes the living line."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def end(self, state: str) -> float:
        """The component that was begun ended in ``state``; returns its seconds."""
        seconds = time.monotonic() - self.started
        self.clear()
        self.console.print(f"{self.name:<20} {SIGNS.get(state, state):<10} {seconds:7.1f} s")
        return seconds

    def _reported(self, done: int, total: int, text: str) -> None:
        if self.live is not None:
            count = f"{done:,}/{total:,}" if total else ""
            seconds = time.monotonic() - self.started
            self.spinner.update(text=f"{self.name} ... {count} {text}  ({seconds:.0f} s)")
