"""Which label store a command is about, and a run's snapshot of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfmark.cli.options import console, load

if TYPE_CHECKING:
    from labelling.store import Store
    from labelling.store.database import Patience
    from pipeline.workflow_file import LoadedWorkflow

VARIABLE = "SHELFMARK_LABEL_STORE"
SNAPSHOTS = "labels"
"""Folder in a workflow's run folder."""

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="FILE|URL",
        help=f"The label store; default: ${VARIABLE}, then the workflow's labels.store, then a file in its run folder.",
    ),
]


def place_of(store: str | None, loaded: LoadedWorkflow) -> str:
    """The store's file or URL."""
    from pipeline.run_folder import RunFolder

    default = RunFolder.of(loaded.workflow).path / "labels.sqlite"
    return store or os.environ.get(VARIABLE) or loaded.workflow.labels.store or str(default)


def open_store(
    store: str | None,
    workflow: Path | None,
    overrides: list[str] | None = None,
    *,
    create: bool = False,
    patience: Patience | None = None,
) -> Store:
    """The store that the arguments name.

    Args:
      patience: how long to wait for other programs that hold it; None: as long as a command may.

    Raises:
      InputError: there is none, or it cannot be opened.
    """
    from labelling.store import Store
    from labelling.store.database import Patience

    given = store or os.environ.get(VARIABLE)
    return Store(given or place_of(None, load(workflow, overrides)), create=create, patience=patience or Patience())


def with_labels(loaded: LoadedWorkflow) -> LoadedWorkflow:
    """The workflow with a snapshot of its label store, if it names one; a SQLite file that is not there is empty."""
    place = loaded.workflow.labels.store
    if place is None:
        return loaded
    from labelling.store import Store
    from labelling.store.database import store_url
    from labelling.store.snapshot import take_snapshot
    from modules.errors import InputError
    from pipeline.run_folder import RunFolder

    try:
        url = store_url(place)
    except InputError as error:
        problem = error.problems[0]
        raise InputError(loaded.problem("labels.store", problem.expected, problem.value)) from None
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        console().print(f"labels: no store at {url.database} yet", soft_wrap=True)
        return loaded
    folder = Path(RunFolder.of(loaded.workflow).path) / SNAPSHOTS
    with Store(place, create=False) as store:
        found = take_snapshot(store, folder, list(loaded.workflow.objectives))
        name = store.name
    console().print(f"labels: {found.labels:,} rows and {found.queued:,} queued of {name}", soft_wrap=True)
    return replace(loaded, snapshot=found.folder)
