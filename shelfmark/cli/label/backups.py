"""``shelfmark label backup`` and ``restore``."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from modules.counting import counted
from shelfmark.cli.label.store import StoreOption, named_store, open_store, place_of
from shelfmark.cli.options import SetOption, WorkflowOption, console, load


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, such as labels.jsonl.gz.")],
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write the whole store to a file while people label: labels, queues, accounts, pages' contents, audit log."""
    from labelling.store.backup import back_up

    with open_store(store, workflow, overrides) as opened, _progress():
        written = back_up(opened, file)
    labels = counted(written.rows["labels"], "label row")
    typer.echo(f"{file}: {counted(written.total, 'row')} of {opened.name}, {labels} among them; read again and whole")
    typer.echo("it holds the hashes of passwords: keep it where only you may read it")
    typer.echo(f"to bring it back: shelfmark label restore {shlex.quote(str(file))} --store NEW")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `label backup` wrote, of SQLite or PostgreSQL.")],
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Put a backup into a new or empty store of either database: all of it, or nothing."""
    from labelling.store.backup import restore as restore_backup
    from labelling.store.database import name_of, store_url

    named = named_store(store)
    place = named or place_of(None, load(workflow, overrides))
    with _progress():
        restored = restore_backup(place, file)
    name = name_of(store_url(place))
    labels = counted(restored.rows.get("labels", 0), "label row")
    typer.echo(f"{name}: {counted(restored.total, 'row')}, {labels} among them")
    typer.echo(f"next: shelfmark label status --store {shlex.quote(name)}")


@contextmanager
def _progress() -> Iterator[None]:
    from modules.progress import listening

    with (
        console(stderr=True).status("") as status,
        listening(lambda done, total, text: status.update(f"{done:,} of {total:,} {text}")),
    ):
        yield
