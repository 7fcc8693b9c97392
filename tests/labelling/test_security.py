"""The labelling server as an attacker meets it: a real server, spoken to over real sockets."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from labelling.content import Neighbour
from labelling.store import Store, accounts, importing, rows
from labelling.store import tables as t
from labelling.store.database import now
from labelling.web.pages import ROUTERS
from labelling.web.security import safe_target
from modules.errors import InputError
from tests.labelling import shop
from tests.labelling.serving import Annotator, Server, serving
from tests.labelling.shop import BOOTS
from tests.modules.reporting.sample import HOSTILE

PASSWORD = "correct horse battery staple"
POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGES = ["/", "/label", "/review", "/categories", "/runs", "/products?q=p", "/product?id=p0", "/batch?id=round-1",
         f"/category?id={BOOTS}", "/audit", "/similar", "/judge", "/nothing-here"]  # fmt: skip
OPEN = {"/sign-in", "/health", "/healthz"}


def put(store: Store, name: str, role: str | None = None, password: str | None = PASSWORD) -> None:
    with store.write() as connection:
        accounts.put(connection, name, now(), password=password, role=role)


def paths(method: str) -> set[str]:
    """Every path of the application that takes a method."""
    routes = [route for router in ROUTERS for route in router.routes]
    return {route.path for route in routes if method in route.methods}  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of a shop whose every text is hostile, with accounts."""
    found = str(tmp_path_factory.mktemp("shop") / "labels.sqlite")
    with Store(found) as store:
        texts = itertools.cycle(HOSTILE)
        products = [shop.product(f"p{i}", title=text, brand=text) for i, text in zip(range(60), texts, strict=False)]
        shop.fill(store, shop.batch(60), products=products)
        with store.write() as connection:
            importing.neighbours(connection, [Neighbour("p0", "p1", "duplicate", 0.99)])
        put(store, "boss", "admin")
        for name in ("ann", "bob", "cem", "dan", "eve", "fay"):
            put(store, name)
    return found


@pytest.fixture(scope="module")
def server(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    # No index, whatever lies in the checkout.
    none = tmp_path_factory.mktemp("index") / "none"
    with serving(place, "--accounts", "--index", str(none)) as found:
        yield found


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place, create=False) as found:
        yield found


def signed_in(server: Server, name: str) -> Annotator:
    found = Annotator(server.url)
    assert found.sign_in(name, PASSWORD).status_code == 303
    return found


def count(store: Store, table: Any = t.labels) -> int:
    with store.read() as connection:
        return len(connection.execute(select(table)).all())


class Page(HTMLParser):
    """What of a page a content security policy is about."""

    def __init__(self, html: str):
        super().__init__()
        self.wrong: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag == "script" and not (found.get("src") or "").startswith("/static/"):
            self.wrong.append(f"script {found}")
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.wrong.append(tag)
        for name, value in attributes:
            if name.startswith("on") or name == "style":
                self.wrong.append(f"{tag} {name}={value}")
            if name in ("src", "href", "action", "formaction") and not (value or "").startswith(("/", "#")):
                self.wrong.append(f"{tag} {name}={value}")


# Who asks


def test_every_page_is_closed_to_strangers(server: Server, store: Store) -> None:
    asked = {(method, path) for method in ("GET", "POST") for path in paths(method)}
    assert {path for _, path in asked} >= {"/", "/label", "/label/next", "/undo", "/search", "/image", "/audit"}
    before = count(store)
    with httpx.Client(base_url=server.url) as stranger:
        for method, path in sorted(asked):
            if path in OPEN:
                continue
            assert stranger.request(method, path).status_code == 401, path
            if method == "GET":
                answer = stranger.get(path + "?id=p0", headers={"accept": "text/html"})
                assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?to="), path
        there = stranger.get("/product?id=p0", headers={"host": "a#", "accept": "text/html"}).headers["location"]
        assert there == "/sign-in?to=%2Fproduct%3Fid%3Dp0"
        for host in ("a/static/?", "a/static/#", "x@y/static/", "127.0.0.1/sign-in?"):
            # The path is that of the request line, whatever the header makes of it.
            assert stranger.get("/product?id=p0", headers={"host": host}).status_code in (400, 401)
        for path in ("/static/../product?id=p0", "/static/%2e%2e/product?id=p0", "/static//product", "//product?id=p0"):
            answer = stranger.get(httpx.URL(server.url).copy_with(raw_path=path.encode()))
            assert answer.status_code in (303, 401, 404) and "data-csrf" not in answer.text
    assert count(store) == before


