"""The ancestors of an objective's classes, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modules.taxonomy import Category, Taxonomy


def ancestor_levels(classes: Sequence[Category], taxonomy: Taxonomy) -> list[list[int]]:
    """Per level of the taxonomy, from the roots down, the branch that each class belongs to there.

    A class with other classes below it means "the rest of it" and belongs to its own branch: books that are neither
    novels nor comics are books, and share that level with both.

    Returns:
      Per level a number for every class: the index in the taxonomy of its ancestor there, or, of a class with classes
      below it, of itself at its own level; -1 for a class that is no deeper than the level.
    """
    above = [taxonomy.ancestors(category) for category in classes]
    branches = {ancestor.id for lineage in above for ancestor in lineage}
    lineages = [
        (*lineage, category) if category.id in branches else lineage
        for category, lineage in zip(classes, above, strict=True)
    ]
    depth = max((len(lineage) for lineage in lineages), default=0)
    return [[lineage[level].index if level < len(lineage) else -1 for lineage in lineages] for level in range(depth)]
