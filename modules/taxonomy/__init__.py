"""The category tree: its model, and reading and writing it."""

from modules.taxonomy.model import SEPARATOR, Category, Taxonomy, UnknownCategory

__all__ = ["SEPARATOR", "Category", "Taxonomy", "UnknownCategory"]
