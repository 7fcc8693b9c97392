"""``shelfmark drift``: whether the last day's feed is another than the one that the published model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from modules.counting import counted
from modules.paths import near
from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, load
from shelfmark.cli.predict import reading_progress

if TYPE_CHECKING:
    from pipeline.drift import FeedDrift
    from pipeline.workflow_file import LoadedWorkflow

DRIFTED = 3
"""Exit code."""


def drift(as_json: JsonOption = False, workflow: WorkflowOption = None, overrides: SetOption = None) -> None:
    """Compare the feed of the last `shelfmark predict` with the training feed; exit code 3 if something has drifted."""
    import json

    from modules.reporting.drift import drift_document, write_drift
    from pipeline.drift import feed_drift
    from pipeline.run_folder import RunFolder

    loaded = load(workflow, overrides)
    with reading_progress():
        result = feed_drift(loaded)
    page = RunFolder.of(loaded.workflow).daily / "drift.html"
    facts = {"workflow": loaded.workflow.name, "run": result.run, "before": result.before, "after": result.after}
    write_drift(result.comparisons, page, f"{loaded.workflow.name}: drift", [_compared(result)])
    if as_json:
        typer.echo(json.dumps(drift_document(result.comparisons, facts), ensure_ascii=False, indent=2))
    else:
        _tell(loaded, result, near(page))
    if result.alarms:
        raise typer.Exit(DRIFTED)


def _compared(result: FeedDrift) -> str:
    feed = counted(result.before, "product")
    return f"{counted(result.after, 'product')}, compared with the {feed} of run {result.run}"


def _tell(loaded: LoadedWorkflow, result: FeedDrift, page: str) -> None:
    from modules.reporting.drift import change_lines

    typer.echo(_compared(result))
    alarms = result.alarms
    for row in alarms:
        for line in change_lines(row):
            typer.echo(line)
    comparisons = counted(len(result.comparisons), "comparison")
    typer.echo(f"{counted(len(alarms), 'alarm') if alarms else 'no alarm'} in {comparisons}; {page} shows them")
    if alarms:
        typer.echo(f"next: mend the feed and predict it again, or learn from it: {loaded.run_command}")
    else:
        typer.echo(f"next: {loaded.command('publish', 'TARGET')}")
