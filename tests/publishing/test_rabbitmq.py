"""RabbitMQ: what a consumer gets, what becomes of messages that no queue takes, and brokers that are away or full."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from modules.errors import InputError
from modules.predictions.documents import Document
from publishing.log import PublicationLog, status_of
from publishing.publish import Stopped
from publishing.targets import target_for
from publishing.targets.base import Busy, Options, PartlyRefused, Target, Unusable
from tests.publishing.shop import answers, apply, documents, expected, predict, publish_to, rounded
from tests.rabbitmq import PASSWORD, Broker, rabbitmq_broker

Messages = list[tuple[Any, bytes]]


@pytest.fixture
def queue(broker: Broker, request: pytest.FixtureRequest) -> str:
    """A queue of its own, with an exchange of the same name and the routing key ``products.new``."""
    broker.queue(request.node.name, request.node.name, "products.*")
    return request.node.name


def target(url: str, query: str, patch: pytest.MonkeyPatch, **options: Any) -> Target:
    patch.setenv("SHOP_BROKER", f"{url}?{query}")
    return target_for("env:SHOP_BROKER", Options(**options))


def routed(queue: str) -> str:
    return f"exchange={queue}&routing_key=products.new"


def state_of(messages: Messages) -> dict[str, dict[str, Any]]:
    state: dict[str, dict[str, Any]] = {}
    apply(state, [json.loads(body) for _, body in messages])
    return state


@pytest.mark.rabbitmq
def test_a_message_is_an_event_of_logstash(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict(tmp_path, {"train": 5})
    version = 1796028682174939
    batch = [document for table in documents(tmp_path, version).batches() for document in table]
    place = target(broker.url, routed(queue), monkeypatch)
    place.start(version)
    place.send(batch)
    place.finish()
    messages = broker.take(queue)
    for document, (properties, body) in zip(batch, messages, strict=True):
        event = json.loads(body)
        assert event.pop("@version") == "1"
        assert datetime.fromisoformat(event.pop("@timestamp")).timestamp() == pytest.approx(version / 1e6, abs=1e-3)
        assert event == document.values
        assert (properties.content_type, properties.delivery_mode) == ("application/json", 2)
        assert properties.timestamp == version // 1_000_000
    assert len({properties.message_id for properties, _ in messages}) == 5


@pytest.mark.rabbitmq
def test_the_message_id_tells_a_repeat_from_a_change(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = target(broker.url, routed(queue), monkeypatch)

    def sent(seed: int, version: int) -> list[str]:
        predict(tmp_path, {"train": 20}, seed)
        publish_to(place, tmp_path, tmp_path.with_name(f"log-{version}"))
        return sorted(properties.message_id for properties, _ in broker.take(queue))

    first = sent(seed=0, version=1)
    assert sent(seed=0, version=2) == first and len(set(first)) == 20
    assert not set(sent(seed=1, version=3)) & set(first)


@pytest.mark.rabbitmq
def test_the_default_exchange_and_one_that_is_declared(
    broker: Broker, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Document("a", {"id": "a", "version": 1}, b"d")]
    place = target(broker.url, f"routing_key={queue}", monkeypatch)
    place.start(1)
    place.send(made)
    place.finish()
    assert len(broker.take(queue)) == 1
    declared = target(broker.url, "exchange=declared&declare=topic&routing_key=x", monkeypatch)
    declared.start(1)
    with pytest.raises(PartlyRefused, match="NO_ROUTE"):
        declared.send(made)
    broker.queue(queue, "declared", "x")
    declared.send(made)
    declared.finish()
    assert len(broker.take(queue)) == 1


@pytest.mark.rabbitmq
@pytest.mark.parametrize("parallel", [1, 4])
def test_messages_that_no_queue_takes_are_dead_letters(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: int
) -> None:
    rows = predict(tmp_path / "p", {"train": 30})
    name = f"unroutable-{parallel}"
    broker.queue(name, name, "none")
    place = target(broker.url, routed(name), monkeypatch)
    counts = publish_to(place, tmp_path / "p", tmp_path / "log", parallel=parallel)
    assert (counts.sent, counts.refused) == (0, 30)
    with PublicationLog(tmp_path / "log", "x") as log:
        letters = list(log.dead_letters())
    assert {letter.id for letter in letters} == {row["id"] for row in rows}
    assert {letter.reason for letter in letters} == {"no queue takes it: NO_ROUTE"}
    # When the cause is mended, the same command sends them.
    broker.queue(name, name, "products.*")
    publish_to(place, tmp_path / "p", tmp_path / "log", parallel=parallel)
    messages = broker.take(name)
    assert answers(state_of(messages)) == rounded(expected(rows)) and len(messages) == 30
    assert status_of(tmp_path / "log").dead_letters == 0


@pytest.mark.rabbitmq
def test_what_a_full_queue_refuses_is_a_dead_letter_and_the_rest_arrives(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = predict(tmp_path / "p", {"train": 30})
    broker.queue("full", limits={"x-max-length": 10, "x-overflow": "reject-publish"})
    counts = publish_to(target(broker.url, "routing_key=full", monkeypatch), tmp_path / "p", tmp_path / "log")
    messages = broker.take("full")
    with PublicationLog(tmp_path / "log", "x") as log:
        refused = {letter.id: letter.reason for letter in log.dead_letters()}
        assert set(log.digests([row["id"] for row in rows])) == {row["id"] for row in rows} - set(refused)
    assert counts.refused == len(refused) > 0 and "nack" in next(iter(refused.values()))
    # No other products were refused, and none was sent twice.
    assert {json.loads(body)["id"] for _, body in messages} == {row["id"] for row in rows} - set(refused)
    assert len(messages) == counts.sent == 30 - len(refused)


@pytest.mark.rabbitmq
def test_tls_asks_for_a_certificate_that_can_be_trusted(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unusable, match="no certificate that can be trusted"):
        target(broker.tls_url, routed(queue), monkeypatch).start(1)
    broker.trusted(monkeypatch)
    rows = predict(tmp_path / "p", {"train": 10})
    publish_to(target(broker.tls_url, routed(queue), monkeypatch), tmp_path / "p", tmp_path / "log")
    assert answers(state_of(broker.take(queue))) == rounded(expected(rows))


@pytest.mark.rabbitmq
def test_what_cannot_work_stops_at_once_and_tells_no_password(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    port, tls_port = str(broker.port), str(broker.tls_port)
    for url, query, words in (
        (broker.url.replace("wood", "hunter22"), "routing_key=x", "denies access"),
        (broker.url + "none", "routing_key=x", "denies access"),
        (broker.url, "exchange=none", "NOT_FOUND - no exchange 'none'"),
        (broker.url, "exchange=amq.topic&declare=fanout", "PRECONDITION_FAILED"),
        (broker.url.replace(port, tls_port), "routing_key=x", "does not speak AMQP 0.9.1 there"),
        (broker.tls_url.replace(tls_port, port), "routing_key=x", "speaks no TLS there"),
    ):
        with pytest.raises(Unusable) as caught:
            target(url, query, monkeypatch).start(1)
        said = caught.value.why + caught.value.hint
        assert words in said and "hunter22" not in said and PASSWORD not in said
    with pytest.raises(Busy, match="cannot be reached: Connection refused"):
        target(broker.url.replace(port, "1"), "routing_key=x", monkeypatch).start(1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.rabbitmq
def test_a_message_that_is_too_large_is_refused_alone(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.control("eval", "application:set_env(rabbit, max_message_size, 20000).")
    rows = predict(tmp_path / "p", {"train": 30})
    large = "x" * 30_000
    monkeypatch.setattr(
        "tests.publishing.shop.documents",
        lambda *given: _Enlarged(documents(*given), {"train-13": large}),
    )
    try:
        counts = publish_to(target(broker.url, routed(queue), monkeypatch), tmp_path / "p", tmp_path / "log")
    finally:
        broker.control("eval", "application:set_env(rabbit, max_message_size, 134217728).")
    assert (counts.sent, counts.refused) == (29, 1)
    with PublicationLog(tmp_path / "log", "x") as log:
        (letter,) = log.dead_letters()
    assert letter.id == "train-13" and "PRECONDITION_FAILED" in letter.reason
    wanted = {row["id"] for row in rows} - {"train-13"}
    assert {json.loads(body)["id"] for _, body in broker.take(queue)} == wanted


class _Enlarged:
    def __init__(self, inner: Any, more: dict[str, str]):
        self.version, self._inner, self._more = inner.version, inner, more

    def batches(self) -> Iterator[list[Document]]:
        for batch in self._inner.batches():
            for document in batch:
                if document.id in self._more:
                    document.values["more"] = self._more[document.id]
            yield batch


@pytest.mark.rabbitmq
def test_a_broker_without_memory_is_waited_for(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = predict(tmp_path / "p", {"train": 30})
    place = target(broker.url, routed(queue), monkeypatch, timeout=1.0)
    broker.control("set_vm_memory_high_watermark", "0.0000001")
    try:
        with pytest.raises(Stopped, match="low on memory or disk space, 8 times in a row"):
            publish_to(place, tmp_path / "p", tmp_path / "log", parallel=3)
        patient = target(broker.url, routed(queue), monkeypatch, timeout=60.0)
        publishing = threading.Thread(target=publish_to, args=(patient, tmp_path / "p", tmp_path / "log"))
        publishing.start()
    finally:
        broker.control("set_vm_memory_high_watermark", "0.4")
    publishing.join(60)
    assert answers(state_of(broker.take(queue))) == rounded(expected(rows))
    assert status_of(tmp_path / "log").products == 30


@pytest.mark.rabbitmq
def test_a_broker_that_dies_and_returns_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = predict(tmp_path / "p", {"train": 60})
    with rabbitmq_broker() as broker:
        broker.queue("shop", "shop", "products.*")
        place = target(broker.url, routed("shop"), monkeypatch)
        send, calls = place.send, iter(range(1000))

        def dying(batch: Any) -> None:
            if next(calls) == 3:
                broker.kill()
                with pytest.raises(Busy):
                    send(batch)
                broker.start()
            send(batch)

        monkeypatch.setattr(place, "send", dying)
        publish_to(place, tmp_path / "p", tmp_path / "log")
        assert answers(state_of(broker.take("shop"))) == rounded(expected(rows))


@pytest.mark.rabbitmq
@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing(
    broker: Broker, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = predict(tmp_path / "p", {"train": 300, "test": 100})
    place = target(broker.url, routed(queue), monkeypatch)
    command = [sys.executable, "-m", "tests.publishing.publisher"]
    arguments = [str(tmp_path / "p"), str(tmp_path / "log"), "env:SHOP_BROKER"]
    chance, progress = random.Random(5), list[int]()
    for _ in range(6):
        before = status_of(tmp_path / "log").products if progress else 0
        with broker.channel() as channel:
            consumer = channel.consume(queue, inactivity_timeout=60.0)
            arrived = channel.queue_declare(queue, passive=True).method.message_count
            with subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE) as process:
                assert process.stdin is not None
                process.stdin.write(b"\n")
                process.stdin.flush()
                # A message that has arrived is the moment, some further ones later.
                for _ in range(arrived + chance.randrange(1, 60)):
                    assert next(consumer)[0] is not None
                process.send_signal(signal.SIGKILL)
            channel.cancel()
        assert process.returncode == -signal.SIGKILL
        progress.append(status_of(tmp_path / "log").products)
        assert before <= progress[-1] < len(rows)
    counts = publish_to(place, tmp_path / "p", tmp_path / "log")
    assert counts.sent == len(rows) - progress[-1]
    messages = broker.take(queue)
    assert answers(state_of(messages)) == rounded(expected(rows))
    # The same message of a product has the same message_id, in each of the publications.
    ids: dict[str, set[str]] = defaultdict(set)
    for properties, body in messages:
        ids[json.loads(body)["id"]].add(properties.message_id)
    assert all(len(names) == 1 for names in ids.values()) and len(set.union(*ids.values())) == len(rows)
    # Two batches of seven products are in flight when a kill comes, and two may be noted by nobody.
    assert len(messages) <= len(rows) + 6 * 4 * 7


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("amqp://shop:hunter22@broker/?routing_key=q", "no password on the command line"),
        ("amqps://shop@broker/?routing_key=q", "expected an address like amqps://USER:PASSWORD@HOST"),
        ("amqps://broker/?routing_key=q", "expected an address like amqps://USER:PASSWORD@HOST"),
    ],
)
def test_a_password_is_not_for_the_command_line(address: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        target_for(address, Options())
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("/", "expected an exchange, or the name of a queue"),
        ("/?declare=topic&routing_key=q", "expected an exchange"),
        ("/?exchang=products", "did you mean 'exchange'?"),
        ("/?exchange=products&declare=topik", "did you mean 'topic'?"),
        ("/?exchange=a&exchange=b", "each parameter once"),
        (f"/?exchange={'x' * 256}", "at most 255 bytes"),
        ("/a/b?exchange=x", "%2F"),
        (":port/?exchange=x", "expected an address like"),
        ("/?exchange", "expected an address like"),
    ],
)
def test_addresses_that_cannot_be_used(rest: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError) as caught:
        target("amqp://shop:hunter22@broker" + rest.partition("?")[0], rest.partition("?")[2], monkeypatch)
    assert words in str(caught.value) and "hunter22" not in str(caught.value)


def test_a_name_says_where_without_user_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    place = target("amqps://shop:hunter22@broker/a%2Fb", "exchange=e&routing_key=k", monkeypatch)
    assert place.name == "amqps://broker:5671/a/b, exchange e, routing key 'k'"
    # A new password is no new target.
    assert place.slug == target("amqps://x:y@broker/a%2Fb", "exchange=e&routing_key=k", monkeypatch).slug


def test_a_broker_that_is_away_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import logging, sys; logging.basicConfig(); from publishing.targets import target_for;"
        "from publishing.targets.base import Busy, Options; place = target_for('env:BROKER', Options())\n"
        "try: place.start(1)\nexcept Busy as error: print(error)"
    )
    monkeypatch.setenv("BROKER", "amqp://shop:hunter22@127.0.0.1:1/?routing_key=q")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be reached: Connection refused" in done.stdout and done.stderr == ""
