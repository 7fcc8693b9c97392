"""Real servers for the tests that need one."""

from __future__ import annotations

import getpass
import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


def free_port() -> int:
    """A port on loopback that nobody listens on, and that the system gives to nobody who asks for any port.

    A server may take half a minute until it listens. In that time other tests' servers and connections ask the system
    for ports, so one out of the range that it hands out would not stay free.
    """
    while True:
        port = _ASKED + secrets.randbelow(_HANDED_OUT - _ASKED)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # somebody listens there
                continue
            return port


_ASKED = 20_000
"""Below are the ports that common servers listen on."""

_HANDED_OUT = 32_768
"""From here on, Linux hands out ports itself; other systems begin further up."""


def _program(name: str) -> str | None:
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return shutil.which(name) or (found[-1] if found else None)


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of an empty database on a server of its own, on loopback, in a folder of its own."""
    initdb, server = _program("initdb"), _program("postgres")
    if not initdb or not server:
        pytest.skip("PostgreSQL (initdb, postgres) is not installed")
    initdb, server = os.path.realpath(initdb), os.path.realpath(server)
    as_other: list[str] = []
    # Not pytest's own temporary folder, into which only its owner may look.
    folder = Path(tempfile.mkdtemp(prefix="shelfmark-postgres-"))
    if os.getuid() == 0:  # PostgreSQL does not run as root
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is not installed; PostgreSQL does not run as root")
        as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
    port = free_port()
    data = folder / "data"
    options = ["-A", "trust", "-U", "shelf", "-E", "UTF8", "--no-locale", "--no-sync"]
    subprocess.run([*as_other, initdb, "-D", str(data), *options], check=True, capture_output=True, cwd="/")
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "port": port}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [*as_other, server, "-D", str(data), *arguments], stderr=subprocess.PIPE, text=True, cwd="/"
    )
    try:
        assert process.stderr is not None
        # The server says when it takes connections, or ends.
        if not any("ready to accept connections" in line for line in process.stderr):
            pytest.fail(f"PostgreSQL ended with {process.wait()}")
        yield f"postgresql://shelf@127.0.0.1:{port}/shelf"
    finally:
        process.send_signal(signal.SIGINT)  # "fast": it does not wait for clients to leave
        process.wait(timeout=30)
        process.stderr.close()
        shutil.rmtree(folder)


@contextmanager
def mysql_server() -> Iterator[str]:
    """The URL of an empty database on a MariaDB server of its own, on loopback, in a folder of its own."""
    server, install = shutil.which("mariadbd", path=_SBIN), shutil.which("mariadb-install-db")
    if not server or not install:
        pytest.skip("MariaDB (mariadbd, mariadb-install-db) is not installed")
    folder = Path(tempfile.mkdtemp(prefix="shelfmark-mariadb-"))
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    if os.getuid() == 0:
        shutil.chown(folder, user)
    common = ["--no-defaults", f"--datadir={folder / 'data'}", f"--user={user}"]
    try:
        root = "--auth-root-authentication-method=normal"
        subprocess.run([install, *common, root, "--skip-test-db"], check=True, capture_output=True)
        port = free_port()
        first = folder / "first.sql"
        first.write_text(
            "CREATE DATABASE shelf;\nCREATE USER shelf@'127.0.0.1' IDENTIFIED BY 'wood';\n"
            "GRANT ALL ON shelf.* TO shelf@'127.0.0.1';\n"
        )
        first.chmod(0o644)
        process = subprocess.Popen(
            [server, *common, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}",
             f"--init-file={first}", "--skip-name-resolve"],
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            # The server says when it takes connections, or ends.
            if not any("ready for connections" in line for line in process.stderr):
                pytest.fail(f"MariaDB ended with {process.wait()}")
            yield f"mysql://shelf:wood@127.0.0.1:{port}/shelf"
        finally:
            process.terminate()
            process.wait(timeout=30)
            assert process.stderr is not None
            process.stderr.close()
    finally:
        shutil.rmtree(folder)


_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"

LABEL_STUDIO = Path(__file__).parents[1] / ".label-studio" / "bin" / "label-studio"
"""Where ``tests/install_servers.sh`` puts it: an environment of its own, since it asks for other versions of nearly
everything."""


@dataclass(frozen=True)
class LabelStudio:
    """A running server, and how its first user may use its API."""

    url: str
    token: str


@contextmanager
def label_studio_server() -> Iterator[LabelStudio]:
    """An empty Label Studio on loopback, with SQLite in a folder of its own."""
    if not LABEL_STUDIO.exists():
        pytest.skip("Label Studio is not installed (tests/install_servers.sh says why it could not be)")
    found = LabelStudio(f"http://127.0.0.1:{free_port()}", secrets.token_hex(20))
    with tempfile.TemporaryDirectory(prefix="shelfmark-label-studio-") as folder:
        # Nothing of it may call home.
        quiet = {
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }
        environment = {**os.environ, **quiet, "LABEL_STUDIO_BASE_DATA_DIR": folder, "PYTHONUNBUFFERED": "1"}
        first = ["--username", "carl@example.org", "--password", secrets.token_hex(12), "--user-token", found.token]
        place = ["--internal-host", "127.0.0.1", "--port", found.url.rpartition(":")[2]]
        with open(Path(folder) / "log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [str(LABEL_STUDIO), "start", "--no-browser", "--enable-legacy-api-token", *place, *first],
                stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder,
            )  # fmt: skip
            try:
                while not _answers(f"{found.url}/health"):
                    try:
                        process.wait(timeout=0.5)
                    except subprocess.TimeoutExpired:
                        continue
                    log.seek(0)
                    pytest.fail(f"Label Studio ended with {process.returncode}: {log.read()[-2000:]}")
                yield found
            finally:
                process.terminate()
                process.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
