"""What people were asked already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from modules.errors import InputError, Problem
from modules.labels import read_labels
from modules.labels.model import MODEL
from modules.objectives import kind_named
from modules.taxonomy import Taxonomy

Question = tuple[str, str]
"""Product id, and category id of a yes/no question or the empty string."""


@dataclass(frozen=True)
class AskedQuestions:
    """The questions that were asked for one objective so far.

    Attributes:
      questions: answered in whatever way, also skipped, or waiting in a queue; all but the retracted ones.
      random: answers that were drawn at random. batches: names of the batches so far.
    """

    questions: frozenset[Question] = frozenset()
    random: int = 0
    batches: frozenset[str] = frozenset()


def read_asked(
    files: Sequence[str | Path],
    queue: str | Path | None,
    taxonomy: Taxonomy,
    objectives: Mapping[str, str],
    product_id: Callable[[str], str] = str,
) -> dict[str, AskedQuestions]:
    """Objective to its questions.

    Args:
      files: label files.
      queue: JSON Lines with ``product_id``, ``objective``, ``category`` and ``batch``.
      objectives: name to the name of its kind.
      product_id: the product's id, of one in these files.

    Raises:
      InputError: a file is missing, or a row is wrong.
    """
    newest: dict[tuple[str, str, str, str], tuple[Any, str]] = {}
    batches: dict[str, set[str]] = {name: set() for name in objectives}
    random: dict[str, set[str]] = {name: set() for name in objectives}
    for row in read_labels(files, taxonomy, objectives) if files else ():
        if row.source == MODEL:
            # Nobody was asked.
            continue
        category = kind_named(objectives[row.objective]).asked_category(row.category)
        product = product_id(row.product_id)
        key = (row.objective, product, category, row.annotator)
        if key not in newest or newest[key][0] <= row.time:
            newest[key] = (row.time, row.value)
        if row.batch:
            batches[row.objective].add(row.batch)
        if row.source == "random":
            random[row.objective].add(product)
    questions: dict[str, set[Question]] = {name: set() for name in objectives}
    for (objective, product, category, _), (_, value) in newest.items():
        if value != "retracted":
            questions[objective].add((product, category))
    for waiting in _queued(Path(queue)) if queue else ():
        if waiting["objective"] in objectives:
            questions[waiting["objective"]].add((product_id(waiting["product_id"]), waiting.get("category") or ""))
            if waiting.get("batch"):
                batches[waiting["objective"]].add(waiting["batch"])
    return {
        name: AskedQuestions(frozenset(questions[name]), len(random[name]), frozenset(batches[name]))
        for name in objectives
    }


def _queued(path: Path) -> Iterable[dict[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
                if not isinstance(row["product_id"], str) or not isinstance(row["objective"], str):
                    raise TypeError
            except (orjson.JSONDecodeError, KeyError, TypeError):
                raise InputError(Problem(str(path), "a row with product_id and objective", number)) from None
            yield row
