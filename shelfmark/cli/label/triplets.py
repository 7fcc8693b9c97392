"""``shelfmark label import-triplets`` and ``export-triplets``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, open_store
from shelfmark.cli.options import SetOption, WorkflowOption


def import_triplets(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="JSON Lines with query, a and b (ids of products).")
    ],
    wanted: Annotated[int, typer.Option(min=1, max=1000, help="How many annotators are to judge each.")] = 3,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Queue triplets, as `shelfmark experiment similarity --sample` draws them, for people to judge."""
    from labelling.formats.triplets import import_questions
    from labelling.store.database import now

    with open_store(store, workflow, overrides, create=True) as opened:
        added = import_questions(opened, files, now(), wanted)
        name = opened.name
    typer.echo(f"{counted(added, 'triplet')} queued in {name}")


def export_triplets(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, JSON Lines.")],
    standing: Annotated[bool, typer.Option("--standing", help="Only verdicts that count, not the whole log.")] = False,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write people's verdicts on triplets, as `shelfmark experiment similarity --triplets` reads them."""
    from labelling.formats import triplets

    with open_store(store, workflow, overrides) as opened:
        count = triplets.export_triplets(opened, output, all_rows=not standing)
    typer.echo(f"{output}: {counted(count, 'verdict')}")
