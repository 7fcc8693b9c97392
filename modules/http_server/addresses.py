"""IP addresses and networks, as options, headers and connections name them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from modules.errors import InputError, Problem

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_address(text: str) -> Address | None:
    """Reads an IP address.

    Args:
      text: The address, possibly with the zone of a link-local one (``fe80::1%eth0``), which is left out.

    Returns:
      The address; an IPv4 address that is mapped into IPv6 as the IPv4 address. None for any other text.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def contains(networks: Iterable[Network], address: Address) -> bool:
    """Tells whether an address belongs to one of the networks."""
    return any(address in network for network in networks)


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Reads the addresses and networks that ``--trusted-proxy`` names.

    Raises:
      InputError: A text is neither an address nor a network, or covers every address.
    """
    networks, problems = [], []
    for text in texts:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError:
            expected = "expected an address or a network, like 10.0.0.5 or 10.0.0.0/24"
            hint = "of a network the bits behind its length are 0; a name can stand for any address"
            problems.append(Problem("", expected, key="--trusted-proxy", value=text, hint=hint))
            continue
        if network.prefixlen == 0:
            expected = "whoever reaches the server could claim any address; name the proxies alone"
            problems.append(Problem("", expected, key="--trusted-proxy", value=text))
            continue
        networks.append(network)
    if problems:
        raise InputError(problems)
    return tuple(networks)


def is_loopback(host: str) -> bool:
    """Tells whether nobody on another machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
