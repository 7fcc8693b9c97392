"""What a label file left out and was given: said aloud, since a wrong guess would else be learnt from in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from modules.counting import counted

ANNOTATOR = SOURCE = "import"
"""Annotator and source of a row that names none. Nobody knows how such a row's product was chosen, so it is learnt from
and measured on only where the workflow says that it may be (``labels.evaluate_imported``)."""


@dataclass
class Assumed:
    """Defaults that label files' rows were given.

    Attributes:
      rows: (column, value in words) to the number of rows that were given it.
      passed_over: what was left out, in words for one and for several ("row without a category", "rows without a
        category"), to how many.
      columns: per file, its columns that are no part of a label.
    """

    rows: Counter[tuple[str, str]] = field(default_factory=Counter)
    passed_over: Counter[tuple[str, str]] = field(default_factory=Counter)
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, other: Assumed) -> None:
        """Adds what another file's rows were given."""
        self.rows += other.rows
        self.passed_over += other.passed_over
        self.columns |= other.columns

    def sentences(self) -> list[str]:
        """One sentence each, for people."""
        by_count: dict[int, list[str]] = {}
        for (column, value), count in self.rows.items():
            by_count.setdefault(count, []).append(f"{column} {value}")
        said = [f"assumed for {counted(count, 'row')}: {', '.join(values)}" for count, values in by_count.items()]
        said += [f"passed over: {counted(count, *what)}" for what, count in self.passed_over.items()]
        said += [f"{file}: passed over its columns {', '.join(names)}" for file, names in self.columns.items()]
        return said
