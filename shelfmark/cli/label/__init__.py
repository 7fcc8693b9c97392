"""``shelfmark label``: the label store, its queues, and the labelling pages."""

from __future__ import annotations

import typer

from shelfmark.cli.label import accounts, batches, files, serve, status, triplets

app = typer.Typer(
    help="Keep labels, hand out batches, and serve the labelling pages.", no_args_is_help=True, rich_markup_mode=None
)
app.command("status")(status.status)
app.command("serve")(serve.serve)
app.command("import-batch")(batches.import_batch)
app.command("import-review")(batches.import_review)
app.command("import-products")(batches.import_products)
app.command("assign")(batches.assign)
app.command("close")(batches.close)
app.command("export")(files.export)
app.command("import")(files.import_)
app.command("snapshot")(files.snapshot)
app.command("import-triplets")(triplets.import_triplets)
app.command("export-triplets")(triplets.export_triplets)
app.add_typer(accounts.app, name="account")
