"""A run's report out of its artifacts, wherever the run was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from modules.errors import reason
from modules.metrics.disparity import disparities
from modules.metrics.per_retailer import EXAMPLES, by_retailer
from modules.objectives import Objective
from modules.predictions.read import PredictionFiles
from modules.reporting.acceptance import acceptance_sentences
from modules.reporting.collect import bad_examples, category_rows, counts_of, top_level, training_of, tuning_of
from modules.reporting.model import (
    Blessing,
    HistoryPoint,
    ObjectiveReport,
    Predicted,
    Report,
    RetailerRow,
    Timing,
    main_figures,
)
from modules.reporting.predicted import read_predicted
from modules.taxonomy import Taxonomy
from pipeline.blessing_report import blessing_of
from pipeline.indexes import indexes_of
from pipeline.measured import Measured
from pipeline.runs import Run

T = TypeVar("T")
_log = logging.getLogger(__name__)


def attempt(what: str, read: Callable[[], T], missing: list[str]) -> T | None:
    """The result of ``read``, or None and a sentence in ``missing``: a run that worked must not fail in its report."""
    try:
        return read()
    except Exception as error:
        _log.exception("%s could not be read", what)
        missing.append(f"{what}: {reason(error, file=True)}")
        return None


class _History(NamedTuple):
    """A run's metrics beside those of the runs before it.

    Attributes:
      now: of the run itself; None: it has none, and is compared with no other.
      previous: the run before it. before: that run's metrics.
      runs: (run, metrics) of all runs, this one last.
    """

    now: Measured | None = None
    previous: str | None = None
    before: Measured | None = None
    runs: Sequence[tuple[str, Measured]] = ()

    @classmethod
    def of(cls, run: str, metrics: Sequence[tuple[str, Measured]]) -> _History:
        if not metrics or metrics[-1][0] != run:
            return cls()
        previous, before = metrics[-2] if len(metrics) > 1 else (None, None)
        return cls(metrics[-1][1], previous, before, metrics)


def report_of(
    workflow: str,
    objectives: Mapping[str, Objective],
    run: Run,
    missing: list[str],
    *,
    metrics: Sequence[tuple[str, Measured]],
    labelling: Mapping[str, Sequence[str]] | None = None,
    steps: Sequence[Timing] = (),
    places: Sequence[tuple[str, str]] = (),
) -> Report:
    """All that the run's artifacts tell; sentences about what could not be read are added to ``missing``.

    Args:
      workflow: its name.
      objectives: its objectives.
      metrics: (run, metrics) of this run and those before it, this run last if it has any.
      labelling: objective to sentences about what labelling on would gain.
    """

    def read(what: str, output: str, reader: Callable[[Path], T]) -> T | None:
        """What ``reader`` makes of the folder of an output, if the run has that output."""
        return attempt(what, lambda: reader(run.folder(output)), missing) if output in run.outputs else None

    taxonomy = attempt("the taxonomy", run.taxonomy, missing)
    predicted: dict[str, Predicted] = {}
    if taxonomy is not None:
        known = taxonomy
        predicted = read("the predictions", "predictions", lambda f: read_predicted(PredictionFiles(f), known)) or {}
    history = _History.of(run.id, metrics)
    now, before = history.now, history.before
    reports = [
        _objective(name, objective, taxonomy, history, predicted.get(name), (labelling or {}).get(name, ()))
        for name, objective in objectives.items()
    ]
    examples = run.outputs.get("examples")
    training = read("what training did", "model", training_of)
    quarantine = read("the quarantine", "quarantine", bad_examples)
    return Report(
        workflow=workflow,
        run=run.id,
        seconds=sum(step.seconds for step in steps),
        counts=counts_of(examples.properties) if examples else None,
        steps=steps,
        objectives=reports,
        indexes=attempt("what the similarity indexes reach", lambda: indexes_of(run, taxonomy), missing) or (),
        previous=history.previous,
        unchanged=now is not None and before is not None and before.artifact == now.artifact,
        blessing=attempt("the model's blessing", lambda: blessing_of(run, now), missing)
        or Blessing("unknown", "it is not known whether the model is blessed"),
        training=training,
        tuning=read(
            "the Tuner's trials",
            "tuner_results",
            lambda folder: tuning_of(folder, run.outputs["tuner_results"].properties),
        ),
        quarantine=quarantine or (),
        places=places,
        missing=tuple(missing),
    )


def _objective(
    name: str,
    objective: Objective,
    taxonomy: Taxonomy | None,
    history: _History,
    predicted: Predicted | None,
    labelling: Sequence[str],
) -> ObjectiveReport:
    now, before = history.now, history.before
    values = now.values.get(name, {}) if now else {}
    measured = now.categories(name) if now else {}
    old = before.categories(name) if before else {}
    paths = {identity: path for identity, (path, _) in measured.items()}
    if taxonomy is not None:
        # In the order of the classes, which the predictions are counted by.
        paths = {c.id: c.text for c in objective.classes(taxonomy)}
    return ObjectiveReport(
        name=name,
        kind=objective.kind,
        measured=int(values.get("example_count", 0)),
        figures=main_figures(values, before.values.get(name) if before else None),
        categories=category_rows(
            paths,
            {identity: figures for identity, (_, figures) in measured.items()},
            {identity: figures for identity, (_, figures) in old.items()},
            predicted,
        ),
        history=[HistoryPoint(run, metrics.values[name]) for run, metrics in history.runs if name in metrics.values],
        failed=[_failed(row) for row in (now.failed.get(name, []) if now else [])],
        predicted=predicted,
        top_level=top_level(taxonomy, objective.classes(taxonomy), predicted) if taxonomy and predicted else (),
        labelling=labelling,
        acceptance=acceptance_sentences(values),
        disparities=disparities(values),
        imitates=objective.learns_from_rules,
        retailers=[
            RetailerRow(retailer, int(own.get(EXAMPLES, 0)), main_figures(own))
            for retailer, own in by_retailer(values).items()
        ],
    )


def _failed(row: dict[str, Any]) -> str:
    reached = "has no F1" if row.get("f1") is None else f"F1 {row['f1']:.3f}"
    return f"{row['path']}: {reached}, needed {row['bound']:g}"
