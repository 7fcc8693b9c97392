"""What the model says of products, and whom it takes for whom, out of a run's predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from labelling.content import Suggestions
from modules.objectives import kind_named, single_label_names
from modules.predictions.columns import CATEGORY_ID, CLASSES, ID, PROBABILITIES, UNCERTAINTIES, objective_column
from modules.predictions.guesses import NAMES
from modules.predictions.read import PredictionFiles
from modules.taxonomy import Taxonomy

TOP = 9
"""Categories that the page suggests: one per number key."""

SHOWN = 6
"""Examples per confusion."""

TEST = "test"


@dataclass
class StoredPredictions:
    """Per product and objective the first categories, and the uncertainties."""

    top: dict[str, dict[str, Suggestions]] = field(default_factory=dict)
    scores: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)


def read_wanted(files: PredictionFiles, taxonomy: Taxonomy, wanted: Collection[str]) -> StoredPredictions:
    """The wanted products' predictions."""
    predictions = StoredPredictions()
    values = pa.array(sorted(wanted), pa.string())
    for name, kind in files.kinds.items():
        ids = [category.id for category in kind_named(kind).classes(taxonomy)]
        classes, probabilities = objective_column(name, CLASSES), objective_column(name, PROBABILITIES)
        # A head that has learnt nothing says the same of every category: its order would be taken for a guess.
        category, guessed = objective_column(name, CATEGORY_ID), files.guessed.get(name, frozenset())
        column_of_score = {score: objective_column(name, score) for score in sorted(UNCERTAINTIES)}
        for batch in files.scan([ID, category, classes, probabilities, *column_of_score.values()]):
            for row in batch.filter(pc.is_in(batch.column(ID), value_set=values)).to_pylist():
                pairs = zip(row[classes], row[probabilities], strict=True)
                top = [(ids[i], float(p), NAMES) if i in guessed else (ids[i], float(p)) for i, p in pairs][:TOP]
                if row[category] is not None:
                    predictions.top.setdefault(row[ID], {})[name] = top
                scores: dict[str, float] = {score: float(row[column]) for score, column in column_of_score.items()}
                predictions.scores.setdefault(row[ID], {})[name] = scores
    return predictions


def confusions(files: PredictionFiles, taxonomy: Taxonomy) -> dict[tuple[str, str, str], tuple[int, list[str]]]:
    """For single-label objectives: (objective, label, predicted) to the number of labelled test products, and ids."""
    counts: Counter[tuple[str, str, str]] = Counter()
    examples: dict[tuple[str, str, str], list[str]] = {}
    for name in single_label_names(files.kinds):
        kind = kind_named(files.kinds[name])
        ids = [category.id for category in kind.classes(taxonomy)]
        label = objective_column(name, kind.answer_column)
        predicted = objective_column(name, kind.membership_column)
        for batch in files.scan([ID, label, predicted], TEST):
            for row in batch.filter(pc.greater_equal(batch.column(label), 0)).to_pylist():
                key = (name, ids[row[label]], row[predicted])
                counts[key] += 1
                kept = examples.setdefault(key, [])
                if len(kept) < SHOWN:
                    kept.append(row[ID])
    return {key: (count, examples[key]) for key, count in counts.items()}
