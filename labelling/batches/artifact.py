"""Reads what ActiveSampler writes: the one place that knows its columns.

A ``LabellingBatch`` is a folder with one Parquet file, a row per picked product, and one JSON file with what is true of
the batch as a whole. A review queue is a Parquet or JSON Lines file, or a folder with one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from labelling.content import Batch, Item
from labelling.store.rows import clean_probability
from modules.errors import InputError, Problem

REQUIRED = ("product_id", "objective")
KNOWN = frozenset(
    ("rank", "product_id", "objective", "category", "utility", "strategy", "source", "inclusion_probability", "round",
     "seed", "model", "split", "suggestions", "parts")
)  # fmt: skip
REVIEW_REQUIRED = ("product_id", "objective", "reason")
_MAX_ROWS = 1_000_000


def read_batch(folder: Path, name: str, *, run: str | None = None, uri: str | None = None) -> list[Batch]:
    """The batch of each objective in a ``LabellingBatch`` folder.

    Columns: ``product_id``, ``objective``; and where they apply ``rank``, ``category`` (id; of a yes/no question),
    ``utility``, ``parts`` (map or struct of numbers) or further numeric columns, ``strategy``, ``source``,
    ``inclusion_probability``, ``round``, ``seed``, ``model``, ``split``, ``suggestions`` (list of structs with
    ``category`` and ``probability``, most probable first).

    Args:
      name: of the batch, if its facts have no ``id``; its labels carry it.

    Raises:
      InputError: there is no such file, or it has not these columns.
    """
    found, facts = _read(folder, REQUIRED)
    name = str(facts.get("id") or name)
    by_objective: dict[str, list[Mapping[str, Any]]] = {}
    for row in found:
        by_objective.setdefault(row["objective"], []).append(row)
    return [
        Batch(
            name if len(by_objective) == 1 else f"{name}-{objective}",
            objective,
            [_item(row, i) for i, row in enumerate(some)],
            run=run or _text(facts.get("run")),
            strategy=_text(facts.get("strategy")) or _one(some, "strategy"),
            round=_whole(facts.get("round", some[0].get("round"))),
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
      InputError: there is no such file, or it has not these columns.
    """
    found, facts = _read(path, REVIEW_REQUIRED)
    found = sorted(found, key=lambda row: -(row.get("score") or 0.0))
    by_objective: dict[str, list[Item]] = {}
    for row in found:
        reason = {
            key: row[key] for key in ("reason", "given", "suggested", "score", "rule", "annotators") if row.get(key)
        }
        some = by_objective.setdefault(row["objective"], [])
        some.append(
            Item(
                rank=len(some),
                product_id=row["product_id"],
                # Chosen because it is suspicious: nothing that may be measured on.
                source="review",
                category=row.get("category") or "",
                suggestions=_suggestions(row.get("suggestions")),
                utility=_number(row.get("score")),
                model=_text(row.get("model")),
                split=_text(row.get("split")),
                reason=json.loads(json.dumps(reason, default=str)),
            )
        )
    return [
        Batch(f"{name}-{objective}" if len(by_objective) > 1 else name, objective, items, "review", run, facts=facts)
        for objective, items in by_objective.items()
    ]


def _read(path: Path, required: Sequence[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, and the facts that lie beside them."""
    if path.is_dir():
        tables = sorted([*path.glob("*.parquet"), *path.glob("*.jsonl")])
        documents = sorted(path.glob("*.json"))
    else:
        tables, documents = [path], []
    if len(tables) != 1 or not tables[0].is_file():
        raise InputError(Problem(str(path), f"expected one .parquet or .jsonl file; there are {len(tables)}"))
    file = tables[0]
    try:
        if file.suffix == ".jsonl":
            with file.open("rb") as stream:
                rows = [json.loads(line) for line in stream if line.strip()]
        else:
            if pq.read_metadata(file).num_rows > _MAX_ROWS:
                raise InputError(Problem(str(file), f"expected at most {_MAX_ROWS:,} rows"))
            rows = pq.read_table(file).to_pylist()
        facts = json.loads(documents[0].read_text("utf-8")) if documents else {}
    except (OSError, ValueError) as error:
        raise InputError(Problem(str(file), f"cannot be read: {error}")) from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or any(not isinstance(row.get(key), str) or not row[key] for key in required):
            raise InputError(Problem(str(file), f"expected text in the columns {', '.join(required)}", number))
    return rows, facts if isinstance(facts, dict) else {}


def _item(row: Mapping[str, Any], index: int) -> Item:
    parts = dict(row.get("parts") or {})
    parts |= {key: value for key, value in row.items() if key not in KNOWN and isinstance(value, int | float)}
    return Item(
        rank=_whole(row.get("rank")) or index,
        product_id=row["product_id"],
        source=_text(row.get("source")) or _text(row.get("strategy")) or "unknown",
        category=row.get("category") or "",
        suggestions=_suggestions(row.get("suggestions")),
        utility=_number(row.get("utility")),
        parts={str(key): value for key, raw in parts.items() if (value := _number(raw)) is not None},
        strategy=_text(row.get("strategy")),
        inclusion_probability=clean_probability(_number(row.get("inclusion_probability"))),
        round=_whole(row.get("round")),
        seed=_whole(row.get("seed")),
        model=_text(row.get("model")),
        split=_text(row.get("split")),
    )


def _suggestions(given: Iterable[Any] | None) -> tuple[tuple[str, float], ...]:
    found = []
    for one in given or ():
        category, probability = (one["category"], one["probability"]) if isinstance(one, Mapping) else one
        found.append((str(category), float(probability)))
    return tuple(found)


def _one(rows: Iterable[Mapping[str, Any]], key: str) -> str | None:
    values = {row.get(key) for row in rows} - {None}
    return _text(values.pop()) if len(values) == 1 else None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _whole(value: Any) -> int | None:
    return None if value is None or value != value else int(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
