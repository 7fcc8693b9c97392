"""Why each product of a batch was asked for, as ML Metadata keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from components.record import pack, unpack
from modules.sampling.batch import Pick

PICKS = "picks"
"""The record's property."""

_EARLIER = "pick/"


def pack_picks(picks: Iterable[Pick]) -> str:
    """A row per pick: ``objective``, ``product``, ``category`` of a yes/no question, rank, source, utility and its
    parts, inclusion probability, split; what a pick does not have is left out."""
    rows = [
        {
            "objective": pick.objective, "product": pick.product_id, "category": pick.category, "rank": pick.rank,
            "source": pick.source, "utility": pick.utility, **pick.parts,
            "inclusion_probability": pick.inclusion_probability, "split": pick.split,
        }
        for pick in picks
    ]  # fmt: skip
    return pack([{name: value for name, value in row.items() if value is not None} for row in rows])


def picks_of(batch: Mapping[str, object], record: Mapping[str, object] | None) -> list[dict[str, Any]]:
    """The rows, out of ML Metadata alone.

    Args:
      batch: properties of the ``labelling_batch``, which earlier versions kept the picks on; a product's id may then
        have its yes/no question's category behind it.
      record: those of the record beside it; None: an earlier version wrote none.
    """
    if record is not None and PICKS in record:
        rows: list[dict[str, Any]] = unpack(str(record[PICKS]))
        return rows
    picks = []
    for name, value in batch.items():
        if name.startswith(_EARLIER) and isinstance(value, str):
            objective, _, product = name.removeprefix(_EARLIER).partition("/")
            picks.append({"objective": objective, "product": product, **json.loads(value)})
    return picks
