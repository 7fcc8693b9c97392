"""How differently a model treats the slices of a column: the p% rule, and the names that ML Metadata has for it.

The p% rule compares the smallest of the slices' rates with the greatest one (Zafar, Valera, Gomez Rodriguez and Gummadi
2017, "Fairness Constraints: Mechanisms for Fair Classification"; 80% is the four-fifths rule). The ratio's interval is
made of the two rates' own by MOVER-R (Donner and Zou 2012, "Closed-form confidence intervals for functions of the
normal mean and standard deviation"; the ratio: eq. 9). That the two slices were chosen by their rates is not in it: of
many slices, chance alone makes the ratio smaller.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modules.metrics.intervals import LOWER, UPPER, Interval
from modules.predictions.accepted_figures import COVERAGE

RATES = ("accuracy", "micro_precision", "micro_recall", COVERAGE)
"""Where each product has one category, accuracy is precision and recall at once."""
EXAMPLES = "example_count"
LEAST_PRODUCTS = 30
"""A slice with fewer products is shown, and does not count for the ratio."""
MAX_SLICES = 50
"""Of a column, those with the most labelled test products: each is several properties in ML Metadata."""
_MAX_CHARACTERS = 100
_PREFIX, _RATIO = "disparity/", "disparity_ratio/"
_PRODUCTS = "products"
_FIGURES = (EXAMPLES, f"{COVERAGE}/{_PRODUCTS}", *(f"{rate}{end}" for rate in RATES for end in ("", LOWER, UPPER)))


@dataclass(frozen=True)
class SliceRate:
    """A slice's rate; ``products``: that it stands on. ``counts``: whether they are enough for the ratio."""

    name: str
    products: int
    rate: Interval

    @property
    def counts(self) -> bool:
        return self.products >= LEAST_PRODUCTS


@dataclass(frozen=True)
class Disparity:
    """One rate over the slices of a column, the slice with the most products first.

    Attributes:
      ratio: smallest over greatest rate of the slices that count; None: fewer than two do, or all rates are 0.
      smallest, greatest: the slices behind it.
    """

    column: str
    figure: str
    slices: tuple[SliceRate, ...]
    ratio: Interval | None
    smallest: SliceRate | None
    greatest: SliceRate | None


def ratio_of(first: Interval, second: Interval) -> Interval:
    """``first`` over ``second``, two independent rates of which the second is not 0, by MOVER-R.

    The upper end is infinite where the second rate may be 0.
    """
    p, q, l1, u1, l2, u2 = first.value, second.value, first.lower, first.upper, second.lower, second.upper
    product = p * q
    lower, upper = 0.0, math.inf
    if 2.0 * q > u2:
        root = math.sqrt(max(0.0, product**2 - l1 * u2 * (2.0 * p - l1) * (2.0 * q - u2)))
        lower = max(0.0, (product - root) / (u2 * (2.0 * q - u2)))
    if l2 > 0.0:
        root = math.sqrt(max(0.0, product**2 - u1 * l2 * (2.0 * p - u1) * (2.0 * q - l2)))
        upper = (product + root) / (l2 * (2.0 * q - l2))
    # NaN stays: a rate without an interval gives a ratio without one.
    ends = (lower, upper) if math.isfinite(l1 + u1 + l2 + u2) else (math.nan, math.nan)
    return Interval(p / q, *ends)


def disparity_figures(
    slices: Iterable[tuple[str, Mapping[str, float]]],
    columns: Iterable[str],
    accepted: Mapping[str, Mapping[str, tuple[int, Interval]]] | None = None,
) -> dict[str, float]:
    """Name to value of what ML Metadata keeps of one objective.

    Args:
      slices: (slice's name, ``column:value``; figure to value).
      columns: whose slices are compared.
      accepted: column to slice to its products, and the share of them that is accepted.
    """
    slices, figures = list(slices), dict[str, float]()
    for column in columns:
        prefix = f"{column}:"
        own = {name.removeprefix(prefix): dict(values) for name, values in slices if name.startswith(prefix)}
        for name, (products, share) in (accepted or {}).get(column, {}).items():
            own.setdefault(name, {}).update({f"{COVERAGE}/{_PRODUCTS}": products, **share.named(COVERAGE)})
        shown = [(name, values) for name, values in own.items() if name and len(name) <= _MAX_CHARACTERS]
        shown.sort(key=lambda item: (-item[1].get(EXAMPLES, 0.0), item[0]))
        for name, values in shown[:MAX_SLICES]:
            for figure in _FIGURES:
                if math.isfinite(values.get(figure, math.nan)):
                    figures[f"{_PREFIX}{column}/{name}/{figure}"] = float(values[figure])
    for disparity in disparities(figures):
        if disparity.ratio is not None:
            named = disparity.ratio.named(f"{_RATIO}{disparity.column}/{disparity.figure}")
            figures |= {name: value for name, value in named.items() if math.isfinite(value)}
    return figures


def disparities(values: Mapping[str, float]) -> list[Disparity]:
    """What :func:`disparity_figures` kept, out of all figures of an objective."""
    columns: dict[str, dict[str, dict[str, float]]] = {}
    for name, value in values.items():
        if not name.startswith(_PREFIX):
            continue
        column, _, rest = name.removeprefix(_PREFIX).partition("/")
        figure = next((own for own in sorted(_FIGURES, key=len, reverse=True) if rest.endswith(f"/{own}")), None)
        if figure is not None:
            columns.setdefault(column, {}).setdefault(rest.removesuffix(f"/{figure}"), {})[figure] = value
    made = [_disparity(column, figure, slices) for column, slices in columns.items() for figure in RATES]
    return [disparity for disparity in made if disparity.slices]


def _disparity(column: str, figure: str, slices: Mapping[str, Mapping[str, float]]) -> Disparity:
    products = f"{COVERAGE}/{_PRODUCTS}" if figure == COVERAGE else EXAMPLES
    rates = [
        SliceRate(name, int(own.get(products, 0)), Interval(
            own[figure], own.get(figure + LOWER, math.nan), own.get(figure + UPPER, math.nan)
        ))
        for name, own in slices.items() if figure in own
    ]  # fmt: skip
    rates.sort(key=lambda rate: (-rate.products, rate.name))
    counting = [rate for rate in rates if rate.counts]
    smallest = min(counting, key=lambda rate: rate.rate.value, default=None)
    greatest = max(counting, key=lambda rate: rate.rate.value, default=None)
    if smallest is None or greatest is None or len(counting) < 2 or not greatest.rate.value > 0.0:
        return Disparity(column, figure, tuple(rates), None, None, None)
    return Disparity(column, figure, tuple(rates), ratio_of(smallest.rate, greatest.rate), smallest, greatest)
