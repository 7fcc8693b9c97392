"""What rules reach, and how often they are right where people have labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from modules.labels.model import ResolvedLabel
from modules.rules.conditions import Product
from modules.rules.engine import RuleEngine
from modules.rules.model import Rule, RuleSet
from modules.taxonomy import Category, Taxonomy


@dataclass(frozen=True, slots=True)
class RuleCount:
    """One rule's figures.

    Attributes:
      products: how many it fires for; ``alone``: for how many of them no other rule fires.
      judged: how many of those have a label that says whether the rule is right; ``right``: where it is.
    """

    rule: Rule
    category: Category
    products: int
    alone: int
    judged: int
    right: int

    @property
    def precision(self) -> float | None:
        """``right / judged``; None without labels."""
        return self.right / self.judged if self.judged else None


@dataclass(frozen=True, slots=True)
class RulePair:
    """Two rules that fire for the same products. ``contradiction``: not both can be right, as one product has one
    exclusive category and neither rule's lies above the other's."""

    first: Rule
    second: Rule
    products: int
    contradiction: bool


@dataclass(frozen=True, slots=True)
class RulesReport:
    """See :func:`rules_report`.

    Attributes:
      products: how many there are; ``covered``: for how many some rule fires.
      contradicted: products for which two rules fire that contradict each other.
      rules: every rule, in file order. pairs: rules of different categories that fire together, the most often first.
      judged, right: over all rules; a product counts once for each rule that fires for it.
    """

    products: int
    covered: int
    contradicted: int
    rules: tuple[RuleCount, ...]
    pairs: tuple[RulePair, ...]

    @property
    def coverage(self) -> float:
        """Share of the products for which some rule fires; 0 without products."""
        return self.covered / self.products if self.products else 0.0

    @property
    def judged(self) -> int:
        return sum(rule.judged for rule in self.rules)

    @property
    def right(self) -> int:
        return sum(rule.right for rule in self.rules)

    @property
    def precision(self) -> float | None:
        """``right / judged``; None without labels."""
        return self.right / self.judged if self.judged else None

    def to_rows(self) -> list[dict[str, Any]]:
        """One row per rule, in file order, of plain values: ready for a table, JSON or CSV."""
        return [
            {
                "rule": count.rule.id,
                "category": count.category.text,
                "products": count.products,
                "coverage": count.products / self.products if self.products else 0.0,
                "alone": count.alone,
                "judged": count.judged,
                "right": count.right,
                "precision": count.precision,
            }
            for count in self.rules
        ]

    def pair_rows(self) -> list[dict[str, Any]]:
        """One row per pair of rules, the contradictions first."""
        pairs = sorted(self.pairs, key=lambda pair: not pair.contradiction)
        return [
            {
                "first": pair.first.id,
                "second": pair.second.id,
                "products": pair.products,
                "contradiction": pair.contradiction,
            }
            for pair in pairs
        ]

    def totals(self) -> dict[str, Any]:
        """The figures over all rules."""
        return {
            "rules": len(self.rules),
            "rules_that_never_fire": sum(rule.products == 0 for rule in self.rules),
            "products": self.products,
            "covered": self.covered,
            "coverage": self.coverage,
            "contradicted": self.contradicted,
            "judged": self.judged,
            "right": self.right,
            "precision": self.precision,
        }


def rules_report(
    rules: RuleSet,
    products: Iterable[Product],
    labels: Mapping[str, ResolvedLabel] | None = None,
    *,
    max_pairs: int = 50,
) -> RulesReport:
    """Runs ``rules`` over ``products`` (read once, so a stream is fine) and counts.

    Args:
      products: field name to text; ``id`` is what ``labels`` go by.
      labels: one objective's labels, ``resolved[objective]``.
      max_pairs: how many pairs of rules to keep: contradictions before mere overlaps, then by number of products.
    """
    engine = RuleEngine(rules)
    taxonomy = rules.taxonomy
    total = covered = contradicted = 0
    fires: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    right: Counter[str] = Counter()
    together: Counter[tuple[str, str]] = Counter()
    clashes: dict[tuple[str, str], bool] = {}
    for product in products:
        total += 1
        fired = engine.fire(product)
        if not fired:
            continue
        covered += 1
        fires.update(rule.id for rule in fired)
        if len(fired) == 1:
            alone[fired[0].id] += 1
        clash = False
        for first, second in combinations(fired, 2):
            if first.category != second.category:
                together[first.id, second.id] += 1
                pair = first.category, second.category
                if pair not in clashes:
                    clashes[pair] = contradict(taxonomy[pair[0]], taxonomy[pair[1]])
                clash = clash or clashes[pair]
        contradicted += clash
        label = labels.get(product.get("id") or "") if labels else None
        if label is not None:
            for rule in fired:
                verdict = is_right(taxonomy[rule.category], label, taxonomy)
                if verdict is not None:
                    judged[rule.id] += 1
                    right[rule.id] += verdict
    counts = tuple(
        RuleCount(rule, taxonomy[rule.category], fires[rule.id], alone[rule.id], judged[rule.id], right[rule.id])
        for rule in rules
    )
    by_id = {rule.id: rule for rule in rules}
    pairs = [
        RulePair(by_id[a], by_id[b], count, clashes[by_id[a].category, by_id[b].category])
        for (a, b), count in together.items()
    ]
    pairs.sort(key=lambda pair: (not pair.contradiction, -pair.products))
    kept = sorted(pairs[:max_pairs], key=lambda pair: -pair.products)
    return RulesReport(total, covered, contradicted, counts, tuple(kept))


def contradict(first: Category, second: Category) -> bool:
    """Whether a product cannot be in both: both are exclusive and neither lies above the other."""
    if not (first.exclusive and second.exclusive):
        return False
    depth = min(first.level, second.level)
    return first.path[:depth] != second.path[:depth]


def is_right(category: Category, label: ResolvedLabel, taxonomy: Taxonomy) -> bool | None:
    """Whether ``label`` says that the product is in ``category``; None if it says nothing about that."""
    if label.yes or label.no:
        if any(_within(taxonomy[known], category) for known in label.yes):
            return True
        # Not in a category: in none below it either.
        return False if any(_within(category, taxonomy[known]) for known in label.no) else None
    if label.category_id is not None:
        if category.id not in taxonomy.comparable:
            return None
        return _within(taxonomy[label.category_id], category)
    # None of the exclusive categories; what else it is, nobody said.
    return False if category.exclusive else None


def _within(category: Category, ancestor: Category) -> bool:
    return category.path[: ancestor.level] == ancestor.path
