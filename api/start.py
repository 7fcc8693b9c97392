"""Starts the endpoint, or says why it may not start."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modules.errors import InputError, Problem, reason
from modules.http_server.limits import Limits
from modules.listening import is_loopback, listen

TOKEN_VARIABLE = "SHELFMARK_SERVING_TOKEN"
MIN_TOKEN = 16


@dataclass(frozen=True)
class Place:
    """Where and for whom to serve.

    Attributes:
      token_file: a file with the token that requests must bring; None: the environment's, or none.
      poll: seconds between looks for a new index; 0: never.
      preload: load the model together with each index, not at the first text or image.
      limits: of connections.
    """

    host: str = "127.0.0.1"
    port: int = 8766
    token_file: Path | None = None
    poll: float = 5.0
    preload: bool = False
    max_wait_ms: float = 2.0
    max_batch: int = 256
    limits: Limits = Limits()

    @property
    def loopback(self) -> bool:
        """Whether nobody on another machine can reach the address."""
        return is_loopback(self.host)


def token_of(place: Place) -> str | None:
    """The token, if there is one.

    Raises:
      InputError: others could reach the server without one; the file cannot be read; the token is too short.
    """
    source = str(place.token_file) if place.token_file is not None else f"${TOKEN_VARIABLE}"
    try:
        text = place.token_file.read_text(encoding="utf-8") if place.token_file else os.environ.get(TOKEN_VARIABLE, "")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(source, f"expected a file with a token: {reason(error)}")) from None
    token = text.strip()
    if token and (len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        expected = f"expected a token of at least {MIN_TOKEN} letters and digits"
        raise InputError(Problem(source, expected, hint="make one: openssl rand -hex 32 > FILE"))
    if place.token_file is not None and not token:
        raise InputError(Problem(source, "expected a token; the file is empty", hint="openssl rand -hex 32 > FILE"))
    if not token and not place.loopback:
        expected = "listening on more than this machine needs a token that every request brings"
        hint = f"openssl rand -hex 32 > FILE, then --token-file FILE (or set {TOKEN_VARIABLE})"
        raise InputError(Problem("--host", expected, value=place.host, hint=hint))
    return token or None


def serve_similar(source: Callable[..., object], place: Place, say: Callable[[str], None]) -> None:
    """Serves until it is stopped.

    Args:
      source: a :data:`api.similarity.engine.Source`.

    Raises:
      InputError: it may not start, there is no index, or the port is taken.
    """
    token = token_of(place)
    from api.app import Access, create_app
    from api.similarity.engine import Engine
    from api.similarity.engine import Limits as OfBatches
    from api.similarity.metrics import Metrics
    from modules.http_server.server import serve

    limits = OfBatches(max_batch=place.max_batch, max_wait=place.max_wait_ms / 1000.0)
    engine = Engine(source, Metrics(), limits, place.preload)  # type: ignore[arg-type]
    engine.load()
    loaded = engine.current()
    # From here on connections wait in the queue, so that nobody who reads the line below is refused.
    with listen(place.host, place.port) as listener:
        port = listener.getsockname()[1]
        shown = f"[{place.host}]" if ":" in place.host else place.host
        access = Access(token, port if place.loopback and token is None else None)
        what = f"{len(loaded.catalogue):,} products by {', '.join(loaded.catalogue.methods)}"
        say(f"similar products ({what}) at http://{shown}:{port}/v1/similar (stop with Ctrl+C)")
        if token is not None and not place.loopback:
            say("note: the token travels unencrypted, unless a proxy before this adds TLS")
        serve(create_app(engine, access, place.poll), listener, place.limits)
