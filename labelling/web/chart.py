"""A small line chart as SVG geometry, drawn by the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labelling.web.views import Point

WIDTH, HEIGHT = 560, 180
LEFT, TOP, RIGHT, BOTTOM = 36, 10, 10, 24


@dataclass(frozen=True)
class Chart:
    """F1 over runs; the vertical axis goes from 0 to 1.

    Attributes:
      line: of the SVG polyline. band: of the polygon between lower and upper, empty without intervals.
      dots: (x, y, text) per run. grid: (y, text).
    """

    line: str
    band: str
    dots: Sequence[tuple[float, float, str]]
    grid: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT


def chart(points: Sequence[Point]) -> Chart:
    """The chart of a category's history."""
    inner = WIDTH - LEFT - RIGHT
    step = inner / max(1, len(points) - 1)

    def x(i: int) -> float:
        return round(LEFT + (step * i if len(points) > 1 else inner / 2), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - min(max(value, 0.0), 1.0)), 1)

    known = [i for i, point in enumerate(points) if point.lower is not None and point.upper is not None]
    band = [f"{x(i)},{y(points[i].upper or 0.0)}" for i in known]
    band += [f"{x(i)},{y(points[i].lower or 0.0)}" for i in reversed(known)]
    return Chart(
        " ".join(f"{x(i)},{y(point.f1)}" for i, point in enumerate(points)),
        " ".join(band) if len(known) > 1 else "",
        [(x(i), y(point.f1), f"{point.run}: F1 {point.f1:.3f}") for i, point in enumerate(points)],
        [(y(value), f"{value:g}") for value in (0.0, 0.5, 1.0)],
    )
