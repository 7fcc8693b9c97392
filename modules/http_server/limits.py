"""How much of a server one client, and all of them together, may hold."""

from __future__ import annotations

import ipaddress
import os
import resource
from dataclasses import dataclass

from modules.errors import InputError, Problem
from modules.http_server.addresses import Network, contains, parse_address

MOST = 1024
PER_ADDRESS = 256
FEWEST = 8
AT_WORK = 40
"""Requests that have a thread at a time, as many as Starlette's pool has."""
FILES_AT_WORK = 2
"""That each of them may have open: SQLite's database and its log, say."""
SPARE_FILES = 24
"""For everything else: pictures that are fetched, an index that is opened beside the old one."""


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of a server's connections.

    Attributes:
      wait: seconds that a client may take for a request's header, and that it may be behind ``rate`` with a body or
        with taking an answer.
      rate: bytes per second.
      idle: seconds between two requests on one connection.
      connections: at a time; None: as many as the limit of open files has room for, ``MOST`` at most.
      per_address: connections of one address (of IPv6: of one /64 network); None: ``PER_ADDRESS``, half of all
        at most.
      trusted: proxies, which speak for many clients: ``per_address`` does not count for them.
      held: bytes of bodies that came and of answers that were not taken yet, of all connections together.
    """

    wait: float = 20.0
    rate: int = 16 << 10
    idle: float = 5.0
    connections: int | None = None
    per_address: int | None = None
    trusted: tuple[Network, ...] = ()
    held: int = 256 << 20

    def trusts(self, address: str) -> bool:
        """Whether that is a proxy's address."""
        parsed = parse_address(address)
        return parsed is not None and contains(self.trusted, parsed)


def source_of(address: str) -> str:
    """What connections are counted by: the address; of IPv6 its /64 network, all of which one client has."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def room(limits: ConnectionLimits) -> int:
    """How many connections there may be at a time; raises the soft limit of open files as far as that needs.

    Raises:
      InputError: too few files may be open to serve anybody, or as many as ``limits.connections`` asks for.
    """
    opened = len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))
    wanted = limits.connections or MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = opened + _files(wanted)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connections = wanted
    while connections and opened + _files(connections) > soft:
        connections -= 1
    least = limits.connections or FEWEST
    if connections < least:
        expected = f"for {least} connections {opened + _files(least)} open files have to be allowed"
        raise InputError(Problem("ulimit -n", expected, value=str(soft), hint="raise the limit, and start again"))
    return connections


def _files(connections: int) -> int:
    return connections + FILES_AT_WORK * min(connections, AT_WORK) + SPARE_FILES
