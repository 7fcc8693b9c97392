"""The review queue of a run: suspected label errors of all kinds, as a file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modules.label_review.confident_learning import suspected_labels
from modules.label_review.contradictions import contradicted
from modules.label_review.disagreement import disputes
from modules.labels import LabelLog
from modules.labels.model import MODEL
from modules.objectives import Objective, kinds_of, single_label_names
from modules.predictions.read import PredictionFiles
from modules.sampling.table import PredictionTable
from modules.taxonomy import Taxonomy

REVIEW_FILE, FACTS_FILE = "review.jsonl", "review.json"
REASONS = ("label_error", "rule_contradicted", "disagreement")

Row = dict[str, Any]


def label_errors(
    name: str, table: PredictionTable, log: LabelLog, objective: Objective, taxonomy: Taxonomy, most: int, seed: int
) -> list[Row]:
    """People's labels of an exclusive objective that models which have not seen them do not believe."""
    people: dict[str, list[str]] = {}
    reviewed = set()
    for label in log:
        if label.objective == name and label.value == "yes" and label.source != MODEL:
            people.setdefault(label.product_id, []).append(label.annotator)
        if label.source == "review":
            reviewed.add(label.product_id)
    rows = table.rows_of([product for product in people if product not in reviewed])
    rows = rows[table.labels[rows] >= 0]
    if len(rows) == 0:
        return []
    classes = objective.classes(taxonomy)
    vectors = np.asarray(table.embeddings[rows], np.float32)
    suspected = suspected_labels(vectors, table.labels[rows], seed)
    made = []
    for place, suggested, score in zip(suspected.rows[:most], suspected.suggested, suspected.score, strict=False):
        row = int(rows[place])
        product = table.ids[row].as_py()
        made.append(
            {
                "product_id": product, "objective": name, "reason": "label_error",
                "given": classes[int(table.labels[row])].id, "suggested": classes[int(suggested)].id,
                "score": float(score), "annotators": sorted(set(people[product])),
                "split": table.split_names[table.splits[row]],
            }
        )  # fmt: skip
    return made


def contradicted_rules(
    files: PredictionFiles, objectives: Mapping[str, Objective], log: LabelLog, taxonomy: Taxonomy, most: int
) -> list[Row]:
    """Products in a rule's category that the first single-label objective, taught by people, holds for wrong."""
    judge = next(iter(single_label_names(kinds_of(objectives))), None)
    if judge is None:
        return []
    classes = list(objectives[judge].classes(taxonomy))
    answered = {row.product_id for row in log if row.objective == judge and row.value != "retracted"}
    nodes, made = list(taxonomy), []
    for name, objective in objectives.items():
        if not objective.learns_from_rules:
            continue
        for contradiction in contradicted(files, name, judge, classes, taxonomy, most + len(answered)):
            if contradiction.product_id not in answered:
                made.append(
                    {
                        "product_id": contradiction.product_id, "objective": judge, "reason": "rule_contradicted",
                        "given": nodes[contradiction.given].id, "suggested": classes[contradiction.suggested].id,
                        "score": contradiction.score,
                        "rule": ", ".join(contradiction.rules), "split": contradiction.split,
                    }
                )  # fmt: skip
    return made[:most]


def disagreements(log: LabelLog, taxonomy: Taxonomy, most: int) -> list[Row]:
    """Products whose annotators gave different answers."""
    known = {category.id for category in taxonomy}
    made = []
    for dispute in disputes(log, dict(log.kinds))[:most]:
        row: Row = {
            "product_id": dispute.product_id, "objective": dispute.objective, "reason": "disagreement",
            "score": dispute.score,
            "annotators": [f"{who}: {answer}" for answer, names in dispute.answers.items() for who in names],
        }  # fmt: skip
        if dispute.category:
            row["category"] = dispute.category
        answers = [answer for answer in dispute.answers if answer in known]
        if answers:
            row["suggestions"] = [{"category": a, "probability": 1.0 / len(answers)} for a in answers]
        made.append(row)
    return made


def write_review(folder: str, rows: Sequence[Row], facts: Mapping[str, Any]) -> dict[str, int]:
    """Writes the queue, most suspicious first, and ``facts``; gives the number of rows per reason.

    A product is asked about once per objective and category, for its most suspicious reason.
    """
    seen, kept = set(), []
    for row in sorted(rows, key=lambda row: (-row["score"], row["product_id"], row["reason"])):
        key = (row["product_id"], row["objective"], row.get("category"))
        if key not in seen:
            seen.add(key)
            kept.append({**row, "model": facts.get("model")})
    counts = Counter(row["reason"] for row in kept)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, REVIEW_FILE), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in kept)
    with open(os.path.join(folder, FACTS_FILE), "w", encoding="utf-8") as file:
        json.dump({**facts, "reasons": {reason: counts[reason] for reason in REASONS}}, file, indent=1)
    return {reason: counts[reason] for reason in REASONS}
