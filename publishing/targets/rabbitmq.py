"""An exchange of RabbitMQ, or of another broker that speaks AMQP 0.9.1 and confirms messages."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from modules.errors import InputError, Problem, did_you_mean
from modules.predictions.documents import Document
from publishing.targets.base import Options, PartlyRefused, Target

if TYPE_CHECKING:
    from publishing.targets.amqp import Link, Message, Route

_PORTS = {"amqp": 5672, "amqps": 5671}
_KEYS = ("exchange", "declare", "routing_key")
_TYPES = ("direct", "fanout", "headers", "topic")
_LONGEST = 255
"""Bytes of AMQP's short strings."""


class RabbitTarget(Target):
    """A persistent, mandatory message per product, which counts when the broker has confirmed it."""

    schemes: ClassVar[tuple[str, ...]] = tuple(_PORTS)

    def __init__(self, address: str, options: Options, is_hidden: bool):
        try:
            import pika  # noqa: F401 - an extra
        except ImportError:
            hint = "pip install 'shelfmark[rabbitmq]'"
            raise InputError(
                Problem("", "expected the package pika beside Shelfmark", key="TARGET", hint=hint)
            ) from None
        self._route = _parsed(address, is_hidden)
        self._timeout = options.timeout
        host = f"[{self._route.host}]" if ":" in self._route.host else self._route.host
        scheme = "amqps" if self._route.is_encrypted else "amqp"
        place = f"{scheme}://{host}:{self._route.port}/{self._route.virtual_host.removeprefix('/')}"
        target = f"exchange {self._route.exchange}, " if self._route.exchange else ""
        self.name = f"{place}, {target}routing key {self._route.routing_key!r}"
        parts = host, str(self._route.port), self._route.virtual_host, self._route.exchange, self._route.routing_key
        self.identity = "\n".join(("amqp", *parts))
        self._lock = threading.Lock()
        self._link: Link | None = None

    def start(self, version: int) -> None:
        self._connected()

    def send(self, documents: Sequence[Document]) -> None:
        refused = self._connected().publish([_message(document) for document in documents])
        if refused:
            raise PartlyRefused(refused)

    def finish(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _connected(self) -> Link:
        """The connection, or a new one where it was lost."""
        from publishing.targets.amqp import Link

        with self._lock:
            if self._link is None or self._link.failure is not None:
                self._link = Link(self._route, self.name, self._timeout)
            return self._link


def _message(document: Document) -> Message:
    """The document in the form of Logstash's events.

    A repeat has the same ``message_id``, also after a kill, when the publication is another one.
    """
    from publishing.targets.amqp import Message

    seconds, microseconds = divmod(document.values["version"], 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
    event = {"@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "@version": "1"}
    identity = hashlib.sha256(document.id.encode() + b"\n" + (document.digest or b"")).hexdigest()[:32]
    return Message(document.id, identity, seconds, orjson.dumps({**event, **document.values}))


def _parsed(address: str, is_hidden: bool) -> Route:
    from publishing.targets.amqp import Route

    expected = "expected an address like amqps://USER:PASSWORD@HOST/VHOST?exchange=NAME&routing_key=KEY"
    try:
        url = urlsplit(address)
        port, settings = url.port, parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise InputError(Problem("", expected, key="TARGET")) from None
    if url.password is not None and not is_hidden:
        hint = "set a variable to the address, and name it as env:NAME, or a file as file:PATH"
        what = "no password on the command line, where other users of the machine see it"
        raise InputError(Problem("", what, key="TARGET", hint=hint))
    if not url.hostname or not url.username or not url.password or url.fragment or "/" in url.path[1:]:
        hint = "a slash in the name of a virtual host is %2F"
        raise InputError(Problem("", expected, key="TARGET", hint=hint))
    given = dict(settings)
    for name in given:
        if name not in _KEYS:
            what = f"expected no parameter but {', '.join(_KEYS)}"
            raise InputError(Problem("", what, key="TARGET", value=name, hint=did_you_mean(name, _KEYS)))
    exchange, kind, key = given.get("exchange", ""), given.get("declare"), given.get("routing_key", "")
    if len(settings) != len(given) or any(len(text.encode()) > _LONGEST for text in given.values()):
        raise InputError(Problem("", f"expected each parameter once, with at most {_LONGEST} bytes", key="TARGET"))
    if not exchange and (not key or kind):
        what = "expected an exchange, or the name of a queue as routing_key"
        raise InputError(Problem("", what, key="TARGET"))
    if kind is not None and kind not in _TYPES:
        what = f"expected declare to be one of {', '.join(_TYPES)}"
        raise InputError(Problem("", what, key="TARGET", value=kind, hint=did_you_mean(kind, _TYPES)))
    scheme = url.scheme.lower()
    return Route(
        url.hostname, port or _PORTS[scheme], unquote(url.username), unquote(url.password),
        unquote(url.path[1:]) or "/", scheme == "amqps", exchange, kind, key,
    )  # fmt: skip
