"""Real servers for the tests that need one."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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
