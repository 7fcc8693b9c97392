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


def named_store(store: str | None) -> str | None:
    """The store that the command line or the environment names; None: neither does."""
    return store or os.environ.get(VARIABLE)


def place_of(store: str | None, loaded: LoadedWorkflow | None) -> str:
    """The store's file or URL.

    Args:
      store: what the command line names.
      loaded: the workflow whose store it is otherwise; None only where one is named.
    """
    named = named_store(store)
    if named is not None or loaded is None:
        return named or ""
    from pipeline.run_folder import RunFolder

    return loaded.label_store or str(RunFolder.of(loaded.workflow).path / "labels.sqlite")


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
      workflow: the workflow file; None: the only one in this folder.
      overrides: settings that replace those of the workflow file.
      create: make a store where there is none.
      patience: how long to wait for other programs that hold it; None: as long as a command may.

    Raises:
      InputError: there is none, or it cannot be opened.
    """
    from labelling.store import Store
    from labelling.store.database import Patience

    place = named_store(store) or place_of(None, load(workflow, overrides))
    return Store(place, create=create, patience=patience or Patience())
