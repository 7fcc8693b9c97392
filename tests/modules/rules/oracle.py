"""Rules evaluated one by one, straight from what their documentation says: no index, no RE2, no shared code."""

from __future__ import annotations

import re
import unicodedata

from modules.rules import All, AnyOf, Condition, Leaf, Not


def fold(text: str) -> str:
    text = text.replace("™", " ").replace("\u00ad", "")
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def words(text: str) -> list[str]:
    result, word = [], ""
    for character in fold(text) + " ":
        if character == "_" or unicodedata.category(character)[0] in "LNM":
            word += character
        elif word:
            result.append(word)
            word = ""
    return result


def holds(condition: Condition, product: dict[str, str | None]) -> bool:
    if isinstance(condition, Not):
        return not holds(condition.condition, product)
    if isinstance(condition, All):
        return all(holds(part, product) for part in condition.conditions)
    if isinstance(condition, AnyOf):
        return any(holds(part, product) for part in condition.conditions)
    assert isinstance(condition, Leaf)
    text = product.get(condition.field)
    return bool(text) and any(compare(condition.operator, value, text) for value in condition.values)


def compare(operator: str, value: str, text: str) -> bool:
    if operator == "regex":
        return re.search(value, text) is not None
    if operator == "equals":
        return fold(text).split() == fold(value).split()
    wanted, found = words(value), words(text)
    return any(found[i : i + len(wanted)] == wanted for i in range(len(found) - len(wanted) + 1))
