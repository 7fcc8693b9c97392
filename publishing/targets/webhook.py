"""An HTTP address of the shop: signed batches of JSON, each acknowledged by its status."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

import urllib3.exceptions as errors
from urllib3.response import HTTPResponse
from urllib3.util import Url, parse_url

from modules.errors import InputError, Problem, shorten
from modules.http_server.addresses import is_loopback
from modules.images.addresses import Resolve, checked_addresses, is_public, system_resolve
from modules.images.connections import Connection, Connections, Deadlines
from modules.images.hosts import Hosts
from modules.images.outcome import PRIVATE_ADDRESS, ImageError
from modules.images.references import WebAddress
from modules.predictions.documents import Document
from modules.retry_after import seconds_of
from publishing.targets.base import MAX_REASON, Busy, Options, Refused, Target, Unusable

TIMESTAMP, SIGNATURE, KEY = "Shelfmark-Timestamp", "Shelfmark-Signature", "Idempotency-Key"
_CONNECT = 10.0
_MOST_SAID = 1 << 16
_IDLE = 64
_WRONG_ADDRESS = frozenset({401, 403, 404, 405, 410})
"""Statuses that say of every batch what they say of this one."""


class WebhookTarget(Target):
    """Posts to one address, and to no other: redirects are not followed, and no proxy is asked.

    Connections go to addresses that were checked, as for images: a name may lead into the inner network.
    """

    schemes: ClassVar[tuple[str, ...]] = ("https", "http")

    def __init__(
        self, address: str, options: Options, is_hidden: bool, *,
        resolve: Resolve = system_resolve, tls: ssl.SSLContext | None = None, clock: Callable[[], float] = time.time,
    ):  # fmt: skip
        url = _parsed(address)
        if options.secret is None:
            hint = "add --secret-env NAME or --secret-file FILE; `openssl rand -hex 32` makes a secret"
            raise InputError(Problem("", "expected a secret that signs what is sent to a webhook", hint=hint))
        host = str(url.host).strip("[]").lower()
        if url.scheme == "http" and not is_loopback(host):
            raise InputError(Problem("", "predictions would travel unencrypted", key="TARGET", value=f"http://{host}/…",
                                     hint="name https://"))  # fmt: skip
        port = url.port or (443 if url.scheme == "https" else 80)
        self._address = WebAddress(url.scheme or "", host, port, url.request_uri)
        # Path and query of many webhooks are their password.
        self.name = f"{url.scheme}://{self._address.authority}/…"
        self.identity = f"{url.scheme}://{self._address.authority}{url.path or '/'}"
        self._secret, self._timeout, self._clock = options.secret, options.timeout, clock
        self._allow_private = options.allow_private
        allowed = (lambda ip: True) if options.allow_private else is_public
        self._hosts = Hosts(lambda host, port: checked_addresses(host, port, resolve, allowed))
        self._connections = Connections(_IDLE, min(_CONNECT, options.timeout), tls)
        self._deadlines = Deadlines()

    def start(self, version: int) -> None:
        self._ips()

    def finish(self) -> None:
        self._connections.close()
        self._deadlines.close()

    def _ips(self) -> list[str]:
        try:
            return self._hosts.addresses(self._address.host, self._address.port)
        except ImageError as error:
            if error.reason == PRIVATE_ADDRESS:
                hint = "add --allow-private if it is meant"
                raise Unusable(f"{self.name} leads to an address that is not public", hint) from None
            raise Busy(f"{self.name}: its name has no address") from None

    def send(self, documents: Sequence[Document]) -> None:
        products = b",".join(document.as_json() for document in documents)
        body = b'{"version":%d,"products":[%b]}' % (documents[0].values["version"], products)
        for ip in self._ips()[:3]:
            connection, was_used = self._connections.take(self._address, ip)
            try:
                connection.connect() if not was_used else None
            except (errors.SSLError, ssl.SSLError):
                connection.close()
                raise Unusable(f"{self.name} has no certificate that can be trusted") from None
            except (errors.HTTPError, OSError):
                connection.close()
                continue
            self._exchange(connection, ip, body, was_used)
            return
        raise Busy(f"{self.name} cannot be reached")

    def _exchange(self, connection: Connection, ip: str, body: bytes, was_used: bool) -> None:
        deadline = time.monotonic() + self._timeout
        connection.timeout = self._timeout
        try:
            connection.sock.settimeout(self._timeout)
            with self._deadlines.until(deadline, connection.sock):
                connection.request("POST", self._address.target, body=body, headers=self._headers(body),
                                   preload_content=False, decode_content=False)  # fmt: skip
                response = connection.getresponse()
                said = _read(response)
        except (errors.HTTPError, OSError, ValueError, AttributeError) as error:
            # A connection that was cut for its deadline ends in any of many errors.
            connection.close()
            timely = time.monotonic() < deadline and not isinstance(error, errors.TimeoutError | TimeoutError)
            why = "broke the connection off" if timely else "did not answer in time (--timeout)"
            # A kept connection may have been closed by the host meanwhile, which is nobody's fault.
            raise Busy(f"{self.name} {why}", 0.0 if was_used and timely else None) from None
        if said is None:
            connection.close()
        else:
            self._connections.give_back(self._address, ip, connection)
        self._judge(response, said or b"")

    def _headers(self, body: bytes) -> dict[str, str]:
        stamp = str(int(self._clock()))
        return {
            "Host": self._address.authority,
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "shelfmark",
            KEY: hashlib.sha256(body).hexdigest()[:32],
            TIMESTAMP: stamp,
            SIGNATURE: f"v1={signature(self._secret, stamp, body)}",
        }

    def _judge(self, response: HTTPResponse, said: bytes) -> None:
        status = response.status
        if 200 <= status <= 299:
            return
        if status in (408, 425, 429) or 500 <= status <= 599:
            raise Busy(f"{self.name} answers with status {status}", seconds_of(response.headers.get("retry-after")))
        if 300 <= status <= 399:
            raise Unusable(
                f"{self.name} answers with status {status}", "redirects are not followed: name where it leads"
            )
        if status in _WRONG_ADDRESS:
            raise Unusable(f"{self.name} answers with status {status}", "are the address and the secret right?")
        text = said.decode("utf-8", "replace").replace(self._secret.decode(), "***")
        raise Refused(shorten(" ".join(text.split()), MAX_REASON) or f"status {status}", status)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of the timestamp, a full stop and the body, in hexadecimal digits."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _read(response: HTTPResponse) -> bytes | None:
    """The answer's body; None of one that is too long to be read to its end."""
    data = bytearray()
    while part := response.read1(_MOST_SAID, decode_content=False):
        data += part
        if len(data) > _MOST_SAID:
            return None
    return bytes(data)


def _parsed(address: str) -> Url:
    try:
        parsed = parse_url(address)
    except (errors.LocationParseError, ValueError):
        parsed = None
    if parsed is None or not parsed.host or parsed.auth is not None:
        expected = "expected an address like https://host/path, without a user's name in it"
        raise InputError(Problem("", expected, key="TARGET"))
    return parsed
