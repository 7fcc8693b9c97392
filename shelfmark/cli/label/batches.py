"""``shelfmark label import-batch``, ``import-review``, ``assign`` and ``close``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, open_store, place_of
from shelfmark.cli.options import FeedOption, SetOption, WorkflowOption, load

if TYPE_CHECKING:
    from labelling.content import Batch
    from labelling.store.importing import Imported
    from pipeline.workflow_file import LoadedWorkflow

QUIET = ("TF_CPP_MIN_LOG_LEVEL", "3")
"""What keeps TensorFlow, which reads the run's examples, from telling of its build on the terminal."""

BATCH = "labelling_batch"
"""The output of a run that its batch lies in."""

RunOption = Annotated[str, typer.Option("--run", metavar="RUN", help="A run's id.")]
OverlapOption = Annotated[
    int, typer.Option("--overlap", min=1, max=20, metavar="N", help="How many annotators answer each product.")
]


def import_batch(
    uri: Annotated[
        str | None,
        typer.Argument(metavar="[URI]", help="The LabellingBatch; default: the run's own.", show_default=False),
    ] = None,
    run: RunOption = "latest",
    overlap: OverlapOption = 1,
    name: Annotated[str | None, typer.Option("--name", help="The batch's name; default: from the run.")] = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Queue a batch that a run picked, with all that the labelling page shows beside it."""
    from labelling.batches.artifact import read_batch

    def read(path: Path, run_id: str | None, where: str) -> list[Batch]:
        return read_batch(path, name or run_id or _named(where), run=run_id, uri=where)

    _import(uri, run, BATCH, overlap, store, load(workflow, overrides, feed), read)


def import_review(
    uri: Annotated[
        str | None,
        typer.Argument(metavar="[URI]", help="The review queue; default: the run's own.", show_default=False),
    ] = None,
    run: RunOption = "latest",
    overlap: OverlapOption = 1,
    name: Annotated[str | None, typer.Option("--name", help="The queue's name; default: from the run.")] = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Queue products whose labels look wrong, to be looked at again."""
    from labelling.batches.artifact import read_review

    def read(path: Path, run_id: str | None, where: str) -> list[Batch]:
        return read_review(path, name or f"review-{run_id or _named(where)}", run=run_id)

    _import(uri, run, "label_review", overlap, store, load(workflow, overrides, feed), read)


def import_products(
    run: RunOption = "latest",
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
    feed: FeedOption = None,
) -> None:
    """Bring all products of a run, so that the pages have pictures and texts of those that were not picked, too."""
    from labelling.store import Store
    from pipeline.runs import Runs
    from shelfmark.cli.label.gather import bring

    loaded = load(workflow, overrides, feed)
    selected_run = Runs.of(loaded).find(run, "examples")
    with Store(place_of(store, loaded)) as opened:
        count = bring.bring_products(opened, loaded, selected_run)
        typer.echo(f"{counted(count, 'product')} in {opened.name}")


def _import(
    uri: str | None,
    run: str,
    key: str,
    overlap: int,
    store: str | None,
    loaded: LoadedWorkflow,
    read: Callable[[Path, str | None, str], list[Batch]],
) -> None:
    """Queues what an artifact holds, and says what became of it.

    Args:
      uri: of the artifact; None: the run's own.
      run: an id or ``latest``.
      key: the artifact's output key.
      overlap: how many annotators are to answer each product.
      store: the label store that the command line names.
      loaded: the workflow.
      read: makes the batches of the artifact's local copy, the run's id and the artifact's address.
    """
    from labelling.store import Store
    from modules.errors import InputError
    from pipeline.runs import Runs
    from shelfmark.cli.label.gather import bring, places

    os.environ.setdefault(*QUIET)
    runs: Runs | None = None
    try:
        runs = Runs.of(loaded)
    except InputError:
        if uri is None or run != "latest":
            raise
    selected_run, where = places.find_run(runs, run, uri, key)
    if selected_run is not None and uri is None:
        selected_run.folder(key)
    with places.local_copy(where) as path:
        # All that is known of a batch that was made elsewhere lies at its URI.
        batches = read(path, selected_run.id if selected_run is not None else None, where)
        with Store(place_of(store, loaded)) as opened:
            if runs is None or selected_run is None:
                imported = bring.bring_alone(opened, loaded, batches, wanted=overlap)
            else:
                imported = bring.bring(opened, loaded, selected_run, runs, batches, wanted=overlap)
    if selected_run is None:
        named = "; --run names a run of this machine" if runs is not None and runs.ids else ""
        typer.echo(
            f"note: its run is not known here: products come from the feed, without neighbours and predictions{named}"
        )
    _say_imported(opened.name, imported)
    if loaded.workflow.labels.store is None:
        typer.echo("note: runs do not learn from this store yet: set labels.store in the workflow file")


def _say_imported(name: str, imported: Mapping[str, Imported]) -> None:
    """Per batch how many products were queued in the store, and why others were not."""
    for identity, counts in imported.items():
        left = {"labelled": counts.labelled, "queued": counts.queued, "imported before": counts.known}
        out = "; left out: " + ", ".join(f"{n:,} {why}" for why, n in left.items() if n) if any(left.values()) else ""
        typer.echo(f"{identity}: {counted(counts.added, 'product')} queued in {name}{out}")


def fetch_newest(store: str | None, loaded: LoadedWorkflow, overlap: int) -> None:
    """Queues the batch of the newest run that has one, unless the store has it already.

    Raises:
      InputError: no run has a batch, or something that the pages need is gone.
    """
    from labelling.batches.artifact import read_batch
    from labelling.store import Store, status
    from pipeline.runs import Runs
    from shelfmark.cli.label.gather import bring

    os.environ.setdefault(*QUIET)
    runs = Runs.of(loaded)
    newest = runs.find(having=BATCH)
    batches = read_batch(newest.folder(BATCH), newest.id, run=newest.id, uri=newest.outputs[BATCH].uri)
    with Store(place_of(store, loaded)) as opened:
        with opened.read() as connection:
            known = {queue.id for queue in status.queues(connection)}
        fresh = [batch for batch in batches if batch.id not in known]
        if not any(batch.items for batch in batches):
            typer.echo(f"run {newest.id} asks about no product: all that it could ask about are labelled")
        if fresh:
            _say_imported(opened.name, bring.bring(opened, loaded, newest, runs, fresh, wanted=overlap))
    if loaded.workflow.labels.store is None:
        typer.echo("note: runs do not learn from this store yet: set labels.store in the workflow file")


def _named(uri: str) -> str:
    """A name for a batch whose run is not known: the end of its URI."""
    return "-".join(part for part in uri.rstrip("/").split("/")[-2:] if part)


def assign(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, as `label status` shows it.")],
    annotator: Annotated[str | None, typer.Option("--to", metavar="NAME", help="Whose the products become.")] = None,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, metavar="N", help="How many; default: all that are free.")
    ] = None,
    overlap: Annotated[
        int | None, typer.Option("--overlap", min=1, max=20, metavar="N", help="How many annotators answer each.")
    ] = None,
    free: Annotated[bool, typer.Option("--free", help="Give products back (those of --to, or all).")] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Reserve products of a batch for an annotator, or ask for several answers."""
    from labelling.store import accounts, queue, status
    from labelling.store.database import now
    from modules.errors import InputError, Problem

    if annotator is None and overlap is None and not free:
        raise InputError(Problem("", "expected --to NAME, --overlap N or --free"))
    with open_store(store, workflow, overrides) as opened, opened.write() as connection:
        known = [entry.id for entry in status.queues(connection)]
        if batch not in known:
            expected = f"expected one of: {', '.join(known[:20]) or 'there is none yet'}"
            raise InputError(Problem("", expected, key="batch", value=batch))
        changed = queue.assign(connection, batch, annotator=annotator, count=count, wanted=overlap, free=free)
        detail = {"batch": batch, "to": annotator, "count": changed, "overlap": overlap, "free": free}
        accounts.record(connection, now(), "", "assign", detail)
    typer.echo(f"{batch}: {counted(changed, 'product')} changed")


def close(
    batch: Annotated[str, typer.Argument(metavar="BATCH", help="Its id, as `label status` shows it.")],
    reopen: Annotated[bool, typer.Option("--reopen", help="Open it again.")] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Close a batch: its products are handed out no more; its labels stay."""
    from labelling.store import accounts, queue
    from labelling.store.database import now
    from modules.errors import InputError, Problem

    with open_store(store, workflow, overrides) as opened, opened.write() as connection:
        if not queue.close(connection, batch, reopen):
            raise InputError(Problem("", "there is no such batch", key="batch", value=batch))
        accounts.record(connection, now(), "", "reopen" if reopen else "close", {"batch": batch})
    typer.echo(f"{batch}: {'open' if reopen else 'closed'}")
