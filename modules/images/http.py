"""Images from the web: each hop checked, every wait bounded, whatever the host sends."""

from __future__ import annotations

import http.client
import random
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3.exceptions as errors
from urllib3.response import HTTPResponse

from modules.images.addresses import Resolve, checked_addresses, is_public, system_resolve
from modules.images.connections import Connection, Connections, Deadlines
from modules.images.hosts import Hosts
from modules.images.outcome import (
    BROKEN,
    HTTP_4XX,
    HTTP_5XX,
    NOT_FOUND,
    TIMEOUT,
    TOO_LARGE,
    TOO_MANY_REDIRECTS,
    UNREACHABLE,
    ImageError,
)
from modules.images.references import WebAddress, redirected
from modules.retry_after import seconds_of
from modules.settings.images import ImageSettings

MAX_REDIRECTS = 5
ADDRESSES = 3
"""A host's addresses that are tried, at most."""
_BLOCK = 1 << 16
_HEADERS = {
    "User-Agent": "shelfmark-images/1",
    "Accept": "image/jpeg,image/png,image/webp,image/gif;q=0.9,*/*;q=0.1",
    # No other encoding: a compressed answer could unpack to any size.
    "Accept-Encoding": "identity",
}


class _Failed(ImageError):
    """``after``: seconds that the host asks to wait."""

    def __init__(self, reason: str, *, passing: bool = False, after: float | None = None):
        super().__init__(reason, passing=passing)
        self.after = after


