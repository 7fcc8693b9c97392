"""What a column of category texts puts between names and between paths, judged by all of its values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from modules.category_text import NUMBER, CategoryCells, between_names, between_paths
from modules.feeds.cleaning import unescaped

SEPARATORS: dict[str, float] = {
    ">>>": 1.0, ">>": 1.0, ">": 1.0, "»": 1.0, "→": 1.0, "›": 1.0, "//": 1.0, "||": 1.0, "|": 0.95, "/": 0.9, "\\": 0.9,
    "::": 0.9, ";": 0.8, " - ": 0.7, ":": 0.6, ",": 0.6, ".": 0.4,
}  # fmt: skip
"""What may stand between names, and how likely it is to be a separator rather than a part of a name."""

PATHS_SEPARATORS = (",", ", ", "|", ";", "\n", "||", "~")
"""What may stand between the paths of one cell; :class:`CategoryCells` says what a blank behind a comma means."""

_IN_NAMES = frozenset("/\\:;.")
"""Separators that names have, too, and then without blanks around them (``TV/Video``)."""
_SUPPORTED = 0.8
"""So many of the places where paths would part have to be supported by the others."""


@dataclass(frozen=True)
class SeparatorGuess:
    """A separator and how well it splits the values into one shared tree (0 to 1).

    Attributes:
      cover: the share of products whose value has it.
      paths_separator: what stands between several paths of one value; None: each value is one path.
    """

    separator: str
    score: float
    cover: float
    paths_separator: str | None = None


def score_separator(separator: str, values: Mapping[str, int]) -> SeparatorGuess:
    """How well ``separator`` explains ``values`` (text to number of products), each of which is one path.

    A separator splits many values, leaves no empty names between, gives few top categories for many values, and puts
    most names under one parent each; a comma inside names does none of that.
    """
    products = sum(values.values())
    covered = inner = empty = words = split_values = 0
    tops: dict[str, list[int]] = {}
    pairs: set[tuple[str, str]] = set()
    for value, count in values.items():
        parts = _parts(value, separator)
        if len(parts) < 2:
            continue
        covered += count
        split_values += 1
        tops.setdefault(parts[0], []).append(count)
        inner += len(parts)
        empty += sum(not part for part in parts)
        words += sum(len(part.split()) for part in parts)
        pairs.update(pairwise(parts))
    if not split_values:
        return SeparatorGuess(separator, 0.0, 0.0)
    cover = covered / products
    sharing = 1.0 - len(tops) / split_values if split_values > 1 else 0.5
    one_parent = len({child for _, child in pairs}) / len(pairs)
    brevity = min(1.0, 6.0 * inner / words) if words else 0.0
    weight = SEPARATORS[separator if separator in SEPARATORS else separator.strip()]
    score = cover * (1.0 - empty / inner) ** 2 * (0.3 + 0.7 * sharing) * one_parent * brevity * weight
    if weight < 0.95:
        shared = sum(sum(counts) for top, counts in tops.items() if len(counts) > 1 or top in values)
        score *= 1.0 if shared >= covered / 2 else 0.3  # "TV/Video" beside nothing else of "TV" is a name
    return SeparatorGuess(separator, round(score, 3), round(cover, 3))


def _parts(value: str, separator: str) -> list[str]:
    """The names in a text, also empty ones between two others."""
    if separator not in value:
        return []
    parts = [" ".join(part.split()) for part in between_names(separator).split(value)]
    if parts and not parts[0]:
        parts = parts[1:]  # "/Shoes/Boots" starts at a root without a name
    return parts[:-1] if parts and not parts[-1] else parts


def guess_separator(values: Mapping[str, int]) -> tuple[SeparatorGuess, ...]:
    """Separators that split some of the values, the best first; empty where the values are single names.

    With each comes what then stands between several paths of one value.
    """
    texts: dict[str, int] = {}
    for value, count in values.items():
        text = unescaped(value)
        texts[text] = texts.get(text, 0) + count
    guesses = []
    for mark in SEPARATORS:
        having = [text for text in texts if mark in text]
        if not having:
            continue
        separator = _with_blanks(mark, having)
        between = guess_paths_separator(separator, texts)
        guess = score_separator(separator, _pieces(CategoryCells(separator, between), texts))
        guesses.append(replace(guess, paths_separator=between))
    likely = [guess for guess in guesses if guess.score >= 0.1 and guess.cover >= 0.1]
    return tuple(sorted(likely, key=lambda guess: -guess.score))


def _with_blanks(mark: str, having: list[str]) -> str:
    """The mark with blanks around it, where most texts write it so and those without are parts of names."""
    spaced = f" {mark} "
    if mark not in _IN_NAMES or not any(mark in text.replace(spaced, "") for text in having):
        return mark
    return spaced if 2 * sum(spaced in text for text in having) > len(having) else mark


def _pieces(cells: CategoryCells, texts: Mapping[str, int]) -> Mapping[str, int]:
    """The single paths of the texts, and how many products have each.

    WooCommerce writes ``Bags, Bags > Totes``: what another path of the product goes on from says nothing of its own.
    """
    if cells.paths_separator is None:
        return texts
    pieces: dict[str, int] = {}
    for text, count in texts.items():
        paths = cells.paths(text)
        for piece in cells.pieces(text):
            if cells.names(piece) in paths:
                pieces[piece.strip()] = pieces.get(piece.strip(), 0) + count
    return pieces


def guess_paths_separator(separator: str, values: Mapping[str, int]) -> str | None:
    """What stands between several paths of one value, if ``separator`` stands between names; None: nothing does.

    A mark parts paths where what follows begins a path elsewhere, too: "Hats, Caps" is a name as long as no path begins
    with "Caps". Where names escape the mark (``Hats\\, Caps``) it parts paths everywhere else.
    """
    texts = {unescaped(value): count for value, count in values.items()}
    best: tuple[int, str] | None = None
    for mark in PATHS_SEPARATORS:
        core = mark.strip() or mark
        if core in separator or separator.strip() in core:
            continue
        having = {text: count for text, count in texts.items() if core in text}
        if not having:
            continue
        supported, total = _support(separator, mark, having, texts)
        escaped = sum(count for text, count in having.items() if f"\\{core}" in text)
        if (total and supported >= _SUPPORTED * total) or (escaped and (supported or not total)):
            weight = supported + escaped
            if best is None or weight > best[0]:
                best = weight, mark
    return None if best is None else best[1]


def _support(separator: str, mark: str, having: Mapping[str, int], texts: Mapping[str, int]) -> tuple[int, int]:
    """(products at places where ``mark`` parts paths by all evidence, products at all of its places)."""
    cells = CategoryCells(separator, mark)
    pattern = between_paths(mark)
    roots = {_first(pattern.split(text, maxsplit=1)[0], separator) for text in texts}
    places: Counter[str] = Counter()
    before: dict[str, set[str]] = {}
    is_path: dict[str, bool] = {}
    for text, count in having.items():
        pieces = cells.pieces(text)
        for left, right in pairwise(pieces):
            root = _first(right, separator)
            places[root] += count
            before.setdefault(root, set()).add(_last(left, separator))
            is_path[root] = is_path.get(root, False) or separator in right
    supported = sum(
        count for root, count in places.items() if root in roots or len(before[root]) >= (2 if is_path[root] else 3)
    )
    return supported, sum(places.values())


def _first(path: str, separator: str) -> str:
    return " ".join(between_names(separator).split(path, maxsplit=1)[0].split())


def _last(path: str, separator: str) -> str:
    return " ".join(between_names(separator).split(path)[-1].split())


def is_numbered(values: Mapping[str, int]) -> bool:
    """Whether most values begin with a number that belongs to no name (``166 - Apparel & Accessories``)."""
    return sum(count for value, count in values.items() if NUMBER.match(value)) >= 0.8 * sum(values.values()) > 0
