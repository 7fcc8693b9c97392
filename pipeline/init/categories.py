"""The category column: which one it is, what separates its names, and the tree that its values make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from modules.category_text import names_of
from pipeline.init.columns import SampledColumn
from pipeline.init.fields import CATEGORY_ALIASES, name_score, tells_categories

Names = tuple[str, ...]

SEPARATORS: dict[str, float] = {
    ">>>": 1.0, ">>": 1.0, ">": 1.0, "»": 1.0, "→": 1.0, "›": 1.0, "//": 1.0, "||": 1.0, "|": 0.95, "/": 0.9, "\\": 0.9,
    "::": 0.9, ";": 0.8, " - ": 0.7, ":": 0.6, ",": 0.6, ".": 0.4,
}  # fmt: skip
"""What may stand between names, and how likely it is to be a separator rather than a part of a name."""

NO_SEPARATOR = ">"
"""Written where values are lists or single names; splits nothing that is not meant to be."""


@dataclass(frozen=True)
class SeparatorGuess:
    """A separator and how well it splits the values into one shared tree (0 to 1)."""

    separator: str
    score: float
    cover: float


@dataclass(frozen=True)
class CategoryGuess:
    """The category column.

    Attributes:
      kind: ``list`` (lists of names), ``text`` (names with a separator) or ``flat`` (a name alone).
      confidence: 0 to 1.
      separators: those that were considered, the best first.
      examples: (value as it stands, its names).
    """

    column: str
    kind: str
    separator: str
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


def score_separator(separator: str, values: Mapping[str, int]) -> SeparatorGuess:
    """How well ``separator`` explains ``values`` (text to number of products).

    A separator splits many values, leaves no empty names between, gives few top categories for many values, and puts
    most names under one parent each; a comma inside names does none of that.
    """
    products = sum(values.values())
    covered = inner = empty = words = names = 0
    tops: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    children: set[str] = set()
    split_values = 0
    for value, count in values.items():
        if separator not in value:
            continue
        parts = [" ".join(part.split()) for part in value.split(separator)]
        if not parts[0]:
            parts = parts[1:]  # "/Shoes/Boots" starts at a root without a name
        if not parts[-1:] or not parts[-1]:
            parts = parts[:-1]
        if len(parts) < 2:
            continue
        covered += count
        split_values += 1
        tops.add(parts[0])
        inner += len(parts)
        empty += sum(not part for part in parts)
        words += sum(len(part.split()) for part in parts)
        names += len(parts)
        for parent, child in pairwise(parts):
            pairs.add((parent, child))
            children.add(child)
    if not split_values:
        return SeparatorGuess(separator, 0.0, 0.0)
    cover = covered / products
    sharing = 1.0 - len(tops) / split_values if split_values > 1 else 0.5
    one_parent = len(children) / len(pairs)
    brevity = min(1.0, 6.0 / (words / names)) if words else 0.0
    score = cover * (1.0 - empty / inner) ** 2 * (0.3 + 0.7 * sharing) * one_parent * brevity * SEPARATORS[separator]
    return SeparatorGuess(separator, round(score, 3), round(cover, 3))


def guess_separator(values: Mapping[str, int]) -> tuple[SeparatorGuess, ...]:
    """Separators that split some of the values, the best first; empty where the values are single names."""
    guesses = [score_separator(separator, values) for separator in SEPARATORS]
    likely = [guess for guess in guesses if guess.score >= 0.1 and guess.cover >= 0.1]
    return tuple(sorted(likely, key=lambda guess: -guess.score))


def _inner_texts(values: Mapping[str, int]) -> tuple[dict[str, int], int]:
    """Values with JSON lists unpacked: the texts that may still need a separator, and how many products were lists."""
    texts: dict[str, int] = {}
    listed = 0
    for value, count in values.items():
        names = names_of(value, "\0") if value.startswith("[") and value.endswith("]") else (value,)
        if len(names) > 1:
            listed += count
        elif names:
            texts[names[0]] = texts.get(names[0], 0) + count
    return texts, listed


def guess_category(columns: dict[str, SampledColumn]) -> CategoryGuess | None:
    """The column to learn categories from; None where no column looks like one."""
    best: CategoryGuess | None = None
    for name, column in columns.items():
        by_name = name_score(name, CATEGORY_ALIASES)
        guess = judge_category(column, by_name) if by_name and tells_categories(column) else None
        if guess is not None and (best is None or guess.confidence > best.confidence):
            best = guess
    return best


def judge_category(column: SampledColumn, by_name: float, named: bool = False) -> CategoryGuess | None:
    """The column as one with categories; None where its values rule that out, unless somebody ``named`` it."""
    if not named and not _may_be_category(column):
        return None
    values = column.distinct
    texts, listed = _inner_texts(values) if not column.lists else ({}, column.filled)
    separators: tuple[SeparatorGuess, ...] = ()
    if listed > column.filled / 2:
        kind, separator, tree = "list", NO_SEPARATOR, 1.0
    else:
        separators = guess_separator(texts)
        kind = "text" if separators else "flat"
        separator = separators[0].separator if separators else NO_SEPARATOR
        tree = min(1.0, 0.4 + separators[0].score) if separators else 0.3
    confidence = round((0.5 * by_name + 0.5 * tree) * min(1.0, 0.5 + column.fill / 2), 2)
    examples = tuple((text, names_of(text, separator)) for text in list(values)[:3])
    return CategoryGuess(column.name, kind, separator, confidence, separators, examples)


def _may_be_category(column: SampledColumn) -> bool:
    if column.fill < 0.2 or column.share(column.urls) > 0.1 or column.nested > column.filled / 2:
        return False
    if column.numbers > column.filled / 2 or column.mean_characters > 400:
        return False
    digits = sum(count for text, count in column.distinct.items() if text.replace(".", "").isdigit())
    repeats = len(column.distinct) <= max(0.6 * column.filled, 12)
    return digits <= column.filled / 2 and repeats and len(column.distinct) >= 2


def gives_away(records: Iterable[dict[str, object]], column: str, truth: str, separator: str) -> float:
    """The share of products whose ``column`` holds the last name of their true category: a feature must not."""
    both = told = 0
    for record in records:
        names = names_of(record.get(truth), separator)
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
