"""Which label store a command is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfmark.cli.options import load

if TYPE_CHECKING:
    from labelling.store import Store
    from labelling.store.database import Patience
    from pipeline.workflow_file import LoadedWorkflow

VARIABLE = "SHELFMARK_LABEL_STORE"

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
      store: address or file of the store; None: the environment's, else the workflow's.
      workflow: the workflow file; None: the default one.
      overrides: settings that replace those of the workflow file.
      create: make a store where there is none.
      patience: how long to wait for other programs that hold it; None: as long as a command may.

    Raises:
      InputError: there is none, or it cannot be opened.
    """
    from labelling.store import Store
    from labelling.store.database import Patience

    given = store or os.environ.get(VARIABLE)
    return Store(given or place_of(None, load(workflow, overrides)), create=create, patience=patience or Patience())
