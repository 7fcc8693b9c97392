"""Starts the API's server, or says why it may not start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from api.tokens import Client, Clients, FileClients
from modules.counting import counted
from modules.errors import InputError, Problem, reason
from modules.http_server.start import ServerOptions, start

if TYPE_CHECKING:
    from fastapi import FastAPI

    from api.app import Services
    from api.similarity.engine import Engine, Source

TOKEN_VARIABLE = "SHELFMARK_SERVING_TOKEN"  # noqa: S105 - the name of an environment variable
MIN_TOKEN = 16


@dataclass(frozen=True)
class ApiOptions(ServerOptions):
    """Where and for whom the API is served.

    Attributes:
      token_file: A file with the token that requests must bring; None: the environment's, or none.
      tokens: A file with the hashes of several tokens and their scopes, in place of the one token.
      rate: Requests per second and token; None: as many as may come.
      poll: Seconds between looks for a new index; 0: never.
      preload: Whether the model is loaded together with each index, not at the first text or image.
      max_wait_ms: Milliseconds that a search waits for more queries.
      max_batch: Queries in a search, at most.
    """

    port: int = 8766
    token_file: Path | None = None
    tokens: Path | None = None
    rate: float | None = None
    poll: float = 5.0
    preload: bool = False
    max_wait_ms: float = 2.0
    max_batch: int = 256


def token_of(options: ApiOptions) -> str | None:
    """Reads the token that requests must bring, if there is one.

    Raises:
      InputError: Others could reach the server without a token, the file cannot be read, or the token is too short.
    """
    file = options.token_file
    source = str(file) if file is not None else f"${TOKEN_VARIABLE}"
    try:
        text = file.read_text(encoding="utf-8") if file is not None else os.environ.get(TOKEN_VARIABLE, "")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(source, f"expected a file with a token: {reason(error)}")) from None
    token = text.strip()
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        expected = f"expected a token of at least {MIN_TOKEN} letters and digits"
        raise InputError(Problem(source, expected, hint="make one: openssl rand -hex 32 > FILE"))
    if file is not None and not token:
        raise InputError(Problem(source, "expected a token; the file is empty", hint="openssl rand -hex 32 > FILE"))
    if not token and not options.loopback:
        expected = "listening on more than this machine needs a token that every request brings"
        hint = f"set {TOKEN_VARIABLE} to what `openssl rand -hex 32` prints, or name a file (see --help)"
        raise InputError(Problem("--host", expected, value=options.host, hint=hint))
    return token or None


def clients_of(options: ApiOptions) -> Clients | None:
    """Who may ask, out of the file of tokens' hashes or the server's only token; None: whoever reaches loopback.

    Raises:
      InputError: as :func:`token_of`, or the file of hashes cannot be used.
    """
    if options.tokens is not None:
        return FileClients(options.tokens)
    token = token_of(options)
    return None if token is None else Clients([Client.of(token)])


def serve_similar(source: Source, options: ApiOptions, say: Callable[[str], None]) -> None:
    """Serves similar products until it is stopped.

    Args:
      source: Opens what is to be searched.
      options: Where and for whom to serve.
      say: Shows a line to whoever started the server.

    Raises:
      InputError: The server may not start, there is no index, or the port is taken.
    """
    options.check()
    clients = clients_of(options)
    from api.app import Services

    engine = engine_of(source, options)
    engine.load()
    catalogue = engine.current().catalogue

    def announce(url: str) -> Iterator[str]:
        what = f"{counted(len(catalogue), 'product')} by {', '.join(catalogue.methods)}"
        yield f"similar products ({what}) at {url}/v1/similar (stop with Ctrl+C)"

    _start(Services(engine.metrics, engine), clients, options, announce, say)


def serve_shop(services: Services, options: ApiOptions, say: Callable[[str], None]) -> None:
    """Serves what there is, and what comes later, until it is stopped.

    Args:
      services: What is asked about; nothing of it needs to be loaded.
      options: Where and for whom to serve.
      say: Shows a line to whoever started the server.

    Raises:
      InputError: The server may not start, or the port is taken.
    """
    options.check()
    clients = clients_of(options)
    missing = []
    for name, loader in services.loaders().items():
        try:
            loader.load()
        except InputError as error:
            missing.append(f"no {name} yet: {error}")

    def announce(url: str) -> Iterator[str]:
        yield from missing
        yield f"the shop's API at {url}, described in {url}/openapi.json (stop with Ctrl+C)"
        yield f"next: curl {url}/readyz"

    _start(services, clients, options, announce, say)


def engine_of(source: Source, options: ApiOptions) -> Engine:
    """The engine for similar products, nothing loaded yet."""
    from api.similarity.engine import Engine, Limits
    from api.similarity.metrics import Metrics

    limits = Limits(max_batch=options.max_batch, max_wait=options.max_wait_ms / 1000.0)
    return Engine(source, Metrics(), limits, options.preload)


def _start(
    services: Services, clients: Clients | None, options: ApiOptions, announce: Callable[[str], Iterator[str]],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    from api.app import create_app
    from api.gate import Access
    from api.rate import RateLimit

    def create(port: int) -> FastAPI:
        rate = None if options.rate is None else RateLimit(options.rate)
        return create_app(services, Access(clients, port if clients is None else None, rate), options.poll)

    def announce_all(url: str) -> Iterator[str]:
        yield from announce(url)
        if clients is not None and not options.loopback:
            yield "note: the tokens travel unencrypted, unless a proxy before this adds TLS"

    start(options, create, announce_all, say)
