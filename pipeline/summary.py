"""The end of a run: what it did, in a few lines and as an HTML report."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modules.paths import near
from modules.reporting.model import Report, Timing
from modules.reporting.page import write_report
from modules.reporting.text import print_summary
from pipeline.labelling_gain import labelling_gain
from pipeline.measured import HISTORY, Measured, metrics_until
from pipeline.model_card import card_place, write_card_of
from pipeline.next_steps import next_steps
from pipeline.report import attempt, report_of
from pipeline.runs import Run, Runs
from pipeline.workflow_file import LoadedWorkflow

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.local import RunResult


def summarise(loaded: LoadedWorkflow, result: RunResult, console: Console) -> Path | None:
    """Prints what the run did and writes its HTML report.

    A part that cannot be read becomes a sentence in the report; a report that cannot be written does not end the run.

    Returns:
      The report's path, None if it could not be written.
    """
    missing: list[str] = []
    runs = attempt("ML Metadata", lambda: Runs.of(loaded), missing)
    report = collect(loaded, result, runs, missing) if runs is not None else _bare(loaded, result, missing)
    card = attempt("the model card", lambda: _write_card(loaded, result, runs), missing) if runs is not None else None
    if card is not None:
        report = replace(report, places=[*report.places, ("model card", near(card))], missing=tuple(missing))
    path = result.folder.reports / f"{result.run_id.replace(':', '-')}.html"
    written = attempt("the HTML report", lambda: _write(report, path), missing)
    run = attempt("what to do next", lambda: runs.find(result.run_id), missing) if runs is not None else None
    steps = next_steps(loaded, run) if run is not None else []
    print_summary(report, console, report_file=near(path) if written else None, missing=missing, steps=steps)
    return path if written else None


def collect(loaded: LoadedWorkflow, result: RunResult, runs: Runs, missing: list[str]) -> Report:
    """All that is known about the run; sentences about what could not be read are added to ``missing``."""
    run = attempt("the run in ML Metadata", lambda: runs.find(result.run_id), missing)
    if run is None:
        return _bare(loaded, result, missing)
    metrics = attempt("the metrics", lambda: metrics_until(runs, run), missing) or []
    return report_of(
        loaded.workflow.name,
        loaded.workflow.objectives,
        run,
        missing,
        metrics=metrics,
        labelling=attempt("what labelling on would gain", lambda: _gains(loaded, runs, run, metrics), missing),
        steps=_timings(result),
        places=_places(run, result),
    )


def _bare(loaded: LoadedWorkflow, result: RunResult, missing: list[str]) -> Report:
    seconds = sum(step.seconds for step in result.steps)
    return Report(loaded.workflow.name, result.run_id, seconds, steps=_timings(result), missing=tuple(missing))


def _gains(
    loaded: LoadedWorkflow, runs: Runs, run: Run, metrics: list[tuple[str, Measured]]
) -> dict[str, Sequence[str]]:
    """Objective to sentences about the next batch."""
    sampling = loaded.workflow.sampling
    if sampling is None or "labelling_batch" not in run.outputs:
        return {}
    records = dict(runs.until(run.id, "batch_record", HISTORY))
    batches = [
        (name, {**batch.properties, **(records[name].properties if name in records else {})})
        for name, batch in runs.until(run.id, "labelling_batch", HISTORY)
    ]
    gains = {name: labelling_gain(name, batches, metrics, sampling) for name in loaded.workflow.objectives}
    return {name: gain.reasons for name, gain in gains.items() if gain is not None}


def _timings(result: RunResult) -> list[Timing]:
    return [Timing(step.component, step.state, step.seconds) for step in result.steps]


def _places(run: Run, result: RunResult) -> list[tuple[str, str]]:
    """The outputs that exist, each with its place."""
    places = []
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
            places.append((title, near(run.outputs[key].folder)))
    published = run.outputs.get("published_predictions")
    if published is not None and published.properties.get("products"):
        newest = run.outputs.get("predictions")
        same = newest is not None and published.properties.get("model") == newest.properties.get("model")
        places.append(("published", f"{near(published.folder)}{'' if same else ' (by the last blessed model)'}"))
    pushed = run.outputs.get("pushed_model")
    if pushed is not None and pushed.properties.get("pushed_destination"):
        places.append(("pushed model", near(Path(str(pushed.properties["pushed_destination"])))))
    index = run.outputs.get("pushed_index")
    if index is not None and index.properties.get("pushed_destination"):
        places.append(("pushed index", near(Path(str(index.properties["pushed_destination"])))))
    url = result.folder.metadata
    # A database URL may hold a password.
    shown = near(Path(url)) if "://" not in url else f"{url.partition('://')[0]}://{url.rpartition('@')[2]}"
    places += [("metadata", shown), ("log", near(result.log))]
    return places


def _write_card(loaded: LoadedWorkflow, result: RunResult, runs: Runs) -> Path | None:
    """Of a model that the run pushed, beside it; None: it pushed none, or took the push from the cache."""
    run = runs.find(result.run_id)
    place = card_place(result.folder, run)
    if place is None or place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    write_card_of(loaded, run, place)
    return place


def _write(report: Report, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_report(report, path)
    # A copy and no link: a browser's download or a zip of the folder keeps it.
    latest = path.with_name("latest.html")
    part = path.with_name(".latest.html")
    shutil.copyfile(path, part)
    part.replace(latest)
    return path
