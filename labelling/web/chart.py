"""The line chart of a category's F1 over runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labelling.web.formatting import figure
from modules.counting import counted
from modules.reporting.svg import Series, line_chart

if TYPE_CHECKING:
    from markupsafe import Markup

    from labelling.web.views import Point


def chart(points: Sequence[Point]) -> Markup:
    """F1 and its interval, where the run measured one, as inline SVG; the vertical axis goes from 0 to 1.

    Args:
      points: the runs, oldest first.
    """
    band = [None if p.lower is None or p.upper is None else (p.lower, p.upper) for p in points]
    series = Series("F1", [(float(run), p.f1) for run, p in enumerate(points)], band)
    name = f"F1 over {counted(len(points), 'run')}, the newest {figure(points[-1].f1)}" if points else ""
    labels = [point.run[:16] for point in points]
    return line_chart(name, [series], labels=labels, y_range=(0.0, 1.0), width=560, height=180)
