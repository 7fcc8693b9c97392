"""Conditions as functions of a product."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modules.rules import regexes
from modules.rules.model import All, Condition, Leaf, Not
from modules.rules.text import whole, words

Product = Mapping[str, str | None]


class View:
    """A product as the conditions look at it; everything is worked out once, when first asked for."""

    __slots__ = ("_equal", "_lines", "_words", "data", "product")

    def __init__(self, product: Product):
        self.product = product
        self._words: dict[str, set[str]] = {}
        self._lines: dict[str, str] = {}
        self._equal: dict[str, str] = {}
        self.data: dict[str, bytes] = {}

    def words(self, field: str) -> set[str]:
        field_words = self._words.get(field)
        if field_words is None:
            text = self.product.get(field)
            row = words(text) if text else []
            field_words = self._words[field] = set(row)
            self._lines[field] = f" {' '.join(row)} "
        return field_words

    def line(self, field: str) -> str:
        """The field's words, each between two blanks."""
        if field not in self._lines:
            self.words(field)
        return self._lines[field]

    def equal(self, field: str) -> str:
        whole_text = self._equal.get(field)
        if whole_text is None:
            whole_text = self._equal[field] = whole(self.product.get(field) or "")
        return whole_text

    def encoded(self, field: str) -> bytes:
        encoded_text = self.data.get(field)
        if encoded_text is None:
            encoded_text = self.data[field] = regexes.encode(self.product.get(field) or "")
        return encoded_text


Check = Callable[[View], bool]


def phrases_of(leaf: Leaf) -> list[list[str]]:
    return [words(value) for value in leaf.values]


def check(condition: Condition) -> Check:
    """``condition`` as a function of a view."""
    if isinstance(condition, Leaf):
        return _leaf_check(condition)
    if isinstance(condition, Not):
        inner = check(condition.condition)
        return lambda view: not inner(view)
    if isinstance(condition, All):
        return _all_check(condition)
    parts = tuple(check(part) for part in condition.conditions)

    def some(view: View) -> bool:
        for part in parts:  # noqa: SIM110 - any() over a generator takes twice as long
            if part(view):
                return True
        return False

    return some


def _all_check(condition: All) -> Check:
    """Most rules are of words that must and words that must not be there: sets, which cost next to nothing."""
    needed: list[tuple[str, frozenset[str]]] = []
    banned: dict[str, set[str]] = {}
    others: list[Check] = []
    queue = list(reversed(condition.conditions))
    while queue:
        part = queue.pop()
        negated = isinstance(part, Not)
        inner = part.condition if isinstance(part, Not) else part
        single = _single_words(inner)
        if isinstance(part, All):
            queue.extend(reversed(part.conditions))
        elif single is None or not isinstance(inner, Leaf):
            others.append(check(part))
        elif negated:
            banned.setdefault(inner.field, set()).update(single)
        else:
            needed.append((inner.field, single))
    bans = tuple((field, frozenset(words_)) for field, words_ in banned.items())

    def every(view: View) -> bool:
        for field, some_words in needed:
            if some_words.isdisjoint(view.words(field)):
                return False
        for field, some_words in bans:
            if not some_words.isdisjoint(view.words(field)):
                return False
        for other in others:  # noqa: SIM110
            if not other(view):
                return False
        return True

    return every


def _single_words(condition: Condition) -> frozenset[str] | None:
    """The words of which one is enough, if that is all there is to ``condition``."""
    if not isinstance(condition, Leaf) or condition.operator not in ("word", "phrase"):
        return None
    phrases = [phrase for phrase in phrases_of(condition) if phrase]
    return frozenset(phrase[0] for phrase in phrases) if all(len(phrase) == 1 for phrase in phrases) else None


def _leaf_check(leaf: Leaf) -> Check:
    field = leaf.field
    if leaf.operator == "regex":
        patterns = tuple(regexes.Pattern(value) for value in leaf.values)
        # A missing field meets no condition, even if the pattern matches the empty text.
        return lambda view: bool(data := view.encoded(field)) and any(pattern(data) for pattern in patterns)
    if leaf.operator == "equals":
        texts = frozenset(whole(value) for value in leaf.values)
        return lambda view: view.equal(field) in texts
    phrases = [phrase for phrase in phrases_of(leaf) if phrase]
    singles = frozenset(phrase[0] for phrase in phrases if len(phrase) == 1)
    rows = tuple(f" {' '.join(phrase)} " for phrase in phrases if len(phrase) > 1)
    if len(singles) == 1 and not rows:
        (only,) = singles
        return lambda view: only in view.words(field)
    if not rows:
        return lambda view: not singles.isdisjoint(view.words(field))
    if not singles and len(rows) == 1:
        (row,) = rows
        return lambda view: row in view.line(field)
    return lambda view: not singles.isdisjoint(view.words(field)) or any(row in view.line(field) for row in rows)
