"""A batch: why it holds these products, what was answered, and what an admin changes about it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from labelling.store import accounts, queue, status
from labelling.store.database import now
from labelling.web import views
from labelling.web.context import Web
from labelling.web.dependencies import Missing, SharedWeb, SignedIn, admins_alone, form_of
from labelling.web.formatting import link
from labelling.web.forms import BatchForm, Count

MAX_OVERLAP = 20
"""Answers per product that an admin can ask for, at most."""

router = APIRouter()


@router.get("/batch")
def batch(request: Request, web: SharedWeb, id: str = "", start: Count = 0) -> Response:
    """A batch, with its products from ``start`` on."""
    with web.store.read() as connection:
        values = views.batch(connection, id, web.names(connection), web.settings.image_hosts, start)
        people = [account.name for account in accounts.everybody(connection) if account.active]
    if values is None:
        raise Missing("There is no such batch.")
    return web.page(request, "batch.html.j2", people=people, **values)


@router.post("/batch", dependencies=[Depends(admins_alone("Only an admin may change a batch."))])
def change_batch(
    web: SharedWeb, session: SignedIn, form: Annotated[BatchForm, Depends(form_of(BatchForm))]
) -> Response:  # fmt: skip
    """Closes a batch, opens it again, reserves its products, or asks for more answers; the audit log tells of it."""
    with web.store.write() as connection:
        if not status.queues(connection, form.id):
            raise Missing("There is no such batch.", 400)
        _change(connection, form, web)
        detail = {
            key: str(value)
            for key, value in form.model_dump(include={"overlap", "annotator", "count"}).items() if value
        }  # fmt: skip
        action = f"batch {form.action}"[:50]
        accounts.record(connection, now(), session.account, action, {"batch": form.id, **detail})
    return RedirectResponse(link("/batch", id=form.id), 303)


def _change(connection: Connection, form: BatchForm, web: Web) -> None:
    """Does what the form asks for; in a writing transaction.

    Raises:
      Missing: The form makes no sense.
    """
    match form.action:
        case "close" | "reopen":
            queue.close(connection, form.id, form.action == "reopen")
        case "overlap":
            overlap = form.overlap or 0
            if not 1 <= overlap <= MAX_OVERLAP:
                raise Missing(f"From 1 to {MAX_OVERLAP} answers per product can be asked for.", 400)
            queue.assign(connection, form.id, wanted=overlap)
        case "assign":
            if form.count == 0:
                raise Missing("How many products is no number.", 400)
            if form.annotator not in _annotators(connection, web):
                raise Missing("There is no such annotator.", 400)
            queue.assign(connection, form.id, annotator=form.annotator, count=form.count)
        case "free":
            queue.assign(connection, form.id, free=True)
        case _:
            raise Missing("A batch cannot be changed in that way.", 400)


def _annotators(connection: Connection, web: Web) -> set[str]:
    """Who can be given products: accounts; without them who serves, and who has labelled."""
    if web.settings.annotator is None:
        return {account.name for account in accounts.everybody(connection) if account.active}
    return {web.settings.annotator, *(name for name, _ in status.annotators(connection))}
