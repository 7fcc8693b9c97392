"""``shelfmark label serve``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shelfmark.cli.label.store import StoreOption, open_store
from shelfmark.cli.options import (
    ClientTimeoutOption,
    ConnectionsOption,
    PerAddressOption,
    SetOption,
    WorkflowOption,
)
from shelfmark.cli.similar.source import IndexOption, source_of

if TYPE_CHECKING:
    from api.similarity.engine import Loaded
    from labelling.web.indexes import Source
    from modules.similarity.catalogue import Catalogue

PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any free one.")]
AnnotatorOption = Annotated[
    str | None, typer.Option("--annotator", metavar="NAME", help="Who labels here, without accounts.")
]


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; another than loopback needs accounts.")] = (
        "127.0.0.1"
    ),
    port: PortOption = 8765,
    annotator: AnnotatorOption = None,
    accounts: Annotated[bool, typer.Option("--accounts", help="Ask for sign-in on loopback, too.")] = False,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="TLS certificate (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Its private key (PEM).")] = None,
    image_hosts: Annotated[
        list[str] | None,
        typer.Option("--image-host", metavar="HOST", help="The browser may load product images from there (https)."),
    ] = None,
    trusted_proxies: Annotated[
        list[str] | None,
        typer.Option("--trusted-proxy", metavar="ADDRESS", help="A proxy before this server (or a network of them)."),
    ] = None,
    one_session: Annotated[
        bool, typer.Option("--one-session", help="A sign-in ends the same person's older sessions.")
    ] = False,
    write_wait: Annotated[
        float,
        typer.Option(
            "--write-wait",
            metavar="SECONDS",
            min=0.1,
            max=60.0,
            help="How long an answer waits for another program that has locked the store.",
        ),
    ] = 5.0,
    connections: ConnectionsOption = None,
    per_address: PerAddressOption = None,
    client_timeout: ClientTimeoutOption = 20.0,
    index: IndexOption = None,
    store: StoreOption = None,
    workflow: WorkflowOption = None,
    overrides: SetOption = None,
) -> None:
    """Serve the labelling pages."""
    from labelling.store.database import SERVING
    from labelling.web.start import LabellingOptions, serve_store
    from modules.http_server.limits import ConnectionLimits

    options = LabellingOptions(
        host=host, port=port, certificate=certificate, key=key, annotator=annotator, accounts=accounts,
        image_hosts=tuple(image_hosts or ()), trusted_proxies=tuple(trusted_proxies or ()), one_session=one_session,
        limits=ConnectionLimits(wait=client_timeout, connections=connections, per_address=per_address),
    )  # fmt: skip
    with open_store(store, workflow, overrides, patience=replace(SERVING, write=write_wait)) as opened:
        serve_store(opened, options, typer.echo, indexes_of(index, workflow, overrides))


def indexes_of(index: Path | None, workflow: Path | None, overrides: list[str] | None) -> Source:
    """The indexes of ``index`` or of the workflow's newest run; nothing is opened or read before they are asked for."""

    @cache
    def named() -> Callable[[str | None], Loaded | None]:
        return source_of(index, None, workflow, overrides)

    def newest(version: str | None) -> Catalogue | None:
        version_source = named()(version)
        return version_source.catalogue if version_source is not None else None

    return newest
