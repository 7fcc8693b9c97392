"""Documents as messages of a broker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from modules.predictions.documents import Document


@dataclass(frozen=True)
class Message:
    """A JSON document: the product's id, the message's id (unique among what is under way), microseconds since 1970."""

    product: str
    message_id: str
    version: int
    body: bytes


def message_of(document: Document) -> Message:
    """The document in the form of Logstash's events.

    A repeat has the same ``message_id``, also after a kill, when the publication is another one.
    """
    version = document.values["version"]
    seconds, microseconds = divmod(version, 1_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds)
    event = {"@timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "@version": "1"}
    identity = hashlib.sha256(document.id.encode() + b"\n" + (document.digest or b"")).hexdigest()[:32]
    return Message(document.id, identity, version, orjson.dumps({**event, **document.values}))
