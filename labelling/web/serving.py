"""Starts the server, or says why it may not start."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from labelling.store import Store, accounts
from labelling.web.indexes import Source
from labelling.web.proxies import networks
from modules.errors import InputError, Problem
from modules.http_server.limits import Limits
from modules.listening import is_loopback, listen


@dataclass(frozen=True)
class Place:
    """Where and for whom to serve.

    Attributes:
      annotator: who labels without accounts; None: the user who starts the server.
      accounts: ask for sign-in on loopback, too.
      certificate, key: PEM files; None: plain HTTP.
      image_hosts: hosts that browsers may load product images from.
      trusted_proxies: addresses and networks of proxies before the server.
      one_session: a sign-in ends the account's other sessions.
      limits: of connections; the proxies are added to them.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    annotator: str | None = None
    accounts: bool = False
    certificate: Path | None = None
    key: Path | None = None
    image_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    one_session: bool = False
    limits: Limits = Limits()

    @property
    def loopback(self) -> bool:
        """Whether nobody on another machine can reach the address."""
        return is_loopback(self.host)


def check(store: Store, place: Place) -> None:
    """Whether the server may start.

    Raises:
      InputError: others could reach it without signing in, TLS lacks a file, or a proxy is no address.
    """
    if (place.certificate is None) != (place.key is None):
        raise InputError(Problem("", "--certificate and --key go together"))
    for file in (place.certificate, place.key):
        if file is not None and not file.is_file():
            raise InputError(Problem(str(file), "there is no such file"))
    for host in place.image_hosts:
        if not host or any(not (c.isalnum() or c in "-.*:") for c in host):
            raise InputError(Problem("--image-host", "expected a host name, like images.example.com", value=host))
    networks(place.trusted_proxies)
    if place.loopback and not place.accounts:
        for option, given in (("--trusted-proxy", place.trusted_proxies), ("--one-session", place.one_session)):
            if given:
                raise InputError(
                    Problem(option, "without accounts the server is for this machine's user alone; add --accounts")
                )
        return
    with store.read() as connection:
        people = [one for one in accounts.everybody(connection) if one.active]
    if not any(one.role == "admin" for one in people):
        expected = "listening on more than this machine needs accounts, with an admin among them"
        if place.loopback:
            expected = "--accounts needs accounts, with an admin among them"
        hint = "make one: shelfmark label account put NAME --role admin"
        raise InputError(Problem("--host", expected, value=place.host, hint=hint))
    if place.annotator is not None:
        raise InputError(Problem("--annotator", "with accounts everybody labels under their own name"))


def serve_store(store: Store, place: Place, say: Callable[[str], None], source: Source | None = None) -> None:
    """Serves until it is stopped.

    Args:
      source: of the similarity indexes that pages look into.

    Raises:
      InputError: it may not start, or the port is taken.
    """
    check(store, place)
    from labelling.web.app import create_app
    from labelling.web.context import Settings
    from modules.http_server.server import serve

    with_accounts = place.accounts or not place.loopback
    annotator = None if with_accounts else place.annotator or _user()
    tls = place.certificate is not None
    # From here on connections wait in the queue, so that nobody who reads the line below is refused.
    with listen(place.host, place.port) as listener:
        port = listener.getsockname()[1]
        shown = f"[{place.host}]" if ":" in place.host else place.host
        limits = replace(place.limits, trusted=networks(place.trusted_proxies))
        settings = Settings(
            annotator, place.image_hosts, port if place.loopback else None, limits.trusted, place.one_session
        )
        if with_accounts and not tls and not place.loopback and not place.trusted_proxies:
            say("note: without --certificate passwords travel unencrypted; name a proxy that adds TLS: --trusted-proxy")
        say(f"labelling {store.name} at {'https' if tls else 'http'}://{shown}:{port}/ (stop with Ctrl+C)")
        serve(create_app(store, settings, source), listener, limits, place.certificate, place.key)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user-{os.getuid()}"
