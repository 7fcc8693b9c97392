"""What both servers share before their routes and at their start: host names, headers, bodies, addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from modules.errors import InputError
from modules.http_server.gate import Gate, loopback_hosts, read_body
from modules.http_server.start import ServerOptions

LONGEST = 1000


class Doorman(Gate):
    """Refuses foreign names, and nothing else."""

    async def refusal(self, request: Request) -> Response | None:
        return None if self.knows_host(request) else PlainTextResponse("Not me.", 421)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the length of a body that is not too long."""
    body = await read_body(Request(scope, receive), LONGEST)
    answer = PlainTextResponse("Too much.", 413) if body is None else PlainTextResponse(str(len(body)))
    await answer(scope, receive, send)


def ask(gate: Gate, host: str = "localhost", chunks: tuple[bytes, ...] = ()) -> httpx.Response:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gate), base_url="http://server") as client:
            return await client.post("/", content=stream(), headers={"host": host})

    return asyncio.run(asked())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:8765", "localhost:8765", "[::1]:8765"])
def test_loopbacks_own_names_are_answered(host: str) -> None:
    assert ask(Doorman(echo, loopback_hosts(8765)), host).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["rebind.example", "rebind.example:8765", "localhost:1", "127.0.0.1.evil.example", "localhost.", "", "LOCALHOST@x"],
)
def test_foreign_names_are_refused_unless_any_name_is_known(host: str) -> None:
    refused = ask(Doorman(echo, loopback_hosts(8765)), host)
    assert refused.status_code == 421 and refused.headers["x-content-type-options"] == "nosniff"
    assert ask(Doorman(echo), host).status_code == 200


def test_without_a_port_no_port_is_known() -> None:
    assert ask(Doorman(echo, loopback_hosts(None)), "localhost:8765").status_code == 421


@given(st.lists(st.integers(0, 400), max_size=6))
def test_a_body_is_read_up_to_its_limit_however_it_comes(sizes: list[int]) -> None:
    answer = ask(Doorman(echo), chunks=tuple(b"x" * size for size in sizes))
    assert answer.headers["x-content-type-options"] == "nosniff"
    if sum(sizes) > LONGEST:
        assert answer.status_code == 413
    else:
        assert (answer.status_code, answer.text) == (200, str(sum(sizes)))


def test_only_http_and_the_lifespan_pass() -> None:
    seen = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    for kind in ("websocket", "lifespan"):
        asyncio.run(Doorman(app)({"type": kind}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("options", "url"),
    [(ServerOptions(), "http://127.0.0.1:80"), (ServerOptions("::1"), "http://[::1]:80"),
     (ServerOptions("::", certificate=Path("c"), key=Path("k")), "https://[::]:80")],
)  # fmt: skip
def test_the_url_is_one_that_a_browser_takes(options: ServerOptions, url: str) -> None:
    assert options.url(80) == url and httpx.URL(url).port in (80, None)


def test_tls_needs_both_files(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    ServerOptions(certificate=file, key=file).check()
    for options in (ServerOptions(certificate=file), ServerOptions(key=file)):
        with pytest.raises(InputError, match="go together"):
            options.check()
    with pytest.raises(InputError, match="no such file"):
        ServerOptions(certificate=file, key=tmp_path / "none.pem").check()