def test_wrong_names_and_passwords_look_the_same(server: Server) -> None:
    answers = [Annotator(server.url).sign_in(*pair) for pair in (("nobody", PASSWORD), ("dan", "wrong"), ("", ""))]
    assert {answer.status_code for answer in answers} == {401}
    assert all("Name or password is wrong." in answer.text for answer in answers)
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_the_cookie_and_what_the_store_knows_of_it(server: Server, store: Store) -> None:
    one = Annotator(server.url)
    answer = one.sign_in("ann", PASSWORD)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Secure" not in cookie  # no TLS here
    token = one.http.cookies["shelfmark_session"]
    with store.read() as connection:
        kept = json.dumps([[str(cell) for cell in row] for row in connection.execute(select(t.sessions))])
        hashes = list(connection.scalars(select(t.accounts.c.password)))
    assert token not in kept and PASSWORD not in str(hashes)
    assert all(one.startswith("$argon2id$") for one in hashes) and len(set(hashes)) == len(hashes)
    headers = {"x-csrf-token": one.csrf}
    assert one.http.post("/sign-out", headers=headers).status_code == 303
    again = httpx.get(server.url + "/label/next", headers={"cookie": f"shelfmark_session={token}"})
    assert again.status_code == 401


def test_sessions_end(store: Store) -> None:
    def of(token: str, time: int) -> str | None:
        with store.read() as connection:
            found = accounts.session(connection, token, time)
            return found and found.account

    start = now()
    with store.write() as connection:
        token, other = (accounts.sign_in(connection, "cem", start, "127.0.0.1") for _ in range(2))
    assert of(token, start + accounts.SESSION - 1) == "cem" and of(token, start + accounts.SESSION) is None
    assert of("", start) is None and of(token[:-1], start) is None
    put(store, "cem", password="another fine password")  # signs out everywhere
    assert of(token, start) is None and of(other, start) is None
    with store.write() as connection:
        token = accounts.sign_in(connection, "cem", start, "127.0.0.1")
        accounts.deactivate(connection, "cem", start)
    assert of(token, start) is None
    with store.read() as connection:
        assert not accounts.check(connection, "cem", "another fine password")


@pytest.mark.parametrize(
    ("name", "password", "role"),
    [("x", "short", None), (" x", PASSWORD, None), ("", PASSWORD, None), ("a\nb", PASSWORD, None),
     ("x" * 101, PASSWORD, None), ("x", "x" * 501, None), ("x", PASSWORD, "king"), ("x", None, None),
     ("x", "password1234", None), ("x", "caf\udce9 au lait", None), ("Ann", PASSWORD, None)],
)  # fmt: skip
def test_accounts_that_make_no_sense_are_refused(
    store: Store, name: str, password: str | None, role: str | None
) -> None:
    with pytest.raises(InputError) as caught:
        put(store, name, role, password)
    assert password is None or password not in str(caught.value)


def test_sign_in_is_slowed_down(server: Server, store: Store) -> None:
    one = Annotator(server.url)
    codes = []
    while not codes or codes[-1] == 401:
        codes.append((answer := one.sign_in("eve", f"guess {len(codes)}")).status_code)
    # Five are free; further ones wait longer and longer, until the wait is more than a request stays for.
    assert codes == [401] * 9 + [429]
    assert 5 < int(answer.headers["retry-after"]) <= 8 and "Try again in" in answer.text
    answer = one.sign_in("eve", PASSWORD)  # also if it is right
    assert answer.status_code == 429
    # What a client says of its own address counts for nothing.
    one.http.headers["x-forwarded-for"] = "203.0.113.9"
    assert one.sign_in("eve", PASSWORD).status_code == 429
    assert signed_in(server, "fay").csrf  # other accounts are not slowed down
    with store.read() as connection:
        log = [(e.action, e.address) for e in accounts.audit_log(connection) if e.account == "eve"]
    # Checks that did not take place are not noted: they would fill the log.
    assert log == [("sign-in failed", "127.0.0.1")] * 9


# What another site may make a browser do


