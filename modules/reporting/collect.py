"""From what lies in a run's folders to the report's parts; plain files and dictionaries in, :mod:`.model` out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from modules.counting import counted
from modules.examples import MODEL_FACTS, Counts
from modules.reporting.model import BadExample, CategoryRow, Estimate, Predicted, Training, Tuning
from modules.taxonomy import Category, Taxonomy

TUNER_RESULTS = "tuner_results.json"
PER_REASON = 5
_LINES = 50_000
"""Lines of quarantine that are looked at for examples: a reason that is rarer than that has none."""


def counts_of(properties: Mapping[str, object]) -> Counts:
    """What was read, out of the examples artifact's properties."""
    return Counts.from_properties(properties)


def category_rows(
    paths: Mapping[str, str],
    measured: Mapping[str, Mapping[str, float]],
    before: Mapping[str, Mapping[str, float]],
    predicted: Predicted | None,
) -> list[CategoryRow]:
    """One row per category.

    Args:
      paths: category id to its path, in the order of the classes (which ``predicted`` counts).
      measured, before: category id to its figures in this run and in the last one.
      predicted: counts per class, if there are predictions.
    """
    known = predicted if predicted is not None and len(predicted.predicted) == len(paths) else None
    rows = []
    for index, (identity, path) in enumerate(paths.items()):
        values = measured.get(identity, {})
        rows.append(
            CategoryRow(
                identity,
                path,
                Estimate.of(values, "f1"),
                values.get("precision"),
                values.get("recall"),
                values.get("auc"),
                values.get("support", 0.0),
                int(values.get("examples", 0)),
                int(known.predicted[index]) if known is not None else None,
                int(known.labelled[index]) if known is not None and known.labelled is not None else None,
                before.get(identity, {}).get("f1"),
            )
        )
    return rows


def top_level(
    taxonomy: Taxonomy, classes: Sequence[Category], predicted: Predicted
) -> list[tuple[str, int, int | None]]:
    """(name, predicted products, labelled products) per root, most predicted first.

    Exclusive classes are added up under their root. Independent categories hold their ancestors already, so that the
    root's own count is the whole.
    """
    exclusive = predicted.labelled is not None
    counts_by_root: dict[str, list[int]] = {}
    for index, category in enumerate(classes):
        root = taxonomy.top(category)
        if exclusive or category.id == root.id:
            sums = counts_by_root.setdefault(root.name, [0, 0])
            sums[0] += int(predicted.predicted[index])
            sums[1] += int(predicted.labelled[index]) if predicted.labelled is not None else 0
    rows = [(name, a, b if exclusive else None) for name, (a, b) in counts_by_root.items() if a or b]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def training_of(model: Path) -> Training | None:
    """What training did, from the facts beside the SavedModel; None if there are none.

    Args:
      model: the model artifact's folder.
    """
    file = next((f for f in (model / "Format-Serving" / MODEL_FACTS, model / MODEL_FACTS) if f.is_file()), None)
    if file is None:
        return None
    facts: dict[str, Any] = json.loads(file.read_text("utf-8"))
    result, settings = facts.get("result", {}), facts.get("model", {})
    training = facts.get("training", {})
    solver = training.get("solver", "?")
    # Old facts have the settings of every way of training; one in closed form ran no epoch.
    if "batch_size" in training and result.get("epochs"):
        solver += f", batches of {training['batch_size']}"
        solver += f", {result['epochs']} epochs, the best was number {result.get('best_epoch', 0)}"
    elif "liblinear_c" in training:
        chosen = ", ".join(f"{c:g} for {name}" for name, c in result.get("penalties", {}).items())
        given = training["liblinear_c"]
        solver += f", C {chosen if given is None else given}"
    # Old facts have hidden layers of every kind.
    kind, hidden = settings.get("kind", "?"), " x ".join(map(str, settings.get("hidden", ())))
    layers = f", hidden {hidden}" if hidden and kind not in ("linear", "lsa") else ""
    shown = [
        ("model", f"{kind}{layers}"),
        *([("chosen", facts["chosen"])] if facts.get("chosen") else []),
        ("parameters", f"{facts.get('parameters', 0):,}"),
        ("features", ", ".join(facts.get("features", {}))),
        ("solver", solver),
        ("fitted in", f"{result.get('seconds', 0.0):.1f} s"),
        ("embedding", f"{facts.get('embedding_width', '?')} numbers per product"),
    ]
    if tuned := facts.get("tuned"):
        shown.append(("found by the Tuner", ", ".join(f"{name} {_shown(value)}" for name, value in tuned.items())))
    for name, counts in facts.get("training_labels", {}).items():
        few = sum(1 for count in counts if 0 < count < 5)
        none = sum(1 for count in counts if count == 0)
        text = f"{sum(counts):,} in {counted(len(counts), 'category')}; {none:,} without any, {few:,} with fewer than 5"
        shown.append((f"training labels of {name}", text))
    committee = facts.get("committee")
    if committee:
        count = len(committee.get("weights", {}).get(next(iter(committee.get("weights", {})), ""), ())) or 1
        text = f"{count} kept, by {committee.get('by', '?')}, combined by {committee.get('combine', '?')}"
        shown.append(("committee", text))
    for name, weights in (committee or {}).get("weights", {}).items():
        shown.append((f"members' weights in {name}", ", ".join(f"{weight:.2f}" for weight in weights)))
    for name, value in facts.get("calibration", {}).get("temperature", {}).items():
        shown.append((f"temperature of {name}", f"{value:.3f}"))
    shown.append(("seed", str(facts.get("seed", "?"))))
    return Training(int(result.get("epochs", 0)), int(result.get("best_epoch", 0)), result.get("history", {}), shown)


def tuning_of(results: Path, properties: Mapping[str, object]) -> Tuning:
    """The Tuner's trials.

    Args:
      results: the folder of the artifact ``tuner_results``.
      properties: its properties.
    """
    rows: list[dict[str, Any]] = json.loads((results / TUNER_RESULTS).read_text("utf-8"))
    names = list(dict.fromkeys(name for row in rows for name in row if name not in ("trial_id", "score")))
    trials = [(float(row["score"]), [_shown(row.get(name)) for name in names]) for row in rows]
    trials.sort(key=lambda trial: -trial[0])
    return Tuning(str(properties.get("objective", "")), str(properties.get("metric", "score")), names, trials)


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value}"


def bad_examples(quarantine: Path, per_reason: int = PER_REASON) -> list[BadExample]:
    """The first bad records of each reason, of ``quarantine-*.jsonl.gz`` in a folder, sorted by reason."""
    examples_by_reason: dict[str, list[BadExample]] = {}
    left = _LINES
    for file in sorted(quarantine.glob("quarantine-*.jsonl.gz")):
        with gzip.open(file, "rb") as stream:
            for line in islice(stream, left):
                left -= 1
                record = json.loads(line)
                kept = examples_by_reason.setdefault(record["reason"], [])
                if len(kept) < per_reason:
                    place = f"{record['file']}:{record['line']}"
                    kept.append(BadExample(record["reason"], place, record["detail"], record["raw"]))
    return [example for reason in sorted(examples_by_reason) for example in examples_by_reason[reason]]


def bins_of(reliability: np.ndarray) -> list[tuple[float, float, int]]:
    """(mean probability, share of hits, products) of the bins that have products."""
    products, confidence, hits = reliability
    return [(float(confidence[i] / n), float(hits[i] / n), int(n)) for i, n in enumerate(products.tolist()) if n > 0]
