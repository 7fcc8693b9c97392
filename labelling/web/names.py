"""Categories as the pages name them."""

from __future__ import annotations

from modules.taxonomy import Category, Taxonomy


class Names:
    """Categories by their ids, also those that the taxonomy has lost."""

    def __init__(self, tree: Taxonomy | None):
        self.tree = tree

    def __call__(self, category: str | None) -> str:
        """The category's path, its id where it has none any more."""
        named = self.get(category)
        return named.text if named is not None else category or ""

    def get(self, category: str | None) -> Category | None:
        """The category; None if the taxonomy has no such one."""
        return self.tree[category] if category and self.tree is not None and category in self.tree else None
