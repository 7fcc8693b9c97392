"""``shelfmark similar serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shelfmark.cli.options import (
    ClientTimeoutOption,
    ConnectionsOption,
    PerAddressOption,
    SetOption,
    WorkflowOption,
)
from shelfmark.cli.similar.source import IndexOption, ModelOption, source_of


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; another than loopback needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")] = 8766,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", metavar="FILE", help="Token that requests must bring; or SHELFMARK_SERVING_TOKEN."
        ),
    ] = None,
    watch: Annotated[
        float, typer.Option("--watch", min=0.0, metavar="SECONDS", help="Look for a new index so often; 0: never.")
    ] = 5.0,
    preload: Annotated[
        bool, typer.Option("--preload", help="Load the model with each index, not at the first text or image.")
    ] = False,
    max_wait: Annotated[
        float, typer.Option("--max-wait", min=0.0, max=1000.0, metavar="MS", help="How long a batch waits for more.")
    ] = 2.0,
    max_batch: Annotated[int, typer.Option("--max-batch", min=1, max=4096, help="Queries per search.")] = 256,
    connections: ConnectionsOption = None,
    per_address: PerAddressOption = None,
    client_timeout: ClientTimeoutOption = 20.0,
    index: IndexOption = None,
    model: ModelOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Serve neighbours over HTTP: JSON, batched, and with another index while it runs."""
    from api.start import ApiOptions, serve_similar, token_of
    from modules.http_server.limits import ConnectionLimits

    options = ApiOptions(
        host=host, port=port, token_file=token_file, poll=watch, preload=preload, max_wait_ms=max_wait,
        max_batch=max_batch,
        limits=ConnectionLimits(wait=client_timeout, connections=connections, per_address=per_address),
    )  # fmt: skip
    token_of(options)
    serve_similar(source_of(index, model, workflow, overrides), options, typer.echo)
