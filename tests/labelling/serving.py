"""A real server in a process of its own, and a client that behaves like the page."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers import free_port

ROOT = Path(__file__).parents[2]


class Server:
    """``shelfmark label serve`` that can be killed and started again."""

    def __init__(self, place: str, *options: str, port: int | None = None):
        self.place, self.options, self.port = place, options, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "shelfmark", "label", "serve", "--store", self.place, "--port", str(self.port)]
        self.process = subprocess.Popen([*command, *self.options], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self.process.stdout is not None
        # The socket takes connections from here on; they wait until the server answers.
        for line in self.process.stdout:
            if " at http" in line:
                return
        raise AssertionError(f"the server ended with {self.process.wait()}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=20)


@contextmanager
def serving(place: str, *options: str) -> Iterator[Server]:
    server = Server(place, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def hidden(html: str, name: str) -> str:
    """The value of a form's hidden field."""
    field = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert field is not None, name
    return field.group(1)


class Annotator:
    """A browser without a screen."""

    def __init__(self, url: str, timeout: float = 30.0):
        self.http = httpx.Client(base_url=url, timeout=timeout, headers={"accept": "text/html"})
        self.csrf = ""

    def sign_in(self, name: str, password: str) -> httpx.Response:
        answer = self.http.post("/sign-in", data={"name": name, "password": password, "to": "/"})
        if answer.status_code == 303:
            self.look()
        return answer

    def look(self) -> None:
        answer = self.http.get("/", follow_redirects=True)
        answer.raise_for_status()
        token = re.search(r'data-csrf="([^"]+)"', answer.text)
        assert token is not None
        self.csrf = token.group(1)

    def next(self, held: str = "", **filters: str) -> dict[str, Any] | None:
        """The next product: its item, id and the fields that the form would send."""
        answer = self.http.get("/label/next", params={"held": held, **filters})
        answer.raise_for_status()
        html = answer.json()["html"]
        if html is None:
            return None
        return {name: hidden(html, name) for name in ("item", "product", "objective", "request")}

    def say(self, card: dict[str, Any], category: str, **more: Any) -> httpx.Response:
        fields = {**card, "category": category, "seconds": "1.5", **more}
        headers = {"accept": "application/json", "x-csrf-token": self.csrf}
        return self.http.post("/label", data=fields, headers=headers)

    def undo(self) -> httpx.Response:
        headers = {"accept": "application/json", "x-csrf-token": self.csrf}
        return self.http.post("/undo", data={"request": uuid.uuid4().hex}, headers=headers)
