"""What is wrong with somebody's input, said so that they can mend it.

Everything that reads a file collects :class:`Problem` values and raises one :class:`InputError` with all of them, so
that a user sees every mistake at once. The command line prints them and leaves with exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One mistake in one place.

    Attributes:
      file: the file as the user named it; empty for a command line value.
      line: 1-based line, or None where the file has no lines (Parquet) or the mistake is the whole file.
      key: the field, setting or column, dotted (``model.hidden``).
      value: the offending value as text; shortened when shown.
      expected: what would have been right.
      hint: what to do next (``did you mean 'Shoes > Boots'?``).
    """

    file: str
    expected: str
    line: int | None = None
    key: str = ""
    value: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        place = self.file + (f":{self.line}" if self.line is not None else "")
        parts = [part for part in (place, self.key) if part]
        text = ": ".join(parts)
        if self.value is not None:
            text += f" = {shorten(self.value)!r}"
        text = f"{text}: {self.expected}" if text else self.expected
        return f"{text}; {self.hint}" if self.hint else text


class InputError(Exception):
    """The input cannot be used; holds every :class:`Problem` that was found."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def shorten(text: str, limit: int = 80) -> str:
    """``text`` cut to ``limit`` characters, control characters made visible, for messages."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
