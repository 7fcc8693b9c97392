"""A real Apache Kafka for the tests that need one: one node, without ZooKeeper."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

LIBRARIES = Path(__file__).parents[2] / ".kafka"
"""Where ``tests/install_servers.sh`` puts them."""
USER, PASSWORD = "shelf", "wood/57@:"
QUOTED = f"{USER}:wood%2F57%40%3A"
_CLUSTER = "4L6g3nShT-eMCtK--X86sw"


class KafkaBroker:
    """A broker on loopback, with a port for everybody, one for users, and one with TLS.

    Attributes:
      port, user_port, tls_port: it listens on these. authority: the certificate that signed the broker's.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self.port, self.user_port, self.tls_port, controller = (free_port() for _ in range(4))
        self.authority, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(self.authority)],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "keys.pem").write_text(key.read_text() + self.authority.read_text())
        listeners = f"PLAIN://127.0.0.1:{self.port},USERS://127.0.0.1:{self.user_port},TLS://127.0.0.1:{self.tls_port}"
        login = "org.apache.kafka.common.security.{}LoginModule required"
        plain = f'{login.format("plain.Plain")} user_{USER}="{PASSWORD}"'
        settings = {
            "process.roles": "broker,controller", "node.id": 1, "log.dirs": folder / "data",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}", "controller.listener.names": "CONTROLLER",
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller}", "advertised.listeners": listeners,
            "listener.security.protocol.map":
                "PLAIN:PLAINTEXT,USERS:SASL_PLAINTEXT,TLS:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAIN", "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.users.plain.sasl.jaas.config": f"{plain};",
            "listener.name.tls.plain.sasl.jaas.config": f"{plain};",
            "listener.name.users.scram-sha-512.sasl.jaas.config": f"{login.format('scram.Scram')};",
            "listener.name.tls.scram-sha-512.sasl.jaas.config": f"{login.format('scram.Scram')};",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": folder / "keys.pem",
            "auto.create.topics.enable": "false", "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
        }  # fmt: skip
        self._settings = folder / "server.properties"
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._run("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(self._settings), "--add-scram",
                  f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]").wait(timeout=60)  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def _run(self, *program: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            command = ["java", "-Xmx384m", "-cp", f"{LIBRARIES}/*", *program]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)

    def start(self) -> None:
        """Returns when it takes messages."""
        self._process = self._run("kafka.Kafka", str(self._settings))
        end = time.monotonic() + 90
        while self._process.poll() is None and time.monotonic() < end:
            if _listens(self.port) and self._is_ready():
                return
            time.sleep(0.1)
        pytest.fail(f"Kafka does not start: {(self._folder / 'log').read_text()[-2000:]}")

    def _is_ready(self) -> bool:
        from confluent_kafka import KafkaException

        try:
            return bool(self._admin().list_topics(timeout=5).brokers)
        except KafkaException:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None

    def pause(self, is_paused: bool) -> None:
        """Stops the process where it is, or lets it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if is_paused else signal.SIGCONT)

    def address(self, topic: str) -> str:
        return f"kafka+plaintext://127.0.0.1:{self.port}/{topic}"

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 0})

    def topic(self, name: str, partitions: int = 3, **settings: Any) -> str:
        """Makes a topic; its settings are Kafka's, with underscores."""
        from confluent_kafka.admin import NewTopic

        config = {key.replace("_", "."): str(value) for key, value in settings.items()}
        admin = self._admin()  # Ends with its last reference, and its requests with it.
        for future in admin.create_topics([NewTopic(name, partitions, 1, config=config)]).values():
            future.result(30)
        # The controller has it; the broker follows.
        while admin.list_topics(name, timeout=10).topics[name].error is not None:
            pass
        return name

    def messages(self, topic: str) -> list[Any]:
        """All of a topic, from its beginning; of the same key in order."""
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

        consumer = Consumer({
            "bootstrap.servers": f"127.0.0.1:{self.port}", "group.id": uuid.uuid4().hex, "enable.auto.commit": False,
            "isolation.level": "read_committed",
        })  # fmt: skip
        try:
            parts = [TopicPartition(topic, part, OFFSET_BEGINNING)
                     for part in consumer.list_topics(topic, timeout=10).topics[topic].partitions]  # fmt: skip
            ends = [consumer.get_watermark_offsets(part, timeout=10) for part in parts]
            left = sum(high - low for low, high in ends)
            consumer.assign(parts)
            messages: list[Any] = []
            while len(messages) < left:
                batch = consumer.consume(min(1000, left - len(messages)), timeout=10)
                assert batch and not any(message.error() for message in batch)
                messages += batch
            return messages
        finally:
            consumer.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def kafka_broker() -> Iterator[KafkaBroker]:
    """A broker that is empty, in a folder of its own."""
    pytest.importorskip("confluent_kafka")
    if not shutil.which("java") or not list(LIBRARIES.glob("kafka_2.13-*.jar")):
        pytest.skip("Kafka needs Java and its libraries in .kafka (tests/install_servers.sh fetches them)")
    with tempfile.TemporaryDirectory(prefix="shelfmark-kafka-", ignore_cleanup_errors=True) as folder:
        broker = KafkaBroker(Path(folder))
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
