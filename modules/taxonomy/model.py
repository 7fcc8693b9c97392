"""Categories and the tree that they form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.taxonomy.category import SEPARATOR, Category, split_path, tidy
from modules.taxonomy.documents import nearest
from modules.taxonomy.reading import assemble, read_categories
from modules.taxonomy.writing import write_categories


class UnknownCategory(InputError):
    """A text names no category.

    Attributes:
      text: what was looked for.
      suggestion: the nearest category, or None if none is near, or nobody looked.
    """

    def __init__(self, text: str, suggestion: Category | None, place: Problem | None = None, *, looked: bool = True):
        self.text = text
        self.suggestion = suggestion
        hint = "the taxonomy has nothing like it" if looked else ""
        if suggestion:
            hint = f"did you mean {suggestion.text!r}?"
        file, line, key = (place.file, place.line, place.key) if place else ("", None, "category")
        super().__init__(Problem(file, "not in the taxonomy", line, key, text, hint))


class Taxonomy:
    """An immutable tree of categories in file order.

    Build one with :meth:`load`, :meth:`from_paths` or :meth:`from_json`.
    """

    def __init__(self, categories: Iterable[Category]):
        """Takes categories that are consistent already: :mod:`modules.taxonomy.reading` checks."""
        self._categories = tuple(categories)
        self._by_id = {category.id: category for category in self._categories}
        self._by_path = {category.path: category for category in self._categories}
        self._by_text = {category.text: category for category in self._categories}
        children: dict[str | None, list[Category]] = {}
        for category in self._categories:
            children.setdefault(category.parent, []).append(category)
        self._children = {parent: tuple(below) for parent, below in children.items()}

    @classmethod
    def load(cls, path: str | Path) -> Taxonomy:
        """Reads ``.yaml``, ``.json``, ``.jsonl`` or ``.csv`` of this project's own form, and taxonomies of others
        (:data:`modules.taxonomy.formats.FORMATS`) as they come.

        Raises:
          InputError: everything that is wrong with the file, at once.
        """
        return cls(read_categories(path))

    @classmethod
    def from_paths(
        cls, paths: Iterable[str | Sequence[str]], exclusive: Literal["leaves", "all", "given"] = "leaves"
    ) -> Taxonomy:
        """The tree of ``paths`` and all their ancestors, in the order of the paths.

        Args:
          paths: texts with " > " or sequences of names; repeats are fine.
          exclusive: which categories are exclusive: those without children, all, or those in ``paths`` themselves.

        Raises:
          InputError: a path is empty or unusable, or two of them read the same when written with " > ".
        """
        given = {split_path(path) for path in paths}
        nodes = {path[:depth] for path in given for depth in range(1, len(path) + 1)}
        parents = {path[:-1] for path in nodes}
        if exclusive not in ("leaves", "all", "given"):
            raise ValueError(f"exclusive must be 'leaves', 'all' or 'given', not {exclusive!r}")
        wanted = {"leaves": nodes - parents, "all": nodes, "given": given}[exclusive]
        return cls(assemble([{"path": path, "exclusive": path in wanted} for path in sorted(nodes)]))

    def described_as(self, other: Taxonomy) -> Taxonomy:
        """This tree with the descriptions and synonyms that ``other`` has for the same paths."""
        known = other._by_path
        return Taxonomy(
            replace(c, description=known[c.path].description, synonyms=known[c.path].synonyms) if c.path in known else c
            for c in self._categories
        )

    @classmethod
    def from_json(cls, text: str) -> Taxonomy:
        """The inverse of :meth:`to_json`; for handing a taxonomy that was checked from one process to another."""
        return cls(_category(index, row) for index, row in enumerate(json.loads(text)))

    def to_json(self) -> str:
        """Everything, as one line of JSON."""
        rows = [_row(category) for category in self._categories]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))

    def write(self, path: str | Path) -> None:
        """Writes a file that :meth:`load` reads back as an equal taxonomy; the suffix says in which format."""
        write_categories(self, path)

    def __iter__(self) -> Iterator[Category]:
        return iter(self._categories)

    def __len__(self) -> int:
        return len(self._categories)

    def __getitem__(self, category_id: str) -> Category:
        """The category with this id; KeyError if there is none."""
        return self._by_id[category_id]

    def __contains__(self, category_id: object) -> bool:
        return category_id in self._by_id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Taxonomy) and self._categories == other._categories

    def __hash__(self) -> int:
        return hash(self._categories)

    def __repr__(self) -> str:
        return f"Taxonomy({counted(len(self), 'category')}, {len(self.exclusive)} exclusive)"

    def find(self, text: str | Sequence[str], *, suggest: bool = True) -> Category:
        """The category with this id or path (" > " between the names, or a sequence of names).

        Args:
          suggest: whether an error is to carry the nearest category, for which all are looked at.

        Raises:
          UnknownCategory: there is none; it carries the nearest one.
        """
        if not isinstance(text, str):
            category = self._by_path.get(tuple(text))
            if category is None:
                category = self._by_path.get(tuple(tidy(name) for name in text))
            if category is None:
                joined = SEPARATOR.join(text)
                raise UnknownCategory(joined, self.nearest(joined) if suggest else None, looked=suggest)
            return category
        category = self._by_id.get(text) or self._by_text.get(text) or self._by_text.get(tidy(text))
        if category is None:
            raise UnknownCategory(text, self.nearest(text) if suggest else None, looked=suggest)
        return category

    def nearest(self, text: str) -> Category | None:
        """The category whose name, path or id is most like ``text``; None if none is."""
        folded = tidy(text).casefold()
        same_name = [c for c in self._categories if folded in (c.path[-1].casefold(), c.name.casefold())]
        if same_name:
            return same_name[0]
        spelling = nearest(text, list(self._spellings))
        return None if spelling is None else self._spellings[spelling]

    @cached_property
    def _spellings(self) -> Mapping[str, Category]:
        return self._by_id | self._by_text

    def ancestors(self, category: Category | str) -> tuple[Category, ...]:
        """All categories above, the root first, without the category itself."""
        category = self._own(category)
        return tuple(self._by_path[category.path[:depth]] for depth in range(1, len(category.path)))

    def children(self, category: Category | str | None) -> tuple[Category, ...]:
        """The categories right below, in file order; the roots for None."""
        return self._children.get(None if category is None else self._own(category).id, ())

    def descendants(self, category: Category | str) -> tuple[Category, ...]:
        """All categories below, a category before its children."""
        result: list[Category] = []
        queue = list(reversed(self.children(category)))
        while queue:
            result.append(queue.pop())
            queue.extend(reversed(self.children(result[-1])))
        return tuple(result)

    @property
    def roots(self) -> tuple[Category, ...]:
        """The categories without a parent, in file order."""
        return self._children.get(None, ())

    @cached_property
    def exclusive(self) -> tuple[Category, ...]:
        """The exclusive categories in file order: the order of the exclusive head's classes."""
        return tuple(category for category in self._categories if category.exclusive)

    @cached_property
    def comparable(self) -> frozenset[str]:
        """Ids of the categories that an exclusive label says something about: exclusive ones, all above, all below."""
        ids: set[str] = set()
        for category in self.exclusive:
            ids.add(category.id)
            ids.update(above.id for above in self.ancestors(category))
            ids.update(below.id for below in self.descendants(category))
        return frozenset(ids)

    def top(self, category: Category | str) -> Category:
        """The root above the category, or itself."""
        return self._by_path[self._own(category).path[:1]]

    def level(self, category: Category | str) -> int:
        """1 for a root, 2 for its children, and so on."""
        return self._own(category).level

    def path_text(self, category: Category | str) -> str:
        """The path's names joined by " > "."""
        return self._own(category).text

    def fingerprint(self) -> str:
        """64 hex digits that change with any category's id, path, name, exclusiveness, texts or place in the order."""
        return hashlib.sha256(self.to_json().encode("utf-8", "surrogatepass")).hexdigest()

    def _own(self, category: Category | str) -> Category:
        return self._by_id[category] if isinstance(category, str) else category


def _row(c: Category) -> list[Any]:
    """A category in JSON; one without texts has the form, and so the fingerprint, from before there were any."""
    texts = [c.description, c.synonyms] if c.description or c.synonyms else []
    return [c.id, c.path, c.name, c.exclusive, c.parent, *texts]


def _category(index: int, row: list[Any]) -> Category:
    category_id, path, name, exclusive, parent, *texts = row
    description, synonyms = texts or ("", ())
    return Category(category_id, tuple(path), name, exclusive, parent, index, description, tuple(synonyms))
