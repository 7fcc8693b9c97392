"""What another classifier is sent, and what is taken from its answers: JSON Lines, in both directions.

The first line that is sent holds the objective and the categories; each further one is a product. Each line that comes
back is about one product. Whatever answers is not trusted: lines, texts and numbers have limits, a line that cannot be
used is refused by its number, and the others count.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from labelling.store.suggestions import Question, Suggested
from modules.errors import Problem, Problems, reason
from modules.labels.reading import id_text
from modules.taxonomy import Category, Taxonomy, UnknownCategory
from modules.taxonomy.documents import did_you_mean

MAX_LINE = 64 << 10
"""Bytes of a line that comes back."""
MAX_REPLY = 16 << 20
"""Bytes of all lines that come back at once."""
MAX_FIELD = 4000
"""Characters of one text of a product that are sent."""
MAX_TEXT = 2000
"""Characters of a category's path, or of a product's id, that comes back."""
MAX_COST = 1e9
GUESSES = 9
"""The model's own most probable categories that are sent with a product: those that the labelling page shows."""

KEYS = ("product_id", "category", "value", "confidence", "cost")
YES, NONE, SKIP = "yes", "none_of_these", "skip"
VALUES = (YES, NONE, SKIP)
_SPELLED = 20
"""Unknown categories for which the nearest one is looked up: that takes a look at all of them."""

