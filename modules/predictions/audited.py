"""Asks a model about the audited test products, and fits what is accepted of its predictions.

The test split is the one that neither training nor calibration sees: the eval split chooses temperatures and epochs,
and ``refit_on_eval`` trains on it. Labels that a strategy picked would bias the precision, and do not count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from modules.arrays import IntpArray
from modules.examples import eval_weight
from modules.objectives.class_tables import ClassTables
from modules.predictions.acceptance import Acceptance, Audited, fit_acceptance
from modules.predictions.columns import CLASSES, PROBABILITIES, objective_column
from modules.predictions.predict import as_arrays, models_of
from modules.settings.workflow import Workflow
from modules.taxonomy import Taxonomy

_BATCH = 512


def fitted_acceptance(
    model: str,
    sources: Sequence[str],
    workflow: Workflow,
    taxonomy: Taxonomy,
    labels_taxonomy: Taxonomy,
    untaught: Collection[str] = (),
    guessed: Mapping[str, Collection[int]] | None = None,
) -> dict[str, Acceptance]:
    """What is accepted of each objective that asks for it.

    Args:
      model: SavedModel folder. sources: gzipped TFRecord files of the test split's raw examples.
      taxonomy: the model's. labels_taxonomy: of the examples' labels.
      untaught: objectives that the model learnt nothing for, of which nothing is accepted.
      guessed: objective to the classes that the model knows by their names alone; nothing of them is accepted.
    """
    asked = {name: objective for name, objective in workflow.objectives.items() if objective.accepts is not None}
    if not asked:
        return {}
    tables = {name: ClassTables(o.classes(taxonomy), taxonomy, o.classes(labels_taxonomy)) for name, o in asked.items()}
    parts: dict[str, list[Audited]] = {name: [] for name in asked}
    for raw, drawn, outputs in _audited(model, sources, workflow, list(asked)):
        for name, objective in asked.items():
            weight = raw[eval_weight(name)].astype(np.float64)
            label = objective.label_classes(name, tables[name], raw)
            picked = int(((label >= 0) & (weight == 0.0)).sum())
            rows = np.flatnonzero(weight[drawn] > 0.0)
            best = outputs[objective_column(name, CLASSES)][rows, 0].astype(np.int64)
            probability = outputs[objective_column(name, PROBABILITIES)][rows, 0]
            # A product that was drawn and is in none of the categories has the label -1: whatever is said is wrong.
            right = best == label[drawn][rows]
            parts[name].append(Audited(best, probability, right, weight[drawn][rows], picked))
    fitted = {}
    for name, objective in asked.items():
        never = range(len(tables[name].classes)) if name in untaught else (guessed or {}).get(name, ())
        assert objective.accepts is not None
        lineages = tables[name].lineages.to_pylist()
        fitted[name] = fit_acceptance(_joined(parts[name]), objective.accepts, lineages, list(never))
    return fitted


def _joined(parts: Sequence[Audited]) -> Audited:
    empty = Audited(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, bool), np.zeros(0))
    every = [empty, *parts]
    return Audited(
        np.concatenate([part.predicted for part in every]),
        np.concatenate([part.probability for part in every]),
        np.concatenate([part.right for part in every]),
        np.concatenate([part.weight for part in every]),
        sum(part.picked for part in every),
    )


def _audited(
    model: str, sources: Sequence[str], workflow: Workflow, objectives: Sequence[str]
) -> Iterator[tuple[dict[str, Any], IntpArray, dict[str, np.ndarray]]]:
    """Batches of parsed labels, the rows that were drawn for any objective, and the model's outputs of these rows."""
    asking = models_of(model)[0]
    spec: dict[str, Any] = {}
    for name in objectives:
        spec |= workflow.objectives[name].prediction_spec(name)
        spec[eval_weight(name)] = tf.io.FixedLenFeature([], tf.float32, 0.0)
    wanted = [objective_column(name, part) for name in objectives for part in (CLASSES, PROBABILITIES)]
    records = tf.data.TFRecordDataset(list(sources), compression_type="GZIP", buffer_size=2**20)
    for serialised in records.batch(_BATCH).prefetch(2):
        raw = {name: as_arrays(value) for name, value in tf.io.parse_example(serialised, spec).items()}
        drawn = np.flatnonzero(np.any([raw[eval_weight(name)] > 0.0 for name in objectives], axis=0))
        # oneDNN's convolutions answer an empty batch in another shape.
        outputs = asking(tf.gather(serialised, drawn if len(drawn) else [0]))
        yield raw, drawn, {name: outputs[name].numpy() for name in wanted}
