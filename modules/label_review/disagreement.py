"""Products that annotators disagree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modules.labels.model import LabelRow
from modules.objectives import kind_named


@dataclass(frozen=True)
class Dispute:
    """One product (and category of a yes/no question) with different answers.

    Attributes:
      answers: answer (category id, or ``yes``/``no``/``none_of_these``) to those who gave it.
      score: share of the answers that are not the most frequent one's.
    """

    product_id: str
    objective: str
    category: str
    answers: dict[str, tuple[str, ...]]
    score: float


def disputes(rows: Iterable[LabelRow], kinds: dict[str, str]) -> list[Dispute]:
    """Products whose newest answers per annotator differ, the most disputed first; skips are no answers.

    A dispute ends when somebody has reviewed the product (source ``review``) after all others answered.
    """
    newest: dict[tuple[str, str, str], dict[str, LabelRow]] = {}
    for row in rows:
        category = kind_named(kinds[row.objective]).asked_category(row.category)
        by = newest.setdefault((row.objective, row.product_id, category), {})
        if row.annotator not in by or by[row.annotator].time <= row.time:
            by[row.annotator] = row
    all_disputes = []
    for (objective, product, category), by in newest.items():
        last = max(by.values(), key=lambda row: row.time)
        answers: dict[str, list[str]] = {}
        for annotator, row in by.items():
            answer = _answer(row, kinds[objective])
            if answer is not None:
                answers.setdefault(answer, []).append(annotator)
        if len(answers) < 2 or last.source == "review":
            continue
        counts = Counter({answer: len(who) for answer, who in answers.items()})
        score = 1.0 - counts.most_common(1)[0][1] / counts.total()
        told = {answer: tuple(sorted(who)) for answer, who in sorted(answers.items())}
        all_disputes.append(Dispute(product, objective, category, told, score))
    return sorted(
        all_disputes, key=lambda dispute: (-dispute.score, dispute.objective, dispute.product_id, dispute.category)
    )


def _answer(row: LabelRow, kind: str) -> str | None:
    value: Any = row.value
    if value in ("skip", "retracted"):
        return None
    return row.category if kind_named(kind).single_label and value == "yes" else str(value)
