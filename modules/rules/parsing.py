"""From a rules file to checked rules, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from modules.rules.logic import can_fire
from modules.rules.model import OPERATORS, All, AnyOf, Condition, Leaf, Not, Rule, RuleSet, to_dict
from modules.rules.regexes import complaint
from modules.rules.text import whole, words
from modules.taxonomy import Category, Taxonomy, UnknownCategory
from modules.taxonomy.documents import Complaints, Node, did_you_mean, read_document

MAX_ID = 200
MAX_VALUE = 1000
_NEVER = "expected a rule that can fire"
_KINDS = ("all", "any", "not", "field")


def load_rules(path: str | Path, taxonomy: Taxonomy, *, fields: Collection[str] | None = None) -> RuleSet:
    """Reads a rules file.

    Args:
      path: YAML, or the same as JSON.
      taxonomy: where the rules' categories must be.
      fields: the product fields that rules may read; None allows any.

    Raises:
      InputError: everything that is wrong with the file, at once: unknown keys, categories and fields (with the nearest
        one), ids given twice, regular expressions that RE2 refuses, empty conditions, rules that can never fire.
    """
    root = read_document(path)
    complaints = Complaints(str(path))
    rows = root.items
    if root.entries is not None:
        complaints.unknown_keys(root, ("rules",))
        rules_node = root.entries.get("rules")
        rows = None if rules_node is None else [] if rules_node.is_null else rules_node.items
    if rows is None:
        complaints.add("expected a list of rules under 'rules:'", root.line, "rules")
    reader = _Reader(complaints, taxonomy, None if fields is None else tuple(fields))
    rules = [rule for index, row in enumerate(rows or ()) if (rule := reader.rule(row, index)) is not None]
    complaints.raise_if_any()
    return RuleSet(tuple(rules), taxonomy)


class _Reader:
    def __init__(self, complaints: Complaints, taxonomy: Taxonomy, fields: tuple[str, ...] | None):
        self._complaints = complaints
        self._taxonomy = taxonomy
        self._fields = fields
        self._lines: dict[str, int] = {}

    def rule(self, row: Node, index: int) -> Rule | None:
        complain = self._complaints.add
        if row.entries is None:
            complain("expected a rule with 'id', 'category' and 'when'", row.line, f"rules[{index}]", row.show())
            return None
        rule_id = self._id(row, index)
        place = f"rules.{rule_id}" if rule_id else f"rules[{index}]"
        self._complaints.unknown_keys(row, ("id", "category", "when"), place)
        category = self._category(row, place)
        when_node = row.entries.get("when")
        if when_node is None or when_node.is_null:
            complain("expected a condition under 'when'", row.line, f"{place}.when")
            return None
        when = self.condition(when_node, f"{place}.when")
        if when is not None and not can_fire(when):
            hint = "its conditions contradict each other, or compare with a text without words"
            complain(_NEVER, when_node.line, f"{place}.when", hint=hint)
        if when is None or category is None or rule_id is None:
            return None
        return Rule(rule_id, category.id, when, row.line)

    def _id(self, row: Node, index: int) -> str | None:
        assert row.entries is not None
        node = row.entries.get("id")
        text = node.as_text() if node else None
        line, place = (node or row).line, f"rules[{index}].id"
        if text is None or not text.strip():
            self._complaints.add("expected a text that no other rule has", line, place)
            return None
        if len(text) > MAX_ID or not text.isprintable():
            self._complaints.add(f"expected at most {MAX_ID} printable characters", line, place, text)
            return None
        if text in self._lines:
            self._complaints.add("given twice", line, place, text, f"first in line {self._lines[text]}")
        self._lines.setdefault(text, line)
        return text

    def _category(self, row: Node, place: str) -> Category | None:
        assert row.entries is not None
        node = row.entries.get("category")
        key = f"{place}.category"
        names: str | list[str] | None = node.as_text() if node else None
        if node is not None and node.items:
            names = [item.text or "" for item in node.items]
        if not names:
            self._complaints.add(
                "expected a category's path or id", (node or row).line, key, node.show() if node else None
            )
            return None
        try:
            return self._taxonomy.find(names, suggest=self._complaints.suggesting)
        except UnknownCategory as error:
            problem = error.problems[0]
            self._complaints.add(problem.expected, (node or row).line, key, problem.value, problem.hint)
            return None

    def condition(self, node: Node, place: str) -> Condition | None:
        """The condition in ``node``, or None after complaining of it."""
        complain = self._complaints.add
        if node.entries is None:
            hint = "put the list under 'all:' or 'any:'" if node.items is not None else ""
            complain("expected a condition, like {field: title, word: boots}", node.line, place, node.show(), hint)
            return None
        kinds = [kind for kind in _KINDS if kind in node.entries]
        if len(kinds) != 1:
            expected = "expected one of 'all', 'any', 'not' or 'field'"
            complain(
                expected, node.line, place, ", ".join(node.entries) or None, "nest them under 'all:'" if kinds else ""
            )
            return None
        kind = kinds[0]
        if kind == "field":
            return self._leaf(node, place)
        self._complaints.unknown_keys(node, (kind,), place)
        below = node.entries[kind]
        if kind == "not":
            inner = self.condition(below, f"{place}.not")
            return None if inner is None else Not(inner)
        if below.items is None:
            complain("expected a list of conditions", below.line, f"{place}.{kind}", below.show())
            return None
        if not below.items:
            complain("expected at least one condition", below.line, f"{place}.{kind}")
            return None
        parts = [self.condition(item, f"{place}.{kind}[{index}]") for index, item in enumerate(below.items)]
        whole_parts = tuple(part for part in parts if part is not None)
        if len(whole_parts) < len(parts):
            return None
        return All(whole_parts) if kind == "all" else AnyOf(whole_parts)

    def _leaf(self, node: Node, place: str) -> Leaf | None:
        complain = self._complaints.add
        assert node.entries is not None
        self._complaints.unknown_keys(node, ("field", *OPERATORS), place)
        field_node = node.entries["field"]
        name = field_node.as_text()
        fine = True
        if name is None or not name.strip():
            complain("expected a field's name", field_node.line, f"{place}.field", field_node.show())
            fine = False
        elif self._fields is not None and name not in self._fields:
            hint = did_you_mean(name, self._fields) or f"known are {', '.join(sorted(self._fields))}"
            complain("no such field", field_node.line, f"{place}.field", name, hint)
            fine = False
        operators = [operator for operator in OPERATORS if operator in node.entries]
        if len(operators) != 1:
            hint = "write one condition for each, under 'all:' or 'any:'" if operators else ""
            complain(f"expected one of {', '.join(OPERATORS)}", node.line, place, ", ".join(operators) or None, hint)
            return None
        operator = operators[0]
        value_node = node.entries[operator]
        key = f"{place}.{operator}"
        value_nodes = [value_node] if value_node.items is None else value_node.items
        if not value_nodes:
            complain("expected at least one text", value_node.line, key)
            return None
        values = [item.as_text() for item in value_nodes]
        for item, value in zip(value_nodes, values, strict=True):
            trouble = _value_trouble(operator, value)
            if trouble is not None:
                complain(trouble[0], item.line, key, item.show(), trouble[1])
                fine = False
        return Leaf(name or "", operator, tuple(value or "" for value in values)) if fine else None


def _value_trouble(operator: str, value: str | None) -> tuple[str, str] | None:
    """What was expected, and a hint; None if the value is fine."""
    if value is None:
        return "expected a text", ""
    if operator == "regex":
        if not value:
            return "expected a regular expression that is not empty", ""
        message = complaint(value)
        return None if message is None else (f"expected a regular expression that RE2 takes ({message})", "")
    if len(value) > MAX_VALUE:
        return f"expected at most {MAX_VALUE} characters", ""
    if operator == "equals":
        return None if whole(value) else ("expected a text that is not empty", "")
    if not words(value):
        return (
            "expected a text with a letter or digit in it",
            "such a rule can never fire; use 'regex' for other characters",
        )
    if operator == "word" and len(value.split()) > 1:
        return "expected one word", "use 'phrase' for several in a row, or a list for any of several"
    return None


def write_rules(rules: Iterable[Rule], path: str | Path, taxonomy: Taxonomy | None = None) -> None:
    """Writes a file that :func:`load_rules` reads back as the same rules.

    With ``taxonomy``, or from a :class:`RuleSet`, categories are written as paths, which read better than ids.
    """
    import json

    if isinstance(rules, RuleSet):
        taxonomy = taxonomy or rules.taxonomy
    rows = []
    for rule in rules:
        category: str | list[str] = rule.category
        if taxonomy is not None:
            path_text = taxonomy[rule.category].text
            category = path_text if taxonomy.find(path_text).id == rule.category else rule.category
        rows.append({"id": rule.id, "category": category, "when": to_dict(rule.when)})
    with Path(path).open("w", encoding="utf-8") as file:
        if Path(path).suffix.lower() == ".json":
            json.dump({"rules": rows}, file, ensure_ascii=False, indent=1)
            return
        import yaml

        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        yaml.dump({"rules": rows}, file, dumper, allow_unicode=True, sort_keys=False, width=10_000)
