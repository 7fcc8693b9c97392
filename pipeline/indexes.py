"""What a run's similarity indexes reach, out of ML Metadata alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.scann_index.quality import quality_of
from modules.reporting.model import IndexedPart, IndexReport
from modules.taxonomy import Taxonomy
from pipeline.runs import Run, Value


def indexes_of(run: Run, taxonomy: Taxonomy | None) -> Sequence[IndexReport]:
    """Each index of the run, in the workflow's order; none: the run made none."""
    output = run.outputs.get("similarity_index")
    if output is None or "indexes" not in output.properties:
        return ()
    made = run.outputs.get("index_record")
    record = None if made is None else made.properties
    names = json.loads(str(output.properties["indexes"]))
    return [_index(name, output.properties, record, taxonomy) for name in names]


def _index(
    name: str, properties: Mapping[str, Value], record: Mapping[str, Value] | None, taxonomy: Taxonomy | None
) -> IndexReport:
    (whole, *parts), reasons = quality_of(name, properties, record)
    rows = [_part(None, whole)]
    for part in sorted(parts, key=lambda part: (-part["products"], part["name"])):
        known = taxonomy is not None and part["name"] in taxonomy
        rows.append(_part(taxonomy[part["name"]].text if known and taxonomy is not None else part["name"], part))
    near = properties.get(f"{name}/near_duplicates")
    return IndexReport(name, int(whole["k"]), rows, None if near is None else int(near), reasons)


def _part(name: str | None, part: dict[str, Any]) -> IndexedPart:
    return IndexedPart(
        name, part["products"], part["method"], part["recall"], part["milliseconds"], part["queries_per_second"]
    )
