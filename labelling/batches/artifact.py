"""Reads what ActiveSampler writes: the one place that knows its columns.

A ``LabellingBatch`` is a folder with one Parquet file, a row per picked product, and one JSON file with what is true of
the batch as a whole. A review queue is a Parquet or JSON Lines file, or a folder with one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labelling.batches.checked_row import checked_row, number_or_none
from labelling.content import Batch, Item
from labelling.store.rows import clean_probability
from modules.errors import InputError, Problem, Problems, reason
from modules.feeds.quarantine import BadRecord
from modules.feeds.readers import read_records
from modules.settings.feed import FeedSettings

REQUIRED = ("product_id", "objective")
KNOWN = frozenset(
    ("rank", "product_id", "objective", "category", "utility", "strategy", "source", "inclusion_probability", "round",
     "seed", "model", "split", "suggestions", "parts")
)  # fmt: skip
REVIEW_REQUIRED = ("product_id", "objective", "reason")
_MAX_ROWS = 1_000_000
_MAX_FACTS = 16 << 20
_OF_FACTS = ("id", "run", "strategy", "round")


def read_batch(folder: Path, name: str, *, run: str | None = None, uri: str | None = None) -> list[Batch]:
    """The batch of each objective in a ``LabellingBatch`` folder.

    Columns: ``product_id``, ``objective``; and where they apply ``rank``, ``category`` (id; of a yes/no question),
    ``utility``, ``parts`` (map or struct of numbers) or further numeric columns, ``strategy``, ``source``,
    ``inclusion_probability``, ``round``, ``seed``, ``model``, ``split``, ``suggestions`` (list of structs with
    ``category`` and ``probability``, most probable first).

    Args:
      name: of the batch, if its facts have no ``id``; its labels carry it.

    Raises:
      InputError: there is no such file, it has not these columns, or values that cannot be theirs.
    """
    item_rows, facts = _read(folder, REQUIRED)
    name = facts.get("id") or name
    by_objective: dict[str, list[Mapping[str, Any]]] = {}
    for row in item_rows:
        by_objective.setdefault(row["objective"], []).append(row)
    return [
        Batch(
            name if len(by_objective) == 1 else f"{name}-{objective}",
            objective,
            [_item(row, i) for i, row in enumerate(some)],
            run=run or facts.get("run"),
            strategy=facts.get("strategy") or _one(some, "strategy"),
            round=facts.get("round", some[0].get("round")),
            uri=uri or str(folder),
            facts=facts,
        )
        for objective, some in by_objective.items()
    ]


def read_review(path: Path, name: str, *, run: str | None = None) -> list[Batch]:
    """Products whose labels look wrong, as a review queue per objective.

    Columns: ``product_id``, ``objective``, ``reason`` (``label_error``: the model is sure of another category;
    ``rule_contradicted``: the model contradicts a rule; ``disagreement``: annotators disagree); and where they apply
    ``category`` (id; of a yes/no question), ``given`` and ``suggested`` (category ids), ``score`` (how suspicious, the
    most suspicious first), ``rule`` (id), ``annotators`` (list of names), ``suggestions``, ``split``, ``model``.

    Raises:
      InputError: there is no such file, it has not these columns, or values that cannot be theirs.
    """
    item_rows, facts = _read(path, REVIEW_REQUIRED)
    item_rows = sorted(item_rows, key=lambda row: -(row.get("score") or 0.0))
    by_objective: dict[str, list[Item]] = {}
    for row in item_rows:
        why = {key: row[key] for key in ("reason", "given", "suggested", "score", "rule", "annotators") if row.get(key)}
        some = by_objective.setdefault(row["objective"], [])
        some.append(
            Item(
                rank=len(some),
                product_id=row["product_id"],
                # Chosen because it is suspicious: nothing that may be measured on.
                source="review",
                category=row.get("category") or "",
                suggestions=row.get("suggestions") or (),
                utility=row.get("score"),
                model=row.get("model"),
                split=row.get("split"),
                reason=why,
            )
        )
    return [
        Batch(f"{name}-{objective}" if len(by_objective) > 1 else name, objective, items, "review", run, facts=facts)
        for objective, items in by_objective.items()
    ]


def _read(path: Path, required: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, checked and without what is null, and the facts that lie beside them."""
    if path.is_dir():
        tables = sorted([*path.glob("*.parquet"), *path.glob("*.jsonl")])
        documents = sorted(path.glob("*.json"))
    else:
        tables, documents = [path], []
    if len(tables) != 1 or not tables[0].is_file():
        raise InputError(Problem(str(path), f"expected one .parquet or .jsonl file; there are {len(tables)}"))
    file = str(tables[0])
    problems = Problems()
    rows: list[dict[str, Any]] = []
    kind = "jsonl" if file.endswith(".jsonl") else "parquet"
    for number, record in enumerate(read_records(file, kind, FeedSettings(), columns="all"), start=1):
        if number > _MAX_ROWS:
            raise InputError(Problem(file, f"expected at most {_MAX_ROWS:,} rows"))
        if isinstance(record, BadRecord):
            problems.add(Problem(file, f"expected a row that can be read: {record.detail}", record.line))
        elif not isinstance(record.data, dict):
            problems.add(Problem(file, "expected an object", record.line))
        else:
            rows.append(checked_row(file, record.line, record.data, required, problems))
    facts = _facts(documents[0], problems) if documents else {}
    if problems:
        raise InputError(problems)
    return rows, facts


def _facts(file: Path, problems: Problems) -> dict[str, Any]:
    """What is true of the batch as a whole; empty where it is no object, which becomes a problem."""
    try:
        if file.stat().st_size > _MAX_FACTS:
            problems.add(Problem(str(file), f"expected at most {_MAX_FACTS >> 20} MiB"))
            return {}
        facts = json.loads(file.read_text("utf-8-sig"))
        if isinstance(facts, dict):
            # Written down again in the store: what cannot be is found here.
            json.dumps(facts).encode()
            checked_row(str(file), None, {name: facts[name] for name in _OF_FACTS if name in facts}, (), problems)
            return facts
        problems.add(Problem(str(file), "expected an object"))
    except (OSError, ValueError, RecursionError) as error:
        problems.add(Problem(str(file), f"cannot be read: {reason(error)}"))
    return {}


def _item(row: Mapping[str, Any], index: int) -> Item:
    parts = dict(row.get("parts") or {})
    parts |= {key: value for key, value in row.items() if key not in KNOWN and isinstance(value, int | float)}
    return Item(
        rank=row.get("rank") or index,
        product_id=row["product_id"],
        source=row.get("source") or row.get("strategy") or "unknown",
        category=row.get("category") or "",
        suggestions=row.get("suggestions") or (),
        utility=row.get("utility"),
        parts={key: value for key, raw in parts.items() if (value := number_or_none(raw)) is not None},
        strategy=row.get("strategy"),
        inclusion_probability=clean_probability(row.get("inclusion_probability")),
        round=row.get("round"),
        seed=row.get("seed"),
        model=row.get("model"),
        split=row.get("split"),
    )


def _one(rows: Iterable[Mapping[str, Any]], key: str) -> str | None:
    values = {row.get(key) for row in rows} - {None}
    return values.pop() if len(values) == 1 else None
