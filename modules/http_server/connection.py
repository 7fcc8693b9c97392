"""A connection whose client can keep the server waiting for a bounded time only."""

from __future__ import annotations

import asyncio
import enum
from logging import getLogger
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from modules.http_server.limits import source_of
from modules.http_server.table import Table

LOOK = 1.0
"""Seconds between two looks at how much of an answer was taken."""
TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_log = getLogger("shelfmark.http")


class Phase(enum.Enum):
    """What a connection waits for."""

    HEADER = "the header of a request"
    BODY = "the body of a request"
    REST = "the rest of a request that was answered already"
    IDLE = "another request"
    ANSWERING = "nothing: it is the server's turn"


class Connection(H11Protocol):
    """uvicorn's protocol, with an end to every wait for the client.

    Args:
      table: that counts it from here on. address: of the client.
    """

    def __init__(self, table: Table, address: str, **more: Any):
        super().__init__(**more)
        self.table, self.limits = table, table.limits
        self.trusted = self.limits.trusts(address)
        self.source = f"proxy {address}" if self.trusted else source_of(address)
        self.making: asyncio.Task[None] | None = None
        """Until there is a transport (with TLS: until the handshake is done), the task that makes it."""
        self.raw: asyncio.Transport | None = None
        """With TLS, the transport below, in which answers wait as well."""
        self._early = b""
        self.phase = Phase.HEADER
        self._began = self.loop.time()
        self.waits_since: float | None = self._began
        self.held = 0
        self._received = 0
        self._end = self._began + self.limits.wait
        self._due: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._unsent_since = self._unsent_end = 0.0
        table.add(self)

    @property
    def waits_for(self) -> str:
        """In words."""
        return "its answer to be taken" if self._looking is not None else self.phase.value

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
        # Whatever is not taken at once is waited for. asyncio's TLS counts 0 as a full buffer, too.
        transport.set_write_buffer_limits(high=0 if self.raw is None else 1)
        self._enter(Phase.HEADER)
        if self._early:
            self.data_received(self._early)
            self._early = b""

    def data_received(self, data: bytes) -> None:
        """Takes a piece of a request."""
        if self.transport is None:
            # It came together with the end of the TLS handshake.
            self._early += data
            return
        if self.transport.is_closing():
            return
        if self.phase is Phase.IDLE:
            self._enter(Phase.HEADER)
        self._received += len(data)
        if self.phase is Phase.BODY:
            self._end = self._later(self._end, len(data))
        super().data_received(data)
        self._count()

    def connection_lost(self, exc: Exception | None) -> None:
        """Lets go of everything."""
        for timer in (self._due, self._looking):
            if timer is not None:
                timer.cancel()
        self.table.remove(self)
        if self.transport is not None:
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        super().pause_writing()
        self._look(begin=True)

    def resume_writing(self) -> None:
        """The client has taken everything, or enough for more."""
        super().resume_writing()
        self._look(begin=True)

    # What uvicorn's protocol calls

    def handle_events(self) -> None:
        """Looks what is waited for, after what came was read."""
        super().handle_events()
        self._enter_next()

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        super().on_response_complete()
        # The waits of this class are instead of uvicorn's one.
        self._unset_keepalive_if_required()
        self._enter_next()
        self._look(begin=True)

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP; where an answer has begun already, the connection just ends."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()
        self._leave()

    def shutdown(self) -> None:
        """Ends with the server: at once if the client is waited for, else when it was answered."""
        if self.waits_since is not None and self._looking is None:
            self.transport.abort()
        elif not self.transport.is_closing():
            super().shutdown()

    def _unsupported_upgrade_warning(self) -> None:
        """None: a request to upgrade is answered as if it did not ask for that, and what clients ask for is no news."""

    # The waits

    def _enter_next(self) -> None:
        if self.transport.is_closing():
            if self._due is not None:
                self._due.cancel()
            # What was written before is still to be taken.
            self._look(begin=True)
            return
        answered = self.cycle is None or self.cycle.response_complete
        if self.conn.their_state is h11.SEND_BODY:
            phase = Phase.REST if answered else Phase.BODY
        elif self.conn.their_state is h11.IDLE:
            phase = Phase.HEADER if self.cycle is None or self.conn.trailing_data[0] else Phase.IDLE
        else:
            phase = Phase.ANSWERING
        if phase is not self.phase:
            self._enter(phase)

    def _enter(self, phase: Phase) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        # Until it is answered, a request's body stays in memory.
        if phase not in (Phase.BODY, Phase.ANSWERING):
            self._received = 0
        now = self.loop.time()
        self.phase, self._began = phase, now
        self._set_wait()
        self._count()
        if phase is not Phase.ANSWERING:
            self._end = now + (self.limits.idle if phase is Phase.IDLE else self.limits.wait)
            self._due = self.loop.call_at(self._end, self._waited)

    def _set_wait(self) -> None:
        if self._looking is not None:
            self.waits_since = self._unsent_since
        elif self.phase is Phase.ANSWERING:
            self.waits_since = None
        else:
            self.waits_since = self._began
        if self.waits_since is not None:
            self.table.changed.set()

    def _later(self, end: float, moved: int) -> float:
        """The end of a wait after some bytes have moved, which never is further away than for who has just begun."""
        return min(end + moved / self.limits.rate, self.loop.time() + self.limits.wait)

    def _waited(self) -> None:
        self._due = None
        if self.phase is Phase.IDLE and self._looking is not None:
            # It comes back here once the answer was taken.
            return
        if self.phase is Phase.BODY and self.flow.read_paused:
            # It is the application that does not take it.
            self._end = self.loop.time() + self.limits.wait
        if self._end > self.loop.time():
            self._due = self.loop.call_at(self._end, self._waited)
            return
        if self.phase is Phase.BODY or (self.phase is Phase.HEADER and self.conn.trailing_data[0]):
            # Browsers open connections ahead, and probes say nothing: only who has begun to speak is too slow.
            _log.warning("closed a connection from %s: it took too long with %s", self.source, self.phase.value)
            if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
                self.transport.write(TIMED_OUT)
        self.transport.close()
        self._leave()

    def _leave(self) -> None:
        """Lets the application know that nobody waits for its answer any more."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._enter_next()

    def _look(self, *, begin: bool = False) -> None:
        """Looks how much of what was written was taken, now and again until everything was.

        Args:
          begin: the wait begins now, not at an earlier look.
        """
        waited = self._looking is not None
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        now, before = self.loop.time(), self._unsent
        self._unsent = sum(
            transport.get_write_buffer_size() for transport in (self.transport, self.raw) if transport is not None
        )
        if begin:
            self._unsent_since, self._unsent_end = now, now + self.limits.wait
        else:
            self._unsent_end = self._later(self._unsent_end, max(before - self._unsent, 0))
        if self._unsent:
            if now > self._unsent_end:
                _log.warning("closed a connection from %s: it does not take its answer", self.source)
                self.transport.abort()
                return
            self._looking = self.loop.call_later(min(LOOK, self.limits.wait / 4), self._look)
        elif waited and self.phase is Phase.IDLE and not self.transport.is_closing():
            # The pause between two requests begins now.
            self._enter(Phase.IDLE)
        self._set_wait()
        self._count()

    def _count(self) -> None:
        unanswered = self._received if self.phase in (Phase.BODY, Phase.ANSWERING) else 0
        self.table.holds(self, unanswered + self._unsent)
