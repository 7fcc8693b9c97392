"""How much of the server one client, and all of them together, may hold."""

from __future__ import annotations

import ipaddress
import os
import resource
from dataclasses import dataclass
from functools import cached_property

from modules.errors import InputError, Problem

MOST_FILES = 65536
"""The soft limit of open files is raised to this number, or to the hard limit if that is lower."""
MOST_CONNECTIONS = 4096
FEWEST_CONNECTIONS = 8


@dataclass(frozen=True)
class Limits:
    """Limits of connections. Times are seconds, rates bytes per second.

    Attributes:
      header: from the first moment of a connection (or the first byte of a further request) to the end of its header.
      body: for a request's body; each ``body_rate`` bytes that came add a second.
      idle: between two requests on one connection.
      rest: for the rest of a body whose request was answered before all of it came.
      write: for taking an answer; each ``write_rate`` bytes that wait to be taken add a second.
      per_address: connections of one address at a time; of IPv6, of one /64 network.
      trusted: addresses or networks of proxies, which speak for many clients: ``per_address`` does not count there.
      reserve: files that the application may have open beside those that are open when it starts.
    """

    header: float = 10.0
    body: float = 30.0
    body_rate: int = 64 << 10
    idle: float = 5.0
    rest: float = 5.0
    write: float = 30.0
    write_rate: int = 16 << 10
    per_address: int = 256
    trusted: tuple[str, ...] = ()
    reserve: int = 96

    @cached_property
    def _trusted(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        return [ipaddress.ip_network(one, strict=False) for one in self.trusted]

    def trusts(self, network: str) -> bool:
        """Whether connections from there are a proxy's; ``network`` as :func:`network_of` gives it."""
        address = ipaddress.ip_network(network).network_address
        return any(address in one or one.network_address in ipaddress.ip_network(network) for one in self._trusted)


def network_of(address: str) -> str:
    """What connections are counted by: the address, or the /64 network of IPv6, which one client has all of."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "0.0.0.0/32"
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return f"{found.ipv4_mapped}/32"
        return str(ipaddress.ip_network((found, 64), strict=False))
    return f"{found}/32"


def room(reserve: int) -> int:
    """How many connections there is room for, after the limit of open files was raised as far as it may be.

    Args:
      reserve: files that the application may have open beside those that are open now.

    Raises:
      InputError: the limit is too low to serve anybody.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        soft = most
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    left = soft - len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd")) - reserve
    if left < FEWEST_CONNECTIONS:
        expected = f"expected at least {soft - left + FEWEST_CONNECTIONS} open files to be allowed"
        raise InputError(Problem("ulimit -n", expected, value=str(soft), hint="raise the limit, and start again"))
    return min(left, MOST_CONNECTIONS)
