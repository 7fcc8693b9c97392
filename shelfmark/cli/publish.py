"""``shelfmark publish``: the way back to the shop."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.paths import near
from shelfmark.cli.options import SetOption, WorkflowOption, console, load, refuse_workflow

if TYPE_CHECKING:
    from modules.predictions.documents import Documents
    from pipeline.results import Published
    from pipeline.workflow_file import LoadedWorkflow
    from publishing.log import PublicationLog, Status
    from publishing.publish import Counts, Listener, Way
    from publishing.targets.base import Target

_TargetArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[TARGET]",
        help="A folder, the address of a database, webhook, broker or index, or env:NAME or file:FILE that hold one.",
        show_default=False,
    ),
]
_AllOption = Annotated[bool, typer.Option("--all", help="Also what has not changed since the last time.")]
_DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Count what would be sent; send nothing.")]
_StatusOption = Annotated[bool, typer.Option("--status", help="How far each target's publications are.")]
_RollbackOption = Annotated[
    bool, typer.Option("--rollback", help="Go back to an earlier publication, and to its model from now on.")
]
_ToOption = Annotated[
    int | None,
    typer.Option("--to", min=1, metavar="NUMBER", help="Of --list; default: the last one by another model."),
]
_ListOption = Annotated[bool, typer.Option("--list", help="Each target's publications.")]
_LiftOption = Annotated[bool, typer.Option("--lift", help="End the rollback: the newest blessed model counts again.")]
_RateOption = Annotated[float | None, typer.Option("--rate", min=0.01, metavar="N", help="Products a second, at most.")]
_ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=64, metavar="N", help="Batches in flight.")]
_BatchOption = Annotated[int, typer.Option("--batch", min=1, max=5000, metavar="N", help="Products per batch.")]
_TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=1.0, max=3600.0, metavar="SECONDS", help="What one batch may take.")
]
_SecretEnvOption = Annotated[
    str | None, typer.Option("--secret-env", metavar="NAME", help="The variable with a webhook's secret.")
]
_SecretFileOption = Annotated[
    Path | None, typer.Option("--secret-file", metavar="FILE", help="The file with a webhook's secret.")
]
_TableOption = Annotated[str, typer.Option("--table", metavar="NAME", help="Of a database.")]
_TopOption = Annotated[int, typer.Option("--top", min=1, max=100, metavar="K", help="Categories per objective.")]
_NeighboursOption = Annotated[
    int | None, typer.Option("--neighbours", min=1, max=1000, metavar="N", help="Similar products, too.")
]
_IndexOption = Annotated[
    str | None, typer.Option("--index", metavar="NAME", help="Whose neighbours; default: the only index.")
]
_PrivateOption = Annotated[
    bool, typer.Option("--allow-private", help="A webhook's host may have addresses that are not public.")
]
_ManyGoneOption = Annotated[
    bool, typer.Option("--many-gone", help="Remove products from the target even where most are gone.")
]


def publish(
    target: _TargetArgument = None,
    everything: _AllOption = False,
    dry_run: _DryRunOption = False,
    status: _StatusOption = False,
    rollback: _RollbackOption = False,
    to: _ToOption = None,
    list_all: _ListOption = False,
    lift: _LiftOption = False,
    rate: _RateOption = None,
    parallel: _ParallelOption = 4,
    batch: _BatchOption = 500,
    timeout: _TimeoutOption = 30.0,
    secret_env: _SecretEnvOption = None,
    secret_file: _SecretFileOption = None,
    table: _TableOption = "shelfmark_products",
    top: _TopOption = 5,
    neighbours: _NeighboursOption = None,
    index: _IndexOption = None,
    allow_private: _PrivateOption = False,
    many_gone: _ManyGoneOption = False,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Send what changed in the last blessed model's predictions to a folder, database, webhook, broker or index."""
    from modules.secrets import signing_secret
    from publishing.targets import target_for
    from publishing.targets.base import Options
    from shelfmark.cli.rollback import lift as end_rollback
    from shelfmark.cli.rollback import show_publications

    if status or list_all or lift:
        if target is not None or rollback or to is not None or status + list_all + lift > 1:
            expected = "expected --status, --list or --lift alone: they are about all targets"
            raise InputError(Problem("", expected, key="TARGET", value=target))
        about_all = _show_status if status else show_publications if list_all else end_rollback
        about_all(load(workflow, overrides))
        return
    if to is not None and not rollback:
        raise InputError(Problem("", "expected --rollback beside it", key="--to", value=str(to)))
    if target is None:
        raise InputError(Problem("", "expected a target: a folder, or an address such as postgresql://…, amqps://… or https://…",
                                 key="TARGET", hint="see `shelfmark publish --help`"))  # fmt: skip
    refuse_workflow(target, "TARGET", "a target", "shelfmark publish TARGET")
    options = Options(signing_secret(secret_env, secret_file), table, timeout, allow_private)
    # Before the workflow is read: what cannot be published to is told at once.
    place = target_for(target, options)
    from publishing.publish import Way

    # A batch is sent at once, and at most a second's products are.
    size = batch if rate is None else max(1, min(batch, int(rate)))
    way = Way(everything, many_gone, size, parallel)
    request = _Request(place, way, rate, top, neighbours, index, dry_run, rollback, to)
    _publish(load(workflow, overrides), request)


