"""What a run's similarity indexes reach, out of ML Metadata alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from modules.reporting.model import IndexedPart, IndexReport
from modules.taxonomy import Taxonomy
from pipeline.runs import Run


def indexes_of(run: Run, taxonomy: Taxonomy | None) -> Sequence[IndexReport]:
    """Each index of the run, in the workflow's order; none: the run made none."""
    output = run.outputs.get("similarity_index")
    if output is None or "indexes" not in output.properties:
        return ()
    return [_index(name, output.properties, taxonomy) for name in json.loads(str(output.properties["indexes"]))]


def _index(name: str, properties: Any, taxonomy: Taxonomy | None) -> IndexReport:
    parts = {}
    for key, value in properties.items():
        if key.startswith(f"{name}/partition/"):
            parts[key.removeprefix(f"{name}/partition/")] = json.loads(str(value))
    order = sorted(parts, key=lambda id: (-parts[id]["products"], id))
    whole = json.loads(str(properties[f"{name}/global"]))
    rows = [_part(None, whole)]
    for id in order:
        known = taxonomy is not None and id in taxonomy
        rows.append(_part(taxonomy[id].text if known and taxonomy is not None else id, parts[id]))
    near = properties.get(f"{name}/near_duplicates")
    reasons = json.loads(str(properties.get(f"{name}/reasons", "[]")))
    return IndexReport(name, int(whole["k"]), rows, None if near is None else int(near), reasons)


def _part(name: str | None, one: dict[str, Any]) -> IndexedPart:
    return IndexedPart(
        name, one["products"], one["method"], one["recall"], one["milliseconds"], one["queries_per_second"]
    )
