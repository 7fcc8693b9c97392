"""How wrong sign-ins are slowed down: only checks that were completed count, and every one makes the next wait longer.

A guess is counted in one of two ways. A browser that has signed in to the account before (it holds a device's token)
is counted by itself alone, so that nobody else's guesses keep its owner out. Every other guess counts for the account,
from wherever it comes, and for the address that it comes from. Counts fade with time and live in the store: they
survive a restart, and servers that share a store share them.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select, update

from labelling.store.tables import devices, sign_in_failures

Kind = Literal["device", "account", "address"]
SECOND = 1_000_000
DEVICE_LIFETIME = 90 * 24 * 3600 * SECOND
DEVICES = 20
"""Browsers that an account is remembered on, at most."""

KEY_LENGTH = 200


@dataclass(frozen=True)
class Limit:
    """How long the next check waits after so many failures.

    Attributes:
      free: failures without a wait.
      first: the wait after one failure more, in seconds. It doubles with every ``step`` failures.
      longest: the longest wait, in seconds.
      fades: seconds in which one failure is forgotten.
    """

    free: int
    first: float
    step: int
    longest: float
    fades: float

    def wait(self, failures: float) -> float:
        """Seconds between the last failure and the next check."""
        over = math.ceil(failures) - self.free
        if over <= 0:
            return 0.0
        return min(self.longest, self.first * 2.0 ** min((over - 1) // self.step, 64))

    @property
    def most(self) -> int:
        """Failures that are kept: further ones make no wait longer, and would only take longer to fade."""
        count = self.free + 1
        while self.wait(count) < self.longest:
            count += 1
        return count


PERSON = Limit(free=5, first=1.0, step=1, longest=60.0, fades=180.0)
LIMITS: dict[Kind, Limit] = {
    "device": PERSON,
    "account": PERSON,
    # Shorter than what a request waits out: many people may sit behind one address, and none of them is turned away.
    "address": Limit(free=50, first=0.5, step=10, longest=4.0, fades=6.0),
}
KEPT = max(int(limit.most * limit.fades) for limit in LIMITS.values()) * SECOND
"""After that long without a failure, every count has faded."""

Lane = tuple[Kind, str]


def account_key(name: str) -> str:
    """What guesses of a name are counted under: the same for every way to encode the name."""
    return unicodedata.normalize("NFC", name)[:KEY_LENGTH]


def address_key(address: str) -> str:
    """What guesses from an address are counted under: IPv6 hands out whole /64 networks."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:KEY_LENGTH]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def lanes(connection: Connection, account: str, address: str, device: str, now: int) -> tuple[Lane, ...]:
    """What a guess counts for.

    Args:
      account: the name as typed, whether there is such an account or not.
      device: the token that the browser sent; empty: none. One of another account, or too old, is none, too.
    """
    if device:
        known = select(devices.c.token).where(
            devices.c.token == _digest(device),
            devices.c.account == account_key(account),
            devices.c.time > now - DEVICE_LIFETIME,
        )
        token = connection.scalar(known)
        if token is not None:
            return (("device", token),)
    return (("account", account_key(account)), ("address", address_key(address)))


def wait(connection: Connection, mine: tuple[Lane, ...], now: int) -> float:
    """Seconds until a guess may be checked; 0: now."""
    longest = 0.0
    for kind, key in mine:
        failures, last = _count(connection, kind, key, now)
        # Of a clock that was set back: no longer than from now on.
        since = max(0.0, (now - last) / SECOND)
        longest = max(longest, LIMITS[kind].wait(failures) - since)
    return longest


def failed(connection: Connection, mine: tuple[Lane, ...], now: int) -> float:
    """Counts a check that was completed, and found the guess wrong.

    Returns:
      Seconds until the next one.
    """
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.time < now - KEPT))
    for kind, key in mine:
        failures, last = _count(connection, kind, key, now)
        faded = failures - max(0.0, (now - last) / SECOND) / LIMITS[kind].fades
        values = {"failures": min(max(0.0, faded) + 1.0, float(LIMITS[kind].most)), "time": now}
        this = (sign_in_failures.c.kind == kind, sign_in_failures.c.key == key)
        if connection.execute(update(sign_in_failures).where(*this).values(**values)).rowcount == 0:
            connection.execute(insert(sign_in_failures).values(kind=kind, key=key, **values))
    return wait(connection, mine, now)


def succeeded(connection: Connection, mine: tuple[Lane, ...]) -> None:
    """Forgets the failures of whoever knew the password. An address keeps its count: who has one account could else
    wipe out their guesses of the others."""
    for kind, key in mine:
        if kind != "address":
            _forget(connection, kind, key)


def forget_account(connection: Connection, account: str) -> None:
    """Forgets all failures of an account: an administrator has changed it."""
    _forget(connection, "account", account_key(account))
    mine = select(devices.c.token).where(devices.c.account == account_key(account))
    device = sign_in_failures.c.kind == "device"
    connection.execute(delete(sign_in_failures).where(device, sign_in_failures.c.key.in_(mine)))


def remember(connection: Connection, account: str, device: str, replaced: str, now: int) -> None:
    """Makes a browser one that the account has signed in on.

    Args:
      device: the browser's new token.
      replaced: the one that it had; empty: none.
    """
    name = account_key(account)
    mine = devices.c.account == name
    old = devices.c.token == _digest(replaced)
    connection.execute(delete(devices).where(mine, old))
    connection.execute(delete(devices).where(devices.c.time <= now - DEVICE_LIFETIME))
    connection.execute(insert(devices).values(token=_digest(device), account=name, time=now))
    kept = select(devices.c.token).where(mine).order_by(devices.c.time.desc(), devices.c.token).limit(DEVICES)
    connection.execute(delete(devices).where(mine, devices.c.token.not_in(kept)))


def forget_devices(connection: Connection, account: str) -> None:
    """Every browser is a stranger to the account again: it has a new password."""
    connection.execute(delete(devices).where(devices.c.account == account_key(account)))


def _count(connection: Connection, kind: Kind, key: str, now: int) -> tuple[float, int]:
    """(failures as they were at the last one, when that was)."""
    query = select(sign_in_failures.c.failures, sign_in_failures.c.time)
    failure_row = connection.execute(
        query.where(sign_in_failures.c.kind == kind, sign_in_failures.c.key == key)
    ).first()
    return (failure_row.failures, failure_row.time) if failure_row is not None else (0.0, now)


def _forget(connection: Connection, kind: Kind, key: str) -> None:
    connection.execute(delete(sign_in_failures).where(sign_in_failures.c.kind == kind, sign_in_failures.c.key == key))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
