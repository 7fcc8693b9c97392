"""``shelfmark model-card``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modules.errors import InputError, Problem
from modules.paths import near
from shelfmark.cli.options import SetOption, WorkflowOption, load


def model_card(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id; default: the run of the model that is published now."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Markdown; a page goes beside it.")] = (
        Path("model_card.md")
    ),
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write what is recorded of a model as a model card: Markdown, and a page that needs nothing else."""
    if output.suffix != ".md" or output.is_dir() or not output.absolute().parent.is_dir():
        raise InputError(Problem(str(output), "a file that ends in .md, in a folder that exists", key="--output"))
    loaded = load(workflow, overrides)
    from pipeline.model_card import run_of_model, write_card_of
    from pipeline.results import published_run
    from pipeline.rollback import model_of
    from pipeline.runs import PUBLISHED, Runs

    runs = Runs.of(loaded)
    if run is None:
        published, _ = published_run(loaded)
        selected_run = run_of_model(runs, published, model_of(published.outputs[PUBLISHED]))
    else:
        selected_run = runs.find(run, "model")
    page = write_card_of(loaded, selected_run, output)
    typer.echo(f"{near(output)} and {near(page)}: the model of run {selected_run.id}")
