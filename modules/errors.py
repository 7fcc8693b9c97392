"""What is wrong with somebody's input, said so that they can mend it.

Everything that reads a file collects :class:`Problem` values and raises one :class:`InputError` with all of them, so
that a user sees every mistake at once, or the first hundred of them and how many more there are. The command line
prints them and leaves with exit code 2.
"""

from __future__ import annotations

import difflib
import re
import zlib
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


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the most similar of the known names; empty where none is."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


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


_ENDING = r"(?:(?:[A-Z]\w*)?(?:Error|Exception|Warning)|[A-Z]\w+Invalid)"
_CLASS = rf"(?<![\w/.\\-])(?:[A-Za-z_]\w*\.)*{_ENDING}(?![\w/\\-]|\.\w)"
_PREFIX = re.compile(rf"\({_CLASS}\) *|{_CLASS}(?:\(\))?(?:: *|$|(?=\())")
# In the last line of a traceback the class stands before the text, whatever it is called.
_LAST = re.compile(r"^(?:(?:\w+\.)+\w+|[A-Z]\w+)(?:: |$)")
_BARE = re.compile(_CLASS)
_NUMBERED = re.compile(r"\[Errno -?\d+\] *|^Error -?\d+ while [\w ]+: *")
_TRACEBACK = "Traceback (most recent call last)"
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (EOFError, "it ends too early"),
    (MemoryError, "there is not enough memory"),
    (RecursionError, "it is nested too deeply"),
    (NotImplementedError, "this is not supported"),
    (TimeoutError, "it took too long"),
    (ConnectionError, "the connection broke off"),
)


def reason(error: BaseException, limit: int = 500, *, file: bool = False) -> str:
    """Why something failed, in words: what a library's error says, without its class, its number or a traceback.

    Args:
      error: of Python or of any library; of an :class:`InputError` all problems come as they are.
      limit: the most characters.
      file: of an operating system's error name the file as well; where a Problem names it, it would come twice.
    """
    if isinstance(error, InputError):
        return str(error)
    words = next((words for kind, words in _KINDS if isinstance(error, kind)), "no reason was given")
    if isinstance(error, zlib.error):
        return "its compressed data is damaged"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.object[error.start]:#04x} at position {error.start:,} is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return f"character {error.start + 1:,} is half of a surrogate pair, which is no text"
    if isinstance(error, KeyError) and len(error.args) == 1:
        return shorten(f"{error.args[0]!r} is missing", limit)
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if file and name is not None]
        return shorten(": ".join((*names, _PREFIX.sub("", error.strerror))), limit)
    try:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    except Exception:  # a library's own text may fail as well
        lines = []
    if not lines:
        return words
    # A traceback that travelled as text, as Beam's workers send it, has its error in the last line.
    text = _LAST.sub("", lines[-1]) if any(_TRACEBACK in line for line in lines) else lines[0]
    if text.startswith("Exceeds the limit") and "integer string conversion" in text:
        return "a number has thousands of digits"
    text = _BARE.sub("an error", _PREFIX.sub("", _NUMBERED.sub("", text))).strip(" :;,")
    return shorten(text, limit) or words


def visible(text: str) -> str:
    """``text`` with escapes in place of control, format and other characters that do not show."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shorten(text: str, limit: int = 80) -> str:
    """``text`` cut to ``limit`` characters, control characters made visible, for messages."""
    text = visible(text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"
