"""``shelfmark forget``: a product or an annotator, out of the label store; and where else they may stand."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from modules.counting import counted
from modules.paths import near
from shelfmark.cli.label.store import StoreOption, named_store, place_of
from shelfmark.cli.options import SetOption, WorkflowOption, load

if TYPE_CHECKING:
    from labelling.store.forgetting import Forgotten
    from pipeline.run_folder import RunFolder
    from pipeline.workflow_file import LoadedWorkflow


def forget(
    product: Annotated[
        str | None, typer.Option("--product", metavar="ID", help="Delete all that the store has about this product.")
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option("--annotator", metavar="NAME", help="Delete the account; the answers stay, under a random name."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Take a product or an annotator out of the label store, its log and snapshots; say what else may hold them."""
    from labelling.store import Store
    from labelling.store.forgetting import forget_annotator, forget_product
    from modules.errors import InputError, Problem

    if (product is None) == (annotator is None):
        raise InputError(Problem("", "expected either --product ID or --annotator NAME"))
    loaded = load(workflow, overrides) if workflow is not None or named_store(store) is None else None
    with Store(place_of(store, loaded), create=False) as opened:
        if product is not None:
            forgotten = forget_product(opened, product, dry_run=dry_run)
        else:
            forgotten = forget_annotator(opened, annotator or "", dry_run=dry_run)
        _tell(opened.name, forgotten, dry_run)
        if not dry_run:
            opened.scrub()
        copies = opened.copies()
    if loaded is not None:
        _forget_snapshots(loaded, dry_run)
    typer.echo("what else may hold it:")
    for copy in copies:
        typer.echo(f"  {near(copy)}, a copy of the store: delete the file")
    typer.echo(
        "  backups of the store, and files that labels were exported to: delete them; restored, they bring it back"
    )
    if loaded is None:
        typer.echo("  runs and publications: name their workflow by --workflow FILE to see them")
        return
    for line in _elsewhere(loaded, product):
        typer.echo(f"  {line}")


def _tell(name: str, forgotten: Forgotten, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    if not forgotten.deleted and not forgotten.changed:
        typer.echo(f"{name}: no row holds it")
    for tables, done in ((forgotten.deleted, "deleted"), (forgotten.changed, "changed")):
        if tables:
            parts = ", ".join(f"{table} {rows:,}" for table, rows in tables.items())
            typer.echo(f"{name}: {counted(sum(tables.values()), 'row')} {would}{done}: {parts}")
    if forgotten.token:
        typer.echo(f"the answers {'would bear a random name' if dry_run else f'now bear the name {forgotten.token}'}")
    if forgotten.notes:
        noted = counted(forgotten.notes, "note of a label contains this text", "notes of labels contain this text")
        typer.echo(f"{noted} and will stay: people wrote them" if dry_run else f"{noted} and stay: people wrote them")


def _forget_snapshots(loaded: LoadedWorkflow, dry_run: bool) -> None:
    """Deletes the label store's snapshots of earlier runs; the next run takes another one anyway.

    Raises:
      InputError: a run reads them, or they cannot be deleted.
    """
    from modules.errors import InputError, Problem, reason
    from pipeline.run_folder import RunFolder
    from shelfmark.runners.local import SNAPSHOTS

    folder = RunFolder.of(loaded.workflow)
    place = folder.path / SNAPSHOTS
    if not place.is_dir():
        return
    with nullcontext() if dry_run else folder.locked():
        count = sum(1 for _ in place.iterdir())
        if not dry_run:
            try:
                shutil.rmtree(place)
            except OSError as error:
                raise InputError(Problem(str(place), f"cannot be deleted: {reason(error)}")) from None
    typer.echo(f"{near(place)}: {counted(count, 'snapshot')} of labels {'would be ' if dry_run else ''}deleted")


def _elsewhere(loaded: LoadedWorkflow, product: str | None) -> Iterator[str]:
    """What is left to do, in the order in which it has to be done."""
    from pipeline.run_folder import RunFolder

    folder = RunFolder.of(loaded.workflow)
    for name in loaded.workflow.labels.files:
        yield f"{near(loaded.find(name))}, a file of labels that the workflow names: delete its lines there"
    if product is not None:
        yield from _of_products(loaded, folder, product)
    if folder.root.is_dir():
        cleaned = loaded.command("clean", "--keep-runs", "1")
        yield f"{near(folder.root)}, artifacts of runs: `{loaded.command('run')}`, then `{cleaned}`"
        batches = folder.root / "ActiveSampler"
        if product is not None and batches.is_dir():
            yield f"{near(batches)} and ML Metadata, which products each run has picked: no command deletes that"
    if folder.reports.is_dir():
        yield f"{near(folder.reports)}, reports of runs: delete the folder"


def _of_products(loaded: LoadedWorkflow, folder: RunFolder, product: str) -> Iterator[str]:
    from modules.predictions.daily.state import holds
    from publishing.log import holds as is_published
    from publishing.log import status_of

    yield "the feed: take the product out of it; one that is in it again is a new product, without labels"
    predicted = f"without it in the feed, `{loaded.command('predict')}`"
    if holds(folder.daily, product):
        yield f"{near(folder.daily)}, daily predictions, which have it: {predicted}"
    for log in sorted(folder.publications.glob("*.sqlite")):
        if is_published(log, product):
            published = f"`{loaded.command('publish', 'TARGET')}`"
            yield f"{status_of(log).target}, where it is published: {predicted}, then {published}"
    if folder.pushed_indexes.is_dir():
        yield f"{near(folder.pushed_indexes)}, similarity indexes: {predicted} hides it until a run pushes others"
    if folder.audits.is_dir():
        kept = "the ids that audits drew from, and titles and retailers of what they drew"
        yield f"{near(folder.audits)}, {kept}: no command deletes them, since audits need them"
    if folder.sources.is_dir():
        cleaned = loaded.command("clean", "--sources")
        yield f"{near(folder.sources)}, snapshots of feeds: after the next one, `{cleaned}`"
    if folder.encodings.is_dir():
        cleaned = loaded.command("clean", "--encodings")
        yield f"{near(folder.encodings)}, vectors of texts, without ids: `{cleaned}`"
    if folder.images.is_dir():
        yield f"{near(folder.images)}, pictures by address: delete the folder, the next run fetches them"
