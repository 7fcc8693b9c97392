"""A feed's transfer over HTTP: each hop checked, every wait bounded, whole or not at all."""

from __future__ import annotations

import base64
import os
import random
import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urljoin

import urllib3.exceptions as errors
from urllib3.response import HTTPResponse
from urllib3.util import parse_url

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.feeds.formats import FORMATS
from modules.feeds.sources.base import Away, Fetched, write_to
from modules.http_server.addresses import is_loopback
from modules.images.addresses import Resolve, checked_addresses, is_public, system_resolve
from modules.images.connections import Connection, Connections, Deadlines
from modules.images.outcome import PRIVATE_ADDRESS, ImageError
from modules.images.references import WebAddress, web_address
from modules.progress import report
from modules.retry_after import seconds_of

if TYPE_CHECKING:
    from modules.feeds.sources.http import HttpSource

ATTEMPTS = 5
PAUSE = 1.0
"""Seconds before the second attempt on average, twice as long before each further one."""
LONGEST_WAIT = 300.0
"""Seconds between two attempts, at most; a host that asks for more is not waited for."""
MAX_REDIRECTS = 5
_CONNECT = 10.0
_ADDRESSES = 3
_BLOCK = 1 << 18
_TYPES = {
    "text/csv": ".csv", "text/tab-separated-values": ".tsv", "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl", "application/json": ".json", "application/xml": ".xml", "text/xml": ".xml",
    "application/rss+xml": ".xml", "application/vnd.apache.parquet": ".parquet",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}  # fmt: skip
_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


class Request(NamedTuple):
    """Where to ask, and with what.

    Attributes:
      authorization: the header's value, for the address's own host alone; None: none.
      title: the address without user and query; of one that was hidden without its path, too.
    """

    address: WebAddress
    authorization: str | None
    title: str


def request(url: str, token: str | None, is_hidden: bool) -> Request:
    """What an address and a token ask for.

    Raises:
      InputError: the address is none, or a secret would travel unencrypted.
    """
    try:
        parsed = parse_url(url)
        address = web_address(parsed._replace(auth=None).url)
    except (errors.LocationParseError, ImageError, ValueError):
        expected = "expected an address like https://host/feed.csv.gz"
        raise InputError(Problem("", expected, key="source.url")) from None
    origin = f"{address.scheme}://{address.authority}"
    authorization = None if token is None else f"Bearer {token}"
    if authorization is None and parsed.auth is not None:
        authorization = "Basic " + base64.b64encode(unquote(parsed.auth).encode()).decode()
    if authorization is not None and address.scheme == "http" and not is_loopback(address.host):
        what = "a token or password would travel unencrypted"
        raise InputError(Problem("", what, key="source.url", value=f"{origin}/…", hint="name https://"))
    return Request(address, authorization, f"{origin}/…" if is_hidden else f"{origin}{parsed.path or '/'}")


class _Again(Away):
    """It may work at another time: why, and after how many seconds, if the host says so."""

    def __init__(self, why: str, after: float | None = None):
        super().__init__(why)
        self.after = after


