"""From the true category that a feed names to a category of the taxonomy."""

from __future__ import annotations

from modules.category_text import Names
from modules.taxonomy import Category, Taxonomy, UnknownCategory


def true_category(names: Names, taxonomy: Taxonomy, cut: bool) -> Category | None:
    """The category that ``names`` mean; None if the taxonomy lacks it.

    A single name may also be a category's id, as Google's numbers are.

    Args:
      cut: a path that the taxonomy lacks means its nearest ancestor that is there.
    """
    for end in range(len(names), 0, -1):
        try:
            return taxonomy.find(names[0] if len(names) == 1 else names[:end], suggest=False)
        except UnknownCategory:
            if not cut:
                return None
    return None