Row = tuple[int, dict[str, Any] | Problem]
"""The number of a line, and what it holds, or why it holds nothing."""


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
      data: the lines; where it failed midway, the complete ones that came before.
      failure: why it is not all; empty if it is.
    """

    data: bytes
    failure: str = ""


@dataclass
class Answers:
    """What can be used of a reply.

    Attributes:
      usable: at most one answer per product that was asked about.
      refused: one problem per line that cannot be used.
      cost: the sum of what the lines say they cost, of a request's reply with those that were refused; None if none
        says so.
      strangers: lines about products that were not asked about, where that is no mistake.
    """

    usable: list[Suggested] = field(default_factory=list)
    refused: Problems = field(default_factory=Problems)
    cost: float | None = None
    strangers: int = 0

    def add_cost(self, cost: float) -> None:
        """Adds to what is known of the cost."""
        self.cost = (self.cost or 0.0) + cost


def question_lines(
    objective: str, categories: Sequence[Category], names: Mapping[str, str], questions: Iterable[Question]
) -> bytes:
    """The lines that are sent.

    Args:
      objective: its name.
      categories: those that can be the answer.
      names: category id to its path, also of categories that cannot be the answer.
      questions: the products.
    """
    listed = []
    for category in categories:
        row: dict[str, Any] = {"id": category.id, "path": category.text}
        if category.description:
            row["description"] = category.description
        if category.synonyms:
            row["synonyms"] = list(category.synonyms)
        listed.append(row)
    lines: list[dict[str, Any]] = [{"objective": objective, "categories": listed}]
    for question in questions:
        guesses = [
            {"category": category, "path": names[category], "probability": probability}
            for category, probability in question.guesses
            if category in names
        ]
        fields = {name: text if len(text) <= MAX_FIELD else text[:MAX_FIELD] + "…"
                  for name, text in question.fields.items()}  # fmt: skip
        lines.append({"product_id": question.product_id, "product": fields, "suggestions": guesses[:GUESSES]})
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def json_rows(reply: Reply, place: str) -> Iterator[Row]:
    """The lines of a reply; of one that failed midway only those that are complete."""
    lines = reply.data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if reply.failure:
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if len(line) > MAX_LINE:
            yield number, Problem(place, f"expected a line of at most {MAX_LINE >> 10} KiB", number)
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            yield (
                number,
                Problem(place, f"not JSON: {reason(error)}", number, value=line[:80].decode("utf-8", "replace")),
            )
            continue
        yield number, row if isinstance(row, dict) else Problem(place, f"expected an object with {_keys()}", number)


class _Bad(Exception):
    """A value that cannot be used: key, value, what was expected, hint."""

    def __init__(self, expected: str, key: str = "", value: Any = None, hint: str = ""):
        self.details = expected, key, None if value is None else str(value)[:200], hint
        super().__init__(expected)


class AnswerReader:
    """Checks rows.

    Args:
      taxonomy: what categories are looked up in.
      categories: ids of those that can be the answer.
      strangers: whether a row about a product that was not asked about is no mistake, as in a file for all products.
    """

    def __init__(self, taxonomy: Taxonomy, categories: Collection[str], *, strangers: bool = False):
        self._taxonomy, self._categories, self._strangers = taxonomy, frozenset(categories), strangers
        self._looked_up: dict[str, str | _Bad] = {}
        self._unknown = 0

    def read(self, rows: Iterable[Row], place: str, asked: Collection[str]) -> Answers:
        """The answers in ``rows``, which stand in ``place``, about the products ``asked`` about."""
        answers, seen, wanted = Answers(), set[str](), frozenset(asked)
        for number, row in rows:
            if isinstance(row, Problem):
                answers.refused.add(row)
                continue
            try:
                cost = _number(row, "cost", MAX_COST)
                if cost is not None and not self._strangers:
                    answers.add_cost(cost)
                answer = self._answer(row, wanted)
                if answer is None:
                    answers.strangers += 1
                    continue
                if answer.product_id in seen:
                    raise _Bad("this product was answered in a line above", "product_id", answer.product_id)
            except _Bad as bad:
                expected, key, value, hint = bad.details
                answers.refused.add(Problem(place, expected, number, key, value, hint))
                continue
            seen.add(answer.product_id)
            answers.usable.append(answer)
            if cost is not None and self._strangers:
                # A file can be read again; what was refused in it is paid for once.
                answers.add_cost(cost)
        return answers

    def _answer(self, row: Mapping[str, Any], asked: Collection[str]) -> Suggested | None:
        """The answer in a row; None for a product that was not asked about, where that is no mistake."""
        unknown = next((key for key in row if key not in KEYS), None)
        if unknown is not None:
            raise _Bad("unknown key", unknown, hint=did_you_mean(unknown, KEYS) or f"there are {_keys()}")
        product = id_text(row.get("product_id"))
        if not isinstance(product, str) or not 0 < len(product) <= MAX_TEXT:
            raise _Bad("expected the id of a product", "product_id", product)
        if product not in asked:
            if self._strangers:
                return None
            raise _Bad("expected one of the products that were asked about", "product_id", product)
        category = row.get("category")
        value = row.get("value", YES if category is not None else None)
        if value not in VALUES:
            raise _Bad(f"expected a category, or one of {', '.join(VALUES[1:])}", "value", value)
        if (category is not None) != (value == YES):
            raise _Bad("expected a category with the value yes, and none with another one", "category", category)
        category_id = None if category is None else self._category(category)
        return Suggested(product, value, category_id, _number(row, "confidence", 1.0))

    def _category(self, given: Any) -> str:
        """The id of a category that was answered."""
        text = " > ".join(given) if _is_path(given) else given
        if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
            raise _Bad("expected a category's id or path", "category", given)
        outcome = self._looked_up.get(text)
        if outcome is None:
            outcome = self._looked_up[text] = self._find(given, text)
        if isinstance(outcome, _Bad):
            raise outcome
        return outcome

    def _find(self, given: str | Sequence[str], text: str) -> str | _Bad:
        try:
            category = self._taxonomy.find(given, suggest=self._unknown < _SPELLED)
        except UnknownCategory as error:
            self._unknown += 1
            return _Bad("not in the taxonomy", "category", text, error.problems[0].hint)
        if category.id not in self._categories:
            return _Bad("expected one of the categories that were sent", "category", text)
        return category.id


def _is_path(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(isinstance(name, str) for name in given)


def _number(row: Mapping[str, Any], key: str, most: float) -> float | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or math.isnan(value):
        raise _Bad(f"expected a number from 0 to {most:g}", key, value)
    return float(value)


def _keys() -> str:
    return ", ".join(KEYS)
