"""``shelfmark run``."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfmark.cli.options import FeedOption, LastSnapshotOption, SetOption, WorkflowOption, console, load


def run(
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
    to: Annotated[str | None, typer.Option("--to", metavar="COMPONENT", help="Last component to run.")] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", metavar="COMPONENT", help="First component to run, on the last run's results."),
    ] = None,
    cache: Annotated[bool, typer.Option("--cache/--no-cache", help="Reuse results whose inputs are unchanged.")] = True,
    last_snapshot: LastSnapshotOption = False,
) -> None:
    """Run a workflow on this machine."""
    from pipeline.taxonomy_files import refuse_unfinished
    from shelfmark.runners import LocalRunner, start

    loaded = load(workflow, overrides, feed, products=True)
    refuse_unfinished(loaded)
    if not start(loaded, LocalRunner(to, from_, cache, last_snapshot), console()):
        raise typer.Exit(1)
