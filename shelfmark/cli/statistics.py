"""``shelfmark statistics``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shelfmark.cli.options import SetOption, WorkflowOption, load


def statistics(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id.", show_default=True)] = "latest",
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write.")] = Path(
        "statistics.html"
    ),
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write the statistics of a run's products (TFDV) and their anomalies as a page that needs nothing else."""
    loaded = load(workflow, overrides)
    from pipeline import results

    run_id = results.write_statistics(loaded, run, output)
    typer.echo(f"{output}: statistics of run {run_id}")
