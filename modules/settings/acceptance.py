"""Which predictions need no look: a precision that those which are accepted reach."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modules.settings.base import Settings


class AcceptanceSettings(Settings):
    """Per category the predictions of the highest probabilities are accepted, all others are for review
    (:mod:`modules.metrics.acceptance`)."""

    precision: Annotated[float, Field(ge=0.5, lt=1.0)]
    """Share of the accepted products that are right, at least."""
    confidence: Annotated[float, Field(ge=0.5, lt=1.0)] = 0.95
    """How sure that is, for each group of categories that share a threshold."""
    least_audited: Annotated[int, Field(ge=1)] | None = None
    """Categories with fewer labelled test products that were drawn at random share a threshold with their siblings.
    null: twice as many as show the precision where all of them are right."""
