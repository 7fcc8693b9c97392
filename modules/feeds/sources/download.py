"""A feed's transfer over HTTP: each hop checked, every wait bounded, whole or not at all."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin

import urllib3.exceptions as errors
from urllib3.response import HTTPResponse
from urllib3.util import parse_url

from modules.counting import counted
from modules.errors import InputError, Problem
from modules.feeds.formats import FORMATS
from modules.feeds.sources.asking import Again, Asking, refuse_passing
from modules.feeds.sources.base import Away, Fetched, write_to
from modules.http_server.addresses import is_loopback
from modules.images.outcome import ImageError
from modules.images.references import WebAddress, web_address
from modules.progress import report

if TYPE_CHECKING:
    from modules.feeds.sources.http import HttpSource

MAX_REDIRECTS = 5
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


def request(url: str, token: str | None, is_hidden: bool, example: str) -> Request:
    """What an address and a token ask for; ``example`` is one for messages.

    Raises:
      InputError: the address is none, or a secret would travel unencrypted.
    """
    try:
        parsed = parse_url(url)
        address = web_address(parsed._replace(auth=None).url)
    except (errors.LocationParseError, ImageError, ValueError):
        raise InputError(Problem("", f"expected an address like {example}", key="source.url")) from None
    origin = f"{address.scheme}://{address.authority}"
    authorization = None if token is None else f"Bearer {token}"
    if authorization is None and parsed.auth is not None:
        authorization = "Basic " + base64.b64encode(unquote(parsed.auth).encode()).decode()
    if authorization is not None and address.scheme == "http" and not is_loopback(address.host):
        what = "a token or password would travel unencrypted"
        raise InputError(Problem("", what, key="source.url", value=f"{origin}/…", hint="name https://"))
    return Request(address, authorization, f"{origin}/…" if is_hidden else f"{origin}{parsed.path or '/'}")


class Download:
    """One feed's transfer; a context that closes its connections.

    Args:
      settings: limits.
      eyes: what :class:`Asking` takes beside them.
    """

    def __init__(self, settings: HttpSource, asked: Request, **eyes: Any):
        self._settings, self._asked = settings, asked
        self._asking = Asking(settings, asked.title, **eyes)

    def __enter__(self) -> Download:
        return self

    def __exit__(self, *error: object) -> None:
        self._asking.__exit__(*error)

    def fetch(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        """See :meth:`modules.feeds.sources.base.SourceSettings.fetch`."""
        return self._asking.patiently(lambda: self._follow(file, validators))

    def _follow(self, file: Path, validators: Mapping[str, str]) -> Fetched | None:
        address = self._asked.address
        for _ in range(MAX_REDIRECTS + 1):
            answered = partial(self._answer, address=address, file=file, validators=validators)
            outcome = self._asking.exchange(address, self._headers(address, validators), answered)
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

    def _headers(self, address: WebAddress, validators: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": "*/*", "Accept-Encoding": "gzip"}
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
        refuse_passing(status, why, response)
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
                raise Again(f"{self._asked.title} gives compressed data that ends too early")
            stream.flush()
            os.fsync(stream.fileno())
        if announced is not None and size != announced:
            raise Again(f"{self._asked.title} ends after {size:,} of {counted(announced, 'byte')}")


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