@dataclass(frozen=True)
class _Request:
    target: Target
    way: Way
    rate: float | None
    top: int
    neighbours: int | None
    index: str | None
    dry_run: bool
    rollback: bool
    to: int | None


def _publish(loaded: LoadedWorkflow, request: _Request) -> None:
    from pipeline.results import published_predictions
    from pipeline.run_folder import RunFolder
    from publishing.log import PublicationLog
    from publishing.pace import Pace
    from publishing.publish import Stopped, compare, publish
    from shelfmark.cli.rollback import carry_out, choose, tell_standing

    file = RunFolder.of(loaded.workflow).publications / f"{request.target.slug}.sqlite"
    is_new = request.dry_run and not file.exists()
    with PublicationLog(None if is_new else file, request.target.name) as log, ExitStack() as stack:
        chosen, earlier = choose(loaded, log, request.to) if request.rollback else (None, None)
        predictions = published_predictions(loaded, chosen)
        total = predictions.files.products()
        if predictions.rollback is not None and not request.dry_run:
            carry_out(loaded, predictions)
            tell_standing(loaded, predictions.rollback)
        back_to = None if earlier is None else earlier.number
        version = 0 if request.dry_run else log.begin(
            predictions.run.id, model=predictions.model, rows=predictions.rows, back_to=back_to
        )  # fmt: skip
        documents = _documents(loaded, predictions, request, version, stack)
        tell = stack.enter_context(_progress(total))
        if request.dry_run:
            counts = compare(documents, log, tell)
            stack.close()
            typer.echo(f"{request.target.name}: {_differences(counts)}; nothing was sent")
            if chosen is not None:
                typer.echo(f"by the model of run {predictions.run.id}; without --dry-run it is gone back to")
            return
        try:
            counts = publish(documents, log, request.target, Pace(request.rate), request.way, tell)
        except Stopped as stopped:
            stack.close()
            typer.echo(f"stopped: {stopped.why}" + (f"; {stopped.hint}" if stopped.hint else ""), err=True)
            typer.echo("what was acknowledged is noted: the same command goes on from there", err=True)
            raise typer.Exit(1) from None
        stack.close()
        _tell(loaded, request, counts, log)


