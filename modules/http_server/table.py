"""The open connections: how many there may be, how much they may hold, and which of them makes room for others."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Protocol

from modules.http_server.limits import PER_ADDRESS, ConnectionLimits, source_of

_log = logging.getLogger("shelfmark.http")


class Member(Protocol):
    """A connection, as far as it is counted.

    Attributes:
      source: what it is counted by. trusted: whether that is a proxy.
      waits_since: moment from which on its client has been waited for; None: it is the server's turn.
      held: bytes that are kept for it.
    """

    source: str
    trusted: bool
    waits_since: float | None
    held: int

    @property
    def waits_for(self) -> str:
        """What for, in words."""

    def end(self) -> None:
        """Closes it at once."""


class Table:
    """Counts connections, by where they come from.

    When there is no room, the one that has waited for its client the longest makes room: so a client that speaks is
    served, however many keep silent. A connection whose answer is being made is never closed.

    Args:
      most: connections at a time.
    """

    def __init__(self, limits: ConnectionLimits, most: int):
        self.limits, self.most = limits, most
        self.per_address = limits.per_address or max(min(PER_ADDRESS, most // 2), 1)
        self.count = self.held = 0
        self.changed = asyncio.Event()
        """Set when there may be room again."""
        self._of: defaultdict[str, set[Member]] = defaultdict(set)

    def admits(self, address: str) -> bool:
        """Whether one more may come from there, after another one from there made room where it could."""
        mine = self._of.get(source_of(address), set())
        if len(mine) < self.per_address or self.limits.trusts(address) or self._close_one(mine):
            return True
        _log.warning("refused a connection: its address has %d already, and all of them are being answered", len(mine))
        return False

    def has_room(self) -> bool:
        """Whether there is room for one more, after another one made room where it could: one of the address that has
        the most, and a proxy's last."""
        if self.count < self.most:
            return True
        by_size = sorted(self._of.values(), key=lambda some: (any(member.trusted for member in some), -len(some)))
        return any(self._close_one(some) for some in by_size)

    def close_any(self) -> None:
        """Closes the connection that has waited the longest, of any address."""
        self._close_one({member for some in self._of.values() for member in some})

    def add(self, member: Member) -> None:
        """Counts a connection."""
        self._of[member.source].add(member)
        self.count += 1

    def remove(self, member: Member) -> None:
        """Stops counting a connection."""
        if member in self._of.get(member.source, ()):
            self._of[member.source].remove(member)
            self.count -= 1
            if not self._of[member.source]:
                del self._of[member.source]
            self.holds(member, 0)
            self.changed.set()

    def holds(self, member: Member, held: int) -> None:
        """Notes how many bytes are kept for a connection; if all together are too many, those that are waited for and
        hold the most are closed."""
        self.held += held - member.held
        grown, member.held = held > member.held, held
        while grown and self.held > self.limits.held:
            waiting = [other for some in self._of.values() for other in some if other.waits_since is not None]
            most = max(waiting, key=lambda other: other.held, default=None)
            if most is None or not most.held:
                return
            _log.warning("closed a connection: %s bytes are held for clients, most of them for it", f"{self.held:,}")
            self._close(most)

    def _close_one(self, some: set[Member]) -> bool:
        waiting = [member for member in some if member.waits_since is not None]
        if not waiting:
            return False
        longest = min(waiting, key=lambda member: member.waits_since or 0.0)
        _log.warning("closed a connection from %s to make room: it waited for %s", longest.source, longest.waits_for)
        self._close(longest)
        return True

    def _close(self, member: Member) -> None:
        self.remove(member)
        member.end()