class Download:
    """One feed's transfer; a context that closes its connections.

    Args:
      settings: limits.
      resolve, public, tls: as :class:`modules.images.http.WebImages` has them.
    """

    def __init__(
        self, settings: HttpSource, asked: Request, *, resolve: Resolve = system_resolve,
        public: Callable[[str], bool] = is_public, tls: ssl.SSLContext | None = None,
    ):  # fmt: skip
        self._settings, self._asked, self._resolve = settings, asked, resolve
        self._public = (lambda ip: True) if settings.allow_private else public
        self._connections = Connections(0, min(_CONNECT, settings.timeout), tls)
        self._deadlines = Deadlines()

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *error: object) -> None:
        self._connections.close()
        self._deadlines.close()

    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        """See :meth:`modules.feeds.sources.base.SourceSettings.fetch`."""
        deadline = time.monotonic() + self._settings.deadline
        for attempt in range(ATTEMPTS):
            try:
                return self._follow(file, validators, deadline)
            except _Again as again:
                wait = again.after
                if wait is None:
                    wait = random.uniform(0, 2 * PAUSE * 2**attempt)  # noqa: S311 - nobody gains by guessing it
                late = time.monotonic() + wait >= deadline
                if late or wait > LONGEST_WAIT or attempt + 1 == ATTEMPTS:
                    raise Away(again.why if attempt == 0 else f"{again.why}, {attempt + 1} times in a row") from None
                report(0, 0, f"{self._asked.title}: {again.why}; waiting {wait:.0f} s")
                time.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def _follow(self, file: Path, validators: Mapping[str, str], deadline: float) -> Fetched | None:
        address = self._asked.address
        for _ in range(MAX_REDIRECTS + 1):
            outcome = self._get(address, file, validators, deadline)
            if not isinstance(outcome, str):
                return outcome
            address = self._redirected(address, outcome)
        raise Away(f"{self._asked.title} sends from address to address")

    def _redirected(self, address: WebAddress, location: str) -> WebAddress:
        try:
            target = web_address(urljoin(address.url, location))
        except (ImageError, ValueError):
            raise Away(f"{self._asked.title} redirects to no address that can be followed") from None
        if address.scheme == "https" and target.scheme == "http":
            raise Away(f"{self._asked.title} redirects to {target.host} without encryption")
        return target

    def _get(
        self, address: WebAddress, file: Path, validators: Mapping[str, str], deadline: float
    ) -> Fetched | str | None:
        """What came, or where the host sends us."""
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
                return self._exchange(connection, address, file, validators, deadline)
            finally:
                connection.close()
        raise _Again(f"{address.host} cannot be reached")

    def _ips(self, address: WebAddress) -> list[str]:
        try:
            return checked_addresses(address.host, address.port, self._resolve, self._public)[:_ADDRESSES]
        except ImageError as error:
            if error.reason == PRIVATE_ADDRESS:
                hint = "set source.allow_private: true if it is meant"
                raise Away(f"{address.host} has an address that is not public", hint) from None
            raise _Again(f"the name {address.host} has no address") from None

    def _exchange(
        self, connection: Connection, address: WebAddress, file: Path, validators: Mapping[str, str], deadline: float
    ) -> Fetched | str | None:
        connection.sock.settimeout(self._settings.timeout)
        connection.timeout = self._settings.timeout
        try:
            with self._deadlines.until(deadline, connection.sock):
                connection.request("GET", address.target, headers=self._headers(address, validators),
                                   preload_content=False, decode_content=False)  # fmt: skip
                outcome = self._answer(connection.getresponse(), address, file, validators)
            # Without a length, a body that was cut looks like one that has ended.
            self._in_time(deadline)
            return outcome
        except (errors.HTTPError, OSError, ValueError, AttributeError) as error:
            # A connection that was cut for its deadline ends in any of many errors.
            self._in_time(deadline)
            silent = isinstance(error, errors.TimeoutError | TimeoutError)
            raise _Again(f"{address.host} " + ("says nothing" if silent else "breaks the connection off")) from None

    def _in_time(self, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise self._settings.too_late()

    def _headers(self, address: WebAddress, validators: Mapping[str, str]) -> dict[str, str]:
        headers = {"Host": address.authority, "User-Agent": "shelfmark", "Accept": "*/*", "Accept-Encoding": "gzip"}
        own = self._asked.address
        if self._asked.authorization and address[:3] == own[:3]:
            headers["Authorization"] = self._asked.authorization
        return headers | {_VALIDATORS[name]: value for name, value in validators.items() if name in _VALIDATORS}

    def _answer(
        self, response: HTTPResponse, address: WebAddress, file: Path, validators: Mapping[str, str]
    ) -> Fetched | str | None:
        status = response.status
        location = response.headers.get("location")
        if status in (301, 302, 303, 307, 308) and location:
            return str(location)
        if status == 304 and validators:
            return None
        if status == 200:
            self._save(response, file)
            kept = {name: str(response.headers[name]) for name in _VALIDATORS if name in response.headers}
            return Fetched(_suffix(self._asked.address, address, response), kept)
        why = f"{self._asked.title} answers with status {status}"
        if status in (408, 425, 429) or 500 <= status <= 599:
            raise _Again(why, seconds_of(response.headers.get("retry-after")))
        hints = {401: "is source.token right?", 403: "is source.token right?", 404: "is source.url right?"}
        raise Away(why, hints.get(status, ""))

    def _save(self, response: HTTPResponse, file: Path) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip", ""):
            raise Away(f"{self._asked.title} answers in the encoding {encoding[:20]}, which was not asked for")
        announced = response.length_remaining
        if announced is not None and announced > self._settings.max_bytes:
            raise self._settings.too_large()
        size = 0
        with file.open("wb") as stream:
            put = partial(write_to, stream, file=file)
            unpacked = _Gunzip(put, self._settings.max_bytes) if "gzip" in encoding else None
            while part := response.read1(_BLOCK, decode_content=False):
                size += len(part)
                fits = size <= self._settings.max_bytes
                if unpacked is None:
                    put(part)
                elif not unpacked.write(part):
                    fits = False
                if not fits:
                    raise self._settings.too_large()
                report(size, announced or 0, f"of {announced or '?'} bytes from {self._asked.title}")
            if unpacked is not None and not unpacked.whole:
                raise _Again(f"{self._asked.title} gives compressed data that ends too early")
            stream.flush()
            os.fsync(stream.fileno())
        if announced is not None and size != announced:
            raise _Again(f"{self._asked.title} ends after {size:,} of {counted(announced, 'byte')}")


class _Gunzip:
    """Unpacks a gzip transfer, of several members if need be, into at most ``limit`` bytes."""

    def __init__(self, put: Callable[[bytes], None], limit: int):
        self._put, self._left = put, limit
        self._member = zlib.decompressobj(31)
        self._begun = False

    @property
    def whole(self) -> bool:
        """Whether what came is no part of a member."""
        return not self._begun

    def write(self, data: bytes) -> bool:
        """Unpacks a piece; False: it does not fit.

        Raises:
          Away: it is no gzip.
        """
        while data:
            self._begun = True
            try:
                part = self._member.decompress(data, _BLOCK)
            except zlib.error:
                raise Away("what came is no gzip, although its Content-Encoding says so") from None
            self._left -= len(part)
            if self._left < 0:
                return False
            self._put(part)
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._begun = zlib.decompressobj(31), False
        return True


def _suffix(asked: WebAddress, last: WebAddress, response: HTTPResponse) -> str:
    """What the file's name has to end with: by the address that was asked, the one that answered, or the type."""
    known = [suffix for kind in FORMATS.names() for suffix in FORMATS.get(kind).suffixes]
    names = (asked.target.partition("?")[0], _disposition(response), last.target.partition("?")[0])
    for name in (unquote(own).lower() for own in names):
        packed = next((end for end in (".gz", ".zst", ".zip") if name.endswith(end)), "")
        plain = next((end for end in known if name.removesuffix(packed).endswith(end)), "")
        if plain:
            return plain + packed
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _TYPES.get(media, "")


def _disposition(response: HTTPResponse) -> str:
    return response.headers.get("content-disposition", "").rpartition("filename=")[2].strip('"; ')
