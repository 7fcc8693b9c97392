"""Batches as files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modules.predictions.guesses import LABELS, NAMES
from modules.sampling.batch import PickedBatch

BATCH_FILE, FACTS_FILE = "batch.parquet", "batch.json"
STOP_SETS = "stop_set"
"""Folder with a Parquet file per exclusive objective: beside the batch itself readers expect no other table."""

SCHEMA = pa.schema(
    {
        "rank": pa.int32(),
        "product_id": pa.string(),
        "objective": pa.string(),
        "category": pa.string(),
        "utility": pa.float64(),
        "parts": pa.map_(pa.string(), pa.float64()),
        "strategy": pa.string(),
        "source": pa.string(),
        "inclusion_probability": pa.float64(),
        "round": pa.int32(),
        "seed": pa.int64(),
        "model": pa.string(),
        "split": pa.string(),
        "suggestions": pa.list_(
            pa.struct({"category": pa.string(), "probability": pa.float64(), "source": pa.string()})
        ),
    }
)


STOP_SET_SCHEMA = pa.schema({"product_hash": pa.uint64(), "category": pa.string()})


def write_batches(
    folder: str, batches: Sequence[PickedBatch], facts: Mapping[str, Any], stop_sets: Mapping[str, Mapping[int, str]]
) -> None:
    """Writes all picks to one Parquet file, ``facts`` and the stop sets beside it.

    Args:
      facts: with ``model``; what is true of each batch is added under ``objectives``.
      stop_sets: exclusive objective to the hash of a product to its predicted category.
    """
    rows = [
        {
            "rank": pick.rank, "product_id": pick.product_id, "objective": pick.objective, "category": pick.category,
            "utility": pick.utility, "parts": list(pick.parts.items()), "strategy": pick.strategy,
            "source": pick.source, "inclusion_probability": pick.inclusion_probability, "round": batch.facts["round"],
            "seed": batch.facts["seed"], "model": facts.get("model"), "split": pick.split,
            "suggestions": [
                {"category": c, "probability": p, "source": NAMES if c in pick.guessed else LABELS}
                for c, p in pick.suggestions
            ],
        }
        for batch in batches
        for pick in batch.picks
    ]  # fmt: skip
    os.makedirs(folder, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), os.path.join(folder, BATCH_FILE), compression="zstd")
    for objective, predicted in stop_sets.items():
        os.makedirs(os.path.join(folder, STOP_SETS), exist_ok=True)
        stop_set = pa.table([list(predicted), list(predicted.values())], schema=STOP_SET_SCHEMA)
        pq.write_table(stop_set, os.path.join(folder, STOP_SETS, f"{objective}.parquet"), compression="zstd")
    everything = {**facts, "objectives": {batch.objective: dict(batch.facts) for batch in batches}}
    if len(batches) == 1:
        everything |= batches[0].facts
    with open(os.path.join(folder, FACTS_FILE), "w", encoding="utf-8") as file:
        json.dump(everything, file, indent=1)
