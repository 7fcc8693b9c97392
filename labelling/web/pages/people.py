"""Signing in and out, and the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import accounts, queue
from labelling.store.database import now
from labelling.store.throttle import DEVICE_LIFETIME, SECOND
from labelling.web.dependencies import SharedWeb, SignedIn, admins_alone, form_of
from labelling.web.forms import RowId, SignInForm
from labelling.web.security import DEVICE, SESSION, cookie_name, safe_target, set_cookie
from labelling.web.sign_ins import Claim, Denied

LOG = 100
"""Entries of the audit log on a page."""

router = APIRouter()


@router.get("/sign-in")
def sign_in_page(request: Request, web: SharedWeb, to: str | None = None) -> Response:
    """The form to sign in with."""
    target = safe_target(to)
    if request.state.session is not None:
        return RedirectResponse(target, 303)
    return web.page(request, "sign_in.html.j2", target=target, problem="", name="")


@router.post("/sign-in")
async def sign_in(
    request: Request, web: SharedWeb, form: Annotated[SignInForm, Depends(form_of(SignInForm))]
) -> Response:
    """Signs in, or says why not."""
    target = safe_target(form.to)
    address = request.client.host if request.client else ""
    device = request.cookies.get(cookie_name(request, DEVICE), "")
    outcome = await web.sign_ins.check(Claim(form.name, form.password, address, device))
    if isinstance(outcome, Denied):
        values = {"target": target, "problem": outcome.reason, "name": form.name}
        page = web.page(request, "sign_in.html.j2", code=outcome.code, **values)
        if outcome.seconds:
            page.headers["retry-after"] = str(outcome.seconds)
        return page
    response = RedirectResponse(target, 303)
    set_cookie(response, request, SESSION, outcome.token, accounts.SESSION // SECOND)
    set_cookie(response, request, DEVICE, outcome.device, DEVICE_LIFETIME // SECOND)
    return response


@router.post("/sign-out")
def sign_out(request: Request, web: SharedWeb, session: SignedIn) -> Response:
    """Ends the session, and lets others have the products that the annotator was shown."""
    with web.store.write() as connection:
        queue.release(connection, session.account)
        token = request.cookies.get(cookie_name(request, SESSION), "")
        accounts.sign_out(connection, token, now(), session.account)
    response = RedirectResponse("/sign-in", 303)
    set_cookie(response, request, SESSION, "", 0)
    return response


@router.get("/audit", dependencies=[Depends(admins_alone("Only an admin may read the audit log."))])
def audit(request: Request, web: SharedWeb, before: RowId = 0) -> Response:
    """The audit log, the newest entries first."""
    with web.store.read() as connection:
        entries = accounts.audit_log(connection, before=before or None, limit=LOG)
        people = accounts.everybody(connection)
    return web.page(request, "audit.html.j2", entries=entries, people=people, more=len(entries) == LOG)
