"""``shelfmark run``."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfmark.cli.label.store import with_labels
from shelfmark.cli.options import FeedOption, SetOption, WorkflowArgument, console, load


def run(
    workflow: WorkflowArgument = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="COMPONENT", help="Last component to run.")] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="COMPONENT", help="First component to run, on the last run's results."),
    ] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Reuse results whose inputs are unchanged.")] = True,
) -> None:
    """Run a workflow on this machine."""
    from modules.errors import InputError
    from pipeline.validate import check

    loaded = with_labels(load(workflow, overrides, feed, products=True))
    report = check(loaded)
    if report.problems:
        raise InputError(report.problems)
    from pipeline import local

    result = local.run(loaded, to=to, from_=from_, cache=cache, console=console())
    if getattr(result, "failed", False):
        raise typer.Exit(1)
