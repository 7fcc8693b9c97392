"""``shelfmark validate``."""

from __future__ import annotations

import typer

from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, console, load


def validate(workflow: WorkflowOption = None, overrides: SetOption = None, feed: FeedOption = None) -> None:
    """Check a workflow and all its files without running it."""
    from modules.errors import InputError
    from pipeline.sources import take_sources
    from pipeline.validate import check

    loaded = take_sources(load(workflow, overrides, feed), console())
    report = check(loaded)
    if report.problems:
        raise InputError(report.problems)
    for name, count in report.counts.items():
        typer.echo(f"{name}: {count}")
    for note in report.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"{loaded.path}: ok")