class WebImages:
    """Fetches from many threads.

    Args:
      resolve: how names are looked up; each name once a minute at most, and connections go to the addresses it gave.
      public: which addresses may be connected to without ``allow_private``.
      tls: default: the system's certificates.
      pause: seconds before the first retry, on average twice as long before each further one.
    """

    def __init__(
        self,
        settings: ImageSettings,
        *,
        resolve: Resolve = system_resolve,
        public: Callable[[str], bool] = is_public,
        tls: ssl.SSLContext | None = None,
        pause: float = 0.5,
    ):
        self._settings = settings
        allowed = (lambda ip: True) if settings.allow_private else public
        self._hosts = Hosts(lambda host, port: checked_addresses(host, port, resolve, allowed))
        self._connections = Connections(2 * settings.threads, settings.connect_timeout, tls)
        self._deadlines = Deadlines()
        self._pause = pause
        self._closed = threading.Event()

    def fetch(self, address: WebAddress) -> bytes:
        """Fetches the address.

        Raises:
          ImageError: with the reason.
        """
        deadline = time.monotonic() + self._settings.deadline
        for attempt in range(self._settings.retries + 1):
            try:
                self._hosts.check(address.host)
                data = self._follow(address, deadline)
            except ImageError as error:
                if not error.passing:
                    raise
                wait = getattr(error, "after", None)
                if wait is None:
                    wait = random.uniform(0, 2 * self._pause * 2**attempt)  # noqa: S311 - nobody gains by guessing it
                out_of_time = time.monotonic() + wait >= deadline
                if attempt == self._settings.retries or out_of_time or self._closed.wait(wait):
                    self._hosts.failed(address.host, error.reason)
                    raise
            else:
                self._hosts.worked(address.host)
                return data
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Ends waits and cuts connections; what is being fetched fails."""
        self._closed.set()
        self._connections.close()
        self._deadlines.close()

    def _follow(self, address: WebAddress, deadline: float) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            body_or_redirect = self._get(address, deadline)
            if isinstance(body_or_redirect, bytes):
                return body_or_redirect
            address = redirected(address, body_or_redirect, self._settings)
        raise ImageError(TOO_MANY_REDIRECTS)

    def _get(self, address: WebAddress, deadline: float) -> bytes | str:
        """The body, or where the host sends us."""
        failure: ImageError | None = None
        for ip in self._hosts.addresses(address.host, address.port)[:ADDRESSES]:
            # A host may close an idle connection at any time, so one that was used before is no reason to fail.
            while True:
                connection, used = self._connections.take(address, ip)
                try:
                    return self._exchange(address, ip, connection, deadline)
                except ImageError as error:
                    connection.close()
                    if not (used and error.reason == UNREACHABLE):
                        failure = error
                        break
            if failure.reason not in (UNREACHABLE, TIMEOUT) or time.monotonic() >= deadline:
                break
        assert failure is not None
        raise failure

    def _exchange(self, address: WebAddress, ip: str, connection: Connection, deadline: float) -> bytes | str:
        self._in_time(deadline)
        left = max(deadline - time.monotonic(), 0.001)
        try:
            if connection.sock is None:
                connection.timeout = min(self._settings.connect_timeout, left)
                connection.connect()
            connection.timeout = min(self._settings.read_timeout, left)
            connection.sock.settimeout(connection.timeout)
            with self._deadlines.until(deadline, connection.sock):
                headers = {"Host": address.authority, **_HEADERS}
                connection.request("GET", address.target, headers=headers, preload_content=False, decode_content=False)
                body_or_redirect = self._answer(address, ip, connection, connection.getresponse())
            # Without a length, a body that was cut looks like one that has ended.
            self._in_time(deadline)
            return body_or_redirect
        except ImageError:
            raise
        except Exception as error:
            # A connection that was cut for its deadline ends in any of many errors.
            self._in_time(deadline)
            raise _reason_of(error) from None

    def _in_time(self, deadline: float) -> None:
        """Raises ImageError after the deadline, or when nothing is to be fetched any more."""
        if self._closed.is_set():
            raise ImageError(TIMEOUT, asked=False)
        if time.monotonic() >= deadline:
            raise ImageError(TIMEOUT)

    def _answer(self, address: WebAddress, ip: str, connection: Connection, response: HTTPResponse) -> bytes | str:
        status = response.status
        location = response.headers.get("location")
        if status in (301, 302, 303, 307, 308) and location:
            response.close()
            connection.close()
            return str(location)
        if status == 200:
            data = self._body(response)
            if response.headers.get("connection", "").lower() == "close":
                connection.close()
            else:
                self._connections.give_back(address, ip, connection)
            return data
        response.close()
        if status in (404, 410):
            raise ImageError(NOT_FOUND)
        if status == 429 or 500 <= status <= 599:
            after = seconds_of(response.headers.get("retry-after"))
            raise _Failed(HTTP_4XX if status == 429 else HTTP_5XX, passing=True, after=after)
        raise ImageError(HTTP_4XX if 400 <= status <= 499 else UNREACHABLE)

    def _body(self, response: HTTPResponse) -> bytes:
        limit = self._settings.max_bytes
        if (response.length_remaining or 0) > limit:
            raise ImageError(TOO_LARGE)
        parts, size = [], 0
        try:
            # read1 returns what is there, so that memory holds what was sent and not what was announced.
            while part := response.read1(_BLOCK, decode_content=False):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise ImageError(TOO_LARGE)
        except (errors.IncompleteRead, http.client.IncompleteRead):
            raise ImageError(BROKEN, passing=True) from None
        except errors.ProtocolError as error:
            incomplete = any(isinstance(a, http.client.IncompleteRead | errors.IncompleteRead) for a in error.args)
            raise ImageError(BROKEN if incomplete else UNREACHABLE, passing=True) from None
        return b"".join(parts)


def _reason_of(error: Exception) -> ImageError:
    if isinstance(error, errors.ConnectTimeoutError | errors.ReadTimeoutError | TimeoutError):
        return ImageError(TIMEOUT, passing=True)
    certificate: Any = error.args[0] if isinstance(error, errors.SSLError) and error.args else error
    if isinstance(certificate, ssl.CertificateError):
        return ImageError(UNREACHABLE)
    # No connection, no HTTP, headers without end: the next attempt may find a healthier host.
    return ImageError(UNREACHABLE, passing=True)
