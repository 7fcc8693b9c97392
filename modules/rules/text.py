"""How rules see text: folded, and as whole words."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby


@cache
def _word_pattern() -> re.Pattern[str]:
    """Letters, digits and underscores with their marks: ``\\w`` alone would cut a Hindi word at its vowels."""
    marks = [c for c in range(0x300, sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == "M"]
    runs = []
    for _, group in groupby(enumerate(marks), lambda pair: pair[1] - pair[0]):
        run = [code for _, code in group]
        runs.append(f"{chr(run[0])}-{chr(run[-1])}")
    return re.compile(f"[\\w{''.join(runs)}]+")


# NFKC would glue "TM" to the word before it; a soft hyphen is no end of a word.
_BEFORE = {ord("™"): " ", ord("℠"): " ", 0xAD: None, 0x2060: None, 0xFEFF: None}

_ascii_words = re.compile(r"[a-z0-9_]+").findall


def fold(text: str) -> str:
    """NFKC and case folding, so that what looks the same compares equal."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text.translate(_BEFORE)).casefold())


def words(text: str) -> list[str]:
    """The words of ``text``, folded, in order. "Women's" is two words, as is "t-shirt"."""
    if text.isascii():
        return _ascii_words(text.lower())
    return _word_pattern().findall(fold(text))


def whole(text: str) -> str:
    """``text`` folded, with runs of white space as one blank: what ``equals`` compares."""
    return " ".join(fold(text).split())


def find_words(text: str, phrase: tuple[str, ...]) -> tuple[int, int] | None:
    """Where in the original ``text`` the words of ``phrase`` first stand in a row: (start, end) in characters.

    Returns:
      None if they do not. The whole text where folding moves characters so that their places cannot be told.
    """
    text_words = words(text)
    size = len(phrase)
    first = next((i for i in range(len(text_words) - size + 1) if tuple(text_words[i : i + size]) == phrase), None)
    if first is None:
        return None
    # Folds cluster by cluster (a character and its marks), to know where each folded character came from.
    pieces: list[str] = []
    origin: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = start + 1
        while end < len(text) and unicodedata.category(text[end])[0] == "M":
            end += 1
        piece = fold(text[start:end])
        pieces.append(piece)
        origin.extend([(start, end)] * len(piece))
        start = end
    folded = "".join(pieces)
    if folded != fold(text):
        return 0, len(text)
    spans = [match.span() for match in _word_pattern().finditer(folded)]
    return origin[spans[first][0]][0], origin[spans[first + size - 1][1] - 1][1]
