"""Names of the figures about acceptance, for whoever shows them without working them out."""

from __future__ import annotations

from typing import Final

COVERAGE: Final = "accepted_coverage"
ASKED: Final = "accepted_precision_asked"
LOWER: Final = "accepted_precision_bound"
AUDITED: Final = "accepted_audited"
PICKED: Final = "accepted_picked"
"""Figures of an objective: share of the products that are accepted; the precision that was asked for; its lower bound;
the audited products; labelled test products that were picked, not drawn at random, and so do not count."""
THRESHOLD: Final = "accepted_threshold"
POOL_LEVEL: Final = "accepted_pool_level"
"""Figures of a category beside its :data:`COVERAGE`, :data:`AUDITED` and :data:`LOWER`: from which probability on its
products are accepted, missing where none is; level in the taxonomy of the category under which the threshold is shared,
1 for a root, 0 for the whole taxonomy."""
CATEGORY_FIGURES = (COVERAGE, THRESHOLD, AUDITED, LOWER, POOL_LEVEL)
