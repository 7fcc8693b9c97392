"""Connections that a client can hold only for a bounded time, and a bounded number of them.

uvicorn answers requests, but waits for a client as long as it takes, and accepts connections until the process has no
file left. Here every wait for a client has an end, and when connections are scarce, those that have waited for their
client the longest make room: a client that speaks is served, however many keep silent.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import defaultdict
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from modules.http_server.limits import Limits, network_of

_log = logging.getLogger("shelfmark.http")
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Phase(enum.Enum):
    """What a connection is at."""

    HEADER = "the header of a request"
    BODY = "the body of a request"
    REST = "the rest of a request that was answered already"
    IDLE = "another request"
    ANSWERING = "nothing: it is the server's turn"


class Table:
    """The open connections, by the network that they come from.

    Args:
      most: connections at a time, of all networks.
    """

    def __init__(self, limits: Limits, most: int):
        self.limits, self.most = limits, most
        # One network does not get more than half, so that there is room for others.
        self.per_network = max(min(limits.per_address, most // 2), 1)
        self.count = 0
        self._of: defaultdict[str, set[Connection]] = defaultdict(set)
        self.freed = asyncio.Event()

    def admit(self, network: str) -> bool:
        """Whether there is room for one more from there, after others made room where they can."""
        mine = self._of.get(network, set())
        if len(mine) >= self.per_network and not self.limits.trusts(network) and not self._evict(mine):
            _log.warning("refused a connection from %s: it has %d, all of which are being answered", network, len(mine))
            return False
        return True

    def has_room(self) -> bool:
        """Whether there is room for one more of any network, after others made room where they can."""
        if self.count < self.most:
            return True
        # Of the network that has the most.
        for some in sorted(self._of.values(), key=len, reverse=True):
            if self._evict(some):
                return True
        return False

    def add(self, connection: Connection) -> None:
        """Counts a connection."""
        self._of[connection.network].add(connection)
        self.count += 1

    def remove(self, connection: Connection) -> None:
        """Counts it no more."""
        some = self._of.get(connection.network, set())
        if connection in some:
            some.remove(connection)
            self.count -= 1
            self.freed.set()
            if not some:
                del self._of[connection.network]

    def _evict(self, some: set[Connection]) -> bool:
        waiting = [one for one in some if one.waits_since is not None]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: one.waits_since or 0.0)
        template = "closed the connection from %s that had waited the longest, to make room: it waited for %s"
        _log.warning(template, longest.network, longest.phase.value)
        self.remove(longest)
        longest.end()
        return True


class Connection(H11Protocol):
    """uvicorn's protocol, with an end to every wait for the client."""

    def __init__(self, table: Table, address: str, **more: Any):
        super().__init__(**more)
        self.table, self.limits, self.network = table, table.limits, network_of(address)
        self.phase = Phase.HEADER
        # Until the transport is there (with TLS: until the handshake is done), the task that makes it.
        self.making: asyncio.Task[None] | None = None
        self.waits_since: float | None = self.loop.time()
        """Since when the client is waited for; None while it is the server's turn."""
        self._due: asyncio.TimerHandle | None = None
        self._write_due: asyncio.TimerHandle | None = None
        self._began = self.loop.time()
        self._received = 0
        table.add(self)

    def end(self) -> None:
        """Closes at once, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()
        elif self.making is not None:
            self.making.cancel()

    # What asyncio calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        # Whatever is not taken at once is waited for: the transport tells when that begins and ends.
        transport.set_write_buffer_limits(high=0)
        self._enter(Phase.HEADER)

    def data_received(self, data: bytes) -> None:
        """Takes a piece of a request."""
        if self.transport.is_closing():
            return
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEADER)
        if self.phase is Phase.BODY:
            self._received += len(data)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets go of everything."""
        self.table.remove(self)
        self._forget()
        if self._write_due is not None:
            self._write_due.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size() if self.transport is not None else 0
        self.waits_since = self.loop.time()
        seconds = self.limits.write + waiting / self.limits.write_rate
        if self._write_due is None:
            self._write_due = self.loop.call_later(seconds, self._not_taken)

    def resume_writing(self) -> None:
        """The client has taken everything."""
        super().resume_writing()
        if self._write_due is not None:
            self._write_due.cancel()
            self._write_due = None
        self.waits_since = None if self.phase is Phase.ANSWERING else self.loop.time()

    # What uvicorn's protocol calls

    def handle_events(self) -> None:
        """Looks what the request is at, after what came was read."""
        super().handle_events()
        self._look()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        if self.phase is Phase.BODY:
            self._enter(Phase.REST)
        self._look()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP; where an answer has begun already, the connection just ends."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def shutdown(self) -> None:
        """Ends when the server ends, unless a request is being answered."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:
            self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        """Ends after there was no further request."""
        try:
            super().timeout_keep_alive_handler()
        except h11.LocalProtocolError:
            self.transport.abort()

    # The waits

    def _look(self) -> None:
        if self.transport.is_closing():
            self._forget()
            return
        their = self.conn.their_state
        if their is h11.SEND_BODY:
            # A request that came behind another one is answered at its turn.
            if self.phase is not Phase.REST and self.phase is not Phase.BODY:
                self._enter(Phase.BODY)
        elif their is h11.IDLE:
            fresh = self.cycle is None or self.phase is Phase.HEADER or bool(self.conn.trailing_data[0])
            phase = Phase.HEADER if fresh else Phase.IDLE
            if phase is not self.phase:
                self._enter(phase)
        elif self.phase is not Phase.ANSWERING:
            self._enter(Phase.ANSWERING)

    def _enter(self, phase: Phase) -> None:
        self._forget()
        self.phase, self._began, self._received = phase, self.loop.time(), 0
        self.waits_since = None if phase is Phase.ANSWERING else self._began
        if phase is not Phase.ANSWERING:
            self._due = self.loop.call_at(self._end_of_wait(), self._waited)

    def _forget(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _end_of_wait(self) -> float:
        limits = self.limits
        seconds = {Phase.HEADER: limits.header, Phase.REST: limits.rest, Phase.IDLE: limits.idle}
        if self.phase is Phase.BODY:
            return self._began + limits.body + self._received / limits.body_rate
        return self._began + seconds[self.phase]

    def _waited(self) -> None:
        self._due = None
        if self.phase is Phase.BODY and self.flow.read_paused:
            # It is the application that does not take it.
            self._began = self.loop.time()
        if self._end_of_wait() > self.loop.time():
            self._due = self.loop.call_at(self._end_of_wait(), self._waited)
            return
        spoke = self.phase is Phase.BODY or (self.phase is Phase.HEADER and bool(self.conn.trailing_data[0]))
        if spoke:
            # Browsers open connections ahead, and probes say nothing: only who has begun to speak is too slow.
            _log.warning("closed a connection from %s: too slow with %s", self.network, self.phase.value)
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(TIMED_OUT)
        self.transport.close()

    def _not_taken(self) -> None:
        _log.warning("closed a connection from %s: it does not take its answer", self.network)
        self.transport.abort()
