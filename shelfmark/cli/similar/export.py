"""``shelfmark similar export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modules.counting import counted
from shelfmark.cli.options import SetOption, WorkflowOption
from shelfmark.cli.similar.source import IndexOption, opened


def export(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="New folder for the SavedModel.")],
    by: Annotated[
        str | None, typer.Option("--by", metavar="METHOD", help="Which embedding; default: the first.")
    ] = None,
    shard: Annotated[
        int, typer.Option("--shard", min=1, max=1024, metavar="MB", help="Size of the matrix' variables, at most.")
    ] = 64,
    index: IndexOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Write a SavedModel that searches all products exactly, for TensorFlow Serving."""
    catalogue = opened(index, None, workflow, overrides).catalogue
    method = catalogue.method(by)
    from api.similarity.exact_model import export_exact

    count = export_exact(catalogue, method, output, shard << 20)
    typer.echo(f"{output}: exact search over {counted(count, 'product')} by {method}")
