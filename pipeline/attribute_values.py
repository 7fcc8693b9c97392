"""Whether the attributes of a feed hold what their features read, by its first records."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from modules.counting import counted
from modules.errors import Problem, shorten
from modules.examples import Holds
from modules.feeds.mapping import as_vector
from modules.feeds.numbers import NumberReader
from modules.feeds.prices.reader import PriceReader
from modules.feeds.values import NotUsable
from modules.settings.feed import FeedSettings
from pipeline.workflow_file import LoadedWorkflow


def check_attributes(
    loaded: LoadedWorkflow, source: FeedSettings, place: str, records: Sequence[dict[str, Any]]
) -> tuple[list[Problem], list[str]]:
    """Problems with attributes of which no value is what its feature reads, and notes about those with some others.

    Args:
      source: the settings of one feed. place: their key.
      records: its first ones, flat.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    workflow = loaded.workflow
    holds_of, readers = workflow.product_columns.attributes, workflow.attribute_readers
    for name, column in source.attributes.items():
        values = [value for record in records if (value := record.get(column)) not in (None, "")]
        reader = readers[name]
        length = workflow.features[reader].vector_length if reader is not None else None
        others = _others(holds_of[name], column, values, length)
        if not others:
            continue
        wanted = f"a vector of {length} numbers" if length else f"a {holds_of[name]}"
        shown = shorten(str(others[0]), 60)
        if len(others) == len(values):
            read = counted(len(values), "value")
            expected = f"expected {wanted}, as features.{reader} reads it; none of the first {read} is one"
            problems.append(loaded.problem(f"{place}.attributes.{name}", expected, shown))
        else:
            fate = "the records go to the quarantine" if length else "counted as missing"
            of = f"of the first {counted(len(values), 'value')}"
            count = counted(len(others), f"{of} is", f"{of} are")
            notes.append(f"attribute {name}: {count} not {wanted} (such as {shown!r}): {fate}")
    return problems, notes


def _others(holds: Holds, column: str, values: Sequence[Any], length: int | None) -> list[Any]:
    """The values that are not what the attribute holds, by the run's own readers."""
    if holds == "number":
        numbers = NumberReader(lambda: values)
        return [value for value in values if (number := numbers.read(value)) is not None and math.isnan(number)]
    if holds == "price":
        prices = PriceReader(lambda: values)
        return [value for value in values if (price := prices.read(value)) is not None and price.amount is None]
    return [value for value in values if holds == "vector" and not _is_vector(column, value, length)]


def _is_vector(column: str, value: Any, length: int | None) -> bool:
    try:
        as_vector(column, value, length)
    except NotUsable:
        return False
    return True
