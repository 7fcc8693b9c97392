"""What a product's reference to its image is: a path, or an address that the workflow allows."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urljoin

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from modules.images.outcome import BAD_REFERENCE, NOT_ALLOWED, ImageError
from modules.settings.images import ImageSettings

MAX_CHARS = 8192
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_WEB = {"http": 80, "https": 443}


class WebAddress(NamedTuple):
    """``target`` is the path with the query, percent-encoded."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def url(self) -> str:
        """In its normal form."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def authority(self) -> str:
        """Host, and port if it is not the scheme's own, as HTTP's ``Host`` wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _WEB[self.scheme] else f"{host}:{self.port}"


class StoredObject(NamedTuple):
    """An address in an object store (``gs://bucket/name``)."""

    url: str


def parse(reference: str, settings: ImageSettings) -> WebAddress | StoredObject | None:
    """The address behind a reference; None for a path.

    Raises:
      ImageError: ``bad_reference``; ``not_allowed`` for a scheme, host or port that the workflow does not name, and
        for addresses with a user's name in them.
    """
    if len(reference) > MAX_CHARS or "\0" in reference:
        raise ImageError(BAD_REFERENCE)
    if reference.startswith("//"):
        reference = f"https:{reference}"
    match = _SCHEME.match(reference)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme not in settings.schemes or scheme == "file":
        raise ImageError(NOT_ALLOWED)
    if scheme in _WEB:
        return _web(reference, settings)
    bucket, _, name = reference[match.end() :].removeprefix("//").partition("/")
    if not name or not bucket:
        raise ImageError(BAD_REFERENCE)
    if not host_allowed(bucket.lower(), settings.hosts) or ".." in name.split("/"):
        raise ImageError(NOT_ALLOWED)
    return StoredObject(reference)


def redirected(address: WebAddress, location: str, settings: ImageSettings) -> WebAddress:
    """Where a redirect leads, under the same conditions as any address; it cannot lead to a path or an object store.

    Raises:
      ImageError: as for :func:`parse`.
    """
    try:
        target = parse(urljoin(address.url, location), settings)
    except ValueError:
        raise ImageError(BAD_REFERENCE) from None
    if not isinstance(target, WebAddress):
        raise ImageError(NOT_ALLOWED)
    return target


def host_allowed(host: str, patterns: tuple[str, ...]) -> bool:
    """Whether a host is named, or lies below a name written as ``*.name``, or ``*`` stands for all."""
    return any(
        pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:])) for pattern in patterns
    )


def web_address(reference: str) -> WebAddress:
    """The parts of an http or https address.

    Raises:
      ImageError: ``bad_reference``; ``not_allowed`` for addresses with a user's name in them.
    """
    try:
        url = parse_url(reference)
        # Names with letters of other scripts come out as xn--..., so that patterns and certificates match them.
        host = (url.host or "").strip("[]").lower().rstrip(".")
        port = url.port or _WEB[url.scheme or ""]
    except (LocationParseError, ValueError, KeyError):
        raise ImageError(BAD_REFERENCE) from None
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise ImageError(BAD_REFERENCE)
    if url.auth is not None:
        raise ImageError(NOT_ALLOWED)
    return WebAddress(url.scheme or "", host, port, url.request_uri)


def _web(reference: str, settings: ImageSettings) -> WebAddress:
    address = web_address(reference)
    if address.port not in settings.ports or not host_allowed(address.host, settings.hosts):
        raise ImageError(NOT_ALLOWED)
    return address
