"""The classes of each objective: which category stands at which index of a head's output."""

from __future__ import annotations

from collections.abc import Sequence

from modules.settings.model import Objective
from modules.taxonomy import Category, Taxonomy


def classes_of(objective: Objective, taxonomy: Taxonomy) -> tuple[Category, ...]:
    """The categories that a head's outputs stand for, in order: the exclusive ones, or all of them (multi-label)."""
    return tuple(taxonomy.exclusive) if objective.kind == "exclusive" else tuple(taxonomy)


def ancestor_levels(classes: Sequence[Category], taxonomy: Taxonomy) -> list[list[int]]:
    """Per level of the taxonomy, from the roots down, the ancestor that each class has there.

    Returns:
      Per level a number for every class: its ancestor's index in the taxonomy, -1 for a class that is no deeper than
      the level itself.
    """
    above = [taxonomy.ancestors(category) for category in classes]
    depth = max((len(one) for one in above), default=0)
    return [[one[level].index if level < len(one) else -1 for one in above] for level in range(depth)]
