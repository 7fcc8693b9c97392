"""The end of a run: what it did, in a few lines and as an HTML report."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from modules.objectives import classes_of
from modules.paths import near
from modules.predictions.read import PredictionFiles
from modules.reporting.collect import bad_examples, category_rows, counts_of, top_level, training_of
from modules.reporting.model import (
    Blessing,
    HistoryPoint,
    ObjectiveReport,
    Predicted,
    Report,
    Timing,
    main_figures,
)
from modules.reporting.page import write_report
from modules.reporting.predicted import read_predicted
from modules.reporting.text import print_summary
from modules.taxonomy import Taxonomy
from pipeline.blessing import blessing_of
from pipeline.indexes import indexes_of
from pipeline.labelling_gain import labelling_gain
from pipeline.measured import Measured
from pipeline.runs import Run, Runs
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.local import RunResult

T = TypeVar("T")
_log = logging.getLogger(__name__)

HISTORY = 20
"""Runs in the report's history."""


def summarise(loaded: LoadedWorkflow, result: RunResult, console: Console) -> Path | None:
    """Prints what the run did and writes its HTML report.

    A part that cannot be read is said in words; a report that cannot be written ends no run.

    Returns:
      The report's path, None if it could not be written.
    """
    missing: list[str] = []
    runs = _try("ML Metadata", lambda: Runs.of(loaded), missing)
    report = collect(loaded, result, runs, missing) if runs is not None else _bare(loaded, result, missing)
    path = result.folder.reports / f"{result.run_id.replace(':', '-')}.html"
    written = _try("the HTML report", lambda: _write(report, path), missing)
    print_summary(report, console, report_file=near(path) if written else None, missing=missing)
    return path if written else None


def collect(loaded: LoadedWorkflow, result: RunResult, runs: Runs, missing: list[str]) -> Report:
    """All that is known about the run; sentences about what could not be read are added to ``missing``."""
    run = _try("the run in ML Metadata", lambda: runs.find(result.run_id), missing)
    if run is None:
        return _bare(loaded, result, missing)
    taxonomy = _try("the taxonomy", run.taxonomy, missing)
    found = _try("the metrics", lambda: _metrics(runs, run), missing) or []
    predicted: dict[str, Predicted] | None = None
    if "predictions" in run.outputs and taxonomy is not None:
        folder = run.outputs["predictions"].folder
        predicted = _try("the predictions", lambda: read_predicted(PredictionFiles(folder), taxonomy), missing)
    now = found[-1][1] if found and found[-1][0] == run.id else None
    earlier = found[:-1] if now else found
    previous, before = earlier[-1] if now and earlier else (None, None)
    gains = _try("what labelling on would gain", lambda: _gains(loaded, runs, run, found), missing) or {}
    objectives = [
        _objective(
            loaded,
            name,
            taxonomy,
            now,
            before,
            found if now else [],
            (predicted or {}).get(name),
            gains.get(name, ()),
        )  # fmt: skip
        for name in loaded.workflow.objectives
    ]
    training = None
    if "model" in run.outputs:
        training = _try("what training did", lambda: training_of(run.outputs["model"].folder), missing)
    examples = run.outputs.get("examples")
    quarantine = run.outputs.get("quarantine")
    bad = _try("the quarantine", lambda: bad_examples(quarantine.folder), missing) if quarantine else None
    return Report(
        workflow=loaded.workflow.name,
        run=run.id,
        seconds=sum(step.seconds for step in result.steps),
        counts=counts_of(examples.properties) if examples else None,
        steps=_timings(result),
        objectives=objectives,
        indexes=_try("what the similarity indexes reach", lambda: indexes_of(run, taxonomy), missing) or (),
        previous=previous,
        unchanged=now is not None and before is not None and before.artifact == now.artifact,
        blessing=_try("the model's blessing", lambda: blessing_of(run, now, loaded.workflow), missing)
        or Blessing("unknown", "it is not known whether the model is blessed"),
        training=training,
        quarantine=bad or (),
        places=_places(run, result),
        missing=tuple(missing),
    )


def _bare(loaded: LoadedWorkflow, result: RunResult, missing: list[str]) -> Report:
    seconds = sum(step.seconds for step in result.steps)
    return Report(loaded.workflow.name, result.run_id, seconds, steps=_timings(result), missing=tuple(missing))


