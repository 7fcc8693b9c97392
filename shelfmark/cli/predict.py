"""``shelfmark predict``: a day's feed by the published model, without training."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from modules.paths import near
from shelfmark.cli.options import LastSnapshotOption, SetOption, WorkflowOption, console, load, refuse_workflow

if TYPE_CHECKING:
    from modules.predictions.daily.state import DailyState
    from pipeline.daily_index import Renewed
    from pipeline.workflow_file import LoadedWorkflow

_FeedArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FEED ...]",
        help="Today's files, with all products (of several feeds: RETAILER=FILE); default: the workflow's.",
        show_default=False,
    ),
]
_ManyGoneOption = Annotated[bool, typer.Option("--many-gone", help="Forget products even where most are gone.")]


def predict(
    feed: _FeedArgument = None,
    many_gone: _ManyGoneOption = False,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    last_snapshot: LastSnapshotOption = False,
) -> None:
    """Predict new and changed products of a feed with the last blessed model; nothing is trained."""
    from pipeline.daily import with_files
    from pipeline.sources import take_sources

    for file in feed or ():
        refuse_workflow(file, "FEED", "a file of the feed", "shelfmark predict")
    loaded = load(workflow, overrides, products=True)
    today = take_sources(with_files(loaded, feed or ()), console(), last=last_snapshot)
    _predict(loaded, today, many_gone)


def _predict(loaded: LoadedWorkflow, today: LoadedWorkflow, many_gone: bool) -> None:
    from pipeline import daily
    from pipeline.daily_index import renew_index
    from pipeline.results import published_run
    from pipeline.run_folder import RunFolder
    from shelfmark.cli.rollback import tell_standing

    tell_standing(loaded, published_run(loaded)[1])
    started = time.monotonic()
    indexes: Renewed | None = None

    def renew(state: DailyState) -> None:
        nonlocal indexes
        indexes = renew_index(today, state)

    with reading_progress():
        counts = daily.predict(today, many_gone=many_gone, then=renew)
    seconds = time.monotonic() - started
    place = RunFolder.of(loaded.workflow).daily
    bad = counts.quarantined.total()
    parts = f"{counts.new:,} new, {counts.changed:,} changed, {counts.same:,} unchanged, {counts.gone:,} gone"
    typer.echo(f"{counted(counts.products, 'product')}: {parts}; {counted(bad, 'record')} in quarantine")
    if bad:
        reasons = ", ".join(f"{name} {count:,}" for name, count in counts.quarantined.most_common())
        typer.echo(f"quarantine: {reasons}; {near(place / 'quarantine.jsonl.gz')} has each record")
    if counts.by_new_model:
        typer.echo(f"the model is another one: {counted(counts.by_new_model, 'unchanged product')} predicted anew")
    if counts.predicted:
        each = counts.seconds / counts.predicted
        said = f"{counted(counts.predicted, 'product')} predicted, {each:.2g} s each; {seconds:.1f} s in all"
        typer.echo(f"{said}; {counted(counts.moved, 'product')} changed categories")
    if indexes is not None:
        _tell_indexes(indexes)
    typer.echo(f"next: {loaded.command('drift')}")


def _tell_indexes(indexes: Renewed) -> None:
    what = f"similarity indexes: {counted(indexes.products, 'product')} in {near(indexes.version)}"
    if indexes.is_anew:
        typer.echo(f"{what}, built anew")
        return
    gone = indexes.outdated - indexes.newer
    typer.echo(f"{what}; {indexes.newer:,} new or changed and {gone:,} gone since they were built")
    if indexes.reasons:
        typer.echo(f"they were built anew, and not taken: {'; '.join(indexes.reasons)}; a run makes others")


@contextmanager
def reading_progress() -> Iterator[None]:
    """What libraries print stays away from the user; on a terminal a line says how far it is."""
    from modules.progress import listening
    from pipeline.quiet import everything_else_to

    screen = console(stderr=True)
    with (
        open(os.devnull, "w") as log,
        everything_else_to(log, screen),
        screen.status("reading") as status,
        listening(lambda done, total, text: status.update(f"{done:,} {text}")),
    ):
        yield
