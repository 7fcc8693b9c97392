"""Signing in and out, and the audit log."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import accounts, queue
from labelling.store.database import now
from labelling.store.throttle import DEVICE_LIFETIME, SECOND
from labelling.web.context import Web
from labelling.web.security import DEVICE, SESSION, cookie_name, form_of, safe_target, set_cookie
from labelling.web.sign_ins import Claim, Refused, SignIns

LOG = 100


def routes(web: Web) -> APIRouter:
    """The routes."""
    router = APIRouter()
    sign_ins = SignIns(web.store, alone=web.settings.one_session)

    @router.get("/sign-in")
    def form(request: Request) -> Response:
        target = safe_target(request.query_params.get("to"))
        if request.state.session is not None:
            return RedirectResponse(target, 303)
        return web.page(request, "sign_in.html.j2", target=target, problem="", name="")

    @router.post("/sign-in")
    async def sign_in(request: Request) -> Response:
        form = form_of(request)
        target, name = safe_target(form("to")), (form("name") or "").strip()
        address = request.client.host if request.client else ""
        device = request.cookies.get(cookie_name(request, DEVICE), "")
        found = await sign_ins.check(Claim(name, form("password") or "", address, device))
        if isinstance(found, Refused):
            values = {"target": target, "problem": found.reason, "name": name}
            response = web.page(request, "sign_in.html.j2", code=found.code, **values)
            if found.seconds:
                response.headers["retry-after"] = str(found.seconds)
            return response
        response = RedirectResponse(target, 303)
        set_cookie(response, request, SESSION, found.token, accounts.SESSION // SECOND)
        set_cookie(response, request, DEVICE, found.device, DEVICE_LIFETIME // SECOND)
        return response

    @router.post("/sign-out")
    def sign_out(request: Request) -> Response:
        session = request.state.session
        with web.store.write() as connection:
            queue.release(connection, session.account)
            token = request.cookies.get(cookie_name(request, SESSION), "")
            accounts.sign_out(connection, token, now(), session.account)
        response = RedirectResponse("/sign-in", 303)
        set_cookie(response, request, SESSION, "", 0)
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
