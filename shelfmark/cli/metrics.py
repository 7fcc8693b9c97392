"""``shelfmark metrics``."""

from __future__ import annotations

from typing import Annotated

import typer

from shelfmark.cli.options import JsonOption, SetOption, WorkflowOption, load


def metrics(
    category: Annotated[
        str | None, typer.Option("--category", metavar="CATEGORY", help="One category's history over all runs.")
    ] = None,
    compare: Annotated[
        tuple[str, str] | None, typer.Option("--compare", metavar="RUN RUN", help="What got better and worse.")
    ] = None,
    as_json: JsonOption = False,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Show the latest run's metrics, out of ML Metadata alone."""
    from modules.errors import InputError, Problem
    from pipeline.run_folder import RunFolder

    if category is not None and compare is not None:
        raise InputError(Problem("", "expected --category or --compare, not both"))
    loaded = load(workflow, overrides)
    from components.class_metrics import queries

    store = queries.open_store(RunFolder.of(loaded.workflow).metadata, run_command=loaded.run_command)
    # A database may hold other workflows' runs as well.
    name = loaded.workflow.name
    result: queries.Comparison | queries.CategoryHistory | queries.RunMetrics
    if compare is not None:
        result = queries.compare(store, *compare, name)
    elif category is not None:
        result = queries.category_history(store, category, name)
    else:
        result = queries.latest_metrics(store, name)
    typer.echo(result.to_json() if as_json else str(result))
