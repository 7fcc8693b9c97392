"""An exchange of RabbitMQ, or of another broker that speaks AMQP 0.9.1 and confirms messages."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl, unquote

from modules.errors import InputError, Problem, did_you_mean
from modules.predictions.documents import Document
from publishing.targets.addresses import authority, split_address
from publishing.targets.base import Options, PartlyRefused, Refused, Target
from publishing.targets.messages import message_of

if TYPE_CHECKING:
    from publishing.targets.amqp import Link, Route

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
        route = self._route = _parsed(address, is_hidden)
        self._timeout = options.timeout
        place = f"{authority(route.host, route.port)}/{route.virtual_host.removeprefix('/')}"
        exchange = f"exchange {route.exchange}, " if route.exchange else ""
        scheme = "amqps" if route.is_encrypted else "amqp"
        self.name = f"{scheme}://{place}, {exchange}routing key {route.routing_key!r}"
        self.identity = "\n".join(("amqp", place, route.exchange, route.routing_key))
        self._lock = threading.Lock()
        self._link: Link | None = None

    def start(self, version: int) -> None:
        self._connected()

    def send(self, documents: Sequence[Document]) -> None:
        refused = self._connected().publish([message_of(document) for document in documents])
        if refused:
            raise PartlyRefused({product: Refused(why) for product, why in refused.items()})

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


def _parsed(address: str, is_hidden: bool) -> Route:
    from publishing.targets.amqp import Route

    expected = "amqps://USER:PASSWORD@HOST/VHOST?exchange=NAME&routing_key=KEY"
    url = split_address(address, is_hidden, expected)
    try:
        settings = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise InputError(Problem("", f"expected an address like {expected}", key="TARGET")) from None
    if not url.username or not url.password or "/" in url.path[1:]:
        hint = "a slash in the name of a virtual host is %2F"
        raise InputError(Problem("", f"expected an address like {expected}", key="TARGET", hint=hint))
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
        str(url.hostname), url.port or _PORTS[scheme], unquote(url.username), unquote(url.password),
        unquote(url.path[1:]) or "/", scheme == "amqps", exchange, kind, key,
    )  # fmt: skip
