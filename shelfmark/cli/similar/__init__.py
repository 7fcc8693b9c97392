"""``shelfmark similar``: neighbours of a product, and the servers that give them."""

from __future__ import annotations

from shelfmark.cli.commands import Commands, DefaultCommandGroup
from shelfmark.cli.similar import export, find, full_text, serve


class _FindByDefault(DefaultCommandGroup):
    """``shelfmark similar ID`` is short for ``shelfmark similar find ID``."""

    default = "find"

    def means_default(self, first: str) -> bool:
        """Anything may be an id or a text."""
        return True


app = Commands(
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
