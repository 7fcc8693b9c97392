"""``shelfmark similar``: neighbours of a product, and the servers that give them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from shelfmark.cli.similar import export, find, full_text, serve


class _FindByDefault(TyperGroup):
    """``shelfmark similar ID`` is short for ``shelfmark similar find ID``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts ``find`` before what is no subcommand."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["find", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FindByDefault,
    help="Find products that look alike: `shelfmark similar ID|IMAGE|TEXT` is short for `similar find`.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("find")(find.find)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("full-text")(full_text.full_text)
app.command("elasticsearch")(full_text.elasticsearch)
