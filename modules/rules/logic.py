"""Whether a condition can hold for any product at all."""

from __future__ import annotations

from modules.rules.model import All, AnyOf, Condition, Leaf, Not
from modules.rules.text import whole, words

# A fact: (wanted true, field, operator, what is compared). Operators: "words", "equals", "regex".
Fact = tuple[bool, str, str, tuple[str, ...]]
_MAX_CASES = 512


def can_fire(condition: Condition) -> bool:
    """False where no product can meet ``condition``, whatever its fields say.

    Finds contradictions between words, phrases and equalities of one field, and between a condition and its opposite.
    What only a regular expression's meaning would show is not found; nor is anything in a condition whose cases number
    more than 512: then the answer is True.
    """
    cases = _cases(condition, True)
    return cases is None or any(_consistent(case) for case in cases)


def _cases(condition: Condition, wanted: bool) -> list[frozenset[Fact]] | None:
    """The ways to make ``condition`` come out as ``wanted``, each a set of facts; None if there are too many."""
    if isinstance(condition, Not):
        return _cases(condition.condition, not wanted)
    if isinstance(condition, Leaf):
        facts = [(wanted, condition.field, *_compared(condition, value)) for value in condition.values]
        return [frozenset((fact,)) for fact in facts] if wanted else [frozenset(facts)]
    parts = [_cases(part, wanted) for part in condition.conditions]
    either = isinstance(condition, AnyOf) if wanted else isinstance(condition, All)
    result: list[frozenset[Fact]] = [] if either else [frozenset()]
    for part in parts:
        if part is None:
            return None
        result = result + part if either else [a | b for a in result for b in part]
        if len(result) > _MAX_CASES:
            return None
    return result


def _compared(leaf: Leaf, value: str) -> tuple[str, tuple[str, ...]]:
    if leaf.operator == "regex":
        return "regex", (value,)
    if leaf.operator == "equals":
        return "equals", (whole(value),)
    return "words", tuple(words(value))


def _consistent(facts: frozenset[Fact]) -> bool:
    equal: dict[str, str] = {}
    for wanted, field, operator, compared in facts:
        if (not wanted, field, operator, compared) in facts or (wanted and operator == "words" and not compared):
            return False
        if wanted and operator == "equals" and equal.setdefault(field, compared[0]) != compared[0]:
            return False
    present = [(field, tuple(words(text))) for field, text in equal.items()]
    for wanted, field, operator, compared in facts:
        if operator == "words" and wanted:
            if field in equal and not _within(compared, tuple(words(equal[field]))):
                return False
            present.append((field, compared))
    return not any(
        _within(compared, row)
        for wanted, field, operator, compared in facts
        if operator == "words" and not wanted
        for other, row in present
        if other == field
    )


def _within(part: tuple[str, ...], row: tuple[str, ...]) -> bool:
    """Whether the words of ``part`` stand in ``row`` one after the other."""
    size = len(part)
    return any(row[i : i + size] == part for i in range(len(row) - size + 1))
