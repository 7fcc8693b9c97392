"""Hand-written rules: conditions over a product's fields that put it into a category."""

from modules.rules.model import All, AnyOf, Condition, Leaf, Not, Rule, RuleSet
from modules.rules.parsing import load_rules, write_rules

__all__ = ["All", "AnyOf", "Condition", "Leaf", "Not", "Rule", "RuleSet", "load_rules", "write_rules"]
