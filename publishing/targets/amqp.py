"""One connection to a broker that speaks AMQP 0.9.1 and confirms each message (RabbitMQ), for all threads.

pika's blocking connection waits for each message's confirmation. Here a thread of its own runs the connection, so that
the confirmations of whole batches, of several threads, are under way together.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import pika
import pika.exceptions as errors

from modules.errors import reason, shorten
from publishing.targets.base import MAX_REASON, Busy, Refused, Unusable
from publishing.targets.messages import Message

_CONNECT = 10.0
_GOODBYE = 5.0
_PROBABLY_DENIED = (errors.ProbableAuthenticationError, errors.ProbableAccessDeniedError)
_TOO_LARGE = 406


@dataclass(frozen=True)
class Route:
    """Where a broker is, who asks, and where messages go.

    Attributes:
      exchange: empty: the default one, whose routing keys are the names of queues.
      exchange_type: what a durable exchange is declared as; None: it has to be there.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    virtual_host: str
    is_encrypted: bool
    exchange: str
    exchange_type: str | None
    routing_key: str


@dataclass(eq=False)
class _Batch:
    left: int
    refused: dict[str, str] = field(default_factory=dict)
    done: Future[dict[str, str]] = field(default_factory=Future)


class Link:
    """An open connection with one channel; what is no longer usable says why in :attr:`failure`, and is not mended.

    Args:
      route: where to. name: the broker for messages, without secrets.
      timeout: seconds that a batch may take, and opening at most.

    Raises:
      Busy, Unusable: the connection cannot be opened.
    """

    def __init__(self, route: Route, name: str, timeout: float):
        # What pika writes of a failure are classes of errors; what is to be said is said by the publication.
        logging.getLogger("pika").addHandler(logging.NullHandler())
        logging.getLogger("pika").propagate = False
        self._route, self._name, self._timeout = route, name, timeout
        self.failure: Exception | None = None
        self._opened: Future[None] = Future()
        self._lock = threading.Lock()
        self._batches: list[_Batch] = []
        self._waiting: dict[int, tuple[_Batch, Message]] = {}
        self._tags: dict[str, int] = {}
        self._last_tag = 0
        self._is_blocked = False
        self._held: list[tuple[_Batch, Sequence[Message]]] = []
        self._channel: Any = None
        self._connection = pika.SelectConnection(
            self._parameters(),
            on_open_callback=self._on_connection,
            on_open_error_callback=lambda _, error: self._end(self._judged(error)),
            on_close_callback=lambda _, error: self._end(self._judged(error)),
        )
        self._loop = self._connection.ioloop
        self._thread = threading.Thread(target=self._run, name="amqp", daemon=True)
        self._thread.start()
        try:
            self._opened.result(timeout)
        except TimeoutError:
            self.drop()
            raise Busy(f"{name} did not answer in time (--timeout)") from None

    def _parameters(self) -> pika.ConnectionParameters:
        route = self._route
        seconds = min(_CONNECT, self._timeout)
        # A private authority's certificate comes by SSL_CERT_FILE, as for every program on OpenSSL.
        tls = pika.SSLOptions(ssl.create_default_context(), route.host) if route.is_encrypted else None
        return pika.ConnectionParameters(
            route.host, route.port, route.virtual_host, pika.PlainCredentials(route.user, route.password),
            ssl_options=tls, connection_attempts=1, socket_timeout=seconds, stack_timeout=seconds,
            client_properties={"connection_name": "shelfmark publish"},
        )  # fmt: skip

    def publish(self, messages: Sequence[Message]) -> dict[str, str]:
        """Returns when the broker has all messages for good, but those that it refuses: product to the reason.

        Raises:
          Busy, Refused, Unusable: nothing is known of the batch.
        """
        batch = _Batch(len(messages))
        with self._lock:
            if self.failure is not None:
                raise self.failure
            self._batches.append(batch)
            self._loop.add_callback_threadsafe(lambda: self._start(batch, messages))
        try:
            return batch.done.result(self._timeout)
        except TimeoutError:
            self.drop()
            raise Busy(f"{self._name} {self._why_late()}") from None
        finally:
            with self._lock:
                self._batches.remove(batch)

    def _why_late(self) -> str:
        if self._is_blocked:
            return "takes nothing, as it is low on memory or disk space"
        return "did not confirm in time (--timeout)"

    def close(self) -> None:
        """Says goodbye, and waits for the answer for a few seconds."""
        with self._lock:
            if self.failure is None:
                self._loop.add_callback_threadsafe(self._say_goodbye)
        self._thread.join(_GOODBYE)
        self.drop()

    def drop(self) -> None:
        """Ends without a goodbye."""
        with self._lock:
            if self.failure is None:
                # At once, so that the next batch gets a connection of its own.
                failure = self.failure = Busy(f"{self._name} {self._why_late()}")
                self._loop.add_callback_threadsafe(lambda: self._end(failure))

    # What follows runs in the connection's thread.

    def _run(self) -> None:
        self._loop.start()
        self._loop.close()

    def _say_goodbye(self) -> None:
        if self._connection.is_open:
            self._connection.close()

    def _end(self, failure: Exception) -> None:
        with self._lock:
            if self.failure is None:
                self.failure = failure
            futures: list[Future[Any]] = [self._opened, *(batch.done for batch in self._batches)]
        for future in futures:
            if not future.done():
                future.set_exception(self.failure)
        self._loop.stop()

    def _on_connection(self, connection: Any) -> None:
        connection.add_on_connection_blocked_callback(lambda *_: self._block(True))
        connection.add_on_connection_unblocked_callback(lambda *_: self._block(False))
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        self._channel = channel
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirmation, lambda _: self._check_exchange(channel))

    def _check_exchange(self, channel: Any) -> None:
        if not self._route.exchange:
            self._on_ready()
            return
        kind = self._route.exchange_type
        channel.exchange_declare(
            self._route.exchange, kind or "direct", passive=kind is None, durable=True,
            callback=lambda _: self._on_ready(),
        )  # fmt: skip

    def _on_ready(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)

    def _on_channel_closed(self, channel: Any, error: Exception) -> None:
        if isinstance(error, errors.ChannelClosedByBroker):
            self._end(self._judged(error))

    def _block(self, is_blocked: bool) -> None:
        self._is_blocked = is_blocked
        if not is_blocked:
            held, self._held = self._held, []
            for batch, messages in held:
                self._start(batch, messages)

    def _start(self, batch: _Batch, messages: Sequence[Message]) -> None:
        if self.failure is not None:
            # The loop still calls what had been asked for before it was stopped; the batch has its answer.
            return
        if self._is_blocked:
            self._held.append((batch, messages))
            return
        route = self._route
        for message in messages:
            self._last_tag += 1
            self._waiting[self._last_tag] = batch, message
            self._tags[message.message_id] = self._last_tag
            properties = pika.BasicProperties(
                content_type="application/json", content_encoding="utf-8", delivery_mode=2, app_id="shelfmark",
                message_id=message.message_id, timestamp=message.version // 1_000_000,
            )  # fmt: skip
            self._channel.basic_publish(route.exchange, route.routing_key, message.body, properties, mandatory=True)

    def _on_return(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        # The confirmation follows.
        batch, message = self._waiting[self._tags[properties.message_id]]
        batch.refused[message.product] = shorten(f"no queue takes it: {method.reply_text}", MAX_REASON)

    def _on_confirmation(self, frame: Any) -> None:
        tag, is_nack = frame.method.delivery_tag, isinstance(frame.method, pika.spec.Basic.Nack)
        tags = list(takewhile(lambda known: known <= tag, self._waiting)) if frame.method.multiple else [tag]
        for known in tags:
            batch, message = self._waiting.pop(known)
            del self._tags[message.message_id]
            if is_nack:
                batch.refused.setdefault(message.product, "the broker refused it (nack): is a queue full?")
            batch.left -= 1
            if not batch.left and not batch.done.done():
                batch.done.set_result(batch.refused)

    def _judged(self, error: BaseException) -> Exception:
        """What an error of pika's means for a publication."""
        causes = list(_causes(error))
        for cause in causes:
            said = shorten(str(getattr(cause, "reply_text", "")), MAX_REASON)
            code = getattr(cause, "reply_code", None)
            if isinstance(cause, errors.ChannelClosedByBroker):
                if code == _TOO_LARGE and self._opened.done():
                    return Refused(said)
                return Unusable(f"{self._name}: {said}", "are exchange, its type and this user's permissions right?")
            # pika quotes the broker's goodbye there; a stream that is lost just then says nothing of the user.
            if isinstance(cause, _PROBABLY_DENIED) and errors.ConnectionClosedByBroker.__name__ in str(cause):
                return Unusable(f"{self._name} denies access", "are user, password and virtual host right?")
            if isinstance(cause, ssl.SSLError):
                why = "has no certificate that can be trusted" if "CERTIFICATE" in str(cause) else "speaks no TLS there"
                return Unusable(f"{self._name} {why}", "SSL_CERT_FILE names a private authority's certificate")
            if isinstance(cause, errors.IncompatibleProtocolError):
                return Unusable(f"{self._name} does not speak AMQP 0.9.1 there", "amqps:// is for a port with TLS")
        why = next((reason(cause, MAX_REASON) for cause in causes if isinstance(cause, OSError)), "")
        lost = "broke the connection off" if self._opened.done() else "cannot be reached"
        return Busy(f"{self._name} {lost}" + (f": {why}" if why else ""))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was raised for, which pika keeps as arguments."""
    yield error
    for inner in (*error.args, *getattr(error, "exceptions", ()), getattr(error, "exception", None)):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
