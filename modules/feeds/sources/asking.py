"""Requests to hosts that were checked first: every wait is bounded, and what may pass by itself is tried again."""

from __future__ import annotations

import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import urllib3.exceptions as errors
from urllib3.response import HTTPResponse

from modules.feeds.sources.base import Away
from modules.images.addresses import Resolve, checked_addresses, is_public, system_resolve
from modules.images.connections import Connection, Connections, Deadlines
from modules.images.outcome import PRIVATE_ADDRESS, ImageError
from modules.images.references import WebAddress
from modules.progress import report
from modules.retry_after import seconds_of

if TYPE_CHECKING:
    from modules.feeds.sources.web import WebSource

ATTEMPTS = 5
PAUSE = 1.0
"""Seconds before the second attempt on average, twice as long before each further one."""
LONGEST_WAIT = 300.0
"""Seconds between two attempts, at most; a host that asks for more is not waited for."""
_CONNECT = 10.0
_ADDRESSES = 3

T = TypeVar("T")


class Again(Away):
    """It may work at another time: why, and after how many seconds, if the host says so."""

    def __init__(self, why: str, after: float | None = None):
        super().__init__(why)
        self.after = after


def refuse_passing(status: int, why: str, response: HTTPResponse) -> None:
    """Raises Again for a status that says nothing of the request itself."""
    if status in (408, 425, 429) or 500 <= status <= 599:
        raise Again(why, seconds_of(response.headers.get("retry-after")))


class Asking:
    """Requests for one feed, all of them within its deadline; a context that closes the connections.

    Attributes:
      end: the deadline, of ``time.monotonic()``.

    Args:
      settings: limits. title: what messages call the source.
      resolve, public, tls: as :class:`modules.images.http.WebImages` has them.
    """

    def __init__(
        self, settings: WebSource, title: str, *, resolve: Resolve = system_resolve,
        public: Callable[[str], bool] = is_public, tls: ssl.SSLContext | None = None,
    ):  # fmt: skip
        self._settings, self._title, self._resolve = settings, title, resolve
        self._public = (lambda ip: True) if settings.allow_private else public
        self._connections = Connections(0, min(_CONNECT, settings.timeout), tls)
        self._deadlines = Deadlines()
        self.end = time.monotonic() + settings.deadline

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *error: object) -> None:
        self._connections.close()
        self._deadlines.close()

    def patiently(self, attempt: Callable[[], T]) -> T:
        """What ``attempt`` gives, which is called some times, with growing pauses, while it raises Again.

        Raises:
          Away: the last attempt fails, too, or there is no time for another one.
        """
        for number in range(ATTEMPTS):
            try:
                return attempt()
            except Again as again:
                wait = again.after
                if wait is None:
                    wait = random.uniform(0, 2 * PAUSE * 2**number)  # noqa: S311 - nobody gains by guessing it
                late = time.monotonic() + wait >= self.end
                if late or wait > LONGEST_WAIT or number + 1 == ATTEMPTS:
                    raise Away(again.why if number == 0 else f"{again.why}, {number + 1} times in a row") from None
                report(0, 0, f"{self._title}: {again.why}; waiting {wait:.0f} s")
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def in_time(self) -> None:
        """Raises Away when the feed's time is up."""
        if time.monotonic() >= self.end:
            raise self._settings.too_late()

    def exchange(
        self, address: WebAddress, headers: Mapping[str, str], answered: Callable[[HTTPResponse], T],
        method: str = "GET", body: bytes | None = None,
    ) -> T:  # fmt: skip
        """One request.

        Args:
          address: what to ask for. headers: beside ``Host`` and ``User-Agent``.
          answered: gets the answer, whose body is not read yet, and makes the result of it.

        Raises:
          Away: the host is not to be asked, or the time is up. Again: the host cannot be reached, or breaks off.
        """
        for ip in self._ips(address):
            connection, _ = self._connections.take(address, ip)
            try:
                connection.connect()
            except (errors.SSLError, ssl.SSLError):
                connection.close()
                raise Away(f"{address.host} has no certificate that can be trusted") from None
            except (errors.HTTPError, OSError):
                connection.close()
                continue
            try:
                every = {"Host": address.authority, "User-Agent": "shelfmark", **headers}
                return self._exchange(connection, address, every, answered, method, body)
            finally:
                connection.close()
        raise Again(f"{address.host} cannot be reached")

    def _ips(self, address: WebAddress) -> list[str]:
        try:
            return checked_addresses(address.host, address.port, self._resolve, self._public)[:_ADDRESSES]
        except ImageError as error:
            if error.reason == PRIVATE_ADDRESS:
                hint = "set source.allow_private: true if it is meant"
                raise Away(f"{address.host} has an address that is not public", hint) from None
            raise Again(f"the name {address.host} has no address") from None

    def _exchange(
        self, connection: Connection, address: WebAddress, headers: Mapping[str, str],
        answered: Callable[[HTTPResponse], T], method: str, body: bytes | None,
    ) -> T:  # fmt: skip
        connection.sock.settimeout(self._settings.timeout)
        connection.timeout = self._settings.timeout
        try:
            with self._deadlines.until(self.end, connection.sock):
                connection.request(method, address.target, body=body, headers=headers,
                                   preload_content=False, decode_content=False)  # fmt: skip
                outcome = answered(connection.getresponse())
            # Without a length, a body that was cut looks like one that has ended.
            self.in_time()
            return outcome
        except (errors.HTTPError, OSError, ValueError, AttributeError) as error:
            # A connection that was cut for its deadline ends in any of many errors.
            self.in_time()
            silent = isinstance(error, errors.TimeoutError | TimeoutError)
            raise Again(f"{address.host} " + ("says nothing" if silent else "breaks the connection off")) from None
