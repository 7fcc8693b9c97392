"""Plots as inline SVG: no script, no server, a few kilobytes each. All text goes in escaped.

Colours come from the page's style sheet by class (``s0``, ``s1``: series; ``grid``, ``tick``), so that they follow
light and dark mode. Each plot has a name for screen readers, and the numbers stand in a table beside it or in tooltips.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from modules.arrays import Int64Array
from modules.counting import counted

Point = tuple[float, float]
SERIES = 6
"""Colours there are for series."""


def element(name: str, *children: str, **attributes: object) -> Markup:
    """``<name attributes>children</name>``; texts that are no Markup are escaped.

    A trailing or inner underscore of an attribute's name is a hyphen (``class_`` is ``class``, ``text_anchor`` is
    ``text-anchor``); floats are rounded to a hundredth.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None:
            continue
        text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        parts.append(f' {key.rstrip("_").replace("_", "-")}="{escape(text)}"')
    # What is put together here is either escaped or written in this module.
    return Markup("".join(parts) + ">") + Markup("").join(children) + Markup(f"</{name}>")  # noqa: S704 - see above


@dataclass(frozen=True)
class Series:
    """A line: its name and points; ``band`` holds (lower, upper) per point, where there is an interval."""

    name: str
    points: Sequence[Point]
    band: Sequence[tuple[float, float] | None] = ()


def line_chart(
    name: str,
    series: Sequence[Series],
    *,
    labels: Sequence[str] = (),
    y_range: tuple[float, float] | None = None,
    mark: float | None = None,
    width: int = 500,
    height: int = 230,
) -> Markup:
    """Lines over whole numbers.

    Args:
      name: for screen readers.
      labels: text per whole x, counted from 0, in tooltips and below the axis.
      y_range: of the axis; None: what the data need.
      mark: an x with a vertical line.
    """
    values = [y for s in series for _, y in s.points if math.isfinite(y)]
    values += [edge for s in series for pair in s.band if pair for edge in pair]
    if not values:
        return Markup("")
    low, high = y_range or _padded(min(values), max(values))
    xs = [x for s in series for x, _ in s.points]
    first, last = min(xs), max(xs)
    left, right, top, bottom = 46.0, width - 12.0, 12.0, height - 28.0

    def at(x: float, y: float) -> Point:
        across = (x - first) / (last - first) if last > first else 0.5
        return left + across * (right - left), bottom - (min(max(y, low), high) - low) / (high - low) * (bottom - top)

    parts = [_grid(low, high, left, right, top, bottom)]
    if mark is not None:
        x, _ = at(mark, low)
        parts.append(element("line", class_="mark", x1=x, x2=x, y1=top, y2=bottom))
    for number, curve in enumerate(series):
        colour = f"s{number % SERIES}"
        points = [(x, y) for x, y in curve.points if math.isfinite(y)]
        if curve.band and len(points) > 1:
            edges = [(p, pair) for p, pair in zip(curve.points, curve.band, strict=True) if pair]
            outline = [at(p[0], pair[1]) for p, pair in edges] + [at(p[0], pair[0]) for p, pair in reversed(edges)]
            parts.append(element("polygon", class_=f"band {colour}", points=_points(outline)))
        parts.append(element("polyline", class_=f"line {colour}", points=_points([at(x, y) for x, y in points])))
        if len(points) <= 60:
            for x, y in points:
                here = labels[int(x)] if int(x) < len(labels) else f"{x:g}"
                tip = element("title", f"{curve.name}, {here}: {y:.4g}")
                cx, cy = at(x, y)
                parts.append(element("circle", tip, class_=f"dot {colour}", cx=cx, cy=cy, r=3))
    ends = [labels[int(x)] if int(x) < len(labels) else f"{x:g}" for x in (first, last)]
    parts.append(element("text", ends[0], class_="tick", x=left, y=height - 8))
    if last > first:
        parts.append(element("text", ends[1], class_="tick", x=right, y=height - 8, text_anchor="end"))
    return _svg(name, width, height, parts)


def reliability_chart(name: str, bins: Sequence[tuple[float, float, int]], size: int = 280) -> Markup:
    """Share of hits over the predicted probability; a well calibrated model lies on the diagonal.

    Args:
      bins: (mean probability, share of hits, products) per bin.
    """
    if not bins:
        return Markup("")
    left, right, top, bottom = 46.0, size - 12.0, 12.0, size - 40.0
    most = max(n for _, _, n in bins)

    def at(x: float, y: float) -> Point:
        return left + x * (right - left), bottom - y * (bottom - top)

    (x1, y1), (x2, y2) = at(0, 0), at(1, 1)
    parts = [_grid(0.0, 1.0, left, right, top, bottom)]
    parts.append(element("line", class_="diagonal", x1=x1, y1=y1, x2=x2, y2=y2))
    places = [at(p, hit) for p, hit, _ in bins]
    parts.append(element("polyline", class_="line s0", points=_points(places)))
    for (x, y), (p, hit, n) in zip(places, bins, strict=True):
        tip = element("title", f"probability {p:.2f}, right {hit:.2f}, {counted(n, 'product')}")
        parts.append(element("circle", tip, class_="dot s0", cx=x, cy=y, r=3.0 + 7.0 * math.sqrt(n / most)))
    for value in (0.0, 0.5, 1.0):
        x, _ = at(value, 0)
        parts.append(element("text", f"{value:g}", class_="tick", x=x, y=bottom + 15, text_anchor="middle"))
    middle = (left + right) / 2
    parts.append(element("text", "predicted probability", class_="tick", x=middle, y=size - 6, text_anchor="middle"))
    return _svg(name, size, size, parts)


