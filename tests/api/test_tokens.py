"""Tokens, scopes and rates: on a real server, in a file, and by a clock that a test moves."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api import app as application
from api.app import Services
from api.classify import routes as classify
from api.current import Current
from api.gate import SCOPE_OF, Access
from api.products import routes as products
from api.rate import RateLimit
from api.similarity import routes as similarity
from api.similarity.metrics import Metrics
from api.start import ApiOptions, clients_of
from api.tokens import SCOPES, FileClients, add_client
from modules.errors import InputError
from shelfmark.cli import app
from tests.api.shops import serving_all


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def nothing(version: str | None) -> Any:
    """Never called: what is asked for is refused, or not loaded."""
    raise AssertionError


SERVICES = Services(Metrics(), products=Current(nothing, "none yet"))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_a_token_opens_what_its_scopes_name(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    reading, classifying = add_client(file, "web", ["read"]), add_client(file, "import", ["classify", "similar"])
    with serving_all(SERVICES, Access(FileClients(file))) as client:
        assert client.get("/healthz").status_code == 200
        for headers in ({}, bearer(reading[:-1]), {"authorization": f"Basic {reading}"}, bearer("ß" * 9)):
            raw = {name: value.encode() for name, value in headers.items()}
            answer = client.get("/v1/products", headers=raw)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        # 503: let through, and nothing is loaded; 404: let through, and this server does not have the route.
        for path, right, status in (
            ("/v1/products", reading, 503), ("/v1/products/a", reading, 503), ("/v1/categories", reading, 503),
            ("/v1/classify", classifying, 404), ("/v1/similar/a", classifying, 404), ("/v1/reload", classifying, 404),
        ):  # fmt: skip
            wrong = classifying if right is reading else reading
            assert client.get(path, headers=bearer(right)).status_code == status
            answer = client.get(path, headers=bearer(wrong))
            assert answer.status_code == 403 and "scope" in answer.json()["error"]["expected"]
        for token in (reading, classifying):
            assert client.get("/metrics", headers=bearer(token)).status_code == 200


def test_a_changed_file_counts_without_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(application, "TOKENS_POLL", 0.05)
    file = tmp_path / "tokens"
    old = add_client(file, "web", ["read"])

    def until(token: str, status: int) -> None:
        """Asks until the answer has this status."""
        give_up = time.monotonic() + 30
        while client.get("/v1/products", headers=bearer(token)).status_code != status:
            assert time.monotonic() < give_up

    with serving_all(SERVICES, Access(FileClients(file))) as client:
        until(old, 503)
        new = add_client(file, "import", ["read"])
        until(new, 503)
        file.write_text("half a li")
        give_up = time.monotonic() + 30
        while "no newer file of tokens is taken" not in caplog.text:
            assert time.monotonic() < give_up
        assert ":1: expected NAME SCOPE,SCOPE HASH" in caplog.text
        until(old, 503)
        until(new, 503)
        file.write_text(f"import read {hashlib.sha256(new.encode()).hexdigest()}\n")
        until(old, 401)
        until(new, 503)


def test_the_last_token_can_be_revoked(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    token = add_client(file, "web", ["read"])
    clients = FileClients(file)
    assert clients.of_token(token) is not None
    file.write_text("# nobody\n")
    assert clients.load() and clients.of_token(token) is None
    assert not clients.load()
    file.unlink()
    with pytest.raises(InputError, match="tokens"):
        clients.load()


def test_too_many_requests_of_one_token_leave_the_other_alone(tmp_path: Path) -> None:
    file, clock = tmp_path / "tokens", Clock()
    first, second = add_client(file, "a", ["read"]), add_client(file, "b", ["read"])
    with serving_all(SERVICES, Access(FileClients(file), rate=RateLimit(0.5, clock))) as client:
        assert client.get("/v1/products", headers=bearer(first)).status_code == 503
        refused = client.get("/v1/products", headers=bearer(first))
        assert refused.status_code == 429 and refused.headers["retry-after"] == "2"
        assert list(refused.json()["error"]) == ["what", "where", "expected", "next"]
        assert client.get("/v1/products", headers=bearer(second)).status_code == 503
        clock.now += 2
        assert client.get("/v1/products", headers=bearer(first)).status_code == 503
        assert client.get("/v1/products", headers=bearer(first)).status_code == 429


@given(rate=st.floats(0.1, 100.0), pauses=st.lists(st.floats(0.0, 5.0), min_size=1, max_size=200))
def test_a_bucket_lets_through_its_rate_and_a_burst(rate: float, pauses: list[float]) -> None:
    clock = Clock()
    limit, passed = RateLimit(rate, clock), 0
    for pause in pauses:
        clock.now += pause
        wait = limit.wait("a")
        passed += not wait
        if wait:
            # Whoever heeds the answer is let through.
            clock.now += wait
            assert limit.wait("a") == 0
            passed += 1
    assert passed <= rate * (clock.now - Clock.now) + max(1.0, 2.0 * rate) + 1e-6


def test_the_file_has_hashes_alone_and_is_its_owners(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# who may ask")
    file.unlink()
    token = add_client(file, "web", ["read", "classify", "read"])
    assert file.stat().st_mode & 0o077 == 0
    assert file.read_text() == f"web classify,read {hashlib.sha256(token.encode()).hexdigest()}\n"
    # As an editor leaves it.
    file.write_text("# who may ask\n\n" + file.read_text().rstrip())
    other = add_client(file, "import", ["classify"])
    clients = FileClients(file)
    known = clients.of_token(token)
    assert known is not None and (known.name, known.scopes) == ("web", {"read", "classify"})
    assert clients.of_token(other) is not None and clients.of_token(other + " ") is None
    with pytest.raises(InputError, match="has a token already"):
        add_client(file, "web", ["read"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one token"), ("web read\n", ":1: expected NAME SCOPE,SCOPE HASH"),
        ("web read zz", "64 hexadecimal"), (f"web reed {'0' * 64}", "did you mean 'read'?"),
        (f"web read {'0' * 64}\nweb read {'1' * 64}", ":2 = 'web'"), (f"web read, {'0' * 64}", "expected a scope"),
        ("\xff", "is not UTF-8"), ("a" * (1 << 20) + "b", "1,048,576 bytes"),
        ("#" + "\xc3\xa4" * (1 << 20), "1,048,576 bytes"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "tokens"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        FileClients(file)


def test_other_machines_need_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHELFMARK_SERVING_TOKEN", raising=False)
    assert clients_of(ApiOptions()) is None
    with pytest.raises(InputError, match="needs a token"):
        clients_of(ApiOptions(host="0.0.0.0"))
    monkeypatch.setenv("SHELFMARK_SERVING_TOKEN", "s" * 20)
    everybody = clients_of(ApiOptions(host="0.0.0.0"))
    client = everybody.of_token("s" * 20) if everybody is not None else None
    assert client is not None and client.scopes == set(SCOPES)
    token = add_client(tmp_path / "tokens", "web", ["read"])
    named = clients_of(ApiOptions(tokens=tmp_path / "tokens"))
    assert named is not None and named.of_token(token) is not None and named.of_token("s" * 20) is None


def test_the_command_prints_a_token_that_the_file_knows(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    done = CliRunner().invoke(app, ["serve", "token", "web", "--scope", "read", "--tokens", str(file)])
    assert done.exit_code == 0, done.output
    token = done.stdout.splitlines()[0]
    assert FileClients(file).of_token(token) is not None
    assert token not in file.read_text() and f"shelfmark serve --tokens {file}" in done.stderr


def test_without_tokens_only_loopbacks_own_names_are_answered() -> None:
    with serving_all(SERVICES, Access(None, 1)) as client:
        answer = client.get("/v1/products", headers={"host": "evil.example"})
        assert answer.status_code == 421 and isinstance(client, httpx.Client)


@pytest.mark.parametrize("router", [classify.router, products.router, similarity.router])
def test_each_route_needs_a_scope(router: APIRouter) -> None:
    """Other paths are open to a token of any scope."""
    paths = [route.path for route in router.routes if isinstance(route, APIRoute)]
    assert paths and all(SCOPE_OF.get("/".join(path.split("/")[:3])) in SCOPES for path in paths), paths
