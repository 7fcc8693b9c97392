"""What stands before every page: who asks, whether they may, and what the browser may do with the answer."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from labelling.store import Store, accounts
from labelling.store.accounts import Session
from labelling.store.database import now
from labelling.store.outages import Unavailable
from labelling.web.context import Settings
from labelling.web.outage import Outages
from modules.http_server.gate import NO_SNIFFING, Gate, Header, loopback_hosts, read_body

SESSION, DEVICE = "shelfmark_session", "shelfmark_device"
"""The cookies: who is signed in, and that this browser has signed in before."""

MAX_BODY = 64 << 10
MAX_FIELDS = 200
WATCHED = ("/health", "/healthz")
"""What watches over the server asks for these."""

OPEN, OPEN_FOLDER = ("/sign-in", *WATCHED), "/static/"
"""Paths that anybody may ask for, and what the others of them begin with."""


def content_policy(image_hosts: tuple[str, ...]) -> str:
    """The content security policy: nothing but this server's own files, and no script or style inside a page."""
    images = " ".join(["'self'", *(f"https://{host}" for host in image_hosts)])
    return (
        f"default-src 'none'; img-src {images}; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


class Guard(Gate):
    """Refuses whatever is not asked for by somebody who may; closed by default.

    Pages find the form's fields in their order in ``request.state.form``, and the session, None where nobody is signed
    in, in ``request.state.session``.
    """

    def __init__(self, app: ASGIApp, store: Store, settings: Settings, outages: Outages):
        # Without accounts, whoever reaches loopback may label.
        super().__init__(app, None if settings.annotator is None else loopback_hosts(settings.port))
        self._store, self._annotator, self._outages = store, settings.annotator, outages
        self._policy = content_policy(settings.image_hosts).encode()
        self._local: Session | None = None

    async def refusal(self, request: Request) -> Response | None:
        """Why the request is not answered by a page; None if it is."""
        try:
            return await self._refusal(request)
        except Unavailable as error:
            return await run_in_threadpool(self._outages.answer, request, error)

    async def _refusal(self, request: Request) -> Response | None:
        if not self.knows_host(request):
            return PlainTextResponse("This server is not called that.", 421)
        if request.method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Method not allowed.", 405)
        # Not request.url, which is made of the Host header, too.
        path, query = request.scope["path"], request.scope["query_string"]
        if "\0" in path or b"%00" in query:
            return PlainTextResponse("There is no such address.", 400)
        is_open = path.startswith(OPEN_FOLDER) or path in OPEN
        session = None
        # What watches over the server is to hear of a store that cannot be read, not to wait for it.
        if not path.startswith(OPEN_FOLDER) and path not in WATCHED:
            session = await run_in_threadpool(self._session, request)
        request.state.session = session
        if request.method == "POST" and (refusal := await self._refused_form(request, session, is_open)) is not None:
            return refusal
        if session is not None or is_open:
            return None
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            there = quote(path + ("?" + query.decode("latin-1") if query else ""), safe="")
            return RedirectResponse(f"/sign-in?to={there}", 303)
        return PlainTextResponse("Sign in first.", 401)

    async def _refused_form(self, request: Request, session: Session | None, is_open: bool) -> Response | None:
        """Reads a POST's form; why the form is refused, None if it is taken."""
        body = await read_body(request, MAX_BODY)
        if body is None:
            return PlainTextResponse("Too much.", 413)
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
        return None

    def _session(self, request: Request) -> Session | None:
        if self._annotator is not None:
            if self._local is None:
                with self._store.read() as connection:
                    self._local = accounts.local_session(connection, self._annotator)
            if self._local is None:
                with self._store.write() as connection:
                    self._local = accounts.begin_local_session(connection, self._annotator)
            return self._local
        token = request.cookies.get(cookie_name(request, SESSION), "")
        if not token:
            return None
        with self._store.read() as connection:
            return accounts.session(connection, token, now())

    def headers(self, request: Request) -> Sequence[Header]:
        """What the browser may do with the answer, and whether it keeps it."""
        headers = [
            (b"content-security-policy", self._policy),
            NO_SNIFFING,
            (b"x-frame-options", b"DENY"),
            # Not no-referrer: with that, a form's POST has the origin "null", which is anybody's.
            (b"referrer-policy", b"same-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]
        if not request.scope["path"].startswith((OPEN_FOLDER, "/image")):
            headers.append((b"cache-control", b"no-store"))
        if request.scope["scheme"] == "https":
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        return headers


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


def safe_target(target: str | None) -> str:
    """A path on this server to go on to; the first page for anything else."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or "\\" in target:
        return "/"
    url = URL(target)
    return "/" if url.scheme or url.netloc or any(ord(c) < 32 for c in target) else target
