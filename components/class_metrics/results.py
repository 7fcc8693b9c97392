"""What the queries answer: plain data, as JSON or as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from modules.predictions.accepted_figures import AUDITED, PICKED

Figures = Mapping[str, float]


class Answer:
    """Base of the answers."""

    def to_json(self) -> str:
        """The answer as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)  # type: ignore[call-overload]


@dataclass(frozen=True)
class CategoryResult:
    """A category's figures in one run; what is not defined is missing (``f1``, ``f1/lower``, ``support``, ...)."""

    objective: str
    id: str
    path: str
    values: dict[str, float]


@dataclass(frozen=True)
class RunMetrics(Answer):
    """One run's metrics.

    Attributes:
      run: its id. pipeline: the workflow's name. time: when they were written, ISO 8601, UTC.
      reused_by: later runs that took these metrics from the cache, oldest first.
      values: objective to figure to value. categories: by objective, then path.
      failed: objective to the categories below their bounds (``path``, ``f1``, ``bound``).
    """

    run: str
    pipeline: str
    time: str
    values: dict[str, dict[str, float]]
    categories: list[CategoryResult]
    failed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reused_by: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"Run {self.run} of {self.pipeline}, {self.time}"]
        for objective, values in sorted(self.values.items()):
            lines += ["", objective, *table([], [[name, shown(values, name)] for name in _main(values)])]
            own = [category for category in self.categories if category.objective == objective]
            rows = [[c.path, *category_cells(c.values)] for c in own]
            lines += ["", *table(["category", *CATEGORY_HEADINGS], rows)]
            failed = self.failed.get(objective)
            if failed:
                lines += ["", "below their bound:", *(f"  {row['path']}: F1 under {row['bound']:g}" for row in failed)]
        return "\n".join(lines)


@dataclass(frozen=True)
class CategoryRun:
    """A category in one run."""

    run: str
    pipeline: str
    time: str
    objective: str
    values: dict[str, float]


@dataclass(frozen=True)
class CategoryHistory(Answer):
    """One category's figures over all runs, oldest first."""

    id: str
    path: str
    runs: list[CategoryRun]

    def __str__(self) -> str:
        rows = [[r.time, r.run, r.objective, *category_cells(r.values)] for r in self.runs]
        return "\n".join([self.path, *table(["time", "run", "objective", *CATEGORY_HEADINGS], rows)])


@dataclass(frozen=True)
class Change:
    """A figure before and after.

    Attributes:
      path: the category's; empty for an objective's own figure.
      certain: whether the difference is larger than the two intervals together explain. Both runs are mostly measured
        on the same products, so that this errs towards False.
      support: sum of weights behind it in both runs.
    """

    objective: str
    path: str
    figure: str
    before: float
    after: float
    support: tuple[float, float]
    certain: bool

    @property
    def difference(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class Comparison(Answer):
    """What got better and worse from run ``a`` to run ``b``; the largest changes first, certain ones before others."""

    a: str
    b: str
    overall: list[Change]
    better: list[Change]
    worse: list[Change]
    uncertain: list[Change]
    only_in_a: list[str]
    only_in_b: list[str]

    def __str__(self) -> str:
        headings = ["", "figure", "before", "after", "change", "support"]
        lines = [f"From {self.a} to {self.b}", *table(headings, map(_change_cells, self.overall))]
        for title, changes in (("Better", self.better), ("Worse", self.worse)):
            lines += ["", f"{title}: {len(changes)}", *table(headings, map(_change_cells, changes))]
        lines += ["", f"Changed by no more than chance explains: {len(self.uncertain)}"]
        for title, paths in ((self.a, self.only_in_a), (self.b, self.only_in_b)):
            if paths:
                lines.append(f"Only in {title}: {', '.join(paths)}")
        return "\n".join(lines)


CATEGORY_HEADINGS = ("F1", "interval", "precision", "recall", "AUC", "labelled")


def category_cells(values: Figures) -> list[str]:
    """A category's cells under CATEGORY_HEADINGS."""
    low, high = values.get("f1/lower"), values.get("f1/upper")
    interval = "-" if low is None or high is None else f"{low:.2f} - {high:.2f}"
    examples = values.get("examples", 0.0)
    cells = [_number(values.get(name)) for name in ("precision", "recall", "auc")]
    return [_number(values.get("f1")), interval, *cells, f"{examples:.0f}"]


_WHOLE = ("example_count", "weight", "categories_failed", "categories_worse", AUDITED, PICKED)
"""Figures that are numbers of products or categories."""


def shown(values: Figures, name: str) -> str:
    """A figure, with its interval where it has one."""
    value = values[name]
    if name.rpartition("/")[2] in _WHOLE:
        return f"{value:,.0f}"
    low, high = values.get(f"{name}/lower"), values.get(f"{name}/upper")
    text = f"{value:.4f}"
    return text if low is None or high is None else f"{text}  ({low:.4f} - {high:.4f})"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with aligned columns: text to the left, the rest to the right."""
    cells = [list(row) for row in rows]
    every = [list(headings), *cells] if headings else cells
    if not every:
        return []
    widths = [max(len(row[i]) for row in every) for i in range(len(every[0]))]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(widths))]
    return [
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True)).rstrip()
        for row in every
    ]


def time_text(milliseconds: int) -> str:
    """ML Metadata's time as ISO 8601, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _main(values: Figures) -> list[str]:
    return [name for name in sorted(values) if not name.endswith(("/lower", "/upper"))]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).replace(",", "").isdigit() or text == "-"


def _change_cells(change: Change) -> list[str]:
    name = f"{change.objective}: {change.path}" if change.path else change.objective
    figures = [f"{change.before:.3f}", f"{change.after:.3f}", f"{change.difference:+.3f}"]
    return [name, change.figure, *figures, f"{change.support[0]:.0f}, {change.support[1]:.0f}"]
