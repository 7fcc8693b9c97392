"""Whom a request comes from when proxies stand before the server: what they say is believed of trusted ones alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from modules.http_server.addresses import Address, Network, contains, parse_address

# One parameter of a Forwarded header (RFC 7239): a token, or a quoted string with its escapes.
PARAMETER = re.compile(r"""\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s;,"]*)\s*(?:([;,])|\Z)""")


@dataclass(frozen=True)
class Hop:
    """What a proxy says of who spoke to it: the address (None: no address, such as ``unknown``), and how."""

    address: Address | None
    scheme: str


class TrustedProxies:
    """Middleware: puts the client's own address and scheme in the place of the proxy's.

    Each proxy appends to the header whom it got the request from, so the list is read from its end: the first address
    there that is no trusted proxy's is the client's. What stands before it, the client may have made up.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]):
        self.app, self.trusted = app, tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.trusted:
            peer = address_of(scope["client"][0]) if scope.get("client") else None
            if peer is not None and contains(self.trusted, peer):
                chain = hops(scope["headers"])
                if chain is None:
                    text = "Two headers say where this comes from, and not the same. The proxy is to remove one."
                    await PlainTextResponse(text, 400)(scope, receive, send)
                    return
                client, scheme = self._client(peer, scope["scheme"], chain)
                scope = {**scope, "client": (str(client), 0), "scheme": scheme}
        await self.app(scope, receive, send)

    def _client(self, peer: Address, scheme: str, chain: Sequence[Hop]) -> tuple[Address, str]:
        """The last address that somebody who is trusted vouches for, and how it spoke to them."""
        for hop in reversed(chain):
            scheme = hop.scheme or scheme
            if hop.address is None:
                # Who that was is not known; the proxy that it spoke to is.
                break
            peer = hop.address
            if not contains(self.trusted, peer):
                break
        return peer, scheme


def hops(headers: Iterable[tuple[bytes, bytes]]) -> list[Hop] | None:
    """Those that the request came through, the first one first: by ``Forwarded``, else by ``X-Forwarded-For`` and
    ``X-Forwarded-Proto``.

    Returns:
      None if both are there and do not name the same addresses: a proxy writes one of them, and hands the other one on
      as the client sent it.
    """
    texts: dict[str, list[str]] = {"forwarded": [], "x-forwarded-for": [], "x-forwarded-proto": []}
    for name, value in headers:
        if (key := name.decode("latin-1").lower()) in texts:
            texts[key].append(value.decode("latin-1"))
    standard = _standard(", ".join(texts["forwarded"])) if texts["forwarded"] else None
    usual = _usual(texts["x-forwarded-for"], texts["x-forwarded-proto"])
    if standard is None:
        return usual
    if texts["x-forwarded-for"] and [hop.address for hop in standard] != [hop.address for hop in usual]:
        return None
    return standard


def _usual(clients: Sequence[str], schemes: Sequence[str]) -> list[Hop]:
    """Hops by X-Forwarded-For and X-Forwarded-Proto, which has an entry per hop or a single one by the last proxy."""
    names = [_scheme(text) for text in ", ".join(schemes).split(",")]
    addresses = [address_of(text) for text in ", ".join(clients).split(",")] if clients else []
    if len(names) != len(addresses):
        names = [names[-1]] * max(1, len(addresses))
    # A proxy that gives the scheme alone still says how its client speaks.
    return [Hop(address, scheme) for address, scheme in zip(addresses or [None], names, strict=True)]


def _standard(text: str) -> list[Hop]:
    """Of a Forwarded header. One that is malformed says nothing: where its elements end cannot be known."""
    elements: list[Hop] = []
    place, element = 0, {}
    while place < len(text):
        match = PARAMETER.match(text, place)
        if match is None:
            return [Hop(None, "")]
        name, value, end = match.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        if name.lower() in element:
            return [Hop(None, "")]
        element[name.lower()] = value
        place = match.end()
        if end != ";" or place == len(text):
            elements.append(Hop(address_of(element.get("for", "")), _scheme(element.get("proto", ""))))
            element = {}
    return elements


def _scheme(text: str) -> str:
    """http or https; empty for anything else."""
    text = text.strip().lower()
    return text if text in ("http", "https") else ""


def address_of(text: str) -> Address | None:
    """An address as such headers give it: alone, with a port, in quotes, in brackets; None for anything else."""
    text = text.strip().strip('"')
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d{1,5})?", text)
    if bracketed:
        text = bracketed.group(1)
    elif text.count(":") == 1:
        text = re.sub(r":\d{1,5}\Z", "", text)
    return parse_address(text)
