"""Records that cannot be used: why, where they stood, and when there are too many of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modules.counting import counted
from modules.errors import Problem

REASONS = {
    "undecodable": "bytes that are UTF-8",
    "broken_json": "valid JSON",
    "broken_csv": "a row with as many fields as the header",
    "too_long": "a record of at most feed.max_record_bytes",
    "not_a_product": "an object with at least one of the mapped fields beside the id",
    "no_id": "a value in the id column",
    "duplicate_id": "an id that no earlier record has",
    "wrong_type": "text or a number (vectors: finite numbers of one length)",
}
"""Reason code to what would have been right."""

RAW_LIMIT = 2000
"""Characters of the raw record that are kept."""


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that goes to quarantine.

    Attributes:
      file: path as the feed's pattern matched it.
      line: 1-based line the record starts at (Parquet: 1-based row).
      reason: a key of :data:`REASONS`.
      detail: what exactly was wrong, for people.
      raw: the record's beginning, as text.
    """

    file: str
    line: int
    reason: str
    detail: str
    raw: str

    def to_json(self) -> bytes:
        """One line of the quarantine file."""
        record = {"file": self.file, "line": self.line, "reason": self.reason, "detail": self.detail, "raw": self.raw}
        # File names need not be UTF-8; their odd bytes become escapes.
        return json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"


def raw_text(raw: bytes | str) -> str:
    """The beginning of a raw record as text that any encoder takes."""
    if isinstance(raw, str):
        raw = raw[:RAW_LIMIT].encode("utf-8", "backslashreplace")
    return raw[: 4 * RAW_LIMIT].decode("utf-8", "backslashreplace")[:RAW_LIMIT]


@dataclass
class Tally:
    """Bad records counted per reason, with the first few of each.

    Attributes:
      read: all records, good ones too.
      counts: bad records per reason.
      examples: per reason the first ones in file and line order.
      passed_over: what is no record and was passed over, such as blank lines, by a word for it.
    """

    limit: int
    read: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[BadRecord]] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)

    def add(self, bad: BadRecord) -> None:
        """Counts one bad record."""
        self.counts[bad.reason] += 1
        kept = self.examples.setdefault(bad.reason, [])
        if len(kept) < self.limit:
            kept.append(bad)

    def merge(self, other: Tally) -> None:
        """Adds another tally, of other records."""
        self.read += other.read
        self.counts.update(other.counts)
        self.passed_over.update(other.passed_over)
        for reason, examples in other.examples.items():
            both = sorted([*self.examples.get(reason, []), *examples], key=lambda bad: (bad.file, bad.line))
            self.examples[reason] = both[: self.limit]

    def problems(self, max_share: float, retailer: str | None = None) -> list[Problem]:
        """With examples per reason, if more than ``max_share`` of the records, all of ``retailer``, are bad."""
        bad = self.counts.total()
        if bad <= max_share * self.read:
            return []
        of = f"of {counted(self.read, 'record')}" + (f" of {retailer}" if retailer else "")
        named = ", ".join(f"{reason} {count}" for reason, count in sorted(self.counts.items()))
        problems = [
            Problem(
                "",
                key="feed.quarantine.max_share",
                value=f"{max_share:g}",
                expected=f"{counted(bad, f'{of} is', f'{of} are')} bad ({bad / self.read:.1%}): {named}",
                hint="mend the feed or the mapping of its fields, or raise the share",
            )
        ]
        problems += [
            Problem(bad.file, f"{bad.reason}: {bad.detail}", bad.line, value=bad.raw)
            for reason in sorted(self.examples)
            for bad in self.examples[reason]
        ]
        return problems


def tally_to_json(tally: Tally) -> dict[str, Any]:
    """For handing a tally from one process to another."""
    examples = [[b.file, b.line, b.reason, b.detail, b.raw] for rows in tally.examples.values() for b in rows]
    return {
        "read": tally.read,
        "counts": dict(tally.counts),
        "examples": examples,
        "passed_over": dict(tally.passed_over),
    }


def tally_from_json(data: Mapping[str, Any], limit: int) -> Tally:
    """The inverse of :func:`tally_to_json`."""
    tally = Tally(limit, data["read"], Counter(data["counts"]), passed_over=Counter(data["passed_over"]))
    for row in data["examples"]:
        bad = BadRecord(*row)
        tally.examples.setdefault(bad.reason, []).append(bad)
    return tally


def incomplete(read: int, products: int, bad: int) -> list[Problem]:
    """What is wrong unless each record that was read is a product or was counted as bad."""
    if read == products + bad:
        return []
    expected = (
        f"expected every record to be a product or in quarantine: {counted(read, 'was', 'were')} read, "
        f"{counted(products, 'is a product', 'are products')} and {counted(bad, 'is', 'are')} in quarantine"
    )
    return [Problem("", expected, key="feed", hint="please report this as a bug")]
