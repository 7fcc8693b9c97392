"""The category column: which one it is, what separates its names, and the tree that its values make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modules.category_separators import SeparatorGuess, guess_paths_separator, guess_separator, is_numbered
from modules.category_text import NUMBER, CategoryCells, Names
from modules.feeds.values import says_none
from pipeline.init.columns import SampledColumn
from pipeline.init.fields import CATEGORY_ALIASES, name_score, normalise, tells_categories

LEAST_SHARED = 5
"""Products for each value, on average, of a finer level of the tree."""

UNNAMED_SCORE, UNNAMED_SEPARATORS = 0.6, frozenset((">", ">>", ">>>", "»", "→", "›"))
"""How well a separator has to make a tree of a column that is called after nothing, and which ones names never have."""

NO_SEPARATOR = ">"
"""Written where values are lists or single names; splits nothing that is not meant to be."""


@dataclass(frozen=True)
class CategoryGuess:
    """The category column.

    Attributes:
      kind: ``list`` (lists of names), ``text`` (names with a separator) or ``flat`` (a name alone).
      cells: how its values are read.
      confidence: 0 to 1.
      separators: those that were considered, the best first.
      examples: (value as it stands, its names).
    """

    column: str
    kind: str
    cells: CategoryCells
    confidence: float
    separators: tuple[SeparatorGuess, ...]
    examples: tuple[tuple[str, Names], ...]


@dataclass(frozen=True)
class PathNode:
    """A category that goes into the taxonomy, with the products in it (``total``) and right on it (``direct``)."""

    path: Names
    exclusive: bool
    total: int
    direct: int


def _inner_texts(values: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Values with JSON lists unpacked: the texts that may still need a separator, and how many products were lists."""
    texts: dict[str, int] = {}
    listed = 0
    for value, count in values.items():
        is_list = value.startswith("[") and value.endswith("]")
        paths = CategoryCells("\0").paths(value) if is_list else ((value,),)
        if len(paths) > 1 or any(len(names) > 1 for names in paths):
            listed += count
        elif paths:
            texts[paths[0][0]] = texts.get(paths[0][0], 0) + count
    return texts, listed


def cells_of(
    texts: Mapping[str, int], separator: str | None = None
) -> tuple[CategoryCells, tuple[SeparatorGuess, ...]]:
    """How texts (to number of products) write categories, and the separators that were considered, the best first.

    Args:
      separator: what stands between names, in place of a guess.
    """
    numbered = is_numbered(texts)
    if numbered:
        texts = {NUMBER.sub("", text, count=1): count for text, count in texts.items()}
    if separator is not None:
        return CategoryCells(separator, guess_paths_separator(separator, texts), numbered), ()
    separators = guess_separator(texts)
    if not separators:
        return CategoryCells(NO_SEPARATOR, None, numbered), ()
    return CategoryCells(separators[0].separator, separators[0].paths_separator, numbered), separators


def guess_category(
    columns: dict[str, SampledColumn], records: Sequence[Mapping[str, object]] = ()
) -> CategoryGuess | None:
    """The column to learn categories from; None where no column looks like one.

    Of columns that are the levels of one tree the finest. Where no column is called after categories, one whose values
    are paths beyond doubt.

    Args:
      records: what the columns were summarised from.
    """
    guesses = _named(columns) or _named(columns, breadcrumbs=True)
    if not guesses:
        unnamed = filter(None, (judge_category(column, 0.0) for column in columns.values()))
        return max(filter(_is_tree, unnamed), key=lambda guess: guess.confidence, default=None)
    best = max(guesses.values(), key=lambda guess: guess.confidence)
    levels = [guess for guess in guesses.values() if guess.kind == best.kind == "flat" and _alike(guess, best)]
    for guess in sorted(levels, key=lambda guess: len(columns[guess.column].distinct)):
        if _refines(records, guess.column, best.column):
            best = guess
    return best


def _named(columns: Mapping[str, SampledColumn], breadcrumbs: bool = False) -> dict[str, CategoryGuess]:
    """What the columns would be that are called after categories, by name."""
    guesses: dict[str, CategoryGuess] = {}
    for name, column in columns.items():
        by_name = name_score(name, CATEGORY_ALIASES)
        possible = by_name and tells_categories(column)
        guess = judge_category(column, by_name, breadcrumbs=breadcrumbs) if possible else None
        if guess is not None:
            guesses[name] = guess
    return guesses


def _is_tree(guess: CategoryGuess) -> bool:
    best = next(iter(guess.separators), None)
    return best is not None and best.separator in UNNAMED_SEPARATORS and best.score >= UNNAMED_SCORE


def _alike(guess: CategoryGuess, other: CategoryGuess) -> bool:
    """Whether the columns' names have a word in common, as ``cat_l1`` and ``cat_l2`` do."""
    return guess is not other and bool(set(normalise(guess.column)) & set(normalise(other.column)))