def heat_map(
    name: str, names: Sequence[str], counts: Int64Array, rows: str = "label", columns: str = "predicted"
) -> Markup:
    """A square of counts; a cell's colour is its share of its row, so that rare categories can be read as well.

    Args:
      counts: shape (n, n), rows and columns named by ``names``.
    """
    n = len(names)
    shown = [text if len(text) <= 24 else text[:23] + "…" for text in names]
    cell, longest = (26 if n <= 12 else 20), 7 * max(map(len, shown))
    # Headings stand at 45 degrees: they need as much height as width, and lean out to the right.
    left, top = 14 + longest, 14 + round(0.72 * longest)
    width, height = left + n * cell + round(0.72 * longest), top + n * cell + 10
    sums = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, sums, out=np.zeros(counts.shape), where=sums > 0)
    parts: list[Markup] = []
    for i, short in enumerate(shown):
        middle = top + (i + 0.5) * cell
        parts.append(element("text", short, class_="tick", x=left - 6, y=middle + 4, text_anchor="end"))
        across = left + (i + 0.5) * cell + 4
        turn = f"rotate(-45 {across:.1f} {top - 6})"
        parts.append(element("text", short, class_="tick", x=across, y=top - 6, transform=turn))
    for i in range(n):
        for j in range(n):
            number = int(counts[i, j])
            what = f"{rows} {names[i]}, {columns} {names[j]}: {number:,} ({share[i, j]:.0%} of the row)"
            tip = element("title", what)
            colour = "s2" if i == j else "s1"
            x, y = float(left + j * cell), float(top + i * cell)
            side = float(cell - 1)
            parts.append(element("rect", class_="cell", x=x, y=y, width=side, height=side))
            if number:
                opacity = 0.12 + 0.88 * float(share[i, j])
                square = element("rect", tip, class_=f"fill {colour}", x=x, y=y, width=side, height=side,
                                 fill_opacity=opacity)  # fmt: skip
                parts.append(square)
                if cell > 20 and number < 1000:
                    strong = "in" if opacity > 0.6 else ""
                    label = element("text", str(number), class_=f"count {strong}", x=x + side / 2, y=y + side / 2 + 4,
                                    text_anchor="middle")  # fmt: skip
                    parts.append(label)
    return _svg(name, width, height, parts)


def bar(values: Sequence[float], most: float, width: int = 160) -> Markup:
    """Thin bars above each other for a table cell, one per series; not read out: the numbers stand beside it."""
    parts = []
    for number, value in enumerate(values):
        length = width * value / most if most > 0 else 0.0
        parts.append(element("rect", class_=f"fill s{number}", x=0, y=number * 7, width=max(length, 0.5), height=5.5))
    height = 7 * len(values)
    return element("svg", *parts, width=width, height=height, viewBox=f"0 0 {width} {height}", aria_hidden="true")


def _svg(name: str, width: int, height: int, parts: Sequence[Markup]) -> Markup:
    return element(
        "svg", *parts, role="img", aria_label=name, viewBox=f"0 0 {width} {height}", width=width, height=height
    )


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _padded(low: float, high: float) -> tuple[float, float]:
    space = 0.08 * (high - low) or 0.05 * abs(high) or 0.5
    # A loss or a share does not go below 0.
    return (max(0.0, low - space) if low >= 0 else low - space), high + space


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers between ``low`` and ``high``."""
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(factor for factor in (1.0, 2.0, 5.0, 10.0) if (high - low) / (step * factor) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _grid(low: float, high: float, left: float, right: float, top: float, bottom: float) -> Markup:
    parts = []
    for value in ticks(low, high):
        y = bottom - (value - low) / (high - low) * (bottom - top)
        parts.append(element("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
        parts.append(element("text", f"{value:g}", class_="tick", x=left - 6, y=y + 4, text_anchor="end"))
    return Markup("").join(parts)


def columns(name: str, values: Sequence[tuple[str, float]], width: int = 180, height: int = 44) -> Markup:
    """Upright bars without axes, for a table cell; each has its label and value as a tooltip."""
    most = max((value for _, value in values), default=0.0)
    if most <= 0:
        return Markup("")
    step = width / len(values)
    parts = []
    for i, (label, value) in enumerate(values):
        tall = max(height * value / most, 1.0 if value > 0 else 0.0)
        tip = element("title", f"{label}: {value:,.0f}")
        parts.append(
            element("rect", tip, class_="fill s0", x=i * step, y=height - tall, width=max(step - 1, 0.5), height=tall)
        )
    return _svg(name, width, height, parts)
