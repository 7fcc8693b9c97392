"""A run's report out of its artifacts, wherever the run was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from modules.errors import reason
from modules.objectives import Objective
from modules.predictions.read import PredictionFiles
from modules.reporting.collect import bad_examples, category_rows, counts_of, top_level, training_of, tuning_of
from modules.reporting.model import (
    Blessing,
    HistoryPoint,
    ObjectiveReport,
    Predicted,
    Report,
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
      workflow: its name. objectives: its objectives.
      metrics: (run, metrics) of this run and those before it, this run last if it has any.
      labelling: objective to sentences about what labelling on would gain.
    """
    taxonomy = attempt("the taxonomy", run.taxonomy, missing)
    predicted: dict[str, Predicted] | None = None
    if "predictions" in run.outputs and taxonomy is not None:
        files = attempt("the predictions", lambda: PredictionFiles(run.folder("predictions")), missing)
        if files is not None:
            predicted = attempt("the predictions", lambda: read_predicted(files, taxonomy), missing)
    now = metrics[-1][1] if metrics and metrics[-1][0] == run.id else None
    earlier = metrics[:-1] if now else metrics
    previous, before = earlier[-1] if now and earlier else (None, None)
    reports = [
        _objective(
            name,
            objective,
            taxonomy,
            now,
            before,
            metrics if now else [],
            (predicted or {}).get(name),
            (labelling or {}).get(name, ()),
        )
        for name, objective in objectives.items()
    ]
    training = None
    if "model" in run.outputs:
        training = attempt("what training did", lambda: training_of(run.folder("model")), missing)
    trials = run.outputs.get("tuner_results")
    examples = run.outputs.get("examples")
    bad = None
    if "quarantine" in run.outputs:
        bad = attempt("the quarantine", lambda: bad_examples(run.folder("quarantine")), missing)
    return Report(
        workflow=workflow,
        run=run.id,
        seconds=sum(step.seconds for step in steps),
        counts=counts_of(examples.properties) if examples else None,
        steps=steps,
        objectives=reports,
        indexes=attempt("what the similarity indexes reach", lambda: indexes_of(run, taxonomy), missing) or (),
        previous=previous,
        unchanged=now is not None and before is not None and before.artifact == now.artifact,
        blessing=attempt("the model's blessing", lambda: blessing_of(run, now), missing)
        or Blessing("unknown", "it is not known whether the model is blessed"),
        training=training,
        tuning=attempt("the Tuner's trials", lambda: tuning_of(run.folder("tuner_results"), trials.properties), missing)
        if trials
        else None,
        quarantine=bad or (),
        places=places,
        missing=tuple(missing),
    )


def _objective(
    name: str,
    objective: Objective,
    taxonomy: Taxonomy | None,
    now: Measured | None,
    before: Measured | None,
    history: Sequence[tuple[str, Measured]],
    predicted: Predicted | None,
    labelling: Sequence[str],
) -> ObjectiveReport:
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
        history=[HistoryPoint(run, metrics.values[name]) for run, metrics in history if name in metrics.values],
        failed=[_failed(row) for row in (now.failed.get(name, []) if now else [])],
        predicted=predicted,
        top_level=top_level(taxonomy, objective.classes(taxonomy), predicted) if taxonomy and predicted else (),
        labelling=labelling,
    )


def _failed(row: dict[str, Any]) -> str:
    reached = "has no F1" if row.get("f1") is None else f"F1 {row['f1']:.3f}"
    return f"{row['path']}: {reached}, needed {row['bound']:g}"