def _refines(records: Sequence[Mapping[str, object]], fine: str, coarse: str) -> bool:
    """Whether most products have a value of ``fine``, which divides the values of ``coarse`` and is shared by some."""
    pairs = Counter(
        (str(own), str(above)) for record in records if (own := record.get(fine)) and (above := record.get(coarse))
    )
    both = pairs.total()
    if not both or 2 * both < sum(bool(record.get(coarse)) for record in records):
        return False
    largest: Counter[str] = Counter()
    for (own, _), count in pairs.items():
        largest[own] = max(largest[own], count)
    divided = len(largest) > len({above for _, above in pairs})
    return divided and largest.total() >= 0.98 * both and both >= LEAST_SHARED * len(largest)


def judge_category(
    column: SampledColumn, by_name: float, named: bool = False, separator: str | None = None, breadcrumbs: bool = False
) -> CategoryGuess | None:
    """The column as one with categories; None where its values rule that out, unless somebody ``named`` it.

    Args:
      breadcrumbs: it has to have paths that end with a name of the product, rather than values that repeat.
    """
    if not named and not _may_be_category(column, breadcrumbs):
        return None
    values = column.distinct
    texts, listed = _inner_texts(values) if not column.lists else ({}, column.filled)
    cells = CategoryCells(NO_SEPARATOR)
    separators: tuple[SeparatorGuess, ...] = ()
    if separator is not None:
        kind, tree = "text", 1.0
        cells, _ = cells_of(texts, separator)
    elif listed > column.filled / 2:
        kind, tree = "list", 1.0
    else:
        cells, separators = cells_of(texts)
        kind = "text" if separators else "flat"
        tree = min(1.0, 0.4 + separators[0].score) if separators else 0.3
    confidence = round((0.5 * by_name + 0.5 * tree) * min(1.0, 0.5 + column.fill / 2), 2)
    examples = tuple(
        (text, names) for text in list(values)[:20] if (names := cells.names(text)) and without_none(names) == names
    )[:3]
    return CategoryGuess(column.name, kind, cells, confidence, separators, examples)


def _may_be_category(column: SampledColumn, breadcrumbs: bool) -> bool:
    if column.fill < 0.2 or column.share(column.urls) > 0.1 or column.nested > column.filled / 2:
        return False
    if column.numbers > column.filled / 2 or column.mean_characters > 400:
        return False
    digits = sum(count for text, count in column.distinct.items() if text.replace(".", "").isdigit())
    if digits > column.filled / 2 or len(column.distinct) < 2:
        return False
    return (_branches_repeat if breadcrumbs else _are_few)(column)


def _are_few(column: SampledColumn, values: Collection[object] | None = None) -> bool:
    return len(column.distinct if values is None else values) <= max(0.6 * column.filled, 12)


def _branches_repeat(column: SampledColumn) -> bool:
    """Whether values are paths that end with a name of the product, as breadcrumbs of its page do."""
    marked = sum(any(mark in text for mark in ">»→›|/") for text in column.distinct)
    if marked < 0.9 * len(column.distinct):
        return False
    cells, separators = cells_of(column.distinct)
    if not separators or separators[0].score < UNNAMED_SCORE:
        return False
    branches = {cells.names(text)[:-1] for text in column.distinct}
    return len(branches) >= 2 and _are_few(column, branches)


def gives_away(records: Iterable[dict[str, object]], column: str, truth: str, cells: CategoryCells) -> float:
    """The share of products whose ``column`` holds the last name of their true category: a feature must not."""
    both = told = 0
    for record in records:
        names = cells.names(record.get(truth))
        text = record.get(column)
        if isinstance(text, (list, tuple)):
            text = " > ".join(map(str, text))
        if names and isinstance(text, str) and text:
            both += 1
            told += names[-1].casefold() in text.casefold()
    return told / both if both else 0.0


def nearest(path: Names, kept: Collection[Names]) -> Names:
    """The longest beginning of ``path`` that is in ``kept``; empty if there is none."""
    return next((path[:depth] for depth in range(len(path), 0, -1) if path[:depth] in kept), ())


def without_none(path: Names) -> Names:
    """The path without last names that only say that there is none, such as ``n/a`` or ``TODO``."""
    while path and says_none(path[-1]):
        path = path[:-1]
    return path


def build_taxonomy(paths: Mapping[Names, int], minimum: int) -> list[PathNode]:
    """Categories with at least ``minimum`` products, sorted, each after its parent.

    Products of a smaller category count for its nearest kept ancestor. Leaves are exclusive, and so is a category
    with ``minimum`` products right on it: it then means "the rest of it".
    """
    totals: Counter[Names] = Counter()
    for path, count in paths.items():
        for depth in range(1, len(path) + 1):
            totals[path[:depth]] += count
    kept = {path for path, total in totals.items() if total >= minimum}
    direct: Counter[Names] = Counter()
    for path, count in paths.items():
        if place := nearest(path, kept):
            direct[place] += count
    parents = {path[:-1] for path in kept if len(path) > 1}
    return [
        PathNode(path, path not in parents or direct[path] >= minimum, totals[path], direct[path])
        for path in sorted(kept)
    ]


def minimum_for(products: int) -> int:
    """How many products a category needs to stand in a first taxonomy."""
    return 2 if products < 500 else 5 if products < 20_000 else 10
