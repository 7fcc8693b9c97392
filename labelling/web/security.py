"""What stands before every page: who asks, whether they may, and what the browser may do with the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labelling.store import Store, accounts
from labelling.store.accounts import Session
from labelling.store.database import now
from labelling.store.outages import Unavailable
from labelling.web.outage import Outages

SESSION, DEVICE = "shelfmark_session", "shelfmark_device"
"""The cookies: who is signed in, and that this browser has signed in before."""

MAX_BODY = 64 << 10
MAX_FIELDS = 200
OPEN = ("/sign-in", "/static/", "/health")
"""Paths that anybody may ask for."""

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def content_policy(image_hosts: tuple[str, ...]) -> str:
    """The content security policy: nothing but this server's own files, and no script or style inside a page."""
    images = " ".join(["'self'", *(f"https://{host}" for host in image_hosts)])
    return (
        f"default-src 'none'; img-src {images}; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Guard:
    """Middleware: closed by default. Puts the form's fields and the session into ``request.state``."""

    def __init__(self, app: ASGIApp, store: Store, settings: Any, outages: Outages):
        self.app, self.store, self.settings, self.outages = app, store, settings, outages
        self.policy = content_policy(settings.image_hosts)
        self.local: Session | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # No page speaks WebSocket; lifespan messages pass.
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await self._refusal(request)
        except Unavailable as error:
            answer = await run_in_threadpool(self.outages.answer, request, error)
        if answer is not None:
            await answer(scope, receive, self._with_headers(send, scope))
            return
        await self.app(scope, _replay(request.state.body, receive), self._with_headers(send, scope))

    async def _refusal(self, request: Request) -> Response | None:
        """Why the request is not answered by a page; None if it is."""
        request.state.body = b""
        if not self._known_host(request):
            return PlainTextResponse("This server is not called that.", 421)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Method not allowed.", 405)
        # Not request.url, which is made of the Host header, too.
        path, query = request.scope["path"], request.scope["query_string"]
        if "\0" in path or b"%00" in query:
            return PlainTextResponse("There is no such address.", 400)
        is_open = any(path == one or (one.endswith("/") and path.startswith(one)) for one in OPEN)
        session = None
        # What watches over the server is to hear of a store that cannot be read, not to wait for it.
        if not path.startswith("/static/") and path != "/health":
            session = await run_in_threadpool(self._session, request)
        request.state.session = session
        if request.method == "POST":
            body = await _body(request)
            if body is None:
                return PlainTextResponse("Too much.", 413)
            request.state.body = body
            try:
                fields = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
            except ValueError:
                return PlainTextResponse("This is no form.", 400)
            # PostgreSQL keeps no text with it.
            if any("\0" in name or "\0" in value for name, value in fields):
                return PlainTextResponse("This is no form.", 400)
            request.state.form = fields
            if not _same_origin(request):
                return PlainTextResponse("This came from another site.", 403)
            token = request.headers.get("x-csrf-token") or dict(fields).get("csrf", "")
            if not is_open and session is not None and not accounts.same_text(token, session.csrf):
                return PlainTextResponse("This page is too old: load it again.", 403)
        if session is None and not is_open:
            if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                there = quote(path + ("?" + query.decode("latin-1") if query else ""), safe="")
                return RedirectResponse(f"/sign-in?to={there}", 303)
            return PlainTextResponse("Sign in first.", 401)
        return None

    def _known_host(self, request: Request) -> bool:
        """On loopback without accounts only loopback's names: a foreign name that points here (DNS rebinding) is
        somebody else's page asking."""
        if self.settings.annotator is None:
            return True
        host = request.headers.get("host", "")
        return host in LOOPBACK_NAMES or host in {f"{name}:{self.settings.port}" for name in LOOPBACK_NAMES}

    def _session(self, request: Request) -> Session | None:
        if self.settings.annotator is not None:
            if self.local is None:
                with self.store.read() as connection:
                    self.local = accounts.local_session(connection, self.settings.annotator)
            if self.local is None:
                with self.store.write() as connection:
                    self.local = accounts.begin_local_session(connection, self.settings.annotator)
            return self.local
        token = request.cookies.get(cookie_name(request, SESSION), "")
        if not token:
            return None
        with self.store.read() as connection:
            return accounts.session(connection, token, now())

    def _with_headers(self, send: Send, scope: Scope) -> Send:
        static = scope["path"].startswith(("/static/", "/image"))

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (b"content-security-policy", self.policy.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"x-frame-options", b"DENY"),
                    # Not no-referrer: with that, a form's POST has the origin "null", which is anybody's.
                    (b"referrer-policy", b"same-origin"),
                    (b"cross-origin-opener-policy", b"same-origin"),
                    (b"cross-origin-resource-policy", b"same-origin"),
                    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
                ]
                if not static:
                    headers.append((b"cache-control", b"no-store"))
                if scope["scheme"] == "https":
                    headers.append((b"strict-transport-security", b"max-age=31536000"))
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        return wrapped


def cookie_name(request: Request, name: str) -> str:
    """A cookie's name in the browser: over https with the prefix that keeps other hosts of the domain, and whoever
    meddles with plain http, from setting it."""
    return f"__Host-{name}" if request.scope["scheme"] == "https" else name


def set_cookie(response: Response, request: Request, name: str, value: str, seconds: int) -> None:
    """Sets a cookie for so many seconds, which scripts cannot read and other sites' forms do not bring along; 0 takes
    it away."""
    secure = request.scope["scheme"] == "https"
    name = cookie_name(request, name)
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure, path="/")


def _same_origin(request: Request) -> bool:
    """What the browser says of where a POST comes from; programs that say nothing have no session to abuse."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def _body(request: Request) -> bytes | None:
    """The body; None if it is too long."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > MAX_BODY:
            return None
    return bytes(found)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever else comes: that the browser has gone, above all."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def safe_target(target: str | None) -> str:
    """A path on this server to go on to; the first page for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\\" in target:
        return "/"
    url = URL(target)
    return "/" if url.scheme or url.netloc or any(ord(c) < 32 for c in target) else target


def form_of(request: Request) -> Callable[[str], str | None]:
    """The form's fields by name: the last one of a name counts; an empty one is None."""
    fields = dict(request.state.form)
    return lambda name: fields.get(name) or None
