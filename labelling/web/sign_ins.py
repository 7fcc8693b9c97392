"""Checks sign-ins: few at a time, in threads of their own, and not before the waits for earlier failures are over."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

from labelling.store import Store, accounts, throttle
from labelling.store.database import now

CHECKS = 2
"""Passwords that are hashed at the same time: each takes 64 MiB, and several threads of its own."""

PATIENCE = 5.0
"""Seconds that a request waits for earlier failures before its check; who has to wait longer is told so."""


@dataclass(frozen=True)
class Claim:
    """Somebody's claim to be ``name``.

    Attributes:
      address: where it comes from. device: the token of a browser that has signed in before; empty: none.
    """

    name: str
    password: str
    address: str
    device: str = ""


@dataclass(frozen=True)
class Welcome:
    """The session's token, and the device's new one; only the browser keeps them."""

    token: str
    device: str


@dataclass(frozen=True)
class Denied:
    """Why somebody is not let in: an HTTP status, a sentence, and seconds after which to try again (0: not said)."""

    code: int
    reason: str
    seconds: int = 0


@dataclass(frozen=True)
class _Wait:
    seconds: float


WRONG = Denied(401, "Name or password is wrong.")
BUSY = Denied(503, "Too many people are signing in at once. Try again in a few seconds.", 5)


class Room:
    """Places for so many requests, of each address no more than a half."""

    def __init__(self, places: int):
        self.places = places
        self._taken: Counter[str] = Counter()

    @contextmanager
    def place(self, address: str) -> Iterator[bool]:
        """Takes a place while the block runs; gives whether there was one."""
        key = throttle.address_key(address)
        free = self._taken.total() < self.places and self._taken[key] < self.places // 2
        if not free:
            # Looking a counter up keeps no zero.
            yield False
            return
        self._taken[key] += 1
        try:
            yield True
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]


class SignIns:
    """The sign-ins of one server. Its methods belong to one event loop, which they never hold up.

    The password of one account is checked by one request at a time, so that every check sees the failures of those
    before it: asking at the same time gives no guess more. An address has at most ``CHECKS`` under way.
    """

    def __init__(self, store: Store, *, alone: bool = False, places: int = 256):
        """
        Args:
          alone: whether a sign-in ends the account's other sessions.
          places: requests that wait for their check, at most, and as many again that wait for earlier failures.
        """
        self._store, self._alone = store, alone
        self._threads = ThreadPoolExecutor(CHECKS, thread_name_prefix="sign-in")
        self._queue, self._patient = Room(places), Room(places)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, claim: Claim) -> Welcome | Denied:
        """Checks a claim, when its turn has come."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while True:
            with self._queue.place(claim.address) as free:
                if not free:
                    return BUSY
                turn = self._turns.setdefault(throttle.account_key(claim.name), asyncio.Lock())
                async with turn:
                    outcome = await loop.run_in_executor(self._threads, self._checked, claim)
            if not isinstance(outcome, _Wait):
                return outcome
            # Not in the queue: whoever has no wait goes first.
            with self._patient.place(claim.address) as free:
                if not free or loop.time() + outcome.seconds > end:
                    return _later(outcome.seconds)
                await asyncio.sleep(outcome.seconds)

    def _checked(self, claim: Claim) -> Welcome | Denied | _Wait:
        """In a thread. Nothing is written before the check has ended: one that is cut off has never been."""
        # No check while its outcome cannot be counted: nobody would wait for a failure.
        self._store.writable()
        with self._store.read() as connection:
            lanes = throttle.lanes(connection, claim.name, claim.address, claim.device, now())
            seconds = throttle.wait(connection, lanes, now())
            if seconds > 0:
                return _Wait(seconds)
            account = accounts.check(connection, claim.name, claim.password)
        with self._store.write() as connection:
            if account is None:
                wait = throttle.failed(connection, lanes, now())
                detail = {"seconds until the next check": math.ceil(wait)} if wait else {}
                name = throttle.account_key(claim.name)
                accounts.record(connection, now(), name, "sign-in failed", detail, claim.address)
                return WRONG
            throttle.succeeded(connection, lanes)
            device = secrets.token_urlsafe(32)
            throttle.remember(connection, account, device, claim.device, now())
            return Welcome(accounts.sign_in(connection, account, now(), claim.address, alone=self._alone), device)


def _later(seconds: float) -> Denied:
    whole = math.ceil(seconds)
    unit = "second" if whole == 1 else "seconds"
    return Denied(429, f"Too many wrong attempts. Try again in {whole} {unit}.", whole)
