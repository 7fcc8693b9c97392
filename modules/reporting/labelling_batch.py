"""A batch of questions as a page that needs nothing else: what people are asked next, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modules.parquet import readable
from modules.predictions.columns import ID, TITLE
from modules.predictions.read import PredictionFiles
from modules.reporting.page import render, write_page
from modules.sampling.write import BATCH_FILE, FACTS_FILE
from modules.taxonomy import Taxonomy

SHOWN = 1_000
"""Questions on the page; a batch has seldom more."""


@dataclass(frozen=True)
class BatchQuestion:
    """One row of the page.

    Attributes:
      category: the path that a yes or no is asked of, or the model's first guess. probability: the model's for it.
    """

    rank: int
    product: str
    title: str
    objective: str
    category: str
    probability: float | None
    source: str
    utility: float | None


def read_questions(batch: Path, taxonomy: Taxonomy, predictions: Path | None = None) -> list[BatchQuestion]:
    """The first :data:`SHOWN` questions of every objective, by rank.

    Args:
      batch: the folder of a LabellingBatch.
      predictions: a run's, for the titles.
    """
    with readable(batch / BATCH_FILE):
        table = pq.read_table(batch / BATCH_FILE)
    table = table.filter(pc.less(table["rank"], SHOWN)).sort_by([("objective", "ascending"), ("rank", "ascending")])
    titles = _titles(predictions, table["product_id"]) if predictions is not None else {}
    questions = []
    for row in table.to_pylist():
        suggestions = {suggestion["category"]: suggestion["probability"] for suggestion in row["suggestions"] or ()}
        asked = row["category"] or next(iter(suggestions), None)
        questions.append(
            BatchQuestion(
                row["rank"] + 1,
                row["product_id"],
                titles.get(row["product_id"], ""),
                row["objective"],
                "" if asked is None else taxonomy[asked].text if asked in taxonomy else asked,
                suggestions.get(asked),
                row["source"],
                row["utility"],
            )
        )
    return questions


def read_facts(batch: Path) -> dict[str, list[tuple[str, str]]]:
    """Objective to what is true of the whole batch, as texts."""
    facts: dict[str, Any] = json.loads((batch / FACTS_FILE).read_text("utf-8"))
    return {name: [(key, _text(value)) for key, value in its.items()] for name, its in facts["objectives"].items()}


def write_labelling_batch(
    path: str | Path,
    run: str,
    questions: Sequence[BatchQuestion],
    facts: Mapping[str, Sequence[tuple[str, str]]],
    missing: Sequence[str] = (),
) -> None:
    """Writes the page, complete or not at all.

    Args:
      missing: sentences about what could not be read.
    """
    objectives = [
        (name, its, [question for question in questions if question.objective == name]) for name, its in facts.items()
    ]
    write_page(path, render("labelling_batch.html.j2", run=run, objectives=objectives, missing=missing))


def _titles(predictions: Path, ids: pa.ChunkedArray) -> dict[str, str]:
    wanted = pa.array(ids.unique())
    titles: dict[str, str] = {}
    for batch in PredictionFiles(predictions).scan([ID, TITLE]):
        kept = batch.filter(pc.is_in(batch.column(0).cast(pa.string()), value_set=wanted))
        titles |= {row[ID]: row[TITLE] or "" for row in kept.to_pylist()}
        if len(titles) == len(wanted):
            break
    return titles


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
