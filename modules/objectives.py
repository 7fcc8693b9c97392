"""The classes of each objective: which category stands at which index of a head's output."""

from __future__ import annotations

from modules.settings.model import Objective
from modules.taxonomy import Category, Taxonomy


def classes_of(objective: Objective, taxonomy: Taxonomy) -> tuple[Category, ...]:
    """The categories that a head's outputs stand for, in order: the exclusive ones, or all of them (multi-label)."""
    return tuple(taxonomy.exclusive) if objective.kind == "exclusive" else tuple(taxonomy)
