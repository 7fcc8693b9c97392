"""Regular expressions that run in linear time and bounded memory (RE2)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

MAX_PATTERN = 1000
_MAX_MEM = 1 << 20
_FILTER_SIZE = 1000


@cache
def _options(max_mem: int) -> Any:
    import re2

    options = re2.Options()
    options.max_mem = max_mem
    options.log_errors = False
    return options


def complaint(pattern: str) -> str | None:
    """Why RE2 cannot use ``pattern``, or None if it can."""
    import re2

    if len(pattern) > MAX_PATTERN:
        return f"longer than {MAX_PATTERN} characters"
    try:
        re2.compile(pattern, _options(_MAX_MEM))
    except re2.error as error:
        message = error.args[0] if error.args else str(error)
        return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
    except UnicodeEncodeError:
        return "not valid Unicode"
    return None


def encode(text: str) -> bytes:
    """UTF-8; what cannot be encoded (half a surrogate pair) becomes '?'."""
    return text.encode("utf-8", "replace")


def search(pattern: str, text: str) -> tuple[int, int] | None:
    """Where ``pattern`` first matches in ``text``: (start, end) in characters; None if it does not."""
    import re2

    data = encode(text)
    match = re2.compile(encode(pattern), _options(_MAX_MEM)).search(data)
    if match is None:
        return None
    start, end = match.span()
    return len(data[:start].decode("utf-8", "replace")), len(data[:end].decode("utf-8", "replace"))


class Pattern:
    """One pattern, compiled."""

    __slots__ = ("_search",)

    def __init__(self, pattern: str):
        import re2

        self._search = re2.compile(encode(pattern), _options(_MAX_MEM)).search

    def __call__(self, data: bytes) -> bool:
        return self._search(data) is not None


class PatternSet:
    """Many patterns, looked for together.

    RE2's Filter: one pass finds the literals that the patterns cannot do without, and only patterns whose literals are
    there are searched for. (RE2's Set walks one automaton for all patterns: over thousands of titles that was as fast
    for simple patterns, but 500 times slower where many have ``.*`` or ``.{0,20}``, and it fails silently when its
    memory is used up.)
    """

    def __init__(self, patterns: Sequence[str]):
        self._filters: list[tuple[int, Any]] = []
        for start in range(0, len(patterns), _FILTER_SIZE):
            self._add(start, patterns[start : start + _FILTER_SIZE])

    def _add(self, start: int, patterns: Sequence[str]) -> None:
        import re2

        together = re2.Filter()
        try:
            for pattern in patterns:
                together.Add(encode(pattern), _options(_MAX_MEM))
            together.Compile()
        except re2.error:
            # Their literals are too much for one automaton.
            half = len(patterns) // 2
            if not half:
                raise
            self._add(start, patterns[:half])
            self._add(start + half, patterns[half:])
        else:
            self._filters.append((start, together))

    def match(self, data: bytes) -> list[int]:
        """Positions of the patterns that match somewhere in ``data`` (UTF-8), in ascending order."""
        result: list[int] = []
        for start, together in self._filters:
            for place in together.Match(data) or ():
                result.append(start + place)
        return result