def test_nothing_changes_without_the_pages_token(server: Server, store: Store) -> None:
    ann, bob = signed_in(server, "ann"), signed_in(server, "bob")
    card = ann.next()
    assert card is not None
    fields = {**card, "category": BOOTS, "id": "round-1", "action": "close", "held": card["item"]}
    posts = sorted(paths("POST") - OPEN)
    assert posts == ["/batch", "/hold", "/judge", "/label", "/release", "/sign-out", "/undo"]
    before = count(store), count(store, t.leases), count(store, t.sessions)
    for path in posts:
        for token in (None, "", "x" * 43, bob.csrf, "ü"):
            data = fields if token is None else {**fields, "csrf": token}
            assert ann.http.post(path, data=data).status_code == 403, (path, token)
        right = {"x-csrf-token": ann.csrf}
        for foreign in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"},
                        {"sec-fetch-site": "same-site"}, {"origin": server.url + ".evil.example"}):  # fmt: skip
            assert ann.http.post(path, data=fields, headers={**right, **foreign}).status_code == 403, (path, foreign)
    assert (count(store), count(store, t.leases), count(store, t.sessions)) == before
    # Nor may another site sign its victim in as somebody.
    given = {"name": "ann", "password": PASSWORD}
    answer = httpx.post(server.url + "/sign-in", data=given, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    same = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert ann.http.post("/label", data={**fields, "csrf": ann.csrf}, headers=same).status_code == 303


def test_no_answer_gets_by_without_its_headers(server: Server) -> None:
    boss = signed_in(server, "boss")
    static = ["/static/label.js", "/image?id=p0", "/static/nothing.js"]
    for path in [*PAGES, *static, "/health", "/sign-in", "/label/next", "/search?q=boots"]:
        answer = boss.http.get(path)
        headers = answer.headers
        assert headers["content-security-policy"] == POLICY, path
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin" and "server" not in headers
        assert (headers.get("cache-control") == "no-store") == (path not in static), path
    for answer in (httpx.get(server.url + "/label"), httpx.put(server.url + "/label"), httpx.get(server.url + "/x")):
        assert answer.headers["content-security-policy"] == POLICY


def test_pages_hold_no_script_no_style_and_no_foreign_address(server: Server) -> None:
    boss = signed_in(server, "boss")
    for path in PAGES:
        answer = boss.http.get(path)
        assert answer.status_code == (404 if path == "/nothing-here" else 200), path
        assert Page(answer.text).wrong == [], path
        assert "<script>alert" not in answer.text and "<img src=x" not in answer.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in boss.http.get("/batch?id=round-1").text
    # What comes back from the address is text, too.
    for path in ("/products?q=", "/label?q=", "/product?id=p0&q=", "/batch?id=", "/label?batch=", "/label?category="):
        text = boss.http.get(path + "%22%3E%3Cscript%3Ealert(3)%3C/script%3E").text
        assert Page(text).wrong == [] and "<script>alert(3)" not in text
    failed = Annotator(server.url).sign_in('"><script>alert(4)</script>', "x")
    assert failed.status_code == 401 and Page(failed.text).wrong == []


def test_allowed_image_hosts_are_all_that_a_browser_may_load_from(tmp_path: Path) -> None:
    with Store(tmp_path / "labels.sqlite") as store:
        images = ["https://img.example.com/a.jpg", "http://img.example.com/a.jpg", "https://evil.example/a.jpg",
                  "javascript:alert(1)", "https://[bad", "//img.example.com/a.jpg"]  # fmt: skip
        products = [replace(shop.product(f"p{i}"), image=image) for i, image in enumerate(images)]
        shop.fill(store, shop.batch(len(images)), products=products)
    with serving(str(tmp_path / "labels.sqlite"), "--image-host", "img.example.com") as server:
        pages = [httpx.get(f"{server.url}/product?id=p{i}") for i in range(len(images))]
        assert "img-src 'self' https://img.example.com;" in pages[0].headers["content-security-policy"]
        assert ['<img class="large"' in page.text for page in pages] == [True] + [False] * 5


# What people may do


def test_roles(server: Server, store: Store) -> None:
    ann, boss = signed_in(server, "ann"), signed_in(server, "boss")
    close = {"id": "round-1", "action": "close"}
    assert ann.http.post("/batch", data={**close, "csrf": ann.csrf}).status_code == 403
    assert ann.http.get("/audit").status_code == 403
    assert "/audit" not in ann.http.get("/").text and 'value="assign"' not in ann.http.get("/batch?id=round-1").text
    for action in ("close", "reopen"):
        assert boss.http.post("/batch", data={**close, "action": action, "csrf": boss.csrf}).status_code == 303
    assert boss.http.post("/batch", data={"id": "x", "csrf": boss.csrf, "action": "close"}).status_code == 400
    page = boss.http.get("/audit").text
    assert "batch close" in page and "batch reopen" in page and "signed in" in page
    with store.read() as connection:
        last = accounts.audit_log(connection, limit=2)
    assert [(e.account, e.action, e.detail["batch"]) for e in last] == [
        ("boss", "batch reopen", "round-1"), ("boss", "batch close", "round-1"),
    ]  # fmt: skip


def test_an_answer_is_of_whoever_is_signed_in(server: Server, store: Store) -> None:
    bob = signed_in(server, "bob")
    card = bob.next()
    assert card is not None
    bad = [{"category": "shoes"}, {"category": "no such"}, {"objective": "other"}, {"product": "p59"}, {"item": "999"},
           {"value": "retracted"}, {"value": "maybe"}, {"request": ""}]  # fmt: skip
    before = count(store)
    for change in bad:
        category = change.pop("category", BOOTS)
        assert bob.say({**card, **change}, category).status_code == 400, change
    assert count(store) == before
    more = {
        "annotator": "boss",
        "source": "random",
        "inclusion_probability": "1",
        "batch": "b",
        "time": "1",
        "also": "p7",
    }
    answer = bob.say(card, BOOTS, **more, seconds="1e999", note="n" * 5000)
    assert answer.status_code == 200
    with store.read() as connection:
        *_, row = rows.read(connection)
    assert (row.annotator, row.source, row.batch, row.inclusion_probability) == ("bob", "margin", "round-1", None)
    assert row.product_id == card["product"] and row.seconds <= 3600 and len(row.note) == 2000
    assert count(store) == before + 1  # p7 is no near-duplicate


@pytest.mark.parametrize(
    ("method", "path", "more", "code"),
    [("PUT", "/label", {}, 405), ("DELETE", "/batch", {}, 405), ("TRACE", "/", {}, 405),
     ("POST", "/label", {"content": b"x=" + b"y" * 70_000}, 413), ("POST", "/label", {"content": b"x=\xff"}, 400),
     ("POST", "/label", {"content": b"&".join(b"a=1" for _ in range(300))}, 400)],
)  # fmt: skip
def test_malformed_requests_are_answered_without_a_page(
    server: Server, method: str, path: str, more: dict[str, Any], code: int
) -> None:
    assert httpx.request(method, server.url + path, **more).status_code == code


def test_numbers_in_an_address_break_nothing(server: Server) -> None:
    boss = signed_in(server, "boss")
    for text in ("-1", "9" * 30, "1e3", "٣", "x", "1;2"):
        for path in ("/audit", "/batch", "/label/next"):
            query = {"before": text, "start": text, "id": "round-1", "held": text}
            assert boss.http.get(path, params=query).status_code == 200, (path, text)
    for name in ("'; DROP TABLE labels; --", "%", "x" * 5000):
        assert boss.http.get("/product", params={"id": name}).status_code == 404
        assert boss.http.get("/products", params={"q": name}).status_code == 200
    # PostgreSQL knows no such character; it counts what the request line says, whatever the Host header makes of it.
    for host in (httpx.URL(server.url).netloc.decode(), "a#", "a/?"):
        assert boss.http.get("/product?id=%00", headers={"host": host}).status_code == 400, host
    assert boss.http.post("/undo", data={"request": "\0", "csrf": boss.csrf}).status_code == 400


@given(st.text(max_size=30))
def test_signing_in_leads_nowhere_else(text: str) -> None:
    for target in (text, "/" + text, "//" + text, "/\\" + text, "https:" + text):
        found = safe_target(target)
        assert found.startswith("/") and not found.startswith(("//", "/\\")) and "\\" not in found


def test_sign_in_goes_on_to_this_server_alone(server: Server) -> None:
    for target, there in (("https://evil.example/", "/"), ("//evil.example", "/"), ("/batch?id=x", "/batch?id=x")):
        given = {"name": "fay", "password": PASSWORD, "to": target}
        answer = httpx.post(server.url + "/sign-in", data=given)
        assert (answer.status_code, answer.headers["location"]) == (303, there)
