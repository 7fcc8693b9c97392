"""``shelfmark publish --rollback``: which publication is gone back to, and what is said of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from modules.counting import counted
from modules.errors import InputError, Problem
from shelfmark.cli.options import console

if TYPE_CHECKING:
    from pipeline.results import Published
    from pipeline.rollback import Earlier, Rollback
    from pipeline.runs import Run
    from pipeline.workflow_file import LoadedWorkflow
    from publishing.log import Publication, PublicationLog

MODEL_DIGITS = 12


def choose(loaded: LoadedWorkflow, log: PublicationLog, number: int | None) -> tuple[Rollback, Publication | None]:
    """The rollback to a publication, which nothing has noted yet; or the one that stands, if no number was asked for.

    Args:
      loaded: the workflow.
      log: the target's.
      number: of the publication; None: the newest one by another model than the present one of which nothing is
        missing.

    Raises:
      InputError: there is no such publication, or something of it is missing, or it is by the newest run's model.
    """
    from pipeline.results import published_run

    _, stands = published_run(loaded)
    if stands is not None and number is None:
        return stands, None
    earlier = _earlier(loaded)
    publications = log.publications()
    shown = f"`{loaded.command('publish')} --list`"
    if number is None:
        publication = _before(earlier, publications, shown)
    else:
        by_number = {publication.number: publication for publication in publications}
        if number not in by_number:
            expected = f"expected the number of a publication to this target; {shown} has them"
            raise InputError(Problem("", expected, key="--to", value=str(number)))
        publication = by_number[number]
    problem = _problem(earlier, publication)
    if problem:
        expected = f"expected a publication that can be gone back to; of number {publication.number} {problem}"
        raise InputError(Problem("", expected, key="--to", hint=f"choose another one: {shown}"))
    return earlier.rollback_to(publication.run, rows_of(publication)), publication


def _before(earlier: Earlier, publications: list[Publication], shown: str) -> Publication:
    if not publications:
        raise InputError(Problem("", "expected an earlier publication to this target; there was none",
                                 key="--rollback", hint="nothing was changed"))  # fmt: skip
    for publication in reversed(publications):
        if not _problem(earlier, publication):
            return publication
    expected = "expected an earlier publication by another model of which nothing is missing; there is none"
    raise InputError(Problem("", expected, key="--rollback", hint=f"{shown} says why"))


def rows_of(publication: Publication) -> str:
    """Where its predictions were read from; those of an older version are taken for the run's own."""
    from pipeline.rollback import OF_RUN

    return publication.rows or OF_RUN


def _problem(earlier: Earlier, publication: Publication) -> str:
    """Why the publication cannot be gone back to, as a clause; empty: it can."""
    if publication.ended is None:
        return "the end is missing: it was cut off"
    missing = earlier.missing(publication.run, rows_of(publication))
    if missing:
        return missing
    if earlier.model_of(publication.run) == earlier.model_of(earlier.newest.id):
        return "the model is the newest one, which `--lift` returns to"
    return ""


def _earlier(loaded: LoadedWorkflow) -> Earlier:
    from pipeline.rollback import Earlier
    from pipeline.run_folder import RunFolder
    from pipeline.runs import Runs

    return Earlier(RunFolder.of(loaded.workflow), Runs.of(loaded))


def carry_out(loaded: LoadedWorkflow, published: Published) -> None:
    """Notes the rollback that these predictions were found through, and gives its model to servers."""
    from pipeline.rollback import read_rollback
    from pipeline.run_folder import RunFolder

    assert published.rollback is not None
    if not published.rollback.is_pushed or read_rollback(RunFolder.of(loaded.workflow)) != published.rollback:
        _note(loaded, published.rollback, published.run)


def _note(loaded: LoadedWorkflow, rollback: Rollback, run: Run) -> None:
    import os

    from pipeline.quiet import everything_else_to
    from pipeline.rollback import carry_out as note
    from pipeline.run_folder import RunFolder, pushed_models
    from pipeline.runs import PUBLISHED

    # The import of TFX prints.
    with open(os.devnull, "w") as log, everything_else_to(log, console(stderr=True)):
        note(RunFolder.of(loaded.workflow), rollback, run.outputs[PUBLISHED], pushed_models(loaded.workflow))


def tell_standing(loaded: LoadedWorkflow, rollback: Rollback | None) -> None:
    """A line for each command that goes by a rollback."""
    if rollback is not None:
        lift = f"{loaded.command('publish')} --lift"
        typer.echo(f"rolled back to the model of run {rollback.run} since {_day(rollback.since)}; "
                   f"until a run blesses a new model, or: {lift}")  # fmt: skip


def tell_rollback(loaded: LoadedWorkflow) -> None:
    """What the rollback means, after it."""
    typer.echo("labels, rules, runs and the withdrawn model are kept; `predict`, `publish` and `serve` go by the older")
    typer.echo("model. Products that only later feeds have were removed until they are predicted by it.")
    typer.echo(f"next: {loaded.command('predict')}, then `shelfmark publish` to the same target")


def lift(loaded: LoadedWorkflow) -> None:
    """Ends the rollback; one that a kill cut off is brought to its end first, so that no version of it stays."""
    from pipeline.results import published_run
    from pipeline.rollback import is_cut_off
    from pipeline.rollback import lift as end
    from pipeline.run_folder import RunFolder, pushed_models
    from pipeline.runs import PUBLISHED

    try:
        run, rollback = published_run(loaded)
    except InputError:
        # Damaged, or its run is gone: what it has pushed is unknown.
        rollback = None
    if rollback is not None and is_cut_off(rollback, run.outputs[PUBLISHED]):
        _note(loaded, rollback, run)
    if end(RunFolder.of(loaded.workflow), pushed_models(loaded.workflow)):
        typer.echo("the rollback is lifted: `predict`, `publish` and `serve` go by the newest blessed model again")
        typer.echo(f"next: {loaded.command('predict')}, then `shelfmark publish` to each target")
    else:
        typer.echo("there is no rollback to lift")


def show_publications(loaded: LoadedWorkflow) -> None:
    """Each target's publications, newest first."""
    from rich.table import Table

    from modules.reporting.console import show, text
    from pipeline.run_folder import RunFolder
    from publishing.log import publications_of, status_of

    files = sorted(RunFolder.of(loaded.workflow).publications.glob("*.sqlite"))
    if not files:
        typer.echo(f"{loaded.workflow.name}: nothing was published yet")
        return
    earlier = _earlier(loaded)
    for file in files:
        publications = publications_of(file)
        typer.echo(f"{status_of(file).target}: {counted(len(publications), 'publication')}")
        shown = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("number", "day", "run", "model", "products", "what changed", "can be gone back to"):
            shown.add_column(heading, overflow="fold", justify="right" if heading in ("number", "products") else "left")
        for publication in reversed(publications):
            problem = _problem(earlier, publication)
            products = "" if publication.products is None else f"{publication.products:,}"
            model = (publication.model or "")[:MODEL_DIGITS]
            cells = (str(publication.number), _day(publication.started), publication.run, model, products,
                     _changed(publication), f"no: {problem}" if problem else "yes")  # fmt: skip
            shown.add_row(*map(text, cells))
        show(console(), shown)
    typer.echo(f"next: {loaded.command('publish')} TARGET --rollback --to NUMBER")


def _changed(publication: Publication) -> str:
    if publication.ended is None:
        return "not finished"
    back = "" if publication.back_to is None else f"back to {publication.back_to}: "
    return f"{back}{publication.sent or 0:,} sent, {publication.gone or 0:,} removed"


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
