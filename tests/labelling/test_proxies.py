"""Whom requests come from, behind proxies: chains that clients made up, malformed headers, IPv6 and ports."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labelling.store import Store, accounts
from labelling.store.database import now
from labelling.web.start import LabellingOptions, check
from modules.errors import InputError
from modules.http_server.addresses import parse_networks
from modules.http_server.proxies import TrustedProxies, address_of, hops
from tests.labelling.serving import serving

PASSWORD = "correct horse battery staple"
PROXY, CLIENT, LIE = "10.0.0.5", "203.0.113.9", "198.51.100.1"
TRUSTED = ("10.0.0.0/24", "2001:db8:5::/48")


def seen(peer: str | None, *headers: tuple[str, str], trusted: tuple[str, ...] = TRUSTED) -> tuple[str, str] | int:
    """(client, scheme) as the pages see them, or the status of a refusal."""
    found: dict[str, Any] = {}
    sent: list[Any] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        found.update(scope)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "client": (peer, 4711) if peer else None, "scheme": "http", "headers": raw}
    asyncio.run(TrustedProxies(app, parse_networks(trusted))(scope, None, send))  # type: ignore[arg-type]
    return sent[0]["status"] if sent else (found["client"][0] if found["client"] else "", found["scheme"])


FOR, PROTO, STANDARD = "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        # Strangers are not believed.
        (CLIENT, [(FOR, LIE), (PROTO, "https")], (CLIENT, "http")),
        (CLIENT, [(STANDARD, f"for={LIE};proto=https")], (CLIENT, "http")),
        (None, [(FOR, LIE)], ("", "http")),
        # The proxy appends whom it spoke to; what stands before that is the client's invention.
        (PROXY, [(FOR, CLIENT), (PROTO, "https")], (CLIENT, "https")),
        (PROXY, [(FOR, f"{LIE}, {CLIENT}")], (CLIENT, "http")),
        (PROXY, [(FOR, LIE), (FOR, CLIENT)], (CLIENT, "http")),
        (PROXY, [(FOR, f"10.0.0.7, {CLIENT}")], (CLIENT, "http")),
        (PROXY, [(FOR, f"{LIE}, {CLIENT}, 10.0.0.7"), (PROTO, "http, https, http")], (CLIENT, "https")),
        (PROXY, [(FOR, f"{LIE}, {CLIENT}, 10.0.0.7"), (PROTO, "https")], (CLIENT, "https")),
        (PROXY, [(FOR, "10.0.0.8, 10.0.0.7")], ("10.0.0.8", "http")),
        # Nobody knows who that was; the last one who is known counts.
        (PROXY, [(FOR, f"{CLIENT}, unknown")], (PROXY, "http")),
        (PROXY, [(FOR, f"{CLIENT}, , 10.0.0.7")], ("10.0.0.7", "http")),
        (PROXY, [(FOR, "")], (PROXY, "http")),
        (PROXY, [], (PROXY, "http")),
        (PROXY, [(PROTO, "https")], (PROXY, "https")),
        (PROXY, [(FOR, CLIENT), (PROTO, "javascript")], (CLIENT, "http")),
        # Ports and IPv6.
        (PROXY, [(FOR, f"{CLIENT}:8080")], (CLIENT, "http")),
        (PROXY, [(FOR, "2001:DB8::9")], ("2001:db8::9", "http")),
        (PROXY, [(FOR, "[2001:db8::9]:443")], ("2001:db8::9", "http")),
        (PROXY, [(FOR, f"::ffff:{CLIENT}")], (CLIENT, "http")),
        (f"::ffff:{PROXY}", [(FOR, CLIENT)], (CLIENT, "http")),
        ("2001:db8:5::1", [(FOR, f"{LIE}, {CLIENT}, 2001:db8:5::2")], (CLIENT, "http")),
        # The header of RFC 7239.
        (PROXY, [(STANDARD, f"for={CLIENT};proto=https;by={PROXY}")], (CLIENT, "https")),
        (PROXY, [(STANDARD, 'For="[2001:db8::9]:4711" ; Proto=HTTPS')], ("2001:db8::9", "https")),
        (PROXY, [(STANDARD, f"for={LIE};proto=http"), (STANDARD, f"for={CLIENT};proto=https")], (CLIENT, "https")),
        (PROXY, [(STANDARD, f"for={CLIENT};proto=https, for=10.0.0.7;proto=http")], (CLIENT, "https")),
        (PROXY, [(STANDARD, f'for=x;host="a,for={LIE}", for={CLIENT}')], (CLIENT, "http")),
        (PROXY, [(STANDARD, f"for={CLIENT}, for=_hidden")], (PROXY, "http")),
        (PROXY, [(STANDARD, f'for="{LIE}, for={CLIENT}')], (PROXY, "http")),
        (PROXY, [(STANDARD, f"for={LIE};for={CLIENT}")], (PROXY, "http")),
        # A proxy writes one of both, and hands the other on: which one is a lie cannot be known.
        (PROXY, [(FOR, CLIENT), (STANDARD, f"for={LIE}")], 400),
        (PROXY, [(FOR, LIE), (STANDARD, f"for={CLIENT}")], 400),
        (PROXY, [(FOR, CLIENT), (STANDARD, "nonsense")], 400),
        (PROXY, [(FOR, CLIENT), (STANDARD, "")], 400),
        (PROXY, [(FOR, CLIENT), (STANDARD, f"for={CLIENT};proto=https")], (CLIENT, "https")),
    ],
)  # fmt: skip
def test_the_last_address_that_a_trusted_proxy_vouches_for_counts(
    peer: str | None, headers: list[tuple[str, str]], expected: tuple[str, str] | int
) -> None:
    assert seen(peer, *headers) == expected


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert seen("127.0.0.1", (FOR, LIE), (PROTO, "https"), trusted=()) == ("127.0.0.1", "http")


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=30), max_size=5))
def test_whatever_a_client_invents_its_address_counts(invented: list[str]) -> None:
    assert seen(PROXY, (FOR, ", ".join([*invented, CLIENT]))) == (CLIENT, "http")
    assert seen(PROXY, *[(FOR, one) for one in invented], (FOR, CLIENT)) == (CLIENT, "http")
    # Malformed text in a Forwarded header never makes another address count.
    assert seen(PROXY, *[(STANDARD, one) for one in invented], (STANDARD, f"for={CLIENT}")) in (
        (CLIENT, "http"), (PROXY, "http"),
    )  # fmt: skip
    assert hops([(b"forwarded", one.encode("latin-1")) for one in invented]) is not None


@given(st.ip_addresses(), st.integers(0, 65535))
def test_addresses_are_read_in_every_way_to_write_them(address: Any, port: int) -> None:
    whole = getattr(address, "ipv4_mapped", None) or address
    bracketed = f"[{address}]" if address.version == 6 else str(address)
    for text in (str(address), bracketed, f"{bracketed}:{port}", f'"{bracketed}:{port}"', f" {address} "):
        assert address_of(text) == whole
    assert address_of(f"{address}x") is None and address_of(f"{bracketed}:x") is None


@pytest.mark.parametrize("text", ["", "proxy.example.com", "10.0.0.5/24", "10.0.0", "0.0.0.0/0", "::/0", "*"])
def test_only_addresses_and_networks_can_be_trusted(tmp_path: Path, text: str) -> None:
    with Store(tmp_path / "labels.sqlite") as store, pytest.raises(InputError, match="--trusted-proxy"):
        check(store, LabellingOptions(accounts=True, trusted_proxies=(text,)))


@pytest.mark.parametrize("place", [LabellingOptions(trusted_proxies=("10.0.0.5",)), LabellingOptions(one_session=True)])
def test_what_needs_accounts_says_so(tmp_path: Path, place: LabellingOptions) -> None:
    with Store(tmp_path / "labels.sqlite") as store, pytest.raises(InputError, match="add --accounts"):
        check(store, place)


def test_behind_a_proxy_with_tls_cookies_are_for_https_alone(tmp_path: Path) -> None:
    place = str(tmp_path / "labels.sqlite")
    with Store(place) as store, store.write() as connection:
        accounts.put(connection, "boss", now(), password=PASSWORD, role="admin")
    options = ("--accounts", "--trusted-proxy", "127.0.0.1", "--trusted-proxy", "2001:db8::/32", "--one-session")
    with serving(place, *options) as server:
        form = {"name": "boss", "password": PASSWORD}
        given_ = {"x-forwarded-for": f"{LIE}, {CLIENT}", "x-forwarded-proto": "https", "host": "labels.example.com"}
        answer = httpx.post(
            server.url + "/sign-in", data=form, headers=given_ | {"origin": "https://labels.example.com"}
        )
        assert answer.status_code == 303
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        set_ = answer.headers.get_list("set-cookie")
        assert len(set_) == 2
        for cookie, name in zip(set_, ("__Host-shelfmark_session=", "__Host-shelfmark_device="), strict=True):
            assert cookie.startswith(name)
            parts = {part.strip().lower() for part in cookie.split(";")}
            assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts and "domain" not in cookie.lower()
        cookies = "; ".join(one.partition(";")[0] for one in set_)
        assert httpx.get(server.url + "/audit", headers=given_ | {"cookie": cookies}).status_code == 200
        # Over plain http, and under the name that plain http can set, it is nobody's.
        assert httpx.get(server.url + "/audit", headers={"cookie": cookies}).status_code == 401
        bare = cookies.replace("__Host-", "")
        assert httpx.get(server.url + "/audit", headers=given_ | {"cookie": bare}).status_code == 401
        plain = httpx.post(server.url + "/sign-in", data=form)
        assert plain.status_code == 303 and "Secure" not in str(plain.headers.get_list("set-cookie"))
        assert httpx.get(server.url + "/audit", headers=given_ | {"cookie": cookies}).status_code == 401  # one session
        wrong = httpx.post(
            server.url + "/sign-in",
            data={**form, "password": "x"},
            headers={"x-forwarded-for": CLIENT, "forwarded": f"for={LIE}"},
        )
        assert wrong.status_code == 400
    with Store(place) as store, store.read() as connection:
        log = [(e.action, e.address) for e in accounts.audit_log(connection) if e.account == "boss"]
    assert log == [("signed in", "127.0.0.1"), ("signed in", CLIENT)]
