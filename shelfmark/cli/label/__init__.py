"""``shelfmark label``: the label store, its queues, and the labelling pages."""

from __future__ import annotations

from pathlib import Path

from shelfmark.cli.commands import Commands, DefaultCommandGroup
from shelfmark.cli.label import accounts, backups, batches, files, serve, start, status, suggest, triplets


class _StartByDefault(DefaultCommandGroup):
    """``shelfmark label [WORKFLOW]`` is short for ``shelfmark label start [WORKFLOW]``."""

    default = "start"

    def means_default(self, first: str) -> bool:
        """An option or a workflow file; any other word is a command's name, written wrongly."""
        return first.startswith("-") or Path(first).suffix in (".yaml", ".yml") or Path(first).is_file()


app = Commands(
    cls=_StartByDefault,
    help="Label the newest batch: `shelfmark label [WORKFLOW]` is short for `label start`. Or keep labels, hand out "
    "batches, and serve the pages.",
    rich_markup_mode=None,
)
app.command("start")(start.start)
app.command("status")(status.status)
app.command("serve")(serve.serve)
app.command("import-batch")(batches.import_batch)
app.command("import-review")(batches.import_review)
app.command("import-products")(batches.import_products)
app.command("suggest")(suggest.suggest)
app.command("assign")(batches.assign)
app.command("close")(batches.close)
app.command("export")(files.export)
app.command("import")(files.import_)
app.command("snapshot")(files.snapshot)
app.command("backup")(backups.backup)
app.command("restore")(backups.restore)
app.command("import-triplets")(triplets.import_triplets)
app.command("export-triplets")(triplets.export_triplets)
app.add_typer(accounts.app, name="account")
