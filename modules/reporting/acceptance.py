"""What is accepted without a look, in sentences."""

from __future__ import annotations

from collections.abc import Mapping

from modules.counting import counted
from modules.predictions.accepted_figures import ASKED, AUDITED, COVERAGE, LOWER, PICKED


def acceptance_sentences(values: Mapping[str, float]) -> list[str]:
    """The headline, and what would change it.

    Args:
      values: an objective's figures, as ML Metadata has them.

    Returns:
      Sentences; none where nobody asks for a precision.
    """
    if ASKED not in values:
        return []
    asked, coverage = _percent(values[ASKED]), values.get(COVERAGE, 0.0)
    audited, picked = int(values.get(AUDITED, 0.0)), int(values.get(PICKED, 0.0))
    if LOWER in values:
        bound = f"lower bound of precision {_percent(values[LOWER], 1)}, {audited:,} audited"
        return [f"Coverage at {asked} precision: {coverage:.0%} of the catalogue ({bound})."]
    headline = f"Nothing is accepted at {asked} precision."
    if audited:
        why = f"The {counted(audited, 'audited test product')} show it for no group of categories."
        return [headline, why, "Label more products that are drawn at random, or ask for less."]
    labelled = f", but {counted(picked, 'is', 'are')} labelled that a strategy picked" if picked else ""
    return [
        headline,
        f"No test product has a label that was drawn at random{labelled}; only such labels show a precision.",
        "Label the random part of the next batches (sampling.random_share).",
    ]


def _percent(share: float, digits: int = 0) -> str:
    """Rounded down, so that no bound is said to be more than it is; with more digits where it has more."""
    percent = share * 100.0
    if digits == 0:
        return f"{percent:.10g}%"
    scale = 10**digits
    return f"{int(percent * scale + 1e-9) / scale:.{digits}f}%"
