"""A real RabbitMQ broker for the tests that need one, and what a consumer of it sees."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pika
import pytest

from tests.servers import free_port

USER, PASSWORD = "shelf", "wood/57@:"
QUOTED = f"{USER}:wood%2F57%40%3A"


class Broker:
    """A node of its own name on loopback, with data, ports and port mapper of its own.

    Attributes:
      port, tls_port: it listens on these. authority: the certificate that signed the broker's.
    """

    def __init__(self, folder: Path, programs: Path):
        self._folder, self._programs = folder, programs
        self.port, self.tls_port = free_port(), free_port()
        self.authority = folder / "certificate.pem"
        mapper = free_port()
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(mapper), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"shelfmark{self.port}@localhost", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"), "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        }  # fmt: skip
        self._process: subprocess.Popen[str] | None = None
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key.pem"), "-out", str(self.authority)],
            check=True, capture_output=True,
        )  # fmt: skip
        (folder / "plugins").write_text("[].\n")
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\nlisteners.ssl.1 = 127.0.0.1:{self.tls_port}\n"
            f"ssl_options.certfile = {self.authority}\nssl_options.keyfile = {folder / 'key.pem'}\n"
            f"default_user = {USER}\ndefault_pass = {PASSWORD}\n"
        )
        self._mapper = subprocess.Popen(["epmd", "-port", str(mapper), "-address", "127.0.0.1"])

    @property
    def url(self) -> str:
        """Without exchange and routing key."""
        return f"amqp://{QUOTED}@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        return f"amqps://{QUOTED}@127.0.0.1:{self.tls_port}/"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [str(self._programs / "rabbitmq-server")], env=self._environment, cwd=self._folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        # The server says when it takes connections, or ends.
        said = []
        for line in self._process.stdout:
            said.append(line)
            if "completed with" in line:
                return
        pytest.fail(f"RabbitMQ ended with {self._process.wait()}: {''.join(said)[-2000:]}")

    def kill(self) -> None:
        """As a power cut ends it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=30)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._mapper.terminate()
        self._mapper.wait(timeout=30)

    def control(self, *arguments: str) -> None:
        """Runs rabbitmqctl."""
        program = str(self._programs / "rabbitmqctl")
        subprocess.run([program, *arguments], env=self._environment, check=True, capture_output=True, timeout=120)

    @contextmanager
    def channel(self) -> Iterator[Any]:
        """Another client's, by pika's blocking connection."""
        with closing(pika.BlockingConnection(pika.URLParameters(self.url + "%2F"))) as connection:
            yield connection.channel()

    def queue(self, name: str, exchange: str = "", key: str = "", limits: dict[str, Any] | None = None) -> None:
        """Declares a durable queue, and a durable topic exchange that it is bound to."""
        with self.channel() as channel:
            channel.queue_declare(name, durable=True, arguments=limits)
            if exchange:
                channel.exchange_declare(exchange, "topic", durable=True)
                channel.queue_bind(name, exchange, key)

    def take(self, queue: str) -> list[tuple[Any, bytes]]:
        """All that is in a queue, in its order: properties and bodies."""
        messages: list[tuple[Any, bytes]] = []
        with self.channel() as channel:
            while True:
                method, properties, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return messages
                messages.append((properties, body))

    def trusted(self, patch: pytest.MonkeyPatch) -> None:
        """Makes this process trust the broker's certificate."""
        patch.setenv("SSL_CERT_FILE", str(self.authority))
        assert ssl.get_default_verify_paths().cafile == str(self.authority)


@contextmanager
def rabbitmq_broker() -> Iterator[Broker]:
    """A broker that runs, in a folder of its own."""
    # Debian's programs on the path run the server as another user, with its own folders.
    scripts = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    program = scripts[-1] if scripts else shutil.which("rabbitmq-server")
    if program is None or not shutil.which("epmd") or not shutil.which("openssl"):
        pytest.skip("RabbitMQ (rabbitmq-server, epmd) or openssl is not installed")
    folder = Path(tempfile.mkdtemp(prefix="shelfmark-rabbitmq-"))
    broker = Broker(folder, Path(program).parent)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)
