"""From the true category that a feed names to a category of the taxonomy."""

from __future__ import annotations

from modules.category_text import Names
from modules.taxonomy import Category, Taxonomy, UnknownCategory
from modules.taxonomy.merging import SpelledPaths


class TrueCategories:
    """Categories of a taxonomy by the paths that feeds write.

    Args:
      cut: a path that the taxonomy lacks means its nearest ancestor that is there.
    """

    def __init__(self, taxonomy: Taxonomy, cut: bool):
        self._taxonomy, self._cut = taxonomy, cut
        self._paths = SpelledPaths(taxonomy)

    def find(self, names: Names) -> Category | None:
        """The category that ``names`` mean, also where another retailer spells it otherwise; None if there is none.

        A single name may also be a category's id, as Google's numbers are.
        """
        for end in range(len(names), 0, -1):
            try:
                return self._taxonomy.find(names[0] if len(names) == 1 else names[:end], suggest=False)
            except UnknownCategory:
                category = self._paths.find(names[:end])
                if category is not None or not self._cut:
                    return category
        return None
