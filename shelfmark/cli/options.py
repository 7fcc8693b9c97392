"""Arguments that several commands share."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.workflow_file import LoadedWorkflow

WorkflowOption = Annotated[
    Path | None,
    typer.Option(
        "--workflow",
        "-w",
        metavar="FILE",
        help="Workflow file; default: the only one in this folder.",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Override one setting; may be given again."),
]
FeedOption = Annotated[
    Path | None, typer.Option("--feed", metavar="DIR", help="Folder with the feed files, in place of the workflow's.")
]
LastSnapshotOption = Annotated[
    bool, typer.Option("--last-snapshot", help="Ask no source of a feed: read its last snapshot.")
]
ConnectionsOption = Annotated[
    int | None,
    typer.Option(
        "--connections",
        min=8,
        max=100_000,
        metavar="N",
        help="At a time; default: 1024, less where fewer files may be open.",
        show_default=False,
    ),
]
PerAddressOption = Annotated[
    int | None,
    typer.Option(
        "--connections-per-address",
        min=1,
        metavar="N",
        help="At a time from one address; default: 256, half of all at most.",
        show_default=False,
    ),
]
ClientTimeoutOption = Annotated[
    float,
    typer.Option(
        "--client-timeout",
        min=1.0,
        max=3600.0,
        metavar="SECONDS",
        help="How long a client may keep the server waiting.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(
    workflow: Path | None, overrides: list[str] | None = None, feed: Path | None = None, *, products: bool = False
) -> LoadedWorkflow:
    """The workflow that the arguments name; with ``products`` the demo's are written if they are not there.

    Raises:
      InputError: none is named, and this folder has none or several; or it has mistakes.
    """
    from pipeline.workflow_file import load_workflow, only_workflow

    loaded = load_workflow(only_workflow() if workflow is None else workflow, overrides or (), feed)
    if products:
        write_demo_products(loaded)
    return loaded


def refuse_workflow(text: str, key: str, expected: str, command: str) -> None:
    """Refuses a workflow file as an argument that is something else.

    Args:
      text: what stands there.
      key: the argument.
      expected: what it is.
      command: beside which the workflow is an option.

    Raises:
      InputError: it is one.
    """
    from modules.errors import InputError, Problem

    if Path(text).suffix in (".yaml", ".yml"):
        hint = f"{command} --workflow {shlex.quote(text)}"
        raise InputError(Problem("", f"expected {expected}; this is a workflow", key=key, value=text, hint=hint))


def write_demo_products(loaded: LoadedWorkflow) -> None:
    """Writes the demo catalogue if the workflow is one of it and it is not there yet."""
    if loaded.workflow.feed.demo is not None:
        from pipeline.demo_feed import ensure_demo

        ensure_demo(loaded, console(stderr=True))


def console(stderr: bool = False) -> Console:
    """A console that writes plain text when it is no terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
