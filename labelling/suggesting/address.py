"""An HTTP address that answers: the lines are posted to it, and its answers are the body that comes back."""

from __future__ import annotations

import os
import ssl
import time

import urllib3.exceptions as errors
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse
from urllib3.util import Url, parse_url

from labelling.suggesting.protocol import MAX_REPLY, Reply
from modules.errors import InputError, Problem, shorten
from modules.http_server.addresses import is_loopback
from modules.images.connections import Deadlines
from modules.retry_after import seconds_of

TOKEN = "SHELFMARK_SUGGEST_TOKEN"  # noqa: S105 - the name of the variable
"""The environment variable that holds the token: never an argument, which others could see, nor the workflow file."""

ATTEMPTS = 4
MAX_WAIT = 60.0
"""Seconds between two attempts, at most."""
_CONNECT = 10.0
_BLOCK = 1 << 16
_MEDIA_TYPE = "application/x-ndjson"


class _Again(Exception):
    """The address could not answer, and may at another time: why, and after how many seconds, if it says so."""

    def __init__(self, why: str, after: float | None = None):
        self.why, self.after = why, after
        super().__init__(why)


class _Failed(Exception):
    """The address does not answer, and trying again is of no use: why, and the lines that came before."""

    def __init__(self, why: str, data: bytes = b""):
        self.why, self.data = why, data
        super().__init__(why)


class Address:
    """Posts to one address, and to no other: redirects are not followed, and no proxy is asked.

    Tried again, with a growing pause, are an address that cannot be reached, and answers 429 and 5xx. A request whose
    answer did not come in time is not, as it may have been paid for.

    Args:
      url: http or https, without a user's name in it.
      timeout: seconds that one attempt may take.

    Raises:
      InputError: the address cannot be used, or the token would travel unencrypted.
    """

    def __init__(self, url: str, timeout: float):
        self._url, self._timeout = _parsed(url), timeout
        self.name = shorten(str(self._url.host))
        self._headers = {"Content-Type": _MEDIA_TYPE, "Accept": _MEDIA_TYPE, "User-Agent": "shelfmark"}
        token = os.environ.get(TOKEN, "").strip()
        if token:
            self._headers["Authorization"] = f"Bearer {_checked(token, self._url)}"
        self._tls = ssl.create_default_context()

    def __call__(self, lines: bytes) -> Reply:
        """Posts the lines and waits for the answer."""
        deadlines = Deadlines()
        try:
            for attempt in range(ATTEMPTS):
                try:
                    return Reply(self._post(lines, deadlines))
                except _Failed as failed:
                    return Reply(failed.data, failed.why)
                except _Again as again:
                    why = again.why
                    if attempt + 1 < ATTEMPTS:
                        time.sleep(min(2.0**attempt if again.after is None else max(again.after, 0.0), MAX_WAIT))
            return Reply(b"", f"{why}, {ATTEMPTS} times in a row")
        finally:
            deadlines.close()

    def _post(self, lines: bytes, deadlines: Deadlines) -> bytes:
        """One attempt. Raises _Again and _Failed."""
        deadline = time.monotonic() + self._timeout
        connection = self._connection()
        data = bytearray()
        try:
            try:
                connection.connect()
            except (errors.SSLError, ssl.SSLError):
                raise _Failed("the address has no certificate that can be trusted") from None
            except (errors.HTTPError, OSError):
                raise _Again("the address cannot be reached") from None
            # What was the time to connect would be the time to think.
            connection.timeout = self._timeout
            with deadlines.until(deadline, connection.sock):
                connection.request("POST", self._url.request_uri, body=lines, headers=self._headers,
                                   preload_content=False, decode_content=False)  # fmt: skip
                self._read(connection.getresponse(), data)
            return bytes(data)
        except (errors.HTTPError, OSError, ValueError, AttributeError) as error:
            # A connection that was cut for its deadline ends in any of many errors.
            timely = time.monotonic() < deadline and not isinstance(error, errors.TimeoutError | TimeoutError)
            why = "the connection broke off" if timely else "the address did not answer in time (--timeout)"
            raise _Failed(why, bytes(data)) from None
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, seconds = str(self._url.host).strip("[]"), min(_CONNECT, self._timeout)
        if self._url.scheme == "http":
            connection = HTTPConnection(host, self._url.port or 80, timeout=seconds)
        else:
            connection = HTTPSConnection(host, self._url.port or 443, timeout=seconds, ssl_context=self._tls)
        return connection

    def _read(self, response: HTTPResponse, data: bytearray) -> None:
        """Adds the body to ``data``; raises _Again and _Failed for another answer than one with status 200."""
        status = response.status
        if status == 429 or 500 <= status <= 599:
            raise _Again(f"the address answers with status {status}", seconds_of(response.headers.get("retry-after")))
        if status in (401, 403):
            raise _Failed(f"the address does not let you in (status {status}): set {TOKEN} to its token")
        if 300 <= status <= 399:
            raise _Failed(f"the address answers with status {status}: redirects are not followed, name where it leads")
        if status != 200:
            raise _Failed(f"the address answers with status {status}, where 200 was expected")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise _Failed("the answer is compressed, which was not asked for")
        while part := response.read1(_BLOCK, decode_content=False):
            data += part
            if len(data) > MAX_REPLY:
                raise _Failed(f"the answer is longer than {MAX_REPLY >> 20} MiB", bytes(data))


def _parsed(url: str) -> Url:
    expected = "expected an address like https://host/path, without a user's name in it"
    try:
        parsed = parse_url(url)
    except (errors.LocationParseError, ValueError):
        parsed = None
    if parsed is None or parsed.scheme not in ("http", "https") or not parsed.host or parsed.auth is not None:
        # It may hold a password.
        raise InputError(Problem("", expected, key="--url"))
    return parsed


def _checked(token: str, url: Url) -> str:
    if not (token.isascii() and token.isprintable()):
        raise InputError(Problem("", "expected a token in one line, of ASCII characters", key=TOKEN))
    if url.scheme == "http" and not is_loopback(str(url.host).strip("[]")):
        hint = f"name https://, or unset {TOKEN}"
        raise InputError(Problem("", "a token would travel unencrypted", key="--url", value=str(url.host), hint=hint))
    return token
