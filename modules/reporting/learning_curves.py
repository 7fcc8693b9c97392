"""Learning curves of an experiment as a page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from markupsafe import Markup

from modules.counting import counted
from modules.reporting.comparison import chance, compare, shown
from modules.reporting.page import duration_text, render, write_page
from modules.reporting.svg import Series, line_chart

FIGURES = {"accuracy": "Accuracy", "macro_f1": "Macro-F1"}
"""What is drawn, a plot each."""


@dataclass(frozen=True)
class Curve:
    """One strategy's run with one seed: a value per round in each list.

    Attributes:
      labels: human labels so far, ascending. values: figure to its values. seconds: of each round.
    """

    strategy: str
    seed: int
    labels: Sequence[int]
    values: Mapping[str, Sequence[float]]
    seconds: Sequence[float] = ()


@dataclass(frozen=True)
class LearningCurves:
    """What the page shows.

    Attributes:
      targets: figure to the value that is looked for.
      settings: name and text, as the experiment ran.
      facts: what stands under the title.
      baseline: the one that the others are compared with; None: none are.
    """

    title: str
    curves: Sequence[Curve]
    targets: Mapping[str, float] = field(default_factory=dict)
    settings: Sequence[tuple[str, str]] = ()
    facts: Sequence[str] = ()
    baseline: str | None = None

    @property
    def strategies(self) -> list[str]:
        """In the curves' order, each once."""
        return list(dict.fromkeys(curve.strategy for curve in self.curves))


@dataclass(frozen=True)
class Needed:
    """Labels that a strategy needed for a target, over the seeds that reached it."""

    strategy: str
    figure: str
    target: float
    seeds: int
    labels: Sequence[float]
    most: int

    @property
    def mean(self) -> float | None:
        """None unless every seed reached the target: a mean of the fast ones alone would flatter."""
        return float(np.mean(self.labels)) if len(self.labels) == self.seeds else None

    def __str__(self) -> str:
        """ "428 (407-462), 5 seeds"."""
        seeds = counted(self.seeds, "seed")
        if not self.labels:
            return f"not within {counted(self.most, 'label')}, {seeds}"
        span = f"{min(self.labels):,.0f}-{max(self.labels):,.0f}"
        if self.mean is None:
            return f"{span} in {len(self.labels)} of {seeds}, the others not within {self.most:,}"
        return f"{self.mean:,.0f} ({span}), {seeds}"


def labels_needed(labels: Sequence[int], values: Sequence[float], target: float) -> float | None:
    """Where a curve first reaches ``target``, on the straight line between two rounds; None if it does not."""
    for i, value in enumerate(values):
        if value >= target:
            if i == 0:
                return float(labels[0])
            share = (target - values[i - 1]) / (value - values[i - 1])
            return labels[i - 1] + share * (labels[i] - labels[i - 1])
    return None


def needed(curves: Sequence[Curve], targets: Mapping[str, float]) -> list[Needed]:
    """For each target and strategy what its seeds needed."""
    rows = []
    for figure, target in targets.items():
        for strategy in dict.fromkeys(curve.strategy for curve in curves):
            own = [curve for curve in curves if curve.strategy == strategy]
            labels_per_seed = [labels_needed(curve.labels, curve.values[figure], target) for curve in own]
            reached = [labels for labels in labels_per_seed if labels is not None]
            rows.append(Needed(strategy, figure, target, len(own), reached, max(curve.labels[-1] for curve in own)))
    return rows


@dataclass(frozen=True)
class _Plot:
    title: str
    names: Sequence[str]
    svg: Markup


def render_learning_curves(page: LearningCurves) -> str:
    """The page as HTML."""
    return render(
        "learning_curves.html.j2",
        page=page,
        plots=[plot for figure in FIGURES if (plot := _plot(page, figure)) is not None],
        needed=[(FIGURES.get(row.figure, row.figure), row) for row in needed(page.curves, page.targets)],
        compared=compare(page.curves, page.baseline),
        shown=shown,
        chance=chance,
        points=_points(page.curves),
        figures=FIGURES,
        duration=duration_text(sum(sum(curve.seconds) for curve in page.curves)),
    )


def write_learning_curves(page: LearningCurves, path: str | Path) -> None:
    """Writes the page, complete or not at all."""
    write_page(path, render_learning_curves(page))


def _plot(page: LearningCurves, figure: str) -> _Plot | None:
    series = []
    for strategy in page.strategies:
        rows = [row for row in _points(page.curves) if row.strategy == strategy and figure in row.values]
        means = [(float(row.labels), row.values[figure][0]) for row in rows]
        band = [(row.values[figure][1], row.values[figure][2]) for row in rows]
        series.append(Series(strategy, means, band))
    if not any(curve.points for curve in series):
        return None
    if figure in page.targets:
        xs = [x for curve in series for x, _ in curve.points]
        target = page.targets[figure]
        series.append(Series(f"target {target:g}", [(min(xs), target), (max(xs), target)]))
    title = FIGURES[figure]
    chart = line_chart(f"{title} over labels", series, width=760, height=380)
    return _Plot(title, [curve.name for curve in series], chart)


@dataclass(frozen=True)
class CurvePoint:
    """A strategy at one number of labels: per figure its mean, least and most over the seeds that got there."""

    strategy: str
    labels: int
    seeds: int
    values: Mapping[str, tuple[float, float, float]]


def _points(curves: Sequence[Curve]) -> list[CurvePoint]:
    """Only where all seeds of a strategy are: a mean over those that are left would jump."""
    rows = []
    for strategy in dict.fromkeys(curve.strategy for curve in curves):
        own = [curve for curve in curves if curve.strategy == strategy]
        at = [{labels: i for i, labels in enumerate(curve.labels)} for curve in own]
        for labels in sorted(set.intersection(*(set(places) for places in at))):
            values = {}
            for figure in own[0].values:
                per_seed = [curve.values[figure][places[labels]] for curve, places in zip(own, at, strict=True)]
                values[figure] = (float(np.mean(per_seed)), min(per_seed), max(per_seed))
            rows.append(CurvePoint(strategy, labels, len(own), values))
    return rows