def _documents(
    loaded: LoadedWorkflow, predictions: Published, request: _Request, version: int, stack: ExitStack
) -> Documents:
    from modules.predictions.documents import Documents
    from modules.predictions.read import Query
    from modules.predictions.sinks.base import Delivery
    from pipeline.daily_neighbours import neighbours_of

    near_ones = None
    if request.neighbours is not None:
        tables = predictions.neighbours
        name = request.index or (next(iter(tables)) if len(tables) == 1 else None)
        if name not in tables:
            expected = f"expected an index with a table of neighbours: {', '.join(tables) or 'the run has none'}"
            hint = "" if tables else "set similarity.indexes.NAME.neighbours, and run"
            raise InputError(Problem("", expected, key="--index", value=request.index, hint=hint))
        near_ones = stack.enter_context(neighbours_of(loaded, predictions, name, request.neighbours))
    delivery = Delivery(predictions.files, Query(), predictions.taxonomy)
    return Documents(delivery, predictions.run.id, predictions.model, version, request.top, near_ones)


@contextmanager
def _progress(total: int) -> Iterator[Listener]:
    """A bar on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = BarColumn(), MofNCompleteColumn(), TextColumn("products, {task.fields[sent]} sent")
    screen = console(stderr=True)
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("", total=total, sent=0)
        yield lambda counts: bar.update(task, completed=counts.seen, sent=f"{counts.sent + counts.removed:,}")


def _differences(counts: Counts) -> str:
    return f"{counts.new:,} new, {counts.changed:,} changed, {counts.gone:,} gone, {counts.same:,} as before"


def _tell(loaded: LoadedWorkflow, request: _Request, counts: Counts, log: PublicationLog) -> None:
    """The summary; leaves with 1 if there are dead letters."""
    from shelfmark.cli.rollback import tell_rollback

    typer.echo(f"{request.target.name}: {_differences(counts)}")
    typer.echo(f"{counted(counts.sent, 'document')} sent, {counted(counts.removed, 'product')} removed")
    letters = _dead_letters(log)
    if letters:
        assert log.path is not None
        file = near(log.path.with_suffix(".dead.jsonl"))
        refused = counted(letters, "product was refused", "products were refused")
        typer.echo(f"{refused}; {file} has each with the reason", err=True)
        typer.echo("when the cause is mended, the same command sends what was refused again", err=True)
        raise typer.Exit(1)
    if request.rollback:
        tell_rollback(loaded)
        return
    typer.echo(f"next: {shlex.join(['shelfmark', 'run', *loaded.arguments])}, then the same command again")


def _dead_letters(log: PublicationLog) -> int:
    """Writes them beside the log, one JSON object per line; returns how many there are."""
    import orjson

    assert log.path is not None
    file = log.path.with_suffix(".dead.jsonl")
    part = file.with_suffix(".part")
    count = 0
    with part.open("wb") as stream:
        for letter in log.dead_letters():
            line = {"id": letter.id, "status": letter.status, "reason": letter.reason}
            stream.write(orjson.dumps({**line, "document": orjson.Fragment(letter.document)}) + b"\n")
            count += 1
    if count:
        os.replace(part, file)
    else:
        part.unlink()
        file.unlink(missing_ok=True)
    return count


def _show_status(loaded: LoadedWorkflow) -> None:
    from rich.table import Table

    from modules.reporting.console import show, text
    from pipeline.run_folder import RunFolder
    from publishing.log import status_of

    files = sorted(RunFolder.of(loaded.workflow).publications.glob("*.sqlite"))
    if not files:
        typer.echo(f"{loaded.workflow.name}: nothing was published yet")
        return
    shown = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("target", "published", "refused", "run", "last publication"):
        shown.add_column(heading, overflow="fold", justify="right" if heading in ("published", "refused") else "left")
    for state in map(status_of, files):
        cells = (state.target, f"{state.products:,}", f"{state.dead_letters:,}", state.run or "", _when(state))
        shown.add_row(*map(text, cells))
    show(console(), shown)


def _when(state: Status) -> str:
    import time

    if state.started is None:
        return "none"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.started))
    if state.ended is None:
        return f"{began}, not finished"
    return f"{began}, {state.sent or 0:,} sent, {state.gone or 0:,} removed"
