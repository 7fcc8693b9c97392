"""The category tree: its model, and reading and writing it."""

from modules.taxonomy.category import SEPARATOR, Category
from modules.taxonomy.model import Taxonomy, UnknownCategory

__all__ = ["SEPARATOR", "Category", "Taxonomy", "UnknownCategory"]
