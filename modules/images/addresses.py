"""Which addresses a host has, and whether all of them are public: a name may lead into the inner network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

from modules.images.outcome import PRIVATE_ADDRESS, UNREACHABLE, ImageError

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text. Raises OSError where there is none."""

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses behind a NAT64."""


def system_resolve(host: str, port: int) -> list[str]:
    """The operating system's answer."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def is_public(address: str) -> bool:
    """Whether a text is an address that everybody can reach.

    Not so: loopback, private, link-local, shared, multicast, reserved and unspecified ones, and IPv6 addresses that
    stand for such an IPv4 address (mapped, 6to4, Teredo, NAT64).
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _TRANSLATED:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
        if any(part is not None and not is_public(str(part)) for part in inner):
            return False
        if ip.is_site_local:
            return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def checked_addresses(
    host: str, port: int, resolve: Resolve = system_resolve, public: Callable[[str], bool] = is_public
) -> list[str]:
    """All addresses of a host, to connect to without asking again: a second answer may be another one.

    Raises:
      ImageError: ``private_address`` if a single one of them is not public, ``unreachable`` if there is none.
    """
    try:
        ips = list(resolve(host, port))
    except OSError as error:
        again = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        raise ImageError(UNREACHABLE, passing=again) from None
    except UnicodeError:
        raise ImageError(UNREACHABLE) from None
    if not ips:
        raise ImageError(UNREACHABLE)
    if not all(map(public, ips)):
        raise ImageError(PRIVATE_ADDRESS)
    return ips
