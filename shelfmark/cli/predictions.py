"""``shelfmark predictions``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from shelfmark.cli.options import SetOption, WorkflowOption, console, load

FORMATS = (".csv", ".jsonl", ".parquet")


class Split(StrEnum):
    """Of the feed's products."""

    train = "train"
    eval = "eval"
    test = "test"


def predictions(
    split: Annotated[Split | None, typer.Option("--split", help="Only products of this split.")] = None,
    category: Annotated[
        str | None, typer.Option("--category", metavar="CATEGORY", help="Only products predicted to be in it.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="How many; default: 20 shown, all written.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write .csv, .jsonl or .parquet.")
    ] = None,
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="A run's id, or 'latest'.")] = "latest",
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Show or export a run's predictions."""
    from modules.errors import InputError, Problem

    if output is not None and output.suffix not in FORMATS:
        expected = f"expected a name that ends in {', '.join(FORMATS)}"
        raise InputError(Problem("--output", expected, value=str(output)))
    loaded = load(workflow, overrides)
    from pipeline import results

    wanted = {"run": run, "split": split.value if split else None, "category": category}
    if output is None:
        results.show_predictions(loaded, **wanted, limit=limit or 20, console=console())
    else:
        count = results.export_predictions(loaded, output, **wanted, limit=limit)
        typer.echo(f"{output}: {count:,} predictions")
