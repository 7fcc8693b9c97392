"""A small shop's predictions, written by the Predictor's own columns, and the same rows as plain Python for oracles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from modules.predictions.predict import PredictionColumns
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

PATHS = ["Shoes > Boots", "Shoes > Boots > Ankle Boots", "Shoes > Sandals", "Bags > Backpacks", "Bags > Totes", "Hats"]

WORKFLOW = Workflow.model_validate(
    {
        "name": "shop",
        "taxonomy": {"file": "taxonomy.yaml"},
        "rules": {"file": "rules.yaml"},
        "objectives": {"exclusive": {"kind": "exclusive"}, "rule_based": {"kind": "multi_label"}},
    }
)

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    '=HYPERLINK("http://x","y")',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    " =1+1",
    "{{ 7*7 }} {% raw %}",
    "\x1b[31mred\x1b[0m\x07",
    'a,"b"\nc',
    "Größe 42 – “quoted”",
)


def taxonomy() -> Taxonomy:
    return Taxonomy.from_paths(PATHS, exclusive="given")


def write_predictions(
    folder: Path, splits: dict[str, int], seed: int = 0, batch: int = 7, files: int = 2,
    guessed: dict[str, list[int]] | None = None, untaught: Sequence[str] = (),
    accepted: dict[str, list[float]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Writes ``Split-<name>/part-*.parquet`` and returns what stands in them, in stored order."""
    rng = np.random.default_rng(seed)
    tree = taxonomy()
    columns = PredictionColumns(WORKFLOW, tree, untaught=untaught, guessed=guessed, accepted=accepted)
    found: list[dict[str, Any]] = []
    for split, number in splits.items():
        (folder / f"Split-{split}").mkdir(parents=True, exist_ok=True)
        edges = np.linspace(0, number, files + 1).astype(int)
        for part in range(files):
            first, last = int(edges[part]), int(edges[part + 1])
            raw, outputs, rows = _products(split, first, last - first, rng, tree)
            found += rows
            nothing = (np.zeros(0, np.int64), np.zeros(len(rows) + 1, np.int64))
            raw |= {"label/rule_based": nothing, "rules": (np.zeros(0, object), nothing[1])}
            whole = columns.record_batch(raw, outputs)
            with pq.ParquetWriter(folder / f"Split-{split}" / f"part-{part:05d}.parquet", whole.schema) as writer:
                for start in range(0, max(last - first, 1), batch):
                    writer.write_batch(whole.slice(start, batch))
    return found


def _products(
    split: str, first: int, n: int, rng: np.random.Generator, tree: Taxonomy
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[dict[str, Any]]]:
    ids = [f"{split}-{first + i}" for i in range(n)]
    titles = [HOSTILE[(first + i) % len(HOSTILE)] + f" {first + i}" for i in range(n)]
    raw = {
        "id": np.array([i.encode() for i in ids], object),
        "title": np.array([t.encode() for t in titles], object),
        "retailer": np.array([b"shop-%d" % (i % 3) for i in range(n)], object),
        "availability": np.full(n, b"in stock", object),
        "price": np.full(n, 9.5, np.float32),
    }
    outputs: dict[str, np.ndarray] = {"embedding": rng.normal(size=(n, 4)).astype(np.float32)}
    rows: list[dict[str, Any]] = [
        {"id": i, "title": t, "split": split, "retailer": f"shop-{k % 3}"}
        for k, (i, t) in enumerate(zip(ids, titles, strict=True))
    ]
    for name, objective in WORKFLOW.objectives.items():
        classes = objective.classes(tree)
        scores = rng.dirichlet(np.full(len(classes), 0.4), n).astype(np.float32).reshape(n, len(classes))
        top = np.argsort(-scores, axis=1, kind="stable")[:, :4].astype(np.int32)
        best = np.take_along_axis(scores, top, axis=1)
        outputs |= {
            f"{name}/classes": top,
            f"{name}/probabilities": best,
            f"{name}/rest": (1.0 - best.sum(axis=1)).astype(np.float32),
            # Few different values, so that ties are frequent.
            f"{name}/entropy": rng.integers(0, 8, n).astype(np.float32) / 4.0,
            f"{name}/margin": (best[:, 0] - best[:, 1]).astype(np.float32),
            f"{name}/least_confidence": (1.0 - best[:, 0]).astype(np.float32),
        }
        assigned = (best > 0.3).astype(np.int32)
        if objective.kind == "exclusive":
            labels = np.where(rng.random(n) < 0.6, rng.integers(0, len(classes), n), -1)
            raw[f"label/{name}"] = labels.astype(np.int64)
        else:
            outputs[f"{name}/assigned"] = assigned
        for k, row in enumerate(rows):
            row[name] = {
                "category": classes[top[k, 0]].text,
                "category_id": classes[top[k, 0]].id,
                "probability": float(best[k, 0]),
                **{s: float(outputs[f"{name}/{s}"][k]) for s in ("entropy", "margin", "least_confidence")},
            }
            if objective.kind == "exclusive":
                row[name]["label"] = int(raw[f"label/{name}"][k])
                row[name]["best"] = int(top[k, 0])
            else:
                hits = [classes[c] for c, hit in zip(top[k], assigned[k], strict=True) if hit]
                row[name]["assigned"] = {c.id for hit in hits for c in (*tree.ancestors(hit), hit)}
    return raw, outputs, rows
