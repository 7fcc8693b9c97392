"""A program that answers: the lines go to its standard input, and its answers come from its standard output."""

from __future__ import annotations

import contextlib
import os
import selectors
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import IO

from labelling.suggesting.protocol import MAX_REPLY, Reply
from modules.errors import InputError, Problem, reason, shorten

_BLOCK = 1 << 16
_STDERR = 2000
"""Bytes of the end of standard error that are shown where the program fails."""


class Command:
    """Starts the program once per request, without a shell.

    Args:
      text: the program and its arguments, as in a shell's command line, but nothing in it is expanded.
      timeout: seconds that one request may take; then the program is ended, and all that it started in its group.

    Raises:
      InputError: the text names no program.
    """

    def __init__(self, text: str, timeout: float):
        try:
            self._arguments = shlex.split(text)
        except ValueError as error:
            raise InputError(Problem("", f"expected a program and its arguments: {reason(error)}", key="--command",
                                     value=text)) from None  # fmt: skip
        if not self._arguments:
            raise InputError(Problem("", "expected a program and its arguments", key="--command", value=text))
        self._timeout = timeout
        self.name = shorten(os.path.basename(self._arguments[0]))

    def __call__(self, lines: bytes) -> Reply:
        """Sends the lines and waits for the answer.

        Raises:
          InputError: the program cannot be started.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - the program that the user names
                self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                start_new_session=True, bufsize=0,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            hint = "name a program on the PATH, or its file"
            raise InputError(Problem("", f"cannot be started: {reason(error)}", key="--command",
                                     value=self._arguments[0], hint=hint)) from None  # fmt: skip
        exchange = _Exchange(lines, time.monotonic() + self._timeout)
        try:
            failure = exchange.run(process)
            if not failure:
                failure = self._ended(process, exchange)
        finally:
            # As long as nobody has waited for it, its number belongs to nobody else, and so does its group's.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        said = bytes(exchange.stderr[-_STDERR:]).decode("utf-8", "replace").strip()
        if failure and said:
            failure = f"{failure}; it says: {shorten(said[-500:], 500)}"
        return Reply(bytes(exchange.stdout), failure)

    def _ended(self, process: subprocess.Popen[bytes], exchange: _Exchange) -> str:
        """Why the program's end is a failure; empty if it is none."""
        try:
            code = process.wait(max(0.0, exchange.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return exchange.late
        if code < 0:
            return f"the program was ended by signal {-code}"
        return f"the program ended with exit status {code}" if code else ""


@dataclass
class _Exchange:
    """Writes and reads at the same time, so that neither side waits for the other for ever."""

    lines: bytes
    deadline: float
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    late: str = "the program did not end in time (--timeout)"

    def run(self, process: subprocess.Popen[bytes]) -> str:
        """Until both of the program's outputs have ended; why it failed, empty if it did not."""
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        left = memoryview(self.lines)
        with selectors.DefaultSelector() as selector:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ, self.stdout)
            selector.register(process.stderr, selectors.EVENT_READ, self.stderr)
            # It need not read all that it is sent before it ends.
            while any(key.fileobj is not process.stdin for key in selector.get_map().values()):
                seconds = self.deadline - time.monotonic()
                if seconds <= 0:
                    return self.late
                for key, _ in selector.select(seconds):
                    pipe: IO[bytes] = key.fileobj  # type: ignore[assignment]
                    if pipe is process.stdin:
                        left = self._write(pipe, left)
                        if not left:
                            selector.unregister(pipe)
                            pipe.close()
                    elif not self._read(pipe, key.data):
                        selector.unregister(pipe)
                del self.stderr[:-_STDERR]
                if len(self.stdout) > MAX_REPLY:
                    return f"the answer is longer than {MAX_REPLY >> 20} MiB"
        return ""

    @staticmethod
    def _write(pipe: IO[bytes], left: memoryview) -> memoryview:
        """What is still to be written; nothing where the program reads no more."""
        try:
            return left[os.write(pipe.fileno(), left[:_BLOCK]) :]
        except BlockingIOError:
            return left
        except BrokenPipeError:
            return left[:0]

    @staticmethod
    def _read(pipe: IO[bytes], into: bytearray) -> bool:
        """Whether there was something, and there may be more."""
        part = os.read(pipe.fileno(), _BLOCK)
        into += part
        return bool(part)
