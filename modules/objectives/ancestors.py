"""The ancestors of an objective's classes, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.taxonomy import Category, Taxonomy


def ancestor_levels(classes: Sequence[Category], taxonomy: Taxonomy) -> list[list[int]]:
    """Per level of the taxonomy, from the roots down, the ancestor that each class has there.

    Returns:
      Per level a number for every class: its ancestor's index in the taxonomy, -1 for a class that is no deeper than
      the level itself.
    """
    lineages = [taxonomy.ancestors(category) for category in classes]
    depth = max((len(lineage) for lineage in lineages), default=0)
    return [[lineage[level].index if level < len(lineage) else -1 for lineage in lineages] for level in range(depth)]
