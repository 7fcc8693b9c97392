"""Starts the labelling server, or says why it may not start."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labelling.store import Store, accounts
from labelling.web.indexes import Source
from modules.errors import InputError, Problem
from modules.http_server.addresses import parse_networks
from modules.http_server.start import ServerOptions, start

if TYPE_CHECKING:
    from fastapi import FastAPI


@dataclass(frozen=True)
class LabellingOptions(ServerOptions):
    """Where and for whom the labelling pages are served.

    Attributes:
      annotator: Who labels without accounts; None: the user who starts the server.
      accounts: Whether people sign in on loopback, too.
      image_hosts: Hosts that browsers may load product images from.
      one_session: Whether a sign-in ends the account's other sessions.
    """

    port: int = 8765
    annotator: str | None = None
    accounts: bool = False
    image_hosts: tuple[str, ...] = ()
    one_session: bool = False

    @property
    def with_accounts(self) -> bool:
        """Whether people sign in."""
        return self.accounts or not self.loopback


def check(store: Store, options: LabellingOptions) -> None:
    """Checks whether the server may start.

    Raises:
      InputError: Others could reach the server without signing in, options contradict each other, TLS lacks a file, or
        a proxy is neither an address nor a network.
    """
    options.check()
    for host in options.image_hosts:
        if not host or any(not (c.isalnum() or c in "-.*:") for c in host):
            raise InputError(Problem("--image-host", "expected a host name, like images.example.com", value=host))
    if not options.with_accounts:
        for option, given in (("--trusted-proxy", options.trusted_proxies), ("--one-session", options.one_session)):
            if given:
                expected = "without accounts the server is for this machine's user alone; add --accounts"
                raise InputError(Problem(option, expected))
        return
    with store.read() as connection:
        has_admin = any(account.active and account.role == "admin" for account in accounts.everybody(connection))
    if not has_admin:
        expected = "listening on more than this machine needs accounts, with an admin among them"
        if options.loopback:
            expected = "--accounts needs accounts, with an admin among them"
        hint = "make one: shelfmark label account put NAME --role admin"
        raise InputError(Problem("--host", expected, value=options.host, hint=hint))
    if options.annotator is not None:
        raise InputError(Problem("--annotator", "with accounts everybody labels under their own name"))


def serve_store(
    store: Store,
    options: LabellingOptions,
    say: Callable[[str], None],
    source: Source | None = None,
    listening: Callable[[str], None] | None = None,
) -> None:
    """Serves the labelling pages until they are stopped.

    Args:
      store: The label store that the pages show and write to.
      options: Where and for whom to serve.
      say: Shows a line to whoever started the server.
      source: Opens the similarity indexes that pages look into; None: there are none.
      listening: Called with the pages' address once connections are taken; it must not block.

    Raises:
      InputError: The server may not start, or the port is taken.
    """
    check(store, options)
    from labelling.web.app import create_app
    from labelling.web.context import Settings

    def create(port: int) -> FastAPI:
        annotator = None if options.with_accounts else options.annotator or _user()
        trusted = parse_networks(options.trusted_proxies)
        settings = Settings(annotator, options.image_hosts, port, trusted, options.one_session)
        return create_app(store, settings, source)

    def announce(url: str) -> Iterator[str]:
        if not (options.loopback or options.certificate or options.trusted_proxies):
            advice = "name a proxy that adds TLS: --trusted-proxy"
            yield f"note: without --certificate passwords travel unencrypted; {advice}"
        yield f"labelling {store.name} at {url}/ (stop with Ctrl+C)"
        if listening is not None:
            listening(f"{url}/")

    start(options, create, announce, say)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"
