"""The names under which ML Metadata has an objective's figures of single retailers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from modules.examples import RETAILER

KEPT = ("accuracy", "micro_f1", "macro_f1")
EXAMPLES = "example_count"
MAX_RETAILERS = 50
"""Those with the most labelled test products: a marketplace's feed names thousands, each a property of its own."""
_MAX_CHARACTERS = 100
_NAMES = (EXAMPLES, *(f"{name}{end}" for name in KEPT for end in ("", "/lower", "/upper")))


def retailer_figures(slices: Iterable[tuple[str, Mapping[str, float]]]) -> dict[str, float]:
    """Name to value of what is kept of slices by retailer.

    Args:
      slices: (slice's name, ``feature:value``; figure to value), of one objective.
    """
    prefix = f"{RETAILER}:"
    own = [(name.removeprefix(prefix), values) for name, values in slices if name.startswith(prefix)]
    measured = [
        (name, values)
        for name, values in own
        if name and len(name) <= _MAX_CHARACTERS and values.get(EXAMPLES, 0.0) > 0
    ]
    measured.sort(key=lambda item: (-item[1][EXAMPLES], item[0]))
    return {
        f"{RETAILER}/{retailer}/{name}": float(values[name])
        for retailer, values in measured[:MAX_RETAILERS]
        for name in _NAMES
        if math.isfinite(values.get(name, math.nan))
    }


def by_retailer(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Retailer to its figures, of all figures of an objective; the one with the most labelled products first."""
    retailers: dict[str, dict[str, float]] = {}
    for figure, value in values.items():
        if not figure.startswith(f"{RETAILER}/"):
            continue
        rest = figure.removeprefix(f"{RETAILER}/")
        name = next((name for name in _NAMES if rest.endswith(f"/{name}")), None)
        if name is not None:
            retailers.setdefault(rest.removesuffix(f"/{name}"), {})[name] = value
    return dict(sorted(retailers.items(), key=lambda item: (-item[1].get(EXAMPLES, 0.0), item[0])))
