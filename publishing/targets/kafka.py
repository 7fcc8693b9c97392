"""A topic of Apache Kafka, or of another broker that speaks its protocol."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from modules.errors import InputError, Problem, did_you_mean, shorten
from modules.predictions.documents import Document
from publishing.targets.addresses import authority, split_address
from publishing.targets.base import MAX_REASON, Busy, Options, PartlyRefused, Refused, Target, Unusable
from publishing.targets.messages import Message, message_of

_EXPECTED = "kafka://USER:PASSWORD@HOST:9093,HOST:9093/TOPIC"
_PLAIN = "kafka+plaintext"
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
_PORTS = {"kafka": 9093, _PLAIN: 9092}
_TICK = 0.05
"""Seconds; how late a thread notices a report that another one has been given."""
_GRACE = 5.0
"""Seconds that reports may be late after the batch's time is up."""
_QUEUE_KIB = 1 << 16
_BATCH = 1 << 16
"""Bytes that the broker takes or refuses together, beyond a single message."""
_LARGEST = 10_000_000
"""Bytes of a message; the broker's own limit is mostly lower."""
_REFUSED = ("MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "INVALID_TIMESTAMP")
_UNUSABLE = {
    "_AUTHENTICATION": "are user, password and mechanism right?",
    "SASL_AUTHENTICATION_FAILED": "are user, password and mechanism right?",
    "UNSUPPORTED_SASL_MECHANISM": "name another mechanism",
    "_SSL": "SSL_CERT_FILE names a private authority's certificate",
    "TOPIC_AUTHORIZATION_FAILED": "may this user write to the topic?",
    "CLUSTER_AUTHORIZATION_FAILED": "may this user write to the topic, idempotently?",
    "UNKNOWN_TOPIC_OR_PART": "make the topic first",
    "_UNKNOWN_TOPIC": "make the topic first",
    "TOPIC_EXCEPTION": "name another topic",
    "POLICY_VIOLATION": "",
}


@dataclass(frozen=True)
class _Route:
    """Where a cluster is, and who asks."""

    hosts: tuple[str, ...]
    topic: str
    is_encrypted: bool
    user: str
    password: str = field(repr=False)
    mechanism: str

    def settings(self) -> dict[str, Any]:
        """As librdkafka calls them."""
        settings: dict[str, Any] = {"bootstrap.servers": ",".join(self.hosts)}
        settings["security.protocol"] = ("SASL_" if self.user else "") + ("SSL" if self.is_encrypted else "PLAINTEXT")
        if self.user:
            settings |= {
                "sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password,
            }  # fmt: skip
        # A private authority's certificate comes by SSL_CERT_FILE, as for every program on OpenSSL.
        authorities = ssl.get_default_verify_paths().cafile
        if self.is_encrypted and authorities:
            settings["ssl.ca.location"] = authorities
        return settings


class KafkaTarget(Target):
    """A message per product, with the product's id as its key; it counts when all replicas in sync have it.

    The producer is idempotent: what it repeats by itself arrives once, and in order. A batch that is sent again may
    arrive twice, with the same ``message-id``.
    """

    schemes: ClassVar[tuple[str, ...]] = ("kafka",)

    def __init__(self, address: str, options: Options, is_hidden: bool):
        try:
            import confluent_kafka  # noqa: F401 - an extra
        except ImportError:
            hint = "pip install 'shelfmark[kafka]'"
            what = "expected the package confluent-kafka beside Shelfmark"
            raise InputError(Problem("", what, key="TARGET", hint=hint)) from None
        route = self._route = _parsed(address, is_hidden)
        self._timeout = options.timeout
        scheme = "kafka" if route.is_encrypted else _PLAIN
        self.name = f"{scheme}://{','.join(route.hosts)}, topic {route.topic}"
        self.identity = "\n".join(("kafka", *sorted(route.hosts), route.topic))
        self._lock = threading.Lock()
        self._producer: Any = None
        self._said: Any = None

    def start(self, version: int) -> None:
        self._connected()

    def send(self, documents: Sequence[Document]) -> None:
        producer, end = self._connected(), time.monotonic() + self._timeout
        reports: list[tuple[str, Any]] = []
        for document in documents:
            self._produce(producer, message_of(document), reports, end)
        while len(reports) < len(documents) and time.monotonic() < end + _GRACE:
            producer.poll(_TICK)
        if len(reports) < len(documents):
            self._drop(producer)
            raise self._late()
        self._settle(producer, {product: error for product, error in reports if error is not None}, len(documents))

    def finish(self) -> None:
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            # Each batch has waited for its reports; what is left is of a batch that was given up.
            producer.purge()
            producer.flush(_GRACE)

    def _connected(self) -> Any:
        """The producer, or a new one where it cannot go on."""
        with self._lock:
            if self._producer is None:
                self._producer = self._made()
            return self._producer

    def _made(self) -> Any:
        from confluent_kafka import KafkaException, Producer

        # librdkafka writes each failure to the log; what is to be said is said by the publication.
        log = logging.getLogger("shelfmark.kafka")
        log.addHandler(logging.NullHandler())
        log.propagate = False
        self._said = None
        milliseconds = max(1000, int(1000 * self._timeout))
        settings = {
            **self._route.settings(), "client.id": "shelfmark", "enable.idempotence": True, "acks": "all",
            "message.timeout.ms": milliseconds, "socket.timeout.ms": min(60_000, milliseconds),
            "linger.ms": 5, "compression.type": "gzip", "batch.size": _BATCH, "message.max.bytes": _LARGEST,
            "queue.buffering.max.kbytes": _QUEUE_KIB, "error_cb": self._on_error,
        }  # fmt: skip
        try:
            producer = Producer(settings, logger=log)
        except KafkaException as error:
            raise Unusable(f"{self.name}: {shorten(error.args[0].str(), MAX_REASON)}") from None
        topic = self._topic(producer)
        if topic.error is not None:
            raise self._judged(topic.error)
        return producer

    def _topic(self, producer: Any) -> Any:
        """What the cluster says of the topic; a connection that is refused for good ends the waiting."""
        from confluent_kafka import KafkaException

        end, wait = time.monotonic() + self._timeout, 1.0
        while True:
            try:
                return producer.list_topics(self._route.topic, timeout=wait).topics[self._route.topic]
            except KafkaException as error:
                producer.poll(0)  # The reason, if a connection has said one, comes as an event.
                left = end - time.monotonic()
                if self._said is not None or left <= 0:
                    raise self._judged(error.args[0]) from None
                wait = min(2 * wait, left)

    def _on_error(self, error: Any) -> None:
        """Keeps what a connection says of why it cannot be made; that it is lost follows from the reports."""
        if error.name() in _UNUSABLE:
            self._said = error

    def _drop(self, producer: Any) -> None:
        with self._lock:
            if self._producer is producer:
                self._producer = None
        producer.purge()

    def _produce(self, producer: Any, message: Message, reports: list[tuple[str, Any]], end: float) -> None:
        """Hands a message over; waits while the producer's queue is full."""
        from confluent_kafka import KafkaException

        headers = {
            "message-id": message.message_id, "content-type": "application/json", "app-id": "shelfmark",
        }  # fmt: skip
        while True:
            try:
                producer.produce(
                    self._route.topic, message.body, message.product.encode(), headers=headers,
                    timestamp=message.version // 1000,
                    on_delivery=lambda error, _: reports.append((message.product, error)),
                )  # fmt: skip
                return
            except BufferError:
                if time.monotonic() >= end:
                    self._drop(producer)
                    raise self._late() from None
                producer.poll(_TICK)
            except KafkaException as error:
                reports.append((message.product, error.args[0]))
                return

    def _settle(self, producer: Any, errors: dict[str, Any], count: int) -> None:
        """Says what the errors of a batch mean for it."""
        if any(error.fatal() or error.name() == "_FATAL" for error in errors.values()):
            self._drop(producer)
        passing = [error for error in errors.values() if error.name() not in _REFUSED]
        if passing:
            raise self._judged(next((error for error in passing if error.name() in _UNUSABLE), passing[0]))
        refused = {product: Refused(shorten(error.str(), MAX_REASON)) for product, error in errors.items()}
        if refused and count > 1:
            # The broker refuses what came together, for a single message of it: halves tell which.
            raise next(iter(refused.values()))
        if refused:
            raise PartlyRefused(refused)

    def _judged(self, error: Any) -> Exception:
        """What an error that is about no single message means for a publication."""
        name, said = error.name(), shorten(error.str(), MAX_REASON)
        if name in ("_MSG_TIMED_OUT", "_TIMED_OUT", "_PURGE_QUEUE", "_PURGE_INFLIGHT") and self._said is None:
            return self._late()
        if name not in _UNUSABLE and self._said is not None:
            name, said = self._said.name(), shorten(self._said.str(), MAX_REASON)
        if name in _UNUSABLE:
            return Unusable(f"{self.name}: {said}", _UNUSABLE[name])
        return Busy(f"{self.name}: {said}")

    def _late(self) -> Busy:
        return Busy(f"{self.name} did not confirm in time (--timeout)")


def _parsed(address: str, is_hidden: bool) -> _Route:
    expected = f"expected an address like {_EXPECTED}"
    scheme, _, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    user, at, hosts = place.rpartition("@")
    urls = [
        split_address(f"{scheme}://{user}{at}{host}{slash}{path}", is_hidden, _EXPECTED) for host in hosts.split(",")
    ]
    url, scheme = urls[0], scheme.lower()
    topic = url.path.removeprefix("/")
    if scheme not in _PORTS or not _TOPIC.fullmatch(topic):
        hint = f"{_PLAIN}:// is for brokers without TLS"
        raise InputError(Problem("", expected, key="TARGET", value=f"{scheme}://…/{topic}", hint=hint))
    try:
        settings = parse_qsl(urlsplit(address).query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise InputError(Problem("", expected, key="TARGET")) from None
    for name, _ in settings:
        if name != "mechanism" or len(settings) > 1:
            raise InputError(Problem("", "expected no parameter but one mechanism", key="TARGET", value=name))
    mechanism = dict(settings).get("mechanism", _MECHANISMS[0])
    if mechanism not in _MECHANISMS:
        what = f"expected mechanism to be one of {', '.join(_MECHANISMS)}"
        hint = did_you_mean(mechanism, _MECHANISMS)
        raise InputError(Problem("", what, key="TARGET", value=mechanism, hint=hint))
    if bool(url.username) != bool(url.password) or (settings and not url.username):
        raise InputError(Problem("", f"{expected}: a user has a password, and only a user a mechanism", key="TARGET"))
    places = tuple(authority(str(own.hostname), own.port or _PORTS[scheme]) for own in urls)
    return _Route(places, topic, scheme == "kafka", unquote(url.username or ""), unquote(url.password or ""), mechanism)
