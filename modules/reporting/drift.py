"""Drift in words, as JSON, and as a page that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from modules.counting import counted
from modules.drift.comparing import Comparison, Kind
from modules.errors import shorten, visible
from modules.reporting.page import render, write_page
from modules.reporting.svg import Series, bar, line_chart

SHOWN_CELLS = 20
"""Of categories, those that changed most."""
_TOLD_CELLS = 3
_SHOWN_RETAILERS = 50
_NEXT: Mapping[Kind, str] = {
    "new_retailer": "label some of its products and run again, or leave it out of the feed",
    "gone_retailer": "ask whether its feed was delivered; publishing would remove its products",
    "products": "ask whether the feed is whole, and whether it has something else than before",
    "categories": "look at products of these categories; if they are right, run again to learn the new mix",
    "words": "look at the titles: another language, a broken encoding, or new goods, which a labelled batch teaches",
    "missing": "ask whether the column was renamed or lost (feed.fields names it), or accept it by a new run",
    "prices": "look at the prices: another currency, decimal point or tax; then run again if they are right",
    "embedding": "look at the newest products: the model reads them as other goods than it was trained on",
}  # fmt: skip


def title_of(row: Comparison) -> str:
    """What is compared, such as ``column brand: missing values``."""
    if row.kind == "missing":
        return f"column {row.subject}: missing values"
    return {
        "new_retailer": "a retailer that the model was not trained on", "gone_retailer": "no product any longer",
        "products": "number of products", "categories": "predicted categories", "words": "unknown words in titles",
        "prices": "median price", "embedding": "embeddings",
    }[row.kind]  # fmt: skip


def value_text(row: Comparison, value: float | None) -> str:
    """A value of before or after, as people read it; empty where there is none."""
    if value is None:
        return ""
    if row.kind in ("missing", "words"):
        return f"{value:.1%}"
    return f"{value:.4g}" if row.kind == "prices" else f"{value:,.0f}"


def change_lines(row: Comparison) -> list[str]:
    """An alarm: retailer and figure, before and after, and what to do next."""
    said = title_of(row)
    if row.kind not in ("new_retailer", "gone_retailer") and row.before is not None:
        said += f" {value_text(row, row.before)} before, {value_text(row, row.after)} now"
    elif row.kind in ("new_retailer", "gone_retailer"):
        number = row.after if row.kind == "new_retailer" else row.before
        said += f" ({counted(int(number or 0), 'product')}{'' if row.kind == 'new_retailer' else ' before'})"
    if row.distance is not None:
        said += f" (distance {row.distance:.2f})"
    lines = [f"{retailer_text(row.retailer)}: {visible(said)}"]
    if row.kind == "categories":
        lines += [
            f"  {shorten(cell.label, 200)}: {cell.before:.1%} before, {cell.after:.1%} now"
            for cell in row.cells[:_TOLD_CELLS]
        ]
    return [*lines, f"  next: {_NEXT[row.kind]}"]


def retailer_text(retailer: str) -> str:
    """A retailer's name; a feed without one is the feed."""
    return shorten(retailer, 60) or "the feed"


def drift_document(rows: Sequence[Comparison], facts: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--json`` prints: the facts, and each comparison with its fields."""
    comparisons = [asdict(row) | {"cells": [asdict(cell) for cell in row.cells[:SHOWN_CELLS]]} for row in rows]
    return {**facts, "drifted": any(row.drifted for row in rows), "comparisons": comparisons}


@dataclass(frozen=True)
class _Row:
    title: str
    before: str
    after: str
    distance: str
    p_value: str
    drifted: bool
    bars: Markup


@dataclass(frozen=True)
class _Retailer:
    name: str
    rows: Sequence[_Row]
    categories: Sequence[tuple[str, str, str, Markup]]
    prices: Markup


def render_drift(rows: Sequence[Comparison], title: str, facts: Sequence[str]) -> str:
    """The page as HTML: alarms, then each retailer's figures, those with alarms first.

    Args:
      facts: what stands under the title.
    """
    alarms = [row for row in rows if row.drifted]
    names = list(dict.fromkeys([row.retailer for row in alarms] + [row.retailer for row in rows]))
    return render(
        "drift.html.j2",
        title=title,
        facts=facts,
        alarms=[change_lines(row) for row in alarms],
        retailers=[_retailer(name, [row for row in rows if row.retailer == name]) for name in names[:_SHOWN_RETAILERS]],
        left_out=len(names[_SHOWN_RETAILERS:]),
    )


def write_drift(rows: Sequence[Comparison], path: Path, title: str, facts: Sequence[str]) -> None:
    """Writes the page, complete or not at all."""
    write_page(path, render_drift(rows, title, facts))


def _retailer(name: str, rows: Sequence[Comparison]) -> _Retailer:
    by_kind = {row.kind: row for row in rows}
    cells = by_kind["categories"].cells[:SHOWN_CELLS] if "categories" in by_kind else ()
    most = max((max(cell.before, cell.after) for cell in cells), default=0.0)
    categories = [
        (cell.label, f"{cell.before:.1%}", f"{cell.after:.1%}", bar([cell.before, cell.after], most)) for cell in cells
    ]
    prices = by_kind["prices"].cells if "prices" in by_kind else ()
    series = [
        Series("training", [(float(i), cell.before) for i, cell in enumerate(prices)]),
        Series("now", [(float(i), cell.after) for i, cell in enumerate(prices)]),
    ]
    labels = [cell.label for cell in prices]
    chart = line_chart("Share of products by price", series, labels=labels, y_range=_range(prices)) if prices else ""
    return _Retailer(retailer_text(name), [_row(row) for row in rows], categories, Markup(chart))  # noqa: S704 - it is one


def _range(cells: Sequence[Any]) -> tuple[float, float]:
    return 0.0, 1.1 * max(max(cell.before, cell.after) for cell in cells)


def _row(row: Comparison) -> _Row:
    bars = Markup("")
    if row.before is not None and row.after is not None:
        most = 1.0 if row.kind in ("missing", "words") else max(row.before, row.after)
        bars = bar([row.before, row.after], most)
    p_value = "" if row.kind in ("new_retailer", "gone_retailer") else _p_text(row.p_value)
    distance = "" if row.distance is None else f"{row.distance:.3f}"
    before, after = value_text(row, row.before), value_text(row, row.after)
    return _Row(title_of(row), before, after, distance, p_value, row.drifted, bars)


def _p_text(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-12 and math.isfinite(value) else "< 1e-12"
