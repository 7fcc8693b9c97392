"""Signing in and out, and the audit log."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import accounts, queue
from labelling.store.database import now
from labelling.web.app import Web
from labelling.web.security import COOKIE, form_of, safe_target

LOG = 100


def routes(web: Web) -> APIRouter:
    """The routes."""
    router = APIRouter()

    @router.get("/sign-in")
    def form(request: Request) -> Response:
        target = safe_target(request.query_params.get("to"))
        if request.state.session is not None:
            return RedirectResponse(target, 303)
        return web.page(request, "sign_in.html.j2", target=target, problem="", name="")

    @router.post("/sign-in")
    def sign_in(request: Request) -> Response:
        form = form_of(request)
        target, name, password = safe_target(form("to")), (form("name") or "").strip(), form("password") or ""
        address = request.client.host if request.client else ""

        def refused(problem: str, code: int) -> Response:
            return web.page(request, "sign_in.html.j2", code=code, target=target, problem=problem, name=name)

        with web.store.write() as connection:
            if accounts.blocked(connection, name, address, now()):
                accounts.record(connection, now(), name[:200], "sign-in blocked", {}, address)
                response = refused("Too many attempts. Try again in a quarter of an hour.", 429)
                response.headers["retry-after"] = str(accounts.WINDOW // 1_000_000)
                return response
            accounts.attempt(connection, name, address, now())
        with web.store.read() as connection:
            right = accounts.check(connection, name, password)
        if not right:
            with web.store.write() as connection:
                accounts.record(connection, now(), name[:200], "sign-in failed", {}, address)
            return refused("Name or password is wrong.", 401)
        with web.store.write() as connection:
            token = accounts.sign_in(connection, name, now(), address)
        response = RedirectResponse(target, 303)
        seconds = accounts.SESSION // 1_000_000
        response.set_cookie(
            COOKIE, token, max_age=seconds, httponly=True, samesite="lax", secure=web.settings.tls, path="/"
        )
        return response

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        session = request.state.session
        with web.store.write() as connection:
            queue.release(connection, session.account)
            accounts.sign_out(connection, request.cookies.get(COOKIE, ""), now(), session.account)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    @router.get("/audit")
    def audit(request: Request) -> Response:
        if request.state.session.role != "admin":
            return web.page(request, "missing.html.j2", code=403, what="Only an admin may read the audit log.")
        before = request.query_params.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
        with web.store.read() as connection:
            found = accounts.audit_log(connection, before=number, limit=LOG)
            people = accounts.everybody(connection)
        return web.page(request, "audit.html.j2", entries=found, people=people, more=len(found) == LOG)

    return router
