"""Evaluates many rules on a product at the price of the few that can fire.

Every rule is filed under keys of which at least one must be there when it fires: a word of a field, a whole field's
text, or a regular expression. A product's own words look the candidates up, and only candidates are evaluated. A rule
without such a key (only ``not``) is always a candidate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modules.rules import regexes
from modules.rules.conditions import Product, View, check, phrases_of
from modules.rules.model import All, Condition, Leaf, Not, Rule, RuleSet
from modules.rules.text import find_words, whole, words
from modules.taxonomy import Category

# ("word", field, word), ("equals", field, folded text) or ("regex", field, pattern)
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rule put a product into a category.

    Attributes:
      rule: the rule's id.
      category: the id of the rule's own category, which may lie below the one that was asked for.
      matches: every comparison that held and counts for the rule, with where it held.
    """

    rule: str
    category: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """A comparison that held: ``text`` is ``product[field][start:end]``."""

    field: str
    operator: str
    value: str
    start: int
    end: int
    text: str


class RuleEngine:
    """Made by :meth:`RuleSet.compile`; holds RE2 objects, so build one per process instead of pickling it."""

    def __init__(self, rules: RuleSet):
        self.rules = rules
        taxonomy = rules.taxonomy
        self._implied = {
            category: frozenset(c.index for c in (*taxonomy.ancestors(category), taxonomy[category]))
            for category in {rule.category for rule in rules}
        }
        self._ids = [category.id for category in taxonomy]
        self._checks = [check(rule.when) for rule in rules]
        # How many rules speak of a key: the rarer it is, the better it is for filing.
        counts = Counter(key for rule in rules for key in set(_all_keys(rule.when)))
        self._always: list[int] = []
        self._by_word: dict[str, dict[str, list[int]]] = {}
        self._by_equal: dict[str, dict[str, list[int]]] = {}
        by_pattern: dict[str, dict[str, list[int]]] = {}
        files = {"word": self._by_word, "equals": self._by_equal, "regex": by_pattern}
        for index, rule in enumerate(rules):
            keys = _required(rule.when, counts)
            if keys is None:
                self._always.append(index)
            for kind, field, value in keys or ():
                files[kind].setdefault(field, {}).setdefault(value, []).append(index)
        self._patterns = [
            (field, regexes.PatternSet(list(patterns)), list(patterns.values()))
            for field, patterns in by_pattern.items()
        ]

    def fire(self, product: Product) -> list[Rule]:
        """The rules that hold for ``product`` (field name to text, None or absent where missing), in file order."""
        rules = self.rules.rules
        return [rules[index] for index in self._fire(product)]

    def fire_ids(self, product: Product) -> list[str]:
        """The ids of the rules that hold for ``product``, in file order."""
        rules = self.rules.rules
        return [rules[index].id for index in self._fire(product)]

    def categories(self, product: Product) -> tuple[str, ...]:
        """Ids of the categories that rules put ``product`` into and of all their ancestors, in taxonomy order."""
        return self.implied(self.fire(product))

    def implied(self, fired: Iterable[Rule]) -> tuple[str, ...]:
        """Ids of the categories of rules that fired and of all their ancestors, in taxonomy order, each once."""
        indices: set[int] = set()
        for rule in fired:
            indices |= self._implied[rule.category]
        return tuple(self._ids[index] for index in sorted(indices))

    def explain(self, product: Product, category: Category | str) -> list[Explanation]:
        """Which rules put ``product`` into ``category`` (id or path), directly or as an ancestor, and on what text.

        Raises:
          UnknownCategory: there is no such category.
        """
        if isinstance(category, str):
            category = self.rules.taxonomy.find(category)
        return [
            Explanation(rule.id, rule.category, tuple(_matches(rule.when, product)))
            for rule in self.fire(product)
            if category.index in self._implied[rule.category]
        ]

    def _fire(self, product: Product) -> list[int]:
        view = View(product)
        candidates = self._always.copy()
        for field, by_word in self._by_word.items():
            for word in view.words(field):
                if word in by_word:
                    candidates += by_word[word]
        for field, by_text in self._by_equal.items():
            rules_of_text = by_text.get(view.equal(field))
            if rules_of_text is not None:
                candidates += rules_of_text
        for field, patterns, users in self._patterns:
            data = view.encoded(field)
            if data:
                for place in patterns.match(data):
                    candidates += users[place]
        if not candidates:
            return candidates
        checks = self._checks
        return [index for index in sorted(set(candidates)) if checks[index](view)]


def _all_keys(condition: Condition) -> Iterable[_Key]:
    if isinstance(condition, Not):
        return
    if isinstance(condition, Leaf):
        if condition.operator in ("word", "phrase"):
            for phrase in phrases_of(condition):
                for word in phrase:
                    yield "word", condition.field, word
        return
    for part in condition.conditions:
        yield from _all_keys(part)


def _required(condition: Condition, counts: Mapping[_Key, int]) -> set[_Key] | None:
    """Keys of which a product that meets ``condition`` has at least one; None where there are no such keys."""
    if isinstance(condition, Not):
        return None
    if isinstance(condition, Leaf):
        if condition.operator == "regex":
            return {("regex", condition.field, value) for value in condition.values}
        if condition.operator == "equals":
            return {("equals", condition.field, whole(value)) for value in condition.values}
        choices = [[("word", condition.field, word) for word in phrase] for phrase in phrases_of(condition)]
        # Of two words that are as rare among the rules, the longer one is rarer in titles.
        return {min(keys, key=lambda key: (counts[key], -len(key[2]))) for keys in choices if keys}
    parts = [_required(part, counts) for part in condition.conditions]
    if isinstance(condition, All):
        return min((keys for keys in parts if keys is not None), key=lambda keys: _price(keys, counts), default=None)
    if any(keys is None for keys in parts):
        return None
    return set().union(*(keys for keys in parts if keys is not None))


def _price(keys: set[_Key], counts: Mapping[_Key, int]) -> tuple[bool, int]:
    """Regular expressions are dear: something else if possible. Else what brings the rule up least often."""
    return any(kind == "regex" for kind, _, _ in keys), sum(counts.get(key, 1) for key in keys)


def _matches(condition: Condition, product: Product) -> Iterable[Match]:
    """The comparisons that hold, outside of any ``not``, from left to right."""
    if isinstance(condition, Leaf):
        text = product.get(condition.field) or ""
        for value in condition.values if text else ():
            span = _span(condition.operator, value, text)
            if span is not None:
                yield Match(condition.field, condition.operator, value, *span, text[span[0] : span[1]])
    elif not isinstance(condition, Not):
        view = View(product)
        for part in condition.conditions:
            # Of an alternative that fails as a whole, the parts that hold explain nothing.
            if check(part)(view):
                yield from _matches(part, product)


def _span(operator: str, value: str, text: str) -> tuple[int, int] | None:
    if operator == "regex":
        return regexes.search(value, text)
    if operator == "equals":
        return (0, len(text)) if whole(text) == whole(value) else None
    return find_words(text, tuple(words(value)))
