"""What is wrong with somebody's input, said so that they can mend it.

Everything that reads a file collects :class:`Problem` values and raises one :class:`InputError` with all of them, so
that a user sees every mistake at once, or the first hundred of them and how many more there are. The command line
prints them and leaves with exit code 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_PROBLEMS = 100
"""So many are shown; nobody reads on, and a generated file may have millions."""

_LONGEST = 1000


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
      more: of the last one of a long report: how many problems it stands for, which are not shown.
    """

    file: str
    expected: str
    line: int | None = None
    key: str = ""
    value: str | None = None
    hint: str = ""
    more: int = 0

    def __str__(self) -> str:
        # Keys, and what a parser quotes, come from the file: no part may steer a terminal, or fill the screen.
        place = visible(self.file) + (f":{self.line}" if self.line is not None else "")
        parts = [part for part in (place, shorten(self.key, 200)) if part]
        text = ": ".join(parts)
        if self.value is not None:
            text += f" = {shorten(self.value)!r}"
        expected = shorten(self.expected, _LONGEST)
        text = f"{text}: {expected}" if text else expected
        return f"{text}; {shorten(self.hint, _LONGEST)}" if self.hint else text


class InputError(Exception):
    """The input cannot be used; holds every :class:`Problem` that was found, or the first ones (:class:`Problems`)."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems: tuple[Problem, ...] = tuple(Problems([problems] if isinstance(problems, Problem) else problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problems:
    """Collects problems in bounded memory: the first :data:`MAX_PROBLEMS`, and how many more there are."""

    def __init__(self, problems: Iterable[Problem] = ()):
        self._kept: list[Problem] = []
        self._more = 0
        for problem in problems:
            self.add(problem)

    def add(self, problem: Problem) -> None:
        """Adds one."""
        if problem.more:
            self._more += problem.more
        elif len(self._kept) < MAX_PROBLEMS:
            self._kept.append(problem)
        else:
            self._more += 1

    def __len__(self) -> int:
        return len(self._kept) + self._more

    def __iter__(self) -> Iterator[Problem]:
        yield from self._kept
        if self._more:
            yield Problem("", f"and {self._more:,} more", more=self._more)


def visible(text: str) -> str:
    """``text`` with escapes in place of control, format and other characters that do not show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, limit: int = 80) -> str:
    """``text`` cut to ``limit`` characters, control characters made visible, for messages."""
    text = visible(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
