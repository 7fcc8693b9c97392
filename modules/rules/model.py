"""Rules and their conditions as plain immutable values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modules.taxonomy import Category, Taxonomy

Operator = Literal["word", "phrase", "regex", "equals"]
OPERATORS: tuple[Operator, ...] = ("word", "phrase", "regex", "equals")


@dataclass(frozen=True, slots=True)
class Leaf:
    """One field compared with one or more values, of which any is enough.

    ``word`` and ``phrase`` compare whole words in a row and ``equals`` the whole field, all without regard to case
    (Unicode NFKC and case folding); ``regex`` searches the field as it is, in RE2. A missing or empty field meets no
    condition.
    """

    field: str
    operator: Operator
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one condition holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Condition


Condition = Leaf | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that puts a product into a category; ``category`` is the category's id."""

    id: str
    category: str
    when: Condition
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Rules in file order with the taxonomy that they speak of. Build one with :func:`load_rules`."""

    rules: tuple[Rule, ...]
    taxonomy: Taxonomy

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __getitem__(self, rule_id: str) -> Rule:
        """The rule with this id; KeyError if there is none."""
        for rule in self.rules:
            if rule.id == rule_id:
                return rule
        raise KeyError(rule_id)

    def category(self, rule: Rule) -> Category:
        """The category that ``rule`` puts a product into."""
        return self.taxonomy[rule.category]

    @property
    def fields(self) -> tuple[str, ...]:
        """The product fields that the conditions read, sorted."""
        return tuple(sorted({leaf.field for rule in self.rules for leaf in leaves(rule.when)}))

    def to_json(self) -> str:
        """Rules and taxonomy as one line of JSON."""
        rules = [[rule.id, rule.category, to_dict(rule.when)] for rule in self.rules]
        body = {"taxonomy": self.taxonomy.to_json(), "rules": rules}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> RuleSet:
        """The inverse of :meth:`to_json`; what it reads was checked when the rules were loaded."""
        body = json.loads(text)
        rules = tuple(Rule(rule_id, category, from_dict(when)) for rule_id, category, when in body["rules"])
        return cls(rules, Taxonomy.from_json(body["taxonomy"]))

    def fingerprint(self) -> str:
        """64 hex digits that change with any rule, their order or the taxonomy."""
        return hashlib.sha256(self.to_json().encode("utf-8", "surrogatepass")).hexdigest()


def leaves(condition: Condition) -> Iterator[Leaf]:
    """Every comparison in a condition, from left to right."""
    stack = [condition]
    while stack:
        here = stack.pop()
        if isinstance(here, Leaf):
            yield here
        elif isinstance(here, Not):
            stack.append(here.condition)
        else:
            stack.extend(reversed(here.conditions))


def to_dict(condition: Condition) -> dict[str, Any]:
    """The condition as it stands in a rules file."""
    if isinstance(condition, Leaf):
        values = condition.values
        return {"field": condition.field, condition.operator: values[0] if len(values) == 1 else list(values)}
    if isinstance(condition, Not):
        return {"not": to_dict(condition.condition)}
    key = "all" if isinstance(condition, All) else "any"
    return {key: [to_dict(part) for part in condition.conditions]}


def from_dict(data: Mapping[str, Any]) -> Condition:
    """The inverse of :func:`to_dict`, without checks; for what people wrote, see :mod:`modules.rules.parsing`."""
    if "not" in data:
        return Not(from_dict(data["not"]))
    for key, kind in (("all", All), ("any", AnyOf)):
        if key in data:
            return kind(tuple(from_dict(part) for part in data[key]))
    operator = next(name for name in OPERATORS if name in data)
    values = data[operator]
    return Leaf(data["field"], operator, (values,) if isinstance(values, str) else tuple(values))
