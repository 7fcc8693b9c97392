"""``shelfmark predictions``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from modules.counting import counted
from modules.predictions.columns import ENTROPY, LEAST_CONFIDENCE, MARGIN
from shelfmark.cli.options import SetOption, WorkflowOption, console, load


class Split(StrEnum):
    """Of the feed's products."""

    train = "train"
    eval = "eval"
    test = "test"


class Uncertainty(StrEnum):
    """The scores that say how unsure the model is."""

    entropy = ENTROPY
    least_confidence = LEAST_CONFIDENCE
    margin = MARGIN


def predictions(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="A run's id.", show_default=True)] = "latest",
    split: Annotated[Split | None, typer.Option("--split", help="Only products of this split.")] = None,
    category: Annotated[
        str | None,
        typer.Option("--category", metavar="CATEGORY", help="Only products predicted to be in it or below it."),
    ] = None,
    objective: Annotated[
        str | None, typer.Option("--objective", metavar="NAME", help="Only this objective; default: all are shown.")
    ] = None,
    sort: Annotated[
        Uncertainty | None, typer.Option("--sort", help="Most uncertain first; when writing, give --limit too.")
    ] = None,
    min_uncertainty: Annotated[
        float | None,
        typer.Option(
            "--min-uncertainty", metavar="X", help="Least value of the --sort score (entropy; for margin, 1 - margin)."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, metavar="N", help="How many; default: 20 shown, all written.")
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="By the last blessed model; default: by the newest one.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="TARGET", help="Write .csv, .jsonl or .parquet, or to another sink."),
    ] = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Show or export a run's predictions."""
    if output is not None:
        from modules.predictions.sinks import sink_for

        # Before the workflow is read: what cannot be written is told at once.
        sink_for(output)
    loaded = load(workflow, overrides)
    from pipeline import results

    wanted: dict[str, Any] = {
        "run": run,
        "split": split.value if split else None,
        "category": category,
        "objective": objective,
        "sort": sort.value if sort else None,
        "min_uncertainty": min_uncertainty,
        "limit": limit,
        "published": published,
    }
    if output is None:
        results.show_predictions(loaded, console(), **wanted)
    else:
        count = results.export_predictions(loaded, output, **wanted)
        typer.echo(f"{output}: {counted(count, 'prediction')}")