def _try(what: str, read: Callable[[], T], missing: list[str]) -> T | None:
    """The result of ``read``, or None and a sentence: a run that worked must not fail in its report."""
    try:
        return read()
    except Exception as error:
        _log.exception("%s could not be read", what)
        reason = str(error).strip().splitlines()
        missing.append(f"{what}: {reason[0] if reason else type(error).__name__}")
        return None


def _metrics(runs: Runs, run: Run) -> list[tuple[str, Measured]]:
    """(run, metrics) of the run and those before it, the run itself last if it has any."""
    known: dict[int, Measured] = {}
    found = []
    for name, output in runs.until(run.id, "metrics", HISTORY):
        if output.id not in known:
            known[output.id] = Measured.of(output)
        found.append((name, known[output.id]))
    return found


def _objective(
    loaded: LoadedWorkflow,
    name: str,
    taxonomy: Taxonomy | None,
    now: Measured | None,
    before: Measured | None,
    history: list[tuple[str, Measured]],
    predicted: Predicted | None,
    labelling: Sequence[str],
) -> ObjectiveReport:
    settings = loaded.workflow.objectives[name]
    values = now.values.get(name, {}) if now else {}
    measured = now.categories(name) if now else {}
    old = before.categories(name) if before else {}
    paths = {identity: path for identity, (path, _) in measured.items()}
    if taxonomy is not None:
        # In the order of the classes, which the predictions are counted by.
        paths = {c.id: c.text for c in classes_of(settings, taxonomy)}
    return ObjectiveReport(
        name=name,
        kind=settings.kind,
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
        top_level=top_level(taxonomy, classes_of(settings, taxonomy), predicted) if taxonomy and predicted else (),
        labelling=labelling,
    )


def _gains(
    loaded: LoadedWorkflow, runs: Runs, run: Run, metrics: list[tuple[str, Measured]]
) -> dict[str, Sequence[str]]:
    """Objective to sentences about the next batch."""
    sampling = loaded.workflow.sampling
    if sampling is None or "labelling_batch" not in run.outputs:
        return {}
    batches = runs.until(run.id, "labelling_batch", HISTORY)
    found = {name: labelling_gain(name, batches, metrics, sampling) for name in loaded.workflow.objectives}
    return {name: gain.reasons for name, gain in found.items() if gain is not None}


def _failed(row: dict[str, Any]) -> str:
    reached = "has no F1" if row.get("f1") is None else f"F1 {row['f1']:.3f}"
    return f"{row['path']}: {reached}, needed {row['bound']:g}"


def _timings(result: RunResult) -> list[Timing]:
    return [Timing(step.component, step.state, step.seconds) for step in result.steps]


def _places(run: Run, result: RunResult) -> list[tuple[str, str]]:
    """What lies where; only what is there."""
    found = []
    titles = {
        "labelling_batch": "next batch",
        "label_review": "label review",
        "similarity_index": "similarity",
        "predictions": "predictions",
        "model": "model",
        "quarantine": "quarantine",
    }
    for key, title in titles.items():
        if key in run.outputs:
            found.append((title, near(run.outputs[key].folder)))
    published = run.outputs.get("published_predictions")
    if published is not None and published.properties.get("products"):
        newest = run.outputs.get("predictions")
        same = newest is not None and published.properties.get("model") == newest.properties.get("model")
        found.append(("published", f"{near(published.folder)}{'' if same else ' (by the last blessed model)'}"))
    pushed = run.outputs.get("pushed_model")
    if pushed is not None and pushed.properties.get("pushed_destination"):
        found.append(("pushed model", near(Path(str(pushed.properties["pushed_destination"])))))
    index = run.outputs.get("pushed_index")
    if index is not None and index.properties.get("pushed_destination"):
        found.append(("pushed index", near(Path(str(index.properties["pushed_destination"])))))
    url = result.folder.metadata
    # A database URL may hold a password.
    shown = near(Path(url)) if "://" not in url else f"{url.partition('://')[0]}://{url.rpartition('@')[2]}"
    found += [("metadata", shown), ("log", near(result.log))]
    return found


def _write(report: Report, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(report, path)
    # A copy and no link: a browser's download or a zip of the folder keeps it.
    latest = path.with_name("latest.html")
    part = path.with_name(".latest.html")
    shutil.copyfile(path, part)
    part.replace(latest)
    return path
