"""One written number: which of its marks is the decimal one."""

from __future__ import annotations

import re
from dataclasses import dataclass

NUMBER = re.compile(
    r"(?<![\d.,'])\d{1,3}(?: \d{3})+(?![\d'])(?:[.,·]\d+)?(?!\d)"  # 1 299,00
    r"|(?<![^\s$€£¥₹(-])[.,·]\d+(?![.,]\d)"  # .99
    r"|\d+(?:[.,'·]\d+)*"
)
"""A number in a text whose digits, blanks and apostrophes are ASCII; ``·`` is always a decimal mark."""

_MARK = re.compile("[.,·]")
_THREES = re.compile(r"[1-9]\d{0,2}(?:\D\d{3})+")
_INDIAN = re.compile(r"[1-9]\d?(?:,\d{2})+,\d{3}")


@dataclass(frozen=True, slots=True)
class WrittenNumber:
    """A number as it was written.

    Attributes:
      whole, fraction: digits before and behind the decimal mark.
      decimal: the mark that is certainly the decimal one, "" if there is none.
      grouping: the mark that certainly groups digits, "" if there is none.
      open_mark: the only mark, with three digits behind it, that may be either; ``whole`` and ``fraction`` then hold
        what lies on its sides.
    """

    whole: str
    fraction: str = ""
    decimal: str = ""
    grouping: str = ""
    open_mark: str = ""

    def value(self, open_is_decimal: bool) -> float:
        """The number; ``open_is_decimal``: how the open mark, if there is one, is meant."""
        if self.open_mark and not open_is_decimal:
            return float(self.whole + self.fraction)
        return float(f"{self.whole or '0'}.{self.fraction or '0'}")


def written(text: str) -> WrittenNumber | None:
    """Takes apart what :data:`NUMBER` matched; None if its marks make no number ("1.2.3", "12'99")."""
    groups = re.split("[ ']", text) if " " in text or "'" in text else [text]
    spaced = len(groups) > 1
    if spaced and (len(groups[0]) > 3 or any(not re.match(r"\d{3}(?!\d)", group) for group in groups[1:])):
        return None
    if spaced and any(mark in group for group in groups[:-1] for mark in ".,·"):
        return None
    text = "".join(groups)
    marks = _MARK.findall(text)
    if not marks:
        return WrittenNumber(text)
    last = marks[-1]
    body, _, tail = text.rpartition(last)
    kinds = set(marks)
    if len(marks) == 1:
        open_mark = last != "·" and not spaced and len(tail) == 3 and 0 < len(body) <= 3 and body[0] != "0"
        return WrittenNumber(body, tail, open_mark=last) if open_mark else WrittenNumber(body, tail, decimal=last)
    if len(kinds) == 1 and not spaced and last != "·":
        if not _grouped(text, last):
            return None
        return WrittenNumber(text.replace(last, ""), grouping=last)
    if len(kinds) == 2 and marks.count(last) == 1 and not spaced and _grouped(body, marks[0]):
        return WrittenNumber(body.replace(marks[0], ""), tail, decimal=last, grouping=marks[0])
    return None


def _grouped(text: str, mark: str) -> bool:
    return bool(_THREES.fullmatch(text) or (mark == "," and _INDIAN.fullmatch(text)))
