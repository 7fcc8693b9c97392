"""Kafka: what a reader of the topic gets, what the broker refuses, and brokers that are away, slow or not for us."""

from __future__ import annotations

import hashlib
import json
import signal
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.predictions.documents import Document, removal
from publishing.log import PublicationLog, status_of
from publishing.targets import kafka as targets
from publishing.targets import target_for
from publishing.targets.base import Busy, Options, PartlyRefused, Refused, Target, Unusable
from tests.kafka_server import PASSWORD, QUOTED, USER, KafkaBroker, kafka_broker
from tests.publishing.shop import answers, apply, documents, expected, predict, publish_to, rounded
from tests.servers import free_port


def document(name: str, size: int = 0, version: int = 1) -> Document:
    # Digits that gzip makes no more than half as long.
    text = "".join(hashlib.sha256(f"{name} {part}".encode()).hexdigest() for part in range(size // 64))
    return Document(name, {"id": name, "version": version, "text": text}, name.encode())


@contextmanager
def started(address: str, **options: Any) -> Iterator[Target]:
    place = target_for(address, Options(**options))
    try:
        place.start(1)
        yield place
    finally:
        place.finish()


def state_of(messages: list[Any]) -> dict[str, dict[str, Any]]:
    state: dict[str, dict[str, Any]] = {}
    apply(state, [json.loads(message.value()) for message in messages])
    return state


@pytest.mark.kafka
def test_a_message_is_the_event_that_other_brokers_get(kafka: KafkaBroker, tmp_path: Path) -> None:
    predict(tmp_path, {"train": 5})
    version = 1796028682174939
    batch = [made for table in documents(tmp_path, version).batches() for made in table]
    topic = kafka.topic("events")
    with started(kafka.address(topic)) as place:
        place.send([*batch, removal("gone", version)])
    messages = {message.key().decode(): message for message in kafka.messages(topic)}
    assert set(messages) == {made.id for made in batch} | {"gone"}
    for made in batch:
        message = messages[made.id]
        event = json.loads(message.value())
        assert event.pop("@version") == "1"
        assert datetime.fromisoformat(event.pop("@timestamp")).timestamp() == pytest.approx(version / 1e6, abs=1e-3)
        assert event == made.values and message.timestamp()[1] == version // 1000
        headers = dict(message.headers())
        assert headers["content-type"] == b"application/json" and len(headers["message-id"]) == 32
    assert json.loads(messages["gone"].value())["deleted"] is True
    assert len({dict(message.headers())["message-id"] for message in messages.values()}) == 6


@pytest.mark.kafka
def test_the_message_id_tells_a_repeat_from_a_change(kafka: KafkaBroker, tmp_path: Path) -> None:
    topic = kafka.topic("repeats")
    for seed, log in ((0, "a"), (0, "b"), (1, "c")):
        predict(tmp_path / "p", {"train": 20}, seed)
        publish_to(target_for(kafka.address(topic), Options()), tmp_path / "p", tmp_path / log)
    often = Counter(dict(message.headers())["message-id"] for message in kafka.messages(topic))
    assert sorted(often.values()) == [1] * 20 + [2] * 20


@pytest.mark.kafka
def test_messages_of_a_product_stay_in_order(kafka: KafkaBroker) -> None:
    topic = kafka.topic("order", partitions=4)
    with started(kafka.address(topic)) as place:
        for version in range(1, 30):
            place.send([document(name, version=version) for name in ("a", "b", "ö", "日本")])
    seen: dict[str, list[int]] = {}
    for message in kafka.messages(topic):
        seen.setdefault(message.key().decode(), []).append(json.loads(message.value())["version"])
    assert seen == {name: list(range(1, 30)) for name in ("a", "b", "ö", "日本")}


@pytest.mark.kafka
@pytest.mark.parametrize("limit", [2_000, 20_000_000])
def test_a_message_that_is_too_large_is_a_dead_letter_and_the_rest_arrives(
    kafka: KafkaBroker, tmp_path: Path, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = kafka.topic(f"large-{limit}", max_message_bytes=limit)
    if limit > 10_000:  # the client's own limit
        monkeypatch.setattr(targets, "_LARGEST", 10_000)
    batch = [document("a"), document("large", 15_000), document("b")]
    with started(kafka.address(topic)) as place:
        with pytest.raises(Refused, match=r"[Mm]essage size too large"):
            place.send(batch)
        # What a publication does with a batch that is refused.
        with pytest.raises(PartlyRefused) as caught:
            place.send(batch[1:2])
        assert set(caught.value.refusals) == {"large"}
        place.send([batch[0], batch[2]])
    assert set(state_of(kafka.messages(topic))) == {"a", "b"}


@pytest.mark.kafka
def test_what_the_broker_refuses_stands_in_the_log(kafka: KafkaBroker, tmp_path: Path) -> None:
    rows = predict(tmp_path / "p", {"train": 30})
    topic = kafka.topic("refusing", max_message_bytes=1)
    counts = publish_to(target_for(kafka.address(topic), Options()), tmp_path / "p", tmp_path / "log")
    assert (counts.sent, counts.refused) == (0, 30)
    with PublicationLog(tmp_path / "log", "x") as log:
        letters = list(log.dead_letters())
    assert {letter.id for letter in letters} == {row["id"] for row in rows}
    assert all("too large" in letter.reason for letter in letters)


@pytest.mark.kafka
def test_a_full_queue_slows_the_sender_and_loses_nothing(kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = kafka.topic("full")
    monkeypatch.setattr(targets, "_QUEUE_KIB", 20)
    waits = []
    with started(kafka.address(topic)) as place:
        producer = place._producer  # type: ignore[attr-defined]

        class Counting:
            """The real producer, whose refusals for a full queue are counted."""

            def produce(self, *arguments: Any, **named: Any) -> None:
                try:
                    producer.produce(*arguments, **named)
                except BufferError:
                    waits.append(1)
                    raise

            def __getattr__(self, name: str) -> Any:
                return getattr(producer, name)

        place._producer = Counting()  # type: ignore[attr-defined]
        made = [document(f"p{number}", 2000) for number in range(300)]
        senders = [threading.Thread(target=place.send, args=(made[part::3],)) for part in range(3)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
    assert waits and set(state_of(kafka.messages(topic))) == {sent.id for sent in made}
    assert len(kafka.messages(topic)) == 300


@pytest.mark.kafka
@pytest.mark.slow
def test_a_broker_that_stops_is_waited_for(tmp_path: Path) -> None:
    with kafka_broker() as broker:
        topic = broker.topic("stops")
        with started(broker.address(topic), timeout=2.0) as place:
            place.send([document("a")])
            broker.pause(True)
            with pytest.raises(Busy, match="did not confirm in time"):
                place.send([document("b")])
            broker.pause(False)
            place.send([document("c")])
            broker.stop()
            with pytest.raises(Busy):
                place.send([document("d")])
            broker.start()
            place.send([document("b"), document("d")])
        assert set(state_of(broker.messages(topic))) == {"a", "b", "c", "d"}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize(("point", "number"), [("sent", 0), ("noted", 2), ("sent", 5)])
def test_a_kill_loses_nothing(kafka: KafkaBroker, tmp_path: Path, point: str, number: int) -> None:
    address = kafka.address(kafka.topic(f"kills-{point}-{number}"))
    predict(tmp_path / "p", {"train": 40, "test": 20})
    publish_to(target_for(address, Options()), tmp_path / "p", tmp_path / "log")
    rows = predict(tmp_path / "p", {"train": 62}, seed=1)
    arguments = [str(tmp_path / "p"), str(tmp_path / "log"), address, point, str(number)]
    ended = subprocess.run([sys.executable, "-m", "tests.publishing.publisher", *arguments], input=b"\n")
    assert ended.returncode == -signal.SIGKILL
    publish_to(target_for(address, Options()), tmp_path / "p", tmp_path / "log", many_gone=True)
    state = state_of(kafka.messages(address.rpartition("/")[2]))
    assert answers(state) == rounded(expected(rows)) and status_of(tmp_path / "log").products == 62


@pytest.mark.kafka
def test_a_topic_that_is_not_there_stops_at_once(kafka: KafkaBroker) -> None:
    with pytest.raises(Unusable, match="Unknown topic") as caught, started(kafka.address("nowhere")):
        pass
    assert caught.value.hint == "make the topic first"


@pytest.mark.kafka
@pytest.mark.parametrize("mechanism", ["", "?mechanism=PLAIN"])
@pytest.mark.parametrize("is_encrypted", [False, True])
def test_users_and_certificates(
    kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch, mechanism: str, is_encrypted: bool
) -> None:
    topic = kafka.topic(f"users-{len(mechanism)}-{is_encrypted}")
    scheme, port = ("kafka", kafka.tls_port) if is_encrypted else ("kafka+plaintext", kafka.user_port)
    address = f"{scheme}://{QUOTED}@127.0.0.1:{port}/{topic}{mechanism}"
    monkeypatch.setenv("SHOP_KAFKA", address)
    if is_encrypted:
        with pytest.raises(Unusable, match="certificate"), started("env:SHOP_KAFKA", timeout=5.0):
            pass
        monkeypatch.setenv("SSL_CERT_FILE", str(kafka.authority))
        assert ssl.get_default_verify_paths().cafile == str(kafka.authority)
    with started("env:SHOP_KAFKA", timeout=10.0) as place:
        place.send([document("a")])
    assert len(kafka.messages(topic)) == 1
    monkeypatch.setenv("SHOP_KAFKA", address.replace(QUOTED, f"{USER}:wrong"))
    with pytest.raises(Unusable) as caught, started("env:SHOP_KAFKA", timeout=5.0):
        pass
    assert caught.value.hint == "are user, password and mechanism right?" and PASSWORD not in caught.value.why


def test_a_cluster_that_is_away(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Busy), started(f"kafka+plaintext://127.0.0.1:{free_port()}/t", timeout=1.0):
        pass
    # librdkafka's own account of it would stand between the lines of the command.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("kafka://shop:hunter22@broker/t", "no password on the command line"),
        ("kafka://broker", "expected an address like"),
        ("kafka://broker/a/b", "expected an address like"),
        ("kafka://broker/a b", "expected an address like"),
        ("kafka+ssl://broker/t", "kafka+plaintext:// is for"),
        ("kafka://broker:x/t", "expected an address like"),
        ("kafka://broker,/t", "expected an address like"),
        ("kafka://shop@broker/t", "a user has a password"),
        ("kafka://broker/t?mechanism=PLAIN", "only a user a mechanism"),
        ("kafka://broker/t?acks=0", "no parameter but one mechanism"),
        ("env:SHOP_KAFKA", "did you mean 'SCRAM-SHA-512'?"),
    ],
)
def test_addresses_that_cannot_be_used(address: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KAFKA", "kafka://shop:hunter22@broker/t?mechanism=SCRAM-SHA512")
    with pytest.raises(InputError) as caught:
        target_for(address, Options())
    assert words in str(caught.value) and "hunter22" not in str(caught.value)


def test_a_name_says_where_without_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KAFKA", "kafka://shop:hunter22@b.example:9000,a.example/products")
    place = target_for("env:SHOP_KAFKA", Options())
    assert place.name == "kafka://b.example:9000,a.example:9093, topic products"
    assert "hunter22" not in place.identity and "shop" not in place.identity
    monkeypatch.setenv("SHOP_KAFKA", "kafka://other:hunter23@a.example:9093,b.example:9000/products")
    assert target_for("env:SHOP_KAFKA", Options()).identity == place.identity
