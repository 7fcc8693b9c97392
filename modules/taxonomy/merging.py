"""Several retailers' own trees as one: categories that are written alike are the same category."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modules.counting import counted
from modules.taxonomy.category import SEPARATOR, Category
from modules.taxonomy.model import Taxonomy

Names = tuple[str, ...]


def folded(path: Iterable[str]) -> Names:
    """The path without what two shops write differently and mean alike: case, width of letters, blanks."""
    return tuple("".join(_fold(name).split()) for name in path)


def _fold(name: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


@dataclass(frozen=True)
class MergedTrees:
    """The union of trees.

    Attributes:
      counts: every path that some product has, sorted, each name as most products have it; and how many have it.
      spellings: of each category that is written in several ways, the other ways by the one that was kept; sorted.
      shared: categories that more than one of the trees has.
    """

    counts: Mapping[Names, int]
    spellings: Mapping[Names, tuple[Names, ...]]
    shared: int

    @property
    def paths(self) -> tuple[Names, ...]:
        """The paths alone."""
        return tuple(self.counts)

    def sentences(self, limit: int = 5) -> list[str]:
        """What was merged, for people; empty where nothing was."""
        said = (
            [f"{counted(self.shared, 'category is', 'categories are')} in the trees of several feeds"]
            if self.shared
            else []
        )
        if self.spellings:
            shown = [
                f"{SEPARATOR.join(kept)!r} (also {', '.join(repr(SEPARATOR.join(path)) for path in others)})"
                for kept, others in list(self.spellings.items())[:limit]
            ]
            rest = len(self.spellings) - len(shown)
            more = f" and {rest:,} more" if rest else ""
            said.append(
                f"{counted(len(self.spellings), 'category was', 'categories were')} merged over spellings: "
                f"{', '.join(shown)}{more}"
            )
        return said


def merge_trees(trees: Sequence[Mapping[Names, int]]) -> MergedTrees:
    """The union of ``trees`` (path to its number of products), one for each feed; a single tree stays as it is."""
    if len(trees) == 1:
        return MergedTrees(dict(sorted(trees[0].items())), {}, 0)
    written: dict[Names, Counter[Names]] = {}
    owners: dict[Names, set[int]] = {}
    given: Counter[Names] = Counter()
    for number, tree in enumerate(trees):
        for path, count in tree.items():
            key = folded(path)
            given[key] += count
            for depth in range(1, len(path) + 1):
                written.setdefault(key[:depth], Counter())[path[:depth]] += count
                owners.setdefault(key[:depth], set()).add(number)
    kept: dict[Names, Names] = {}
    for key in sorted(written, key=len):
        names: Counter[str] = Counter()
        for path, count in written[key].items():
            names[path[-1]] += count
        # The parent was named before; of equally frequent names the first in the alphabet is kept.
        kept[key] = (*kept.get(key[:-1], ()), min(names, key=lambda name: (-names[name], name)))
    spellings = {
        kept[key]: tuple(sorted(path for path in paths if path != kept[key]))
        for key, paths in written.items()
        if len({path[-1] for path in paths}) > 1
    }
    shared = sum(len(numbers) > 1 for numbers in owners.values())
    counts = dict(sorted((kept[key], count) for key, count in given.items()))
    return MergedTrees(counts, dict(sorted(spellings.items())), shared)


class SpelledPaths:
    """Categories of a taxonomy by their paths, however these are written."""

    def __init__(self, taxonomy: Taxonomy):
        by_key: dict[Names, Category | None] = {}
        for category in taxonomy:
            key = folded(category.path)
            # Two that differ in their spelling alone were meant to be two.
            by_key[key] = None if key in by_key else category
        self._exact = {category.path: category for category in taxonomy}
        self._by_key = by_key

    def find(self, path: Names) -> Category | None:
        """The category with this path, else the only one that is written alike; None if there is none."""
        category = self._exact.get(path)
        return self._by_key.get(folded(path)) if category is None else category
